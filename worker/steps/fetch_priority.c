/*
 * Priority from labels. The webhook's body often carries none, so it is set when the issue was
 * fetched. Called by step `fetch`.
 */
#include "worker/steps/fetch_priority.h"

#include "lib/label_priority.h"

err_t fetch_priority(struct run_ctx *ctx, const json_t *labels)
{
	int priority = label_priority(labels);
	if (priority == 0 || priority == ctx->run.priority)
		return NULL;
	ERR_TRY(db_exec_fenced(ctx->db, Q_RUN_SET_PRIORITY,
		DB_ARGS(db_i64(priority), db_i64(ctx->run.id), db_i64(ctx->run.fence))));
	ctx->run.priority = priority;
	return NULL;
}
