/*
 * Is the issue still ours, as it was routed? Called by the pipeline before the first step that
 * leaves this machine (tag), and before unfinished work is kept.
 */
#include "worker/steps/publish_guard.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/jira/jira.h"

err_t publish_guard(struct run_ctx *ctx)
{
	ERR_TRY(run_check_alive(ctx));
	const char *key = run_state_str(ctx, "fetch.issue.key");
	const char *before = run_state_str(ctx, "route.status_before");
	AUTO(jira_standing_release) struct jira_standing now = {0};
	ERR_TRY(jira_standing(ctx->jira, key, &now));
	if (!now.assignee ||
		strcmp(now.assignee, settings_str(ctx->set, S_JIRA_AI_ACCOUNT_ID)) != 0)
		return err_new(ERR_CANCELLED,
			"%s was taken from the AI account while it was worked (it is assigned to "
			"%s): nothing was published",
			key,
			now.assignee_name ? now.assignee_name
			: now.assignee    ? now.assignee
					  : "nobody");
	if (before && !text_ieq(now.status, before))
		return err_new(ERR_CANCELLED,
			"%s was moved from %s to %s while it was worked: nothing was published",
			key, before, now.status);
	return NULL;
}
