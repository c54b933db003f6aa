/*
 * Step `tag`: an annotated tag on the commit before the change, by which it can be rolled back.
 * Made in the store here; the push step carries it to the remote after the branch.
 */
#include <time.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"
#include "worker/steps/identity.h"

err_t step_tag(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	const char *target = run_state_str(ctx, "checkout.base_commit");
	if (!ctx->tree || !target)
		return err_new(ERR_INTERNAL, "nothing is checked out");
	char when[32];
	struct tm utc;
	time_t now = time(NULL);
	strftime(when, sizeof when, "%Y%m%d-%H%M%S", gmtime_r(&now, &utc));
	autofree char *key = xstrdup(ctx->run.issue_key);
	text_lower(key);
	autofree char *name = xasprintf("rollback/%s/%s", key, when);
	autofree char *message = xasprintf(
		"Before %s\n\nAI-Runner-Run: %lld\n", ctx->run.issue_key, (long long)ctx->run.id);
	struct git_identity who = git_identity_of(ctx->set);
	ERR_TRY(store_tag(work_tree_store(ctx->tree), name, target, message, &who));
	run_state_set(
		ctx, "tag", json_pack("{s:o, s:s}", "name", text_json(name), "target", target));
	return journal_event(ctx, EVENT_INFO, NULL, "Tagged %.10s as %s", target, name);
}
