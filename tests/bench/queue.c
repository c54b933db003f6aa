/*
 * Measures the queue through the worker's own functions. Called by tests/bench/queue.mjs, which has
 * filled the tables; one line of microseconds a sample on standard output.
 *   queue claim N   claim, close and enqueue anew so that the depth stays: "claim enqueue close"
 *   queue wake N    enqueue and poke -> a waiting worker has the run: "enqueue woken"
 */
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "cgi/poke.h"
#include "lib/db.h"
#include "lib/mem.h"
#include "worker/claim.h"
#include "worker/poke.h"

#define WARM_UP 50
#define WAIT_MS 5000

static struct settings *set;
static struct db *db;
static long enqueued;

static void must(err_t e, const char *what)
{
	if (!e)
		return;
	fprintf(stderr, "%s: %s\n", what, err_text(e));
	exit(1);
}

static double now_us(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e6 + (double)t.tv_nsec / 1e3;
}

static void open_database(void)
{
	must(settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
				   .default_db_user = "air_worker"},
		     &set),
		"settings");
	must(db_open(set, &db), "database");
}

/* What the webhook handler does: one call of the procedure. */
static double enqueue(const char *project, int priority)
{
	char key[128], issue[64];
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	enqueued++;
	snprintf(key, sizeof key, "%010d%020ld%034ld", getpid(), enqueued, time(NULL));
	snprintf(issue, sizeof issue, "NEW-%d%09ld", getpid(), enqueued);
	double start = now_us();
	must(db_query(db, Q_INTAKE,
		     DB_ARGS(db_str(key), db_i64(1), db_str(issue), db_str(project),
			     db_str("jira:issue_updated"), db_i64(priority)),
		     &rows),
		"intake");
	return now_us() - start;
}

static void claim_one(bool is_shown)
{
	struct run run AUTO(run_release) = {0};
	double start = now_us();
	must(run_claim(db, set, "bench", &run), "claim");
	double claimed = now_us() - start;
	if (!run.id) {
		fprintf(stderr, "nothing to claim\n");
		exit(1);
	}
	double closing = now_us();
	must(run_close(db, &run, RUN_COMPLETED, "measured", NULL, NULL), "close");
	double closed = now_us() - closing;
	double added = enqueue(run.project_key, run.priority);
	if (is_shown)
		printf("%.1f %.1f %.1f\n", claimed, added, closed);
}

/* The daemon's loop without its children: woken by the poke, claim. */
static void waiting_worker(int out)
{
	open_database();
	int fd = -1;
	must(poke_open(set, &fd), "poke socket");
	double at = 0;
	if (write(out, &at, sizeof at) != sizeof at)
		exit(1);
	for (struct pollfd poke = {.fd = fd, .events = POLLIN}; poll(&poke, 1, WAIT_MS) > 0;) {
		struct run run AUTO(run_release) = {0};
		poke_drain(fd);
		must(run_claim(db, set, "bench", &run), "claim");
		if (!run.id)
			continue;
		at = now_us();
		must(run_close(db, &run, RUN_COMPLETED, "measured", NULL, NULL), "close");
		if (write(out, &at, sizeof at) != sizeof at)
			break;
	}
	exit(0);
}

static void wake_one(int in, int i)
{
	char project[16];
	double at = 0;
	snprintf(project, sizeof project, "B%d", (i + 1) % 1000 + 1);
	double start = now_us();
	double added = enqueue(project, 3);
	poke_worker(set, enqueued);
	struct pollfd answer = {.fd = in, .events = POLLIN};
	if (poll(&answer, 1, WAIT_MS) != 1 || read(in, &at, sizeof at) != sizeof at) {
		fprintf(stderr, "the waiting worker did not claim\n");
		exit(1);
	}
	if (i >= 0)
		printf("%.1f %.1f\n", added, at - start);
}

static void wake(int n)
{
	int ends[2];
	double ready = 0;
	if (pipe(ends) < 0)
		exit(1);
	pid_t pid = fork();
	if (pid == 0)
		waiting_worker(ends[1]);
	close(ends[1]);
	open_database();
	if (read(ends[0], &ready, sizeof ready) != sizeof ready)
		exit(1);
	for (int i = -WARM_UP; i < n; i++)
		wake_one(ends[0], i < 0 ? -1 : i);
	close(ends[0]);
	kill(pid, SIGTERM);
	waitpid(pid, NULL, 0);
}

int main(int argc, char **argv)
{
	if (argc != 3) {
		fprintf(stderr, "usage: queue claim|wake SAMPLES\n");
		return 2;
	}
	int n = atoi(argv[2]);
	if (strcmp(argv[1], "wake") == 0) {
		wake(n);
		return 0;
	}
	open_database();
	for (int i = -WARM_UP; i < n; i++)
		claim_one(i >= 0);
	db_close(db);
	settings_free(set);
	return 0;
}
