/*
 * Step `report` and the report of trouble: a comment, a status, an assignee. Called by the
 * pipeline; what was published stays published, so an effect that Jira refuses here is told in the
 * run's events and does not undo the run.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/journal.h"
#include "worker/outbox.h"
#include "worker/pipeline.h"
#include "worker/steps/report_data.h"
#include "worker/steps/route.h"

#define COMMENT_MAX (64 << 10)

/* The three effects of a report, in this order. */
struct report {
	const char *comment_name, *status_name, *assign_name; /* keys in the outbox */
	const char *template_name;
	enum setting to_status;
};

static const struct report success = {
	"report", "report-status", "report-assign", "jira/report.md", S_JIRA_STATUS_IN_TESTING};
static const struct report trouble = {
	"trouble", "trouble-status", "trouble-assign", "jira/trouble.md", S_JIRA_STATUS_BLOCKED};

/* Errors after which nothing more may be written, as against Jira's own. */
static bool ends_all(enum err_code code)
{
	return code == ERR_FENCE || code == ERR_CANCELLED || code == ERR_DB ||
	       code == ERR_DB_AWAY || code == ERR_DB_UNSURE || code == ERR_DB_RETRY ||
	       code == ERR_INTERNAL;
}

static err_t send(struct run_ctx *ctx, enum effect_kind kind, const char *name, json_t *request,
	json_t **ret_result)
{
	struct effect effect = {.kind = kind,
		.name = name,
		.issue_key = ctx->run.issue_key,
		.closing = true,
		.request = request};
	return outbox_effect(ctx, &effect, ret_result);
}

/* Jira's refusal becomes an event; only the first is kept for the caller. */
static err_t note(struct run_ctx *ctx, err_t e, const char *what, struct err *first)
{
	if (!e)
		return NULL;
	struct err kept = *e;
	if (ends_all(kept.code))
		return e;
	if (first->code == ERR_NONE)
		*first = kept;
	return journal_event(ctx, EVENT_ERROR, NULL, "%s: %s", what, kept.text);
}

static err_t tell(struct run_ctx *ctx, const struct report *report, const json_t *data,
	struct err *ret_first, json_t **ret_comment)
{
	AUTO(buf_release) struct buf body = BUF(COMMENT_MAX);
	ERR_TRY(template_render(ctx->set, report->template_name, data, &body));
	const char *status = settings_str(ctx->set, report->to_status);
	const char *person = settings_str(ctx->set, S_JIRA_HUMAN_ACCOUNT_ID);
	err_t e = send(ctx, EFFECT_JIRA_COMMENT, report->comment_name,
		json_pack("{s:o}", "body_markdown", text_json(body.data)), ret_comment);
	ERR_TRY(note(ctx, e, "The comment could not be posted", ret_first));
	if (ret_first->code == ERR_UNAUTHORIZED)
		return NULL; /* the others would only be refused too */
	e = send(ctx, EFFECT_JIRA_TRANSITION, report->status_name,
		json_pack("{s:s}", "status", status), NULL);
	ERR_TRY(note(ctx, e, "The status could not be changed", ret_first));
	e = send(ctx, EFFECT_JIRA_ASSIGN, report->assign_name,
		json_pack("{s:s}", "account_id", person), NULL);
	return note(ctx, e, "The issue could not be assigned", ret_first);
}

err_t step_report(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	struct err first = {0};
	json_auto_t *comment = NULL;
	json_auto_t *data = report_data(ctx, RUN_COMPLETED);
	ERR_TRY(tell(ctx, &success, data, &first, &comment));
	json_t *id = json_object_get(comment, "id");
	run_state_set(ctx, "report",
		json_pack("{s:s, s:O?}", "status", settings_str(ctx->set, S_JIRA_STATUS_IN_TESTING),
			"comment_id", id));
	return journal_event(ctx, EVENT_PROGRESS, NULL, "Reported to %s%s", ctx->run.issue_key,
		first.code == ERR_NONE ? "" : ", in part: see the errors before");
}

err_t report_trouble(
	struct run_ctx *ctx, enum run_status status, enum err_code code, const char *reason)
{
	const json_t *issue = run_state_get(ctx, "fetch.issue");
	if (!issue)
		return err_new(ERR_NOT_FOUND, "%s was never read: no comment is written",
			ctx->run.issue_key);
	if (!route_is_ours(ctx->set, issue) || status == RUN_CANCELLED)
		return NULL; /* not our issue, or taken from us: it is left alone */
	struct err first = {0};
	json_auto_t *data = report_data(ctx, status);
	report_data_trouble(ctx, data, code, reason);
	ERR_TRY(tell(ctx, &trouble, data, &first, NULL));
	return first.code == ERR_NONE ? NULL : err_new(first.code, "%s", first.text);
}
