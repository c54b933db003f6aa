/*
 * Claims, closes and requeues runs. Called by the daemon, the run's child and airunnerctl.
 * What is claimable is decided in SQL (sql/queries.sql, section queue; refresh_head in the schema).
 */
#include "worker/claim.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

#define CLAIM_TRIES 8

struct candidate {
	int64_t repo_id;
	int64_t run_id;
	int64_t max_running;
	int64_t fence;
	int64_t crashes;
	int64_t slot;
	int64_t lease_s;
};

static err_t read_run(struct db *db, int64_t id, struct run *ret_run, char **ret_status)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_RUN_BY_ID, DB_ARGS(db_i64(id)), &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_NOT_FOUND, "run %lld does not exist", (long long)id);
	*ret_run = (struct run){
		.id = id,
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
	*ret_status = xstrdup(db_rows_str(rows, "status"));
	return NULL;
}

/* Locks the best repository; run_id 0 when none is ready. */
static err_t pick_repo(struct db *db, bool smart, struct candidate *ret)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, smart ? Q_CLAIM_REPO : Q_CLAIM_REPO_PLAIN, DB_NO_ARGS, &rows));
	*ret = (struct candidate){.lease_s = LEASE_S};
	if (!db_rows_next(rows))
		return NULL;
	ret->repo_id = db_rows_i64(rows, "id");
	ret->run_id = db_rows_i64(rows, "head_run_id");
	ret->max_running = db_rows_i64(rows, "max_running");
	return NULL;
}

/* Locks the run; *ret_ok false when the head was stale. */
static err_t pick_run(struct db *db, struct candidate *c, bool *ret_ok)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_CLAIM_CANDIDATE, DB_ARGS(db_i64(c->run_id)), &rows));
	*ret_ok = db_rows_next(rows);
	if (*ret_ok) {
		c->fence = db_rows_i64(rows, "fence");
		c->crashes = db_rows_i64(rows, "crashes");
	}
	return NULL;
}

/* Lowest free slot; 0 when the repository is full. Without limit the run's id is its slot. */
static err_t pick_slot(struct db *db, struct candidate *c)
{
	if (c->max_running == 0) {
		c->slot = c->run_id;
		return NULL;
	}
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_CLAIM_USED_SLOTS, DB_ARGS(db_i64(c->repo_id)), &rows));
	int64_t slot = 1;
	while (db_rows_next(rows) && db_rows_i64(rows, "slot") == slot)
		slot++;
	c->slot = slot <= c->max_running ? slot : 0;
	return NULL;
}

/* A step that began and did not end means that the last claim crashed in it. */
static err_t count_crash(struct db *db, struct candidate *c)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_CLAIM_OPEN_STEP, DB_ARGS(db_i64(c->run_id)), &rows));
	if (!db_rows_next(rows))
		return NULL;
	if (!db_rows_i64(rows, "ended")) /* a step that ends sets it back (worker/pipeline.c) */
		c->crashes++;
	return db_exec(db, Q_CLAIM_CLOSE_OPEN_STEPS, DB_ARGS(db_i64(c->run_id)), NULL);
}

static err_t take_run(struct db *db, const char *worker, struct candidate *c)
{
	ERR_TRY(count_crash(db, c));
	int64_t taken = 0;
	ERR_TRY(db_exec(db, Q_CLAIM_TAKE,
		DB_ARGS(db_i64(c->slot), db_str(worker), db_i64(c->lease_s), db_i64(c->crashes),
			db_i64(c->run_id), db_i64(c->fence)),
		&taken));
	if (taken != 1)
		return err_new(ERR_CONFLICT, "run %lld was taken meanwhile", (long long)c->run_id);
	ERR_TRY(db_exec(db, Q_REPO_CLAIMED, DB_ARGS(db_i64(c->repo_id)), NULL));
	return db_exec(db, Q_REPO_REFRESH_HEAD, DB_ARGS(db_i64(c->repo_id)), NULL);
}

/* One try inside a transaction; c->run_id 0 when nothing waits, *ret_again when the head was stale.
 */
static err_t claim_once(
	struct db *db, const char *worker, bool smart, struct candidate *c, bool *ret_again)
{
	bool ok = false;
	*ret_again = false;
	ERR_TRY(pick_repo(db, smart, c));
	if (c->run_id == 0)
		return NULL;
	ERR_TRY(pick_run(db, c, &ok));
	if (ok)
		ERR_TRY(pick_slot(db, c));
	if (ok && c->slot)
		return take_run(db, worker, c);
	*ret_again = true;
	return db_exec(db, Q_REPO_REFRESH_HEAD, DB_ARGS(db_i64(c->repo_id)), NULL);
}

err_t run_claim(struct db *db, const struct settings *set, const char *worker, struct run *ret_run)
{
	bool smart = settings_bool(set, S_USE_SMART_QUEUE);
	*ret_run = (struct run){0};
	for (int i = 0; i < CLAIM_TRIES; i++) {
		struct candidate c = {0};
		bool again = false;
		ERR_TRY(db_begin(db));
		err_t e = claim_once(db, worker, smart, &c, &again);
		if (e) {
			db_rollback(db);
			if (err_code(e) == ERR_DB_RETRY || err_code(e) == ERR_DB_DUPLICATE)
				continue; /* another worker was quicker: the keys kept the limit */
			return e;
		}
		e = db_commit(db);
		if (err_code(e) == ERR_DB_RETRY)
			continue; /* on a cluster: a worker of another node was quicker */
		ERR_TRY(e);
		if (!again && c.run_id)
			return run_load(db, c.run_id, c.fence + 1, ret_run);
		if (!again)
			return NULL;
	}
	return NULL;
}

static err_t claim_id_once(struct db *db, const char *worker, struct candidate *c)
{
	struct db_rows *locked AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_REPO_LOCK, DB_ARGS(db_i64(c->repo_id)), &locked));
	if (!db_rows_next(locked))
		return err_new(
			ERR_NOT_FOUND, "repository %lld does not exist", (long long)c->repo_id);
	c->max_running = db_rows_i64(locked, "max_running");
	bool ok = false;
	ERR_TRY(pick_run(db, c, &ok));
	if (!ok)
		return err_new(ERR_CONFLICT,
			"run %lld is not queued, or another run of its line is running",
			(long long)c->run_id);
	ERR_TRY(pick_slot(db, c));
	if (!c->slot)
		return err_new(
			ERR_CONFLICT, "the repository of run %lld is busy", (long long)c->run_id);
	return take_run(db, worker, c);
}

err_t run_claim_id(struct db *db, const char *worker, int64_t id, struct run *ret_run)
{
	struct run run = {0};
	autofree char *status = NULL;
	ERR_TRY(read_run(db, id, &run, &status));
	struct candidate c = {.run_id = id, .repo_id = run.repo_id, .lease_s = LEASE_S};
	run_release(&run);
	struct db_try t = {0};
	while (db_try(db, &t))
		t.error = claim_id_once(db, worker, &c);
	ERR_TRY(t.error);
	return run_load(db, id, c.fence + 1, ret_run);
}

err_t run_load(struct db *db, int64_t id, int64_t fence, struct run *ret_run)
{
	struct run run = {0};
	autofree char *status = NULL;
	ERR_TRY(read_run(db, id, &run, &status));
	if (run.fence != fence || strcmp(status, run_status_name(RUN_RUNNING)) != 0) {
		run_release(&run);
		return err_new(ERR_FENCE, "run %lld is not this worker's any more", (long long)id);
	}
	*ret_run = run;
	return NULL;
}

/* Locks the repository, runs the fenced change of the run, gives the slot back; one transaction. */
static err_t leave_slot(
	struct db *db, const struct run *run, enum query change, const struct db_arg *args)
{
	struct db_rows *locked AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_REPO_LOCK, DB_ARGS(db_i64(run->repo_id)), &locked));
	ERR_TRY(db_exec_fenced(db, change, args));
	ERR_TRY(db_exec(db, Q_REPO_RELEASED, DB_ARGS(db_i64(run->repo_id)), NULL));
	return db_exec(db, Q_REPO_REFRESH_HEAD, DB_ARGS(db_i64(run->repo_id)), NULL);
}

static err_t leave_in_transaction(
	struct db *db, const struct run *run, enum query change, const struct db_arg *args)
{
	struct db_try t = {0};
	while (db_try(db, &t))
		t.error = leave_slot(db, run, change, args);
	return t.error;
}

err_t run_close(struct db *db, const struct run *run, enum run_status status, const char *reason,
	const char *category, const char *metrics)
{
	ERR_TRY(leave_in_transaction(db, run, Q_RUN_CLOSE,
		DB_ARGS(db_str(run_status_name(status)), db_str(reason), db_str(category),
			db_str(metrics), db_i64(run->id), db_i64(run->fence))));
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

static err_t is_cancelled(struct db *db, const struct run *run, bool *ret_cancelled)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_RUN_ALIVE, DB_ARGS(db_i64(run->fence), db_i64(run->id)), &rows));
	*ret_cancelled =
		db_rows_next(rows) && db_rows_i64(rows, "ours") && db_rows_i64(rows, "cancelled");
	return NULL;
}

err_t run_requeue(struct db *db, const struct run *run, int64_t wait_s)
{
	err_t e = leave_in_transaction(db, run, Q_RUN_REQUEUE,
		DB_ARGS(db_i64(wait_s), db_i64(run->id), db_i64(run->fence)));
	if (err_code(e) == ERR_DB_DUPLICATE)
		return run_give_way(db, run);
	if (err_code(e) != ERR_FENCE)
		return e;
	bool cancelled = false;
	ERR_TRY(is_cancelled(db, run, &cancelled));
	return cancelled ? run_close(db, run, RUN_CANCELLED, "cancelled by a person", "cancelled",
				   NULL)
			 : err_new(ERR_FENCE, "run %lld is not this worker's any more",
				   (long long)run->id);
}

err_t queue_refresh(struct db *db)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_REPOS_TO_REFRESH, DB_NO_ARGS, &rows));
	while (db_rows_next(rows))
		ERR_TRY(db_exec(
			db, Q_REPO_REFRESH_HEAD, DB_ARGS(db_i64(db_rows_i64(rows, "id"))), NULL));
	return NULL;
}
