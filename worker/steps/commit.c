/*
 * Step `commit`: the tree that was verified and tested, and no other, becomes a commit on the base
 * commit. Of a run that ends early it is the tree that the pipeline wants kept (state.salvage).
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"
#include "worker/resume.h"
#include "worker/steps/identity.h"
#include "worker/steps/kept.h"

#define DIFF_MAX ((size_t)8 << 20)
#define SUBJECT_MAX 200
#define BODY_MAX 4000

static bool is_true(const struct run_ctx *ctx, const char *path)
{
	return json_is_true(run_state_get(ctx, path));
}

/* Green means green: what was checked is what is committed. */
static err_t choose_tree(const struct run_ctx *ctx, const char **ret_tree)
{
	const char *kept = run_state_str(ctx, "salvage.tree");
	const char *verified = run_state_str(ctx, "verify.tree");
	const char *tested = run_state_str(ctx, "test.tree");
	if (kept) {
		*ret_tree = kept;
		return NULL;
	}
	if (!verified || !is_true(ctx, "verify.ok"))
		return err_new(ERR_INTERNAL, "the tree to commit was not verified");
	if (is_true(ctx, "test.ran") &&
		(!is_true(ctx, "test.ok") || !tested || strcmp(tested, verified) != 0))
		return err_new(ERR_INTERNAL, "tests ran on tree %.10s, checks on %.10s",
			tested ? tested : "?", verified);
	*ret_tree = verified;
	return NULL;
}

/* One line of at most max bytes, cut between characters. */
static void add_line(struct buf *out, const char *text, size_t max)
{
	AUTO(buf_release) struct buf clean = BUF(max + 4);
	text_clean(&clean, text, strlen(text));
	for (char *p = clean.data; *p; p++)
		if (*p == '\n' || *p == '\t')
			*p = ' ';
	while (clean.len > max ||
		(buf_cut(&clean) && clean.len && (clean.data[clean.len - 1] & 0xc0) == 0x80))
		buf_truncate(&clean, clean.len - 1);
	if (buf_cut(&clean) && clean.len && (unsigned char)clean.data[clean.len - 1] >= 0xc0)
		buf_truncate(&clean, clean.len - 1);
	buf_adds(out, clean.data);
}

/* "KEY: summary", the model's words, and by which run: freed by the caller. */
static char *make_message(const struct run_ctx *ctx)
{
	AUTO(buf_release) struct buf message = BUF(2 * BODY_MAX);
	const char *summary = run_state_str(ctx, "fetch.issue.summary");
	const char *done = run_state_str(ctx, "edit.summary");
	buf_addf(&message, "%s: ", ctx->run.issue_key);
	add_line(&message, summary ? summary : "change", SUBJECT_MAX);
	buf_adds(&message, run_state_get(ctx, "salvage") ? " (incomplete)\n\n" : "\n\n");
	if (done && *done) {
		AUTO(buf_release) struct buf words = BUF(2 * BODY_MAX);
		text_middle(&words, done, strlen(done), BODY_MAX);
		buf_addf(&message, "%s\n\n", words.data);
	}
	buf_addf(&message, "AI-Runner-Run: %lld\n", (long long)ctx->run.id);
	redact_buf(&message);
	return buf_take(&message);
}

err_t step_commit(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	const char *kept = kept_head(ctx);
	const char *parent = kept ? kept : run_state_str(ctx, "checkout.base_commit");
	const char *base = run_state_str(ctx, "checkout.base_tree");
	const char *tree = NULL;
	char commit[OID_HEX + 1];
	struct diff_stat stat;
	if (!ctx->tree || !parent || !base)
		return err_new(ERR_INTERNAL, "nothing is checked out");
	struct store *store = work_tree_store(ctx->tree);
	ERR_TRY(choose_tree(ctx, &tree));
	if (strcmp(tree, base) == 0)
		return err_new(ERR_INTERNAL, "there is no change to commit");
	autofree char *message = make_message(ctx);
	int64_t began_s = 0;
	ERR_TRY(resume_step_time(ctx, &began_s));
	struct git_identity who = git_identity_of(ctx->set, began_s);
	AUTO(buf_release) struct buf diff = BUF(DIFF_MAX);
	ERR_TRY(store_diff(store, base, tree, &diff, &stat));
	ERR_TRY(store_commit(store, tree, parent, message, &who, commit));
	FAULT_POINT("git.committed");
	run_state_set(ctx, "commit",
		json_pack("{s:s, s:s, s:i, s:i, s:i}", "commit", commit, "tree", tree,
			"files_changed", stat.files_changed, "lines_added", stat.lines_added,
			"lines_removed", stat.lines_removed));
	ERR_TRY(journal_artifact(ctx, "diff", "change", diff.data, diff.len));
	return journal_event(ctx, EVENT_PROGRESS,
		json_pack("{s:s, s:i, s:i, s:i}", "commit", commit, "files_changed",
			stat.files_changed, "lines_added", stat.lines_added, "lines_removed",
			stat.lines_removed),
		"Committed %.10s (files changed %d, lines added %d, removed %d)", commit,
		stat.files_changed, stat.lines_added, stat.lines_removed);
}
