/*
 * Step `retake`: the order of a person who pressed retry. Our own report had moved the issue to
 * Blocked or In Testing and assigned the person, which is no order to the AI account; so it is made
 * one again. Whatever a person has done with the issue since counts more than the retry.
 */
#include "worker/steps/retake.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/jira/jira.h"
#include "worker/journal.h"
#include "worker/outbox.h"
#include "worker/steps/route.h"

/* Where the run left its issue. */
struct left {
	bool was_order;
	char *route_status, *report_status; /* owned; NULL: none */
};

static void left_release(struct left *left)
{
	free(left->route_status);
	free(left->report_status);
}

static char *member_of(const char *text, const char *name)
{
	json_auto_t *object = text ? json_loads(text, 0, NULL) : NULL;
	return xstrdup(json_string_value(json_object_get(object, name)));
}

static err_t read_left(struct run_ctx *ctx, struct left *ret_left)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(
		ctx->db, Q_RETRY_LEFT, DB_ARGS(db_i64(ctx->run.id), db_i64(ctx->run.id)), &rows));
	if (!db_rows_next(rows))
		return NULL;
	autofree char *action = member_of(db_rows_str(rows, "route"), "action");
	ret_left->was_order = action && strcmp(action, "execute") == 0;
	ret_left->route_status = member_of(db_rows_str(rows, "route"), "status_before");
	ret_left->report_status = member_of(db_rows_str(rows, "moved"), "status");
	return NULL;
}

static const char *str(const json_t *issue, const char *member)
{
	const char *s = json_string_value(json_object_get(issue, member));
	return s ? s : "";
}

static bool is_as_left(const struct run_ctx *ctx, const json_t *issue, const struct left *left)
{
	const char *status = str(issue, "status"), *assignee = str(issue, "assignee");
	bool same_status = (left->route_status && text_ieq(status, left->route_status)) ||
			   (left->report_status && text_ieq(status, left->report_status));
	return same_status &&
	       (strcmp(assignee, settings_str(ctx->set, S_JIRA_AI_ACCOUNT_ID)) == 0 ||
		       strcmp(assignee, settings_str(ctx->set, S_JIRA_HUMAN_ACCOUNT_ID)) == 0);
}

static err_t send(struct run_ctx *ctx, enum effect_kind kind, const char *name, json_t *request)
{
	struct effect effect = {
		.kind = kind, .name = name, .issue_key = ctx->run.issue_key, .request = request};
	return outbox_effect(ctx, &effect, NULL);
}

static err_t take_back(struct run_ctx *ctx, const char *to)
{
	ERR_TRY(send(ctx, EFFECT_JIRA_ASSIGN, "retake-assign",
		json_pack("{s:s}", "account_id", settings_str(ctx->set, S_JIRA_AI_ACCOUNT_ID))));
	ERR_TRY(send(
		ctx, EFFECT_JIRA_TRANSITION, "retake-status", json_pack("{s:s}", "status", to)));
	return journal_event(ctx, EVENT_PROGRESS, NULL,
		"Took %s back: in %s, assigned to the AI account", ctx->run.issue_key, to);
}

static err_t moved_on(const json_t *issue)
{
	const char *whom = str(issue, "assignee_name");
	return err_new(ERR_CANCELLED,
		"%s is in %s, assigned to %s: a person moved it since the run ended, so the retry "
		"does not take it back. Assign it to the AI account in a status that is an order",
		str(issue, "key"), str(issue, "status"), *whom ? whom : "nobody");
}

void retake_apply(struct run_ctx *ctx)
{
	json_t *status = run_state_get(ctx, "retake.status");
	json_t *route = run_state_get(ctx, "route");
	if (json_is_string(status) && route)
		json_object_set(route, "status_before", status);
}

err_t step_retake(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	json_auto_t *issue = NULL;
	struct route now;
	AUTO(left_release) struct left left = {0};
	ERR_TRY(outbox_settled(ctx, ctx->run.issue_key));
	ERR_TRY(jira_issue(ctx->jira, ctx->run.issue_key, &issue));
	ERR_TRY(read_left(ctx, &left));
	route_decide(ctx->set, issue, &now);
	const char *status = now.action == ROUTE_NONE ? NULL : str(issue, "status");
	if (left.was_order && !status) {
		if (!is_as_left(ctx, issue, &left))
			return moved_on(issue);
		status = settings_str(ctx->set, S_JIRA_STATUS_IN_PROGRESS);
		ERR_TRY(take_back(ctx, status));
	}
	run_state_set(ctx, "retake",
		json_pack("{s:o}", "status", status ? text_json(status) : json_null()));
	retake_apply(ctx);
	return NULL;
}
