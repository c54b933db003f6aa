/*
 * Going on with a run whose process was killed: state from the journal, resources opened anew, the
 * work tree from its last snapshot. Called by the pipeline before its first step. A snapshot that
 * this machine's store lacks (the run was taken over by another machine) cannot be gone on from;
 * the pipeline then begins the edit anew.
 */
#include "worker/resume.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "worker/agent/conversation.h"
#include "worker/check/sandbox.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/steps/push_merge.h"
#include "worker/steps/reopen.h"

static void take_result(
	struct run_ctx *ctx, const struct resume_row *row, const char *member, const char *text)
{
	bool is_done = row->is_ok || row->is_heal || row->is_merged || row->is_end;
	bool is_edit = strcmp(row->step, "edit") == 0;
	json_t *result =
		text && (is_done || is_edit) ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
	if (result)
		run_state_set(ctx, member, result);
	if (result && row->is_merged)
		push_merge_apply(ctx);
}

err_t resume_read(struct run_ctx *ctx, resume_fn fn, void *arg)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(ctx->db, Q_STEPS_OF_ATTEMPT,
		DB_ARGS(db_i64(ctx->run.id), db_i64(ctx->run.attempt)), &rows));
	while (db_rows_next(rows)) {
		const char *outcome = db_rows_str(rows, "outcome");
		struct resume_row row = {.attempt = (int)db_rows_i64(rows, "attempt"),
			.round = (int)db_rows_i64(rows, "round"),
			.is_ok = strcmp(outcome, "ok") == 0,
			.is_heal = strcmp(outcome, "heal") == 0,
			.is_merged = strcmp(outcome, "merged") == 0,
			.is_end = strcmp(outcome, "end") == 0};
		snprintf(row.step, sizeof row.step, "%s", db_rows_str(rows, "step"));
		const char *member = fn(arg, &row);
		if (member)
			take_result(ctx, &row, member, db_rows_str(rows, "result"));
	}
	return NULL;
}

/* Where this round's edit stands; before its first snapshot it is the tree that checks looked at.
 */
static err_t edit_tree(struct run_ctx *ctx, char ret_tree[OID_HEX + 1])
{
	const char *from = run_state_str(ctx, "checkout.base_tree");
	if (ctx->heal_round > 0)
		from = run_state_str(ctx, "verify.tree");
	int64_t conv = run_state_i64(ctx, "edit.conv");
	bool is_said = conv && run_state_i64(ctx, "edit.round") == ctx->heal_round;
	if (is_said && run_state_str(ctx, "edit.from_tree"))
		from = run_state_str(ctx, "edit.from_tree");
	snprintf(ret_tree, OID_HEX + 1, "%s", from ? from : "");
	return is_said ? conversation_newest_tree(
				 ctx, (int)conv, run_state_i64(ctx, "edit.said"), ret_tree)
		       : NULL;
}

/* Steps after the edit look at the edit's tree until there is a verified one. */
static const char *checked_tree(const struct run_ctx *ctx)
{
	static const char *const paths[] = {"verify.tree", "edit.tree", "checkout.base_tree"};
	size_t first = strcmp(ctx->step, "verify") == 0 ? 1 : 0;
	for (size_t i = first; i < ARRAY_LEN(paths); i++)
		if (run_state_str(ctx, paths[i]))
			return run_state_str(ctx, paths[i]);
	return NULL;
}

static err_t set_tree(struct run_ctx *ctx, bool is_edit)
{
	char tree[OID_HEX + 1];
	const char *checked = checked_tree(ctx);
	if (is_edit)
		ERR_TRY(edit_tree(ctx, tree));
	else
		snprintf(tree, sizeof tree, "%s", checked ? checked : "");
	log_info("the work tree is set to %.10s, where the run was interrupted", tree);
	return work_tree_restore(ctx->tree, tree);
}

err_t resume_open(struct run_ctx *ctx, enum resume_need need, bool is_edit)
{
	if (need >= NEEDS_REPO)
		ERR_TRY(fetch_reopen(ctx));
	if (need >= NEEDS_TREE)
		ERR_TRY(checkout_reopen(ctx));
	FAULT_POINT("resume.tree_open");
	if (need >= NEEDS_DEPENDENCIES)
		ERR_TRY(baseline_reopen(ctx));
	if (need >= NEEDS_TREE)
		ERR_TRY(set_tree(ctx, is_edit));
	if (need >= NEEDS_TREE)
		ERR_TRY(tag_reopen(ctx));
	FAULT_POINT("resume.tree_set");
	return NULL;
}

void resume_close(struct run_ctx *ctx)
{
	struct store *store = ctx->tree ? work_tree_store(ctx->tree) : NULL;
	sandbox_close(take(&ctx->sandbox));
	work_tree_close(take(&ctx->tree));
	store_close(store);
}

err_t resume_step_time(struct run_ctx *ctx, int64_t *ret_time_s)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(ctx->db, Q_STEP_FIRST_BEGAN,
		DB_ARGS(db_i64(ctx->run.id), db_i64(ctx->run.attempt), db_str(ctx->step)), &rows));
	int64_t began_s = db_rows_next(rows) ? db_rows_i64(rows, "began") : 0;
	*ret_time_s = began_s > 0 ? began_s : (int64_t)time(NULL);
	return NULL;
}
