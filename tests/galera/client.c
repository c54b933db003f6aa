/*
 * A client of the cluster that uses the worker's own functions. Started by tests/e2e/95-galera.mjs,
 * several at once, each with an AIRUNNER_DB_HOSTS of its own.
 *   client claim NAME DIR    claims, works and closes runs until DIR/stop exists; the folder is the
 *                            observer: a file a slot while it is worked, one a run when it was.
 * Prints "claims N lost N gap_ms N" and a line for each thing that may not be. client intake N FROM
 * N deliveries, numbered; prints the run's id of each client causal N HOSTS    N times: a delivery
 * here, a claim at HOSTS at once; prints how often the claim found it
 */
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/db.h"
#include "lib/mem.h"
#include "worker/claim.h"

#define AWAY_MS 30000
#define IDLE_US 5000

static struct settings *set, *set_there;
static const char *name, *folder;
static long claims, lost;
static double last_ms, gap_ms;

static void must(err_t e, const char *what)
{
	if (!e)
		return;
	printf("WRONG %s: %s\n", what, err_text(e));
	exit(1);
}

static double now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (double)t.tv_sec * 1e3 + (double)t.tv_nsec / 1e6;
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

/* ---- claim ---- */

static bool is_away(err_t e)
{
	return err_code(e) == ERR_DB_AWAY || err_code(e) == ERR_DB_UNSURE;
}

static void observe(const char *what, int64_t id, int64_t slot, bool begins)
{
	char path[512];
	snprintf(
		path, sizeof path, "%s/%s-%lld-%lld", folder, what, (long long)id, (long long)slot);
	if (!begins) {
		unlink(path);
		return;
	}
	int fd = open(path, O_WRONLY | O_CREAT | O_EXCL, 0600);
	if (fd < 0)
		printf("WRONG %s %lld, slot %lld, is worked twice\n", what, (long long)id,
			(long long)slot);
	else
		close(fd);
}

/* What the connection took with it is read again, as the daemon does it. */
static void come_back(struct db *db)
{
	lost++;
	must(db_reconnect_within(db, AWAY_MS), "reconnect");
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	must(db_query(db, Q_RUNS_OF_WORKER, DB_ARGS(db_i64(run_claim_mark()), db_str(name)), &rows),
		"read again");
	while (db_rows_next(rows)) {
		struct run run = {.id = db_rows_i64(rows, "id"),
			.fence = db_rows_i64(rows, "fence"),
			.repo_id = db_rows_i64(rows, "repo_id")};
		err_t e = run_requeue(db, &run, 0);
		if (is_away(e))
			return come_back(db);
		if (err_code(e) != ERR_FENCE)
			must(e, "requeue");
	}
}

static void work(struct db *db, const struct run *run)
{
	observe("repo", run->repo_id, run->slot, true);
	observe("run", run->id, 0, true);
	usleep(1000);
	observe("repo", run->repo_id, run->slot, false);
	for (bool again = false;; again = true) {
		err_t e = run_close(db, run, RUN_COMPLETED, "worked", NULL, NULL);
		if (!e || (again && err_code(e) == ERR_FENCE)) /* the lost close was one */
			return;
		if (!is_away(e))
			must(e, "close");
		lost++;
		must(db_reconnect_within(db, AWAY_MS), "reconnect");
	}
}

static void claim_until_stopped(void)
{
	struct db *db = open_database(&set);
	char stop[512];
	snprintf(stop, sizeof stop, "%s/stop", folder);
	last_ms = now_ms();
	while (access(stop, F_OK) != 0) {
		struct run run AUTO(run_release) = {0};
		err_t e = queue_look(db);
		if (!e)
			e = run_claim(db, set, name, &run);
		if (is_away(e)) {
			come_back(db);
			continue;
		}
		must(e, "claim");
		if (!run.id) {
			usleep(IDLE_US);
			continue;
		}
		claims++;
		work(db, &run);
		gap_ms = now_ms() - last_ms > gap_ms ? now_ms() - last_ms : gap_ms;
		last_ms = now_ms();
	}
	printf("claims %ld lost %ld gap_ms %.0f\n", claims, lost, gap_ms);
	db_close(db);
}

/* ---- intake ---- */

static int64_t intake(struct db *db, long number)
{
	char key[65], issue[64];
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	snprintf(key, sizeof key, "%064ld", number);
	snprintf(issue, sizeof issue, "Q%ld-%ld", number % 3, number);
	char project[8];
	snprintf(project, sizeof project, "Q%ld", number % 3);
	must(db_query(db, Q_INTAKE,
		     DB_ARGS(db_str(key), db_i64(1), db_str(issue), db_str(project), db_str("test"),
			     db_i64(3)),
		     &rows),
		"intake");
	db_rows_next(rows);
	return db_rows_i64(rows, "run_id");
}

static void deliver(long count, long from)
{
	struct db *db = open_database(&set);
	for (long i = 0; i < count; i++)
		printf("%lld\n", (long long)intake(db, from + i));
	db_close(db);
}

static void causal(long count, const char *hosts)
{
	struct db *here = open_database(&set);
	setenv("AIRUNNER_DB_HOSTS", hosts, 1);
	struct db *there = open_database(&set_there);
	long found = 0;
	for (long i = 0; i < count; i++) {
		struct run run AUTO(run_release) = {0};
		int64_t id = intake(here, 5000000 + i);
		must(run_claim(there, set, "causal", &run), "claim");
		found += run.id == id;
		if (run.id)
			must(run_close(there, &run, RUN_COMPLETED, "worked", NULL, NULL), "close");
	}
	printf("found %ld\n", found);
	db_close(here);
	db_close(there);
}

int main(int argc, char **argv)
{
	if (argc == 4 && strcmp(argv[1], "claim") == 0) {
		name = argv[2];
		folder = argv[3];
		claim_until_stopped();
	} else if (argc == 4 && strcmp(argv[1], "intake") == 0) {
		deliver(atol(argv[2]), atol(argv[3]));
	} else if (argc == 4 && strcmp(argv[1], "causal") == 0) {
		causal(atol(argv[2]), argv[3]);
	} else {
		return 2;
	}
	settings_free(set);
	settings_free(set_there);
	return 0;
}
