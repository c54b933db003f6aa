/*
 * One journalled step: its row is begun, the step works, the row ends with outcome and result.
 * Called by the pipeline and by the resumption.
 */
#include "worker/pipeline_private.h"

#include "lib/mem.h"
#include "lib/redact.h"
#include "worker/disk.h"
#include "worker/fault.h"
#include "worker/steps/publish_guard.h"

err_t step_begin(struct run_ctx *ctx, const struct step *step, int64_t *ret_id)
{
	ctx->step = step->name;
	ctx->stage = step->stage;
	ERR_TRY(db_exec_fenced(ctx->db, Q_STEP_BEGIN,
		DB_ARGS(db_i64(ctx->run.attempt), db_str(step->name), db_i64(ctx->heal_round),
			db_i64(ctx->run.id), db_i64(ctx->run.fence))));
	*ret_id = ctx->step_id = db_insert_id(ctx->db);
	return NULL;
}

err_t step_end(struct run_ctx *ctx, int64_t id, const char *outcome)
{
	json_t *result = json_object_get(ctx->state, ctx->step);
	json_auto_t *masked = result ? redact_json(result) : NULL;
	autofree char *text = masked ? json_dumps(masked, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	ERR_TRY(db_exec_fenced(ctx->db, Q_STEP_END,
		DB_ARGS(db_str(outcome), db_str(text), db_i64(id), db_i64(ctx->run.id),
			db_i64(ctx->run.fence))));
	if (ctx->run.crashes == 0)
		return NULL;
	ctx->run.crashes = 0;
	return db_exec(ctx->db, Q_RUN_CRASHES_CLEAR,
		DB_ARGS(db_i64(ctx->run.id), db_i64(ctx->run.fence)), NULL);
}

/* Was the run given its repository, in whose queue it waits now? */
bool run_moved(const struct run_ctx *ctx)
{
	return json_is_true(run_state_get(ctx, "fetch.moved"));
}

/* What is only published needs no room; work that is kept at the end is tried in any case. */
static err_t check_room(const struct run_ctx *ctx, const struct step *step)
{
	bool writes = step->needs >= NEEDS_TREE || step->work == step_checkout;
	return ctx->repo && writes && !ctx->closing ? disk_check(ctx->set, ctx->repo->workdir)
						    : NULL;
}

/* One journalled step. The step's own error counts more than one of closing the journal row. */
err_t step_work(struct run_ctx *ctx, const struct step *step, enum step_next *ret_next)
{
	static const char *const outcomes[] = {[STEP_NEXT] = "ok",
		[STEP_HEAL] = "heal",
		[STEP_MERGED] = "merged",
		[STEP_END] = "end"};
	int64_t id = 0;
	FAULT_POINT("step.%s.before", step->name);
	db_prefer(ctx->db);
	ERR_TRY(run_check_alive(ctx));
	ERR_TRY(check_room(ctx, step));
	ERR_TRY(step_begin(ctx, step, &id));
	FAULT_POINT("step.%s.begun", step->name);
	*ret_next = STEP_NEXT;
	err_t e = step->guarded ? publish_guard(ctx) : NULL;
	if (!e)
		e = step->work(ctx, ret_next);
	if (!e && run_moved(ctx))
		return NULL; /* its row left this worker with its journal closed */
	FAULT_POINT("step.%s.worked", step->name);
	err_t journalled = step_end(ctx, id, e ? err_code_name(err_code(e)) : outcomes[*ret_next]);
	FAULT_POINT("step.%s.ended", step->name);
	return e ? err_in(e, "%s", step->name) : journalled;
}
