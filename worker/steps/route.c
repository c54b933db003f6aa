/*
 * Step `route`: what is to be done with the issue. The table below is DESIGN 5; rows that are not
 * built yet say so and have no effect. Reads fetch, sets route; the branch is made by checkout.
 */
#include "worker/steps/route.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/journal.h"
#include "worker/pipeline.h"

#define INDEPENDENT_LABEL "independent-pr"

enum sort { SORT_EPIC, SORT_STORY, SORT_SUBTASK, SORT_OWN, SORT__MAX };

static const char *const sorts[SORT__MAX] = {
	[SORT_EPIC] = "Epic",
	[SORT_STORY] = "Story",
	[SORT_SUBTASK] = "sub-task",
	[SORT_OWN] = "task with its own pull request", /* Task, Bug …, or a sub-task so labelled */
};

/* clang-format off */
static const struct {
	enum sort sort;
	enum setting status;
	enum route_action action;
	const char *later; /* what a later version does here */
} routes[] = {
	{SORT_EPIC,    S_JIRA_STATUS_BACKLOG,          ROUTE_NONE, "planning an Epic"},
	{SORT_EPIC,    S_JIRA_STATUS_PLAN_REVIEW,      ROUTE_NONE, "revising a plan"},
	{SORT_EPIC,    S_JIRA_STATUS_SELECTED_FOR_DEV, ROUTE_NONE, "creating an Epic's Stories"},
	{SORT_STORY,   S_JIRA_STATUS_SELECTED_FOR_DEV, ROUTE_NONE, "creating a Story's sub-tasks"},
	{SORT_STORY,   S_JIRA_STATUS_IN_PROGRESS,      ROUTE_NONE, "checking whether a Story is complete"},
	{SORT_SUBTASK, S_JIRA_STATUS_IN_PROGRESS,      ROUTE_STORY_BRANCH, NULL},
	{SORT_OWN,     S_JIRA_STATUS_IN_PROGRESS,      ROUTE_OWN_BRANCH, NULL},
	{SORT_OWN,     S_JIRA_STATUS_SELECTED_FOR_DEV, ROUTE_OWN_BRANCH, NULL},
};
/* clang-format on */

static const char *str(const json_t *issue, const char *member)
{
	const char *s = json_string_value(json_object_get(issue, member));
	return s ? s : "";
}

static bool has_label(const json_t *issue, const char *label)
{
	size_t i;
	json_t *l;
	json_array_foreach (json_object_get(issue, "labels"), i, l)
		if (text_ieq(json_string_value(l), label))
			return true;
	return false;
}

/* By level first, since names may be translated; Stories and plain tasks differ by name only. */
static enum sort sort_of(const json_t *issue)
{
	json_int_t level = json_integer_value(json_object_get(issue, "hierarchy_level"));
	const char *type = str(issue, "type");
	if (json_is_true(json_object_get(issue, "subtask")) || level == -1)
		return has_label(issue, INDEPENDENT_LABEL) ? SORT_OWN : SORT_SUBTASK;
	if (level >= 1 || text_ieq(type, "Epic"))
		return SORT_EPIC;
	return text_ieq(type, "Story") ? SORT_STORY : SORT_OWN;
}

size_t route_orders(const struct settings *set, const char *ret_statuses[ROUTE_ORDERS_MAX])
{
	size_t count = 0;
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		const char *status = settings_str(set, routes[i].status);
		size_t k = 0;
		while (k < count && !text_ieq(ret_statuses[k], status))
			k++;
		if (!routes[i].later && k == count && count < ROUTE_ORDERS_MAX)
			ret_statuses[count++] = status;
	}
	return count;
}

bool route_is_ours(const struct settings *set, const json_t *issue)
{
	const char *assignee = str(issue, "assignee");
	return *assignee && strcmp(assignee, settings_str(set, S_JIRA_AI_ACCOUNT_ID)) == 0;
}

static void to_nothing(struct route *route, const json_t *issue, const char *why)
{
	snprintf(route->reason, sizeof route->reason, "%s %s: nothing to do", str(issue, "key"),
		why);
}

void route_decide(const struct settings *set, const json_t *issue, struct route *ret_route)
{
	*ret_route = (struct route){.action = ROUTE_NONE};
	enum sort sort = sort_of(issue);
	char why[300];
	if (!route_is_ours(set, issue)) {
		to_nothing(ret_route, issue,
			*str(issue, "assignee") ? "is assigned to someone else"
						: "is assigned to nobody");
		return;
	}
	snprintf(why, sizeof why, "is a %s in status %.100s, which is no order to the AI account",
		sorts[sort], str(issue, "status"));
	for (size_t i = 0; i < ARRAY_LEN(routes); i++) {
		if (routes[i].sort != sort ||
			!text_ieq(settings_str(set, routes[i].status), str(issue, "status")))
			continue;
		ret_route->action = routes[i].action;
		if (routes[i].later)
			snprintf(why, sizeof why,
				"is a %s in status %.100s: %s comes with a later version",
				sorts[sort], str(issue, "status"), routes[i].later);
		break;
	}
	if (ret_route->action == ROUTE_STORY_BRANCH &&
		!*str(json_object_get(issue, "parent"), "key")) {
		ret_route->action = ROUTE_NONE;
		snprintf(why, sizeof why,
			"is a sub-task without a parent that the AI account may see");
	}
	if (ret_route->action == ROUTE_NONE)
		to_nothing(ret_route, issue, why);
}

char *route_branch(const json_t *issue, enum route_action action)
{
	char *branch = NULL;
	if (action == ROUTE_STORY_BRANCH)
		branch = xasprintf("story/%s", str(json_object_get(issue, "parent"), "key"));
	else if (action == ROUTE_OWN_BRANCH)
		branch = xasprintf("ai/%s", str(issue, "key"));
	if (branch)
		text_lower(branch);
	return branch;
}

err_t step_route(struct run_ctx *ctx, enum step_next *ret_next)
{
	const json_t *issue = run_state_get(ctx, "fetch.issue");
	struct route route;
	route_decide(ctx->set, issue, &route);
	int64_t worked_by = run_state_i64(ctx, "fetch.worked_by");
	if (worked_by && route.action != ROUTE_NONE) {
		route.action = ROUTE_NONE;
		snprintf(route.reason, sizeof route.reason, "nothing new in %s since run %lld",
			str(issue, "key"), (long long)worked_by);
	}
	autofree char *branch = route_branch(issue, route.action);
	const char *story = route.action == ROUTE_STORY_BRANCH
				    ? str(json_object_get(issue, "parent"), "key")
				    : NULL;
	run_state_set(ctx, "route",
		json_pack("{s:s, s:o, s:s, s:o, s:o, s:o, s:s}", "action",
			route.action == ROUTE_NONE ? "none" : "execute", "reason",
			text_json(route.reason), "line", ctx->run.line, "branch",
			branch ? text_json(branch) : json_null(), "base_branch",
			ctx->repo ? text_json(ctx->repo->base_branch) : json_null(), "story_key",
			story ? text_json(story) : json_null(), "status_before",
			str(issue, "status")));
	if (route.action == ROUTE_NONE) {
		*ret_next = STEP_END;
		return journal_event(ctx, EVENT_INFO, NULL, "%s", route.reason);
	}
	return journal_event(ctx, EVENT_PROGRESS, NULL, "%s %s: execute on branch %s of %s",
		str(issue, "type"), str(issue, "key"), branch, ctx->repo->address);
}
