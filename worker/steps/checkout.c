/*
 * Step `checkout`: fetches the repository and sets the run's work tree to the commit that the
 * change is made on: the head of the branch when the remote has it, else the base branch's. Opens
 * tree and sandbox for all later steps. The branch itself comes into being with the push.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/check/sandbox.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"
#include "worker/steps/kept.h"
#include "worker/steps/reopen.h"

struct start {
	char commit[OID_HEX + 1];
	char tree[OID_HEX + 1];
	bool branch_existed;
};

static err_t find_start(struct run_ctx *ctx, struct store *store, struct start *ret_start)
{
	const char *branch = run_state_str(ctx, "route.branch");
	const char *base = run_state_str(ctx, "route.base_branch");
	if (!branch || !base)
		return err_new(ERR_INTERNAL, "the route names no branch");
	ERR_TRY(store_fetch(store));
	FAULT_POINT("git.fetched");
	err_t e = store_remote_head(store, branch, ret_start->commit);
	ret_start->branch_existed = !e;
	if (err_code(e) == ERR_NOT_FOUND)
		e = err_in(store_remote_head(store, base, ret_start->commit),
			"base branch (BASE_BRANCH)");
	ERR_TRY(e);
	return store_commit_tree(store, ret_start->commit, ret_start->tree);
}

/* On success ctx holds the tree, and the store by it. */
static err_t open_tree(struct run_ctx *ctx, struct start *ret_start)
{
	struct store *store = NULL;
	ERR_TRY(store_open(ctx->set, ctx->repo, &store));
	store_set_alive(store, run_alive_callback, ctx);
	err_t e = find_start(ctx, store, ret_start);
	if (!e)
		e = work_tree_open(store, ctx->run.slot, ret_start->commit, &ctx->tree);
	if (e)
		store_close(store);
	return e;
}

static err_t open_base(struct run_ctx *ctx, struct store *store)
{
	char tree[OID_HEX + 1];
	const char *base = run_state_str(ctx, "checkout.base_commit");
	if (!base)
		return err_new(ERR_NOT_FOUND, "the journal names no base commit");
	const char *commit = run_state_str(ctx, "commit.commit"); /* may have been pushed */
	const char *kept = kept_head(ctx);
	err_t e = store_commit_tree(store, base, tree);
	if (!e && kept)
		e = store_commit_tree(store, kept, tree);
	if (!e && commit)
		e = store_commit_tree(store, commit, tree);
	if (err_code(e) == ERR_NOT_FOUND)
		e = store_fetch(store);
	ERR_TRY(e);
	return work_tree_open(store, ctx->run.slot, base, &ctx->tree);
}

err_t checkout_reopen(struct run_ctx *ctx)
{
	struct store *store = NULL;
	ERR_TRY(store_open(ctx->set, ctx->repo, &store));
	store_set_alive(store, run_alive_callback, ctx);
	err_t e = open_base(ctx, store);
	if (e) {
		store_close(store);
		return e;
	}
	return sandbox_open(ctx->set, work_tree_path(ctx->tree), &ctx->sandbox);
}

err_t step_checkout(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	struct start start = {0};
	if (!ctx->repo)
		return err_new(ERR_INTERNAL, "the run has no repository");
	ERR_TRY(open_tree(ctx, &start));
	FAULT_POINT("git.tree_open");
	ERR_TRY(sandbox_open(ctx->set, work_tree_path(ctx->tree), &ctx->sandbox));
	const char *branch = run_state_str(ctx, "route.branch");
	const char *from = start.branch_existed ? branch : run_state_str(ctx, "route.base_branch");
	run_state_set(ctx, "checkout",
		json_pack("{s:s, s:s, s:b, s:s?, s:o}", "base_commit", start.commit, "base_tree",
			start.tree, "branch_existed", start.branch_existed, "remote_head",
			start.branch_existed ? start.commit : NULL, "tree_path",
			text_json(work_tree_path(ctx->tree))));
	ERR_TRY(journal_branch(ctx, branch));
	return journal_event(ctx, EVENT_INFO,
		json_pack("{s:o, s:o, s:s}", "branch", text_json(branch), "from", text_json(from),
			"commit", start.commit),
		"Checked out %s at %.10s%s%s", from, start.commit,
		start.branch_existed ? "" : " for the new branch ",
		start.branch_existed ? "" : branch);
}
