/*
 * Claims, closes and requeues runs. Called by the daemon, the run's child and airunnerctl.
 * Each is one procedure of sql/migrate/003_queue.sql: what is claimable is decided there.
 */
#include "worker/claim.h"

#include <string.h>
#include <sys/random.h>
#include <unistd.h>

#include "lib/mem.h"

#define TRIES 8

int64_t run_claim_mark(void)
{
	static int64_t mark;
	static pid_t owner;
	if (owner != getpid()) {
		if (getrandom(&mark, sizeof mark, 0) != sizeof mark)
			abort();
		owner = getpid();
	}
	return mark;
}

static struct run read_run(const struct db_rows *rows)
{
	return (struct run){
		.id = db_rows_i64(rows, "id"),
		.kind = xstrdup(db_rows_str(rows, "kind")),
		.issue_key = xstrdup(db_rows_str(rows, "issue_key")),
		.project_key = xstrdup(db_rows_str(rows, "project_key")),
		.line = xstrdup(db_rows_str(rows, "line")),
		.repo_id = db_rows_i64(rows, "repo_id"),
		.fence = db_rows_i64(rows, "fence"),
		.slot = db_rows_i64(rows, "slot"),
		.attempt = (int)db_rows_i64(rows, "attempt"),
		.crashes = (int)db_rows_i64(rows, "crashes"),
		.priority = (int)db_rows_i64(rows, "priority"),
	};
}

/* A procedure with a transaction inside: another worker may have been quicker (a deadlock; the keys
 * kept a limit), then it is called again. */
static err_t call(struct db *db, enum query q, const struct db_arg *args, struct db_rows **ret_rows)
{
	err_t e = NULL;
	for (int i = 0; i < TRIES; i++) {
		e = db_query(db, q, args, ret_rows);
		if (err_code(e) != ERR_DB_RETRY && err_code(e) != ERR_DB_DUPLICATE)
			return e;
	}
	return e;
}

static err_t unsure(err_t e)
{
	return err_code(e) == ERR_DB_AWAY
		       ? err_new(ERR_DB_UNSURE, "%s: whether it was committed is not known",
				 err_text(e))
		       : e;
}

/* The next run, or the one that only names. @return ret_run->id 0 when there is none */
static err_t claim(
	struct db *db, const char *worker, bool is_plain, struct db_arg only, struct run *ret_run)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	err_t e = call(db, Q_QUEUE_CLAIM,
		DB_ARGS(db_str(worker), db_i64(run_claim_mark()), db_i64(LEASE_S), db_i64(is_plain),
			only),
		&rows);
	if (e)
		return unsure(e);
	*ret_run = db_rows_next(rows) ? read_run(rows) : (struct run){0};
	return NULL;
}

err_t run_claim(struct db *db, const struct settings *set, const char *worker, struct run *ret_run)
{
	bool is_plain = !settings_bool(set, S_USE_SMART_QUEUE);
	return claim(db, worker, is_plain, db_null(), ret_run);
}

err_t run_claim_id(struct db *db, const char *worker, int64_t id, struct run *ret_run)
{
	ERR_TRY(claim(db, worker, false, db_i64(id), ret_run));
	if (ret_run->id)
		return NULL;
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_RUN_BY_ID, DB_ARGS(db_i64(id)), &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_NOT_FOUND, "run %lld does not exist", (long long)id);
	return err_new(ERR_CONFLICT,
		"run %lld is %s: only a queued run can be claimed, when it is due and its "
		"repository and its line are not busy",
		(long long)id, db_rows_str(rows, "status"));
}

err_t run_load(struct db *db, int64_t id, int64_t fence, struct run *ret_run)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_RUN_BY_ID, DB_ARGS(db_i64(id)), &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_NOT_FOUND, "run %lld does not exist", (long long)id);
	if (db_rows_i64(rows, "fence") != fence ||
		strcmp(db_rows_str(rows, "status"), run_status_name(RUN_RUNNING)) != 0)
		return err_new(ERR_FENCE, "run %lld is not this worker's any more", (long long)id);
	*ret_run = read_run(rows);
	return NULL;
}

static const struct {
	const char *name;
	enum outcome { DONE, AGAIN, CANCELLED, OTHER, FENCED } outcome;
} outcomes[] = {{"done", DONE}, {"again", AGAIN}, {"cancelled", CANCELLED}, {"other", OTHER}};

/* Calls a procedure that ends a claim. A connection that is lost meanwhile is made anew and the
 * call repeated: the procedure tells what the first one did (AGAIN), or does it now. */
static err_t leave(
	struct db *db, enum query q, const struct db_arg *args, enum outcome *ret_outcome)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	err_t e = call(db, q, args, &rows);
	bool lost = err_code(e) == ERR_DB_AWAY;
	if (lost && !db_reconnect(db))
		e = call(db, q, args, &rows);
	if (e)
		return unsure(e);
	db_rows_next(rows);
	*ret_outcome = FENCED;
	for (size_t i = 0; i < ARRAY_LEN(outcomes); i++)
		if (strcmp(outcomes[i].name, db_rows_str(rows, "outcome")) == 0)
			*ret_outcome = outcomes[i].outcome;
	if (*ret_outcome == AGAIN)
		*ret_outcome = lost ? DONE : FENCED;
	return NULL;
}

static err_t fenced(const struct run *run)
{
	return err_new(ERR_FENCE, "run %lld is not this worker's any more", (long long)run->id);
}

err_t run_close(struct db *db, const struct run *run, enum run_status status, const char *reason,
	const char *category, const char *metrics)
{
	enum outcome outcome;
	ERR_TRY(leave(db, Q_QUEUE_CLOSE,
		DB_ARGS(db_i64(run->repo_id), db_str(run_status_name(status)), db_str(reason),
			db_str(category), db_str(metrics), db_i64(run->id), db_i64(run->fence)),
		&outcome));
	if (outcome != DONE)
		return fenced(run);
	return status == RUN_CANCELLED
		       ? db_exec(db, Q_OUTBOX_VOID_CANCELLED, DB_ARGS(db_i64(run->id)), NULL)
		       : NULL;
}

err_t run_give_way(struct db *db, const struct run *run)
{
	ERR_TRY(db_exec(db, Q_RUN_FORGET_TRIGGER, DB_ARGS(db_i64(run->id)), NULL));
	return run_close(db, run, RUN_CANCELLED,
		"a newer run of the same issue is queued and goes on instead", NULL, NULL);
}

err_t run_requeue(struct db *db, const struct run *run, int64_t wait_s)
{
	enum outcome outcome;
	ERR_TRY(leave(db, Q_QUEUE_REQUEUE,
		DB_ARGS(db_i64(run->repo_id), db_i64(wait_s), db_i64(run->id), db_i64(run->fence)),
		&outcome));
	if (outcome == OTHER)
		return run_give_way(db, run);
	if (outcome == CANCELLED)
		return run_close(
			db, run, RUN_CANCELLED, "cancelled by a person", "cancelled", NULL);
	return outcome == DONE ? NULL : fenced(run);
}

err_t queue_look(struct db *db)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	return call(db, Q_QUEUE_LOOK, DB_NO_ARGS, &rows);
}
