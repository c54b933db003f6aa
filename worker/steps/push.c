/*
 * Step `push`: the branch, then the rollback tag. Never forced: the branch goes up only while the
 * remote has it where checkout found it; a refusal ends the run blocked, with the server's words.
 */
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"

err_t step_push(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	const char *commit = run_state_str(ctx, "commit.commit");
	const char *branch = run_state_str(ctx, "route.branch");
	const char *before = run_state_str(ctx, "checkout.remote_head");
	const char *tag = run_state_str(ctx, "tag.name");
	if (!ctx->tree || !commit || !branch)
		return err_new(ERR_INTERNAL, "there is no commit to push");
	autofree char *branch_ref = xasprintf("refs/heads/%s", branch);
	autofree char *tag_ref = xasprintf("refs/tags/%s", tag ? tag : "");
	const struct push_ref refs[] = {
		{.source = commit, .remote_ref = branch_ref, .expected = before ? before : ""},
		{.source = tag_ref, .remote_ref = tag_ref, .expected = ""},
	};
	ERR_TRY(run_check_alive(ctx));
	ERR_TRY(store_push(work_tree_store(ctx->tree), refs, tag ? 2 : 1));
	json_t *pushed = json_pack("[o]", text_json(branch_ref));
	if (tag)
		json_array_append_new(pushed, text_json(tag_ref));
	run_state_set(ctx, "push", json_pack("{s:s, s:o}", "head", commit, "refs", pushed));
	ERR_TRY(journal_branch(ctx, branch));
	return journal_event(ctx, EVENT_PROGRESS,
		json_pack("{s:o, s:s}", "branch", text_json(branch), "commit", commit),
		"Pushed %.10s to %s", commit, branch);
}
