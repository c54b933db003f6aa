/*
 * Part of step `push`: others pushed to the branch since it was checked out. Our change is put on
 * top of theirs as one commit again, but not before the merged tree went through verify and test;
 * that is the pipeline's, by STEP_MERGED. Merged in memory by libgit2: nothing of the repository
 * runs.
 */
#include "worker/steps/push_merge.h"

#include <string.h>
#include <time.h>

#include "lib/mem.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"

#define MERGES_MAX 3
#define CONFLICTS_MAX 500

void push_merge_apply(struct run_ctx *ctx)
{
	static const char *const stale[] = {"verify", "test", "tag", "commit", "push"};
	json_auto_t *merge = json_incref(run_state_get(ctx, "push.merge"));
	json_t *checkout = run_state_get(ctx, "checkout");
	json_object_set(checkout, "base_commit", json_object_get(merge, "base_commit"));
	json_object_set(checkout, "base_tree", json_object_get(merge, "base_tree"));
	json_object_set(checkout, "remote_head", json_object_get(merge, "base_commit"));
	json_object_set_new(checkout, "branch_existed", json_true());
	json_object_set(run_state_get(ctx, "edit"), "tree", json_object_get(merge, "tree"));
	for (size_t i = 0; i < ARRAY_LEN(stale); i++)
		json_object_del(ctx->state, stale[i]);
	run_state_set(ctx, "merged",
		json_pack("{s:I, s:O}", "count", (json_int_t)run_state_i64(ctx, "merged.count") + 1,
			"time_s", json_object_get(merge, "time_s")));
}

/* The rollback tag gets a name of its own: later than the one before, which was not pushed. */
static err_t new_time(struct run_ctx *ctx, struct store *store, json_int_t *ret_time_s)
{
	int64_t before = run_state_i64(ctx, "tag.time_s");
	int64_t now = (int64_t)time(NULL);
	*ret_time_s = (json_int_t)(now > before ? now : before + 1);
	const char *tag = run_state_str(ctx, "tag.name");
	return tag ? store_untag(store, tag) : NULL;
}

static err_t merge(struct run_ctx *ctx, const char *theirs, char ret_tree[OID_HEX + 1])
{
	AUTO(buf_release) struct buf conflicts = BUF(CONFLICTS_MAX);
	const char *branch = run_state_str(ctx, "route.branch");
	ERR_TRY(store_merge(work_tree_store(ctx->tree), run_state_str(ctx, "commit.commit"), theirs,
		ret_tree, &conflicts));
	if (conflicts.len)
		return err_new(ERR_MERGE,
			"%s was changed by others while it was worked (now %.10s), in the same "
			"places: conflicts in %s",
			branch, theirs, conflicts.data);
	return NULL;
}

static err_t take_over(struct run_ctx *ctx, struct store *store, const char *theirs)
{
	char base_tree[OID_HEX + 1], tree[OID_HEX + 1];
	json_int_t time_s = 0;
	ERR_TRY(merge(ctx, theirs, tree));
	ERR_TRY(store_commit_tree(store, theirs, base_tree));
	if (strcmp(tree, base_tree) == 0)
		return err_new(ERR_MERGE, "%s has the same change by others already (%.10s)",
			run_state_str(ctx, "route.branch"), theirs);
	ERR_TRY(new_time(ctx, store, &time_s));
	FAULT_POINT("git.merged");
	ERR_TRY(work_tree_restore(ctx->tree, tree));
	run_state_set(ctx, "push",
		json_pack("{s:{s:s, s:s, s:s, s:I}}", "merge", "base_commit", theirs, "base_tree",
			base_tree, "tree", tree, "time_s", time_s));
	return journal_event(ctx, EVENT_PROGRESS,
		json_pack("{s:s, s:s}", "theirs", theirs, "tree", tree),
		"%s was changed by others meanwhile: merged with %.10s, which is checked anew",
		run_state_str(ctx, "route.branch"), theirs);
}

err_t push_merge(struct run_ctx *ctx, enum step_next *ret_next, bool *ret_arrived)
{
	struct store *store = work_tree_store(ctx->tree);
	const char *branch = run_state_str(ctx, "route.branch");
	char theirs[OID_HEX + 1];
	ERR_TRY(store_fetch(store));
	ERR_TRY(store_remote_head(store, branch, theirs));
	ERR_TRY(store_contains(store, theirs, run_state_str(ctx, "commit.commit"), ret_arrived));
	if (*ret_arrived)
		return NULL;
	if (run_state_get(ctx, "salvage") || run_state_i64(ctx, "merged.count") >= MERGES_MAX)
		return err_new(ERR_PUSH_REFUSED,
			"%s was moved to %.10s at the remote, for the %lldth time since this run "
			"began: retry the run",
			branch, theirs, (long long)run_state_i64(ctx, "merged.count") + 1);
	ERR_TRY(take_over(ctx, store, theirs));
	*ret_next = STEP_MERGED;
	return NULL;
}
