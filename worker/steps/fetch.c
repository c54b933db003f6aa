/*
 * Step `fetch`: the issue as it is now (the webhook was only a hint), the repository it belongs to,
 * its priority and line, and whether it has anything new. A run that stands in the queue of another
 * repository, line or key goes back to the right one. Sets fetch; what is to be done is route's.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/forge/forge.h"
#include "worker/jira/jira.h"
#include "worker/journal.h"
#include "worker/outbox.h"
#include "worker/pipeline.h"
#include "worker/steps/fetch_move.h"
#include "worker/steps/fetch_priority.h"
#include "worker/steps/fetch_trigger.h"
#include "worker/steps/reopen.h"
#include "worker/steps/route.h"

static const char *str(const json_t *issue, const char *member)
{
	const char *s = json_string_value(json_object_get(issue, member));
	return s ? s : "";
}

/* Sub-tasks of one Story stand in one line, whatever the limit of their repository. */
static const char *line_of(const json_t *issue)
{
	const char *parent = str(json_object_get(issue, "parent"), "key");
	bool subtask = json_is_true(json_object_get(issue, "subtask"));
	return subtask && *parent ? parent : str(issue, "key");
}

static err_t find_repo(struct run_ctx *ctx, const char *project)
{
	const struct repo_config *repo = repo_config_find(ctx->repos, project);
	if (!repo)
		return err_new(ERR_UNROUTED,
			"project %s has no repository: add it to repos.json or set "
			"default_project_key",
			project);
	ctx->repo = repo;
	if (*repo->owner && *repo->name && !ctx->forge)
		return forge_open(ctx->set, repo, &ctx->forge);
	return NULL;
}

/* The line may be busy: then another run of it goes on, and this one waits for it in the queue. */
static err_t take_line(struct run_ctx *ctx, const json_t *issue, bool *ret_busy)
{
	const char *line = line_of(issue);
	err_t e = journal_issue(
		ctx, str(issue, "type"), str(issue, "summary"), str(issue, "project_key"), line);
	*ret_busy = err_code(e) == ERR_DB_DUPLICATE;
	if (*ret_busy)
		return NULL;
	ERR_TRY(e);
	free(ctx->run.line);
	ctx->run.line = xstrdup(line);
	return NULL;
}

static err_t move(struct run_ctx *ctx, const json_t *issue, enum step_next *ret_next)
{
	ERR_TRY(journal_event(ctx, EVENT_INFO, NULL, "%s belongs to %s: waits in its queue",
		str(issue, "key"), ctx->repo->address));
	ERR_TRY(run_move(ctx, ctx->repo->repo_id, str(issue, "project_key"), str(issue, "key"),
		line_of(issue)));
	json_object_set_new(run_state_get(ctx, "fetch"), "moved", json_true());
	*ret_next = STEP_END;
	return NULL;
}

err_t fetch_reopen(struct run_ctx *ctx)
{
	const json_t *issue = run_state_get(ctx, "fetch.issue");
	struct route route;
	route_decide(ctx->set, issue, &route);
	if (route.action == ROUTE_NONE)
		return NULL;
	ERR_TRY(find_repo(ctx, str(issue, "project_key")));
	if (ctx->repo->repo_id != ctx->run.repo_id)
		return err_new(ERR_CONFLICT, "project %s has another repository by now",
			str(issue, "project_key"));
	return NULL;
}

err_t step_fetch(struct run_ctx *ctx, enum step_next *ret_next)
{
	json_t *issue = NULL;
	ERR_TRY(outbox_settled(ctx, ctx->run.issue_key));
	ERR_TRY(jira_issue(ctx->jira, ctx->run.issue_key, &issue));
	run_state_set(ctx, "fetch", json_pack("{s:o, s:b}", "issue", issue, "moved", 0));
	ERR_TRY(fetch_priority(ctx, json_object_get(issue, "labels")));

	struct route route;
	route_decide(ctx->set, issue, &route);
	if (route.action == ROUTE_NONE) /* it will end in the next step: no repository is needed */
		return journal_issue(ctx, str(issue, "type"), str(issue, "summary"),
			str(issue, "project_key"), ctx->run.line);
	ERR_TRY(find_repo(ctx, str(issue, "project_key")));
	if (ctx->repo->repo_id != ctx->run.repo_id ||
		strcmp(str(issue, "key"), ctx->run.issue_key) != 0)
		return move(ctx, issue, ret_next);
	bool busy = false;
	ERR_TRY(take_line(ctx, issue, &busy));
	if (busy)
		return move(ctx, issue, ret_next);
	int64_t same = 0;
	ERR_TRY(fetch_trigger(ctx, issue, &same));
	if (same) /* step `route` ends it with a word */
		json_object_set_new(run_state_get(ctx, "fetch"), "worked_by", json_integer(same));
	return journal_event(
		ctx, EVENT_PROGRESS, NULL, "Read %s: %s", str(issue, "key"), str(issue, "summary"));
}
