/*
 * Step `tag`: an annotated tag on the commit before the change, by which it can be rolled back.
 * Made in the store here; the push step carries it to the remote after the branch.
 */
#include <time.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"
#include "worker/resume.h"
#include "worker/steps/identity.h"
#include "worker/steps/reopen.h"

/* The same name, target and time make the same tag again. */
static err_t make_tag(struct run_ctx *ctx, const char *name, const char *target, int64_t time_s)
{
	autofree char *message = xasprintf(
		"Before %s\n\nAI-Runner-Run: %lld\n", ctx->run.issue_key, (long long)ctx->run.id);
	struct git_identity who = git_identity_of(ctx->set, time_s);
	return store_tag(work_tree_store(ctx->tree), name, target, message, &who);
}

err_t tag_reopen(struct run_ctx *ctx)
{
	const char *name = run_state_str(ctx, "tag.name");
	return name ? make_tag(ctx, name, run_state_str(ctx, "tag.target"),
			      run_state_i64(ctx, "tag.time_s"))
		    : NULL;
}

err_t step_tag(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	const char *target = run_state_str(ctx, "checkout.base_commit");
	if (!ctx->tree || !target)
		return err_new(ERR_INTERNAL, "nothing is checked out");
	char when[32];
	struct tm utc;
	int64_t began_s = 0;
	ERR_TRY(resume_step_time(ctx, &began_s));
	if (run_state_i64(ctx, "merged.count")) /* on another base: another tag */
		began_s = run_state_i64(ctx, "merged.time_s");
	const time_t began = (time_t)began_s;
	strftime(when, sizeof when, "%Y%m%d-%H%M%S", gmtime_r(&began, &utc));
	autofree char *key = xstrdup(ctx->run.issue_key);
	text_lower(key);
	autofree char *name = xasprintf("rollback/%s/%s", key, when);
	ERR_TRY(make_tag(ctx, name, target, began_s));
	FAULT_POINT("git.tagged");
	run_state_set(ctx, "tag",
		json_pack("{s:o, s:s, s:I}", "name", text_json(name), "target", target, "time_s",
			(json_int_t)began_s));
	return journal_event(ctx, EVENT_INFO, NULL, "Tagged %.10s as %s", target, name);
}
