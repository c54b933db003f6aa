/*
 * When the reconciling poll and the drainer are started. They are children of the daemon, since it
 * calls nothing outside itself; what they do is in worker/reconcile.c and worker/drain.c.
 */
#include "worker/helpers.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "worker/drain.h"

#define DRAIN_WAIT_MOST 60 /* times AIRUNNER_RETRY_BASE_MS */

static void start(
	struct children *children, const struct daemon_options *options, enum child_kind kind)
{
	err_t e = children_start_helper(children, options, kind);
	if (e)
		log_error("%s cannot be started: %s",
			kind == CHILD_DRAIN ? "the drainer" : "the reconciling poll", err_text(e));
}

static void reconcile(
	struct helpers *helpers, const struct daemon_options *options, struct children *children)
{
	int64_t every_ms = settings_int(options->set, S_AIRUNNER_RECONCILE_S) * 1000;
	if (every_ms <= 0 || children_any(children, CHILD_RECONCILE) ||
		(helpers->reconciled_ms && monotonic_ms() - helpers->reconciled_ms < every_ms))
		return;
	helpers->reconciled_ms = monotonic_ms();
	start(children, options, CHILD_RECONCILE);
}

err_t helpers_start(struct helpers *helpers, struct db *db, const struct daemon_options *options,
	struct children *children)
{
	if (options->once)
		return NULL;
	reconcile(helpers, options, children);
	if (children_any(children, CHILD_DRAIN) || monotonic_ms() < helpers->drain_at_ms)
		return NULL;
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_OUTBOX_LEFT, DB_ARGS(db_i64(1)), &rows));
	if (db_rows_next(rows))
		start(children, options, CHILD_DRAIN);
	return NULL;
}

void helpers_ended(
	struct helpers *helpers, const struct daemon_options *options, const struct child *dead)
{
	if (dead->kind != CHILD_DRAIN)
		return;
	int64_t base = settings_int(options->set, S_AIRUNNER_RETRY_BASE_MS);
	bool well = !dead->killed && dead->exit_code == 0;
	helpers->drains_away = well ? 0 : helpers->drains_away + 1;
	int64_t wait = base << (helpers->drains_away < 6 ? helpers->drains_away : 6);
	wait = wait < base * DRAIN_WAIT_MOST ? wait : base * DRAIN_WAIT_MOST;
	helpers->drain_at_ms = well ? 0 : monotonic_ms() + wait;
	if (!well && (dead->killed || dead->exit_code != DRAIN_AWAY))
		log_error("the drainer ended by itself (%s)", dead->how);
}
