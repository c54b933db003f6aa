/*
 * The parent's dealings with the queue: claims, leases, cancellations, and what a lost connection
 * left in doubt; calls of models that were left open are settled with the leases. Called by the
 * loop in worker/daemon.c.
 */
#include "lib/log.h"
#include "lib/mem.h"
#include "worker/budget.h"
#include "worker/claim.h"
#include "worker/disk.h"
#include "worker/daemon_private.h"
#include "worker/fault.h"

#define DISK_TELL_MS 60000
#define WATCH_MS 500
#define RENEW_MS 10000
#define REAP_MS 5000
#define UNSTARTED_WAIT_S 30

/* Runs of this worker that no process of ours works on go back to the queue. */
static err_t put_back(struct daemon *d, const struct db_rows *rows)
{
	struct run run = {.id = db_rows_i64(rows, "id"),
		.fence = db_rows_i64(rows, "fence"),
		.repo_id = db_rows_i64(rows, "repo_id")};
	log_warning("run %lld is this worker's, but nothing works on it: back to the queue",
		(long long)run.id);
	err_t e = run_requeue(d->db, &run, 0);
	d->hungry = true;
	return err_code(e) == ERR_FENCE ? NULL : e;
}

static err_t running_runs(struct daemon *d, struct db_rows **ret_rows)
{
	return db_query(d->db, Q_RUNS_OF_WORKER,
		DB_ARGS(db_i64(run_claim_mark()), db_str(d->options->worker)), ret_rows);
}

static bool is_worked_on(const struct daemon *d, const struct db_rows *rows)
{
	return children_work_on(&d->children, db_rows_i64(rows, "id"), db_rows_i64(rows, "fence"));
}

err_t daemon_take_up(struct daemon *d)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(running_runs(d, &rows));
	while (db_rows_next(rows))
		if (!is_worked_on(d, rows))
			ERR_TRY(put_back(d, rows));
	return NULL;
}

/* A claim may even be committed after the connection was made anew: the server works on, so this is
 * asked again and again. Only claims of this very process are meant, not another's of its name. */
static err_t watch_own(struct daemon *d)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(running_runs(d, &rows));
	while (db_rows_next(rows)) {
		if (!db_rows_i64(rows, "same_process"))
			continue;
		if (!is_worked_on(d, rows))
			ERR_TRY(put_back(d, rows));
		else if (db_rows_i64(rows, "cancelled"))
			children_cancel(&d->children, db_rows_i64(rows, "id"));
	}
	d->watched_ms = monotonic_ms();
	return NULL;
}

/* By hand there is one try: what stands in its way is for the person to read. */
static err_t claim(struct daemon *d, volatile sig_atomic_t *stopping, struct run *ret_run)
{
	const struct daemon_options *o = d->options;
	if (!o->run_id)
		return run_claim(d->db, o->set, o->worker, ret_run);
	err_t e = run_claim_id(d->db, o->worker, o->run_id, ret_run);
	if (e)
		log_error("run %lld: %s", (long long)o->run_id, err_text(e));
	d->refused = e != NULL;
	*stopping = e != NULL;
	return NULL;
}

static bool has_room(const struct daemon *d)
{
	if (d->options->once)
		return d->claimed == 0;
	return children_runs(&d->children) <
	       (size_t)settings_int(d->options->set, S_AIRUNNER_MAX_RUNS);
}

/* A run that is claimed while a disk is full would only be put back. */
static bool disks_have_room(struct daemon *d)
{
	const struct daemon_options *o = d->options;
	err_t e = disk_check(o->set, settings_str(o->set, S_AIRUNNER_STATE_DIR));
	for (size_t i = 0; i < o->repos->count && !e; i++)
		e = disk_check(o->set, o->repos->items[i].workdir);
	bool is_told = e && d->full_ms && monotonic_ms() - d->full_ms < DISK_TELL_MS;
	if (e && !is_told) {
		log_error("no run is claimed: %s", err_text(e));
		d->full_ms = monotonic_ms();
	}
	if (!e && d->full_ms) {
		log_info("there is room on the disks again");
		d->full_ms = 0;
	}
	return !e;
}

static err_t claim_all(struct daemon *d, volatile sig_atomic_t *stopping)
{
	d->hungry = false;
	if (!disks_have_room(d))
		return NULL;
	while (!*stopping && has_room(d)) {
		struct run run AUTO(run_release) = {0};
		int64_t asked_ms = monotonic_ms();
		ERR_TRY(claim(d, stopping, &run));
		if (!run.id)
			return NULL;
		d->claimed++;
		log_info("claimed run %lld of %s, attempt %d", (long long)run.id, run.issue_key,
			run.attempt);
		err_t e = children_start(&d->children, d->options, &run, asked_ms);
		if (e) {
			log_error("run %lld cannot be started: %s", (long long)run.id, err_text(e));
			ERR_TRY(run_requeue(d->db, &run, UNSTARTED_WAIT_S));
		}
	}
	return NULL;
}

err_t daemon_claim(struct daemon *d, volatile sig_atomic_t *stopping)
{
	int64_t poll_ms = settings_int(d->options->set, S_AIRUNNER_POLL_MS);
	if (*stopping)
		return NULL;
	if (d->hungry) /* a poke comes here: nothing stands between it and the claim */
		ERR_TRY(claim_all(d, stopping));
	if (d->looked_ms && monotonic_ms() - d->looked_ms < poll_ms)
		return NULL;
	ERR_TRY(queue_look(d->db));
	d->looked_ms = monotonic_ms();
	return claim_all(d, stopping);
}

/* Only of runs that a process works on: one whose claim or end got lost on the way to the database
 * must run out of its lease. */
static err_t renew(struct daemon *d)
{
	d->renewed_ms = monotonic_ms();
	if (db_prefer(d->db))
		log_info("back to the database at %s", db_host(d->db));
	for (size_t i = 0; i < d->children.count; i++) { /* no run has the id 0 of a poll */
		struct child *child = &d->children.items[i];
		int64_t asked_ms = monotonic_ms(), renewed = 0;
		ERR_TRY(db_exec(d->db, Q_LEASE_RENEW,
			DB_ARGS(db_i64(LEASE_S), db_i64(child->run_id), db_i64(child->fence)),
			&renewed));
		if (renewed)
			lease_note_renewed(&child->lease, asked_ms);
	}
	return db_exec(d->db, Q_WORKER_SEEN, DB_ARGS(db_str(d->options->worker)), NULL);
}

static err_t reap_leases(struct daemon *d)
{
	d->reaped_ms = monotonic_ms();
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(d->db, Q_LEASES_LOST, DB_NO_ARGS, &rows));
	while (db_rows_next(rows)) {
		struct run run = {.id = db_rows_i64(rows, "id"),
			.fence = db_rows_i64(rows, "fence"),
			.repo_id = db_rows_i64(rows, "repo_id")};
		if (is_worked_on(d, rows)) /* the database's clock was put on */
			continue;
		log_warning("the lease of run %lld ran out: back to the queue", (long long)run.id);
		err_t e = run_requeue(d->db, &run, 0);
		if (e && err_code(e) != ERR_FENCE)
			return e;
		d->hungry = true;
	}
	return budget_sweep(d->db);
}

err_t daemon_watch(struct daemon *d)
{
	int64_t now = monotonic_ms();
	if (!d->watched_ms || now - d->watched_ms >= WATCH_MS)
		ERR_TRY(watch_own(d));
	if (now - d->renewed_ms >= FAULT_MS("renew", RENEW_MS))
		ERR_TRY(renew(d));
	return now - d->reaped_ms >= FAULT_MS("reap", REAP_MS) ? reap_leases(d) : NULL;
}
