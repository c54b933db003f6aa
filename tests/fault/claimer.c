/*
 * Claims and closes runs as the worker does, by its own functions, until it is killed; for the
 * harness that kills the database meanwhile (tests/e2e/92-database-kills.mjs). Environment as the
 * worker's. One line on standard output for each thing that the database has acknowledged:
 *   claim ID FENCE     close ID FENCE     requeue ID FENCE
 * and, for what a lost connection leaves open:
 *   unsure ID FENCE    a close of which nobody knows whether it was committed, but the row is not
 *                      this claimer's any more
 *   error CODE
 */
#include <stdio.h>
#include <stdlib.h>
#include <sys/prctl.h>
#include <signal.h>
#include <unistd.h>

#include "lib/db.h"
#include "lib/mem.h"
#include "worker/claim.h"

#define IDLE_US 2000
#define AWAY_US 50000

static struct settings *set;
static struct db *db;
static const char *name;

static void say(const char *what, const struct run *run)
{
	printf("%s %lld %lld\n", what, (long long)run->id, (long long)run->fence);
}

static void reconnect(err_t e)
{
	printf("error %s\n", err_code_name(err_code(e)));
	do
		usleep(AWAY_US);
	while (db_reconnect(db));
}

/* What this name holds in the database without being at work on it goes back, as the daemon does at
 * its start. */
static err_t put_back(const struct run *in_hand)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(
		db, Q_RUNS_OF_WORKER, DB_ARGS(db_i64(run_claim_mark()), db_str(name)), &rows));
	while (db_rows_next(rows)) {
		struct run run = {.id = db_rows_i64(rows, "id"),
			.fence = db_rows_i64(rows, "fence"),
			.repo_id = db_rows_i64(rows, "repo_id")};
		if (run.id == in_hand->id && run.fence == in_hand->fence)
			continue;
		ERR_TRY(run_requeue(db, &run, 0));
		say("requeue", &run);
	}
	return NULL;
}

/* After a lost connection: until the row says what has become of the run. */
static void close_run(const struct run *run)
{
	for (bool lost = false;; lost = true) {
		err_t e = lost ? put_back(run) : NULL;
		if (!e)
			e = run_close(db, run, RUN_COMPLETED, NULL, NULL, NULL);
		if (!e) {
			say("close", run);
			return;
		}
		if (err_code(e) == ERR_FENCE) {
			say(lost ? "unsure" : "stolen", run);
			return;
		}
		reconnect(e);
	}
}

int main(int argc, char **argv)
{
	if (argc != 2)
		return 2;
	name = argv[1];
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	setvbuf(stdout, NULL, _IOLBF, 0);
	err_t e = settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
					.default_db_user = "air_worker"},
		&set);
	if (!e)
		e = db_open(set, &db);
	if (e) {
		fprintf(stderr, "claimer: %s\n", err_text(e));
		return 1;
	}
	for (;;) {
		struct run run AUTO(run_release) = {0};
		e = run_claim(db, set, name, &run);
		if (e) {
			reconnect(e);
			while ((e = put_back(&(struct run){0})))
				reconnect(e);
		} else if (run.id) {
			say("claim", &run);
			usleep(IDLE_US);
			close_run(&run);
		} else {
			usleep(IDLE_US);
		}
	}
}
