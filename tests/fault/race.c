/*
 * Many workers race for the runs of few repositories: each a process with its own connection that
 * claims and closes by the worker's own functions, while others put further runs into the queue by
 * the procedure of the webhook. The observer is memory that all of them share, so that it sees what
 * the database knows nothing of: who is between a claim's answer and the call of the close. Started
 * by tests/e2e/96-race.mjs; environment as the worker's. race WORKERS FIRST_ID RUNS ADDED   RUNS
 * have ids from FIRST_ID on, the last ADDED of them are put into the queue meanwhile Prints one
 * line of JSON when all RUNS were claimed, or when none was for 20 s. Nobody looks for forgotten
 * heads (queue_look): a run whose head got lost is never claimed here.
 */
#include <semaphore.h>
#include <stdatomic.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <signal.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/db.h"
#include "lib/mem.h"
#include "worker/claim.h"

#define REPOS 8
#define ADDERS 2
#define AHEAD 20 /* runs added and not yet claimed: the queues run empty again and again */
#define IDLE_MS 100
#define CROWD 4 /* each so many-th close wakes another worker besides the one that claims next */
#define STUCK_S 20

static struct shared {
	sem_t freed; /* a repository may have a run for somebody */
	atomic_int inside[REPOS];
	atomic_long claims, added, overlaps, twice, strangers, errors;
	atomic_int is_over;
	atomic_uchar claimed[];
} * shared;
static long first_id, runs, to_add, every_long;

static void must(err_t e, const char *what)
{
	if (!e)
		return;
	fprintf(stderr, "%s: %s\n", what, err_text(e));
	atomic_fetch_add(&shared->errors, 1);
	exit(1);
}

static struct db *open_database(struct settings **ret_set)
{
	struct db *db = NULL;
	must(settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
				   .default_db_user = "air_worker"},
		     ret_set),
		"settings");
	must(db_open(*ret_set, &db), "database");
	return db;
}

static void wait_for_work(void)
{
	struct timespec until;
	clock_gettime(CLOCK_REALTIME, &until);
	until.tv_nsec += IDLE_MS * 1000000;
	until.tv_sec += until.tv_nsec / 1000000000;
	until.tv_nsec %= 1000000000;
	sem_timedwait(&shared->freed, &until);
}

/* Between the claim's answer and the close nobody else may be inside the repository. */
static void be_inside(const struct run *run)
{
	long at = run->id - first_id;
	if (at < 0 || at >= runs || run->repo_id < 0 || run->repo_id >= REPOS) {
		atomic_fetch_add(&shared->strangers, 1);
		return;
	}
	if (atomic_fetch_add(&shared->inside[run->repo_id], 1) != 0)
		atomic_fetch_add(&shared->overlaps, 1);
	if (atomic_fetch_add(&shared->claimed[at], 1) != 0)
		atomic_fetch_add(&shared->twice, 1);
	atomic_fetch_add(&shared->claims, 1);
	if (run->id % every_long == 0)
		usleep(100);
	atomic_fetch_sub(&shared->inside[run->repo_id], 1);
}

static void work(int number)
{
	struct settings *set = NULL;
	struct db *db = open_database(&set);
	autofree char *name = xasprintf("race-%d", number);
	while (!shared->is_over) {
		struct run run AUTO(run_release) = {0};
		must(run_claim(db, set, name, &run), "claim");
		if (!run.id) {
			wait_for_work();
			continue;
		}
		be_inside(&run);
		must(run_close(db, &run, RUN_COMPLETED, NULL, NULL, NULL), "close");
		if (run.id % CROWD == 0)
			sem_post(&shared->freed);
	}
	db_close(db);
	settings_free(set);
}

static void add_one(struct db *db, long n)
{
	char key[65], issue[32], project[2] = {(char)('A' + n % 3)};
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	snprintf(key, sizeof key, "%064ld", n);
	snprintf(issue, sizeof issue, "%s-ADDED%ld", project, n);
	must(db_query(db, Q_INTAKE,
		     DB_ARGS(db_str(key), db_i64(1), db_str(issue), db_str(project), db_str("race"),
			     db_i64(1 + n % 4)),
		     &rows),
		"intake");
	sem_post(&shared->freed);
}

static void add(void)
{
	struct settings *set = NULL;
	struct db *db = open_database(&set);
	while (!shared->is_over) {
		long n = atomic_fetch_add(&shared->added, 1);
		if (n >= to_add)
			break;
		/* the rows that were there before take their time; then a few ahead are enough */
		while (!shared->is_over && n > AHEAD && shared->claims < runs - to_add + n - AHEAD)
			usleep(200);
		add_one(db, n);
	}
	db_close(db);
	settings_free(set);
}

static void start(int number, int workers)
{
	pid_t parent = getpid();
	if (fork() != 0)
		return;
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		exit(1);
	if (number < workers)
		work(number);
	else
		add();
	exit(0);
}

static double now_s(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec + (double)t.tv_nsec / 1e9;
}

/* Until all is claimed, or nothing is any more. */
static void wait_for_the_end(void)
{
	long seen = -1;
	for (double since = now_s(); shared->claims < runs && now_s() - since < STUCK_S;) {
		if (shared->claims != seen)
			since = now_s();
		seen = shared->claims;
		usleep(10000);
	}
	shared->is_over = 1;
}

int main(int argc, char **argv)
{
	if (argc != 6) {
		fprintf(stderr, "usage: race WORKERS FIRST_ID RUNS ADDED LONG\n");
		return 2;
	}
	int workers = atoi(argv[1]);
	first_id = atol(argv[2]);
	runs = atol(argv[3]);
	to_add = atol(argv[4]);
	every_long = atol(argv[5]);
	shared = mmap(NULL, sizeof *shared + (size_t)runs, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	if (shared == MAP_FAILED || sem_init(&shared->freed, 1, 0))
		abort();
	double began = now_s();
	for (int i = 0; i < workers + ADDERS; i++)
		start(i, workers);
	wait_for_the_end();
	double took = now_s() - began;
	for (int status; wait(&status) > 0;)
		if (status)
			atomic_fetch_add(&shared->errors, 1);
	printf("{\"claims\":%ld,\"overlaps\":%ld,\"twice\":%ld,\"strangers\":%ld,\"errors\":%ld,"
	       "\"seconds\":%.1f}\n",
		shared->claims, shared->overlaps, shared->twice, shared->strangers, shared->errors,
		took);
	return 0;
}
