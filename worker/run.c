/*
 * The run's state object and the one question before every effect: is the run still ours?
 * Called by all steps.
 */
#include "worker/run.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"
#include "worker/lease.h"

#define RECENT_MS 50 /* far below the 500 ms in which a parent sees a cancellation */

static volatile sig_atomic_t stop_requested;

int64_t monotonic_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_MONOTONIC, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

void run_request_stop(void)
{
	stop_requested = 1;
}

void run_release(struct run *run)
{
	free(run->kind);
	free(run->issue_key);
	free(run->project_key);
	free(run->line);
	*run = (struct run){0};
}

json_t *run_state_get(const struct run_ctx *ctx, const char *path)
{
	json_t *at = ctx->state;
	while (at && *path) {
		size_t n = strcspn(path, ".");
		autofree char *name = xstrndup(path, n);
		at = json_object_get(at, name);
		path += n + (path[n] == '.');
	}
	return at;
}

const char *run_state_str(const struct run_ctx *ctx, const char *path)
{
	return json_string_value(run_state_get(ctx, path));
}

int64_t run_state_i64(const struct run_ctx *ctx, const char *path)
{
	return json_integer_value(run_state_get(ctx, path));
}

void run_state_set(struct run_ctx *ctx, const char *step, json_t *value)
{
	if (!value || json_object_set_new(ctx->state, step, value))
		abort(); /* out of memory, or text that was not cleaned */
}

/* Who closes is nearly done, and is killed when late. */
static err_t check_stop(const struct run_ctx *ctx)
{
	return stop_requested && !ctx->closing ? err_new(ERR_STOPPING, "the worker is stopping")
					       : NULL;
}

/* Stopping, or another's, or (unless it may be) cancelled? */
static err_t ask(struct run_ctx *ctx, bool may_be_cancelled)
{
	ERR_TRY(check_stop(ctx));
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(
		ctx->db, Q_RUN_ALIVE, DB_ARGS(db_i64(ctx->run.fence), db_i64(ctx->run.id)), &rows));
	if (!db_rows_next(rows) || !db_rows_i64(rows, "ours"))
		return err_new(ERR_FENCE, "run %lld is not this worker's any more",
			(long long)ctx->run.id);
	if (db_rows_i64(rows, "cancelled") && !may_be_cancelled)
		return err_new(ERR_CANCELLED, "run %lld was cancelled", (long long)ctx->run.id);
	return NULL;
}

static err_t still_held(void *ctx)
{
	return ask(ctx, true);
}

err_t run_hold(struct run_ctx *ctx)
{
	return lease_hold(still_held, ctx);
}

static err_t check_time(const struct run_ctx *ctx)
{
	int64_t limit_s = settings_int(ctx->set, S_AIRUNNER_MAX_RUN_S);
	if (!ctx->closing && monotonic_ms() - ctx->started_ms > limit_s * 1000)
		return err_new(ERR_LIMIT,
			"the run's limit of %lld minutes is reached (AIRUNNER_MAX_RUN_S=%lld)",
			(long long)limit_s / 60, (long long)limit_s);
	return NULL;
}

err_t run_alive_callback(void *arg)
{
	struct run_ctx *ctx = arg;
	ERR_TRY(ask(ctx, false));
	return check_time(ctx);
}

err_t run_check_alive(struct run_ctx *ctx)
{
	ERR_TRY(lease_hold(run_alive_callback, ctx));
	return run_alive_callback(ctx);
}

void run_note_alive(struct run_ctx *ctx)
{
	ctx->alive_ms = monotonic_ms();
}

err_t run_check_recent(struct run_ctx *ctx)
{
	if (!ctx->alive_ms || monotonic_ms() - ctx->alive_ms > RECENT_MS)
		return run_check_alive(ctx);
	ERR_TRY(lease_hold(run_alive_callback, ctx));
	ERR_TRY(check_stop(ctx));
	return check_time(ctx);
}
