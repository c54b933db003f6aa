/*
 * Step `push`: the branch, then the rollback tag. Never forced: the branch goes up only while the
 * remote has it where checkout found it; one that others moved is merged (push_merge.c) and goes
 * back to verify. A refusal ends the run blocked, with the server's words.
 */
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"
#include "worker/steps/kept.h"
#include "worker/steps/push_merge.h"

/* @return ERR_CONFLICT when the branch is not where this work began */
static err_t push_branch(struct run_ctx *ctx, const char *commit, const char *branch_ref)
{
	const char *kept = kept_head(ctx);
	const char *before = kept ? kept : run_state_str(ctx, "checkout.remote_head");
	const struct push_ref ref = {
		.source = commit, .remote_ref = branch_ref, .expected = before ? before : ""};
	return store_push(work_tree_store(ctx->tree), &ref, 1);
}

static err_t push_tag(struct run_ctx *ctx, const char *tag_ref)
{
	const struct push_ref ref = {.source = tag_ref, .remote_ref = tag_ref, .expected = ""};
	err_t e = store_push(work_tree_store(ctx->tree), &ref, 1);
	return err_code(e) == ERR_CONFLICT ? err_new(ERR_PUSH_REFUSED, "%s", e->text) : e;
}

err_t step_push(struct run_ctx *ctx, enum step_next *ret_next)
{
	const char *commit = run_state_str(ctx, "commit.commit");
	const char *branch = run_state_str(ctx, "route.branch");
	const char *tag = run_state_str(ctx, "tag.name");
	bool arrived = true;
	if (!ctx->tree || !commit || !branch)
		return err_new(ERR_INTERNAL, "there is no commit to push");
	autofree char *branch_ref = xasprintf("refs/heads/%s", branch);
	autofree char *tag_ref = xasprintf("refs/tags/%s", tag ? tag : "");
	ERR_TRY(run_check_alive(ctx));
	err_t e = push_branch(ctx, commit, branch_ref);
	if (err_code(e) == ERR_CONFLICT)
		e = push_merge(ctx, ret_next, &arrived);
	ERR_TRY(e);
	if (!arrived)
		return NULL; /* merged */
	if (tag)
		ERR_TRY(push_tag(ctx, tag_ref));
	json_t *pushed = json_pack("[o]", text_json(branch_ref));
	if (tag)
		json_array_append_new(pushed, text_json(tag_ref));
	run_state_set(ctx, "push", json_pack("{s:s, s:o}", "head", commit, "refs", pushed));
	ERR_TRY(journal_branch(ctx, branch));
	return journal_event(ctx, EVENT_PROGRESS,
		json_pack("{s:o, s:s}", "branch", text_json(branch), "commit", commit),
		"Pushed %.10s to %s", commit, branch);
}
