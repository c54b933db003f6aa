/*
 * Step `report` and the report of trouble: a comment, a status, an assignee. Called by the
 * pipeline; what was published stays published, so an effect that Jira refuses here is told in the
 * run's events and does not undo the run.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/fault.h"
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

/* What the three came to. */
struct told {
	struct err refused; /* the first that Jira refused for good */
	bool is_left;       /* Jira does not answer: the drainer sends the rest */
	json_t *comment;    /* owned; {id} of the comment, NULL while it is not posted */
};

/* Errors after which nothing more may be written, as against Jira's own. */
static bool ends_all(enum err_code code)
{
	return code == ERR_FENCE || code == ERR_CANCELLED || code == ERR_DB ||
	       code == ERR_DB_AWAY || code == ERR_DB_UNSURE || code == ERR_DB_RETRY ||
	       code == ERR_INTERNAL;
}

/* Jira's refusal becomes an event, and the others go on; where it does not answer they wait for
 * their turn. */
static err_t note(
	struct run_ctx *ctx, err_t e, const char *name, const char *what, struct told *told)
{
	if (!e)
		return NULL;
	struct err kept = *e;
	if (ends_all(kept.code))
		return e;
	ERR_TRY(outbox_is_left(ctx, name, &told->is_left));
	if (told->is_left)
		return journal_event(ctx, EVENT_INFO, NULL,
			"Jira does not answer as it should (%s): the report follows when it does",
			kept.text);
	if (told->refused.code == ERR_NONE)
		told->refused = kept;
	return journal_event(ctx, EVENT_ERROR, NULL, "%s: %s", what, kept.text);
}

/* All three are stored before the first is sent: whatever happens now, they arrive in this order.
 */
static err_t tell(
	struct run_ctx *ctx, const struct report *report, const json_t *data, struct told *ret_told)
{
	AUTO(buf_release) struct buf body = BUF(COMMENT_MAX);
	ERR_TRY(template_render(ctx->set, report->template_name, data, &body));
	static const char *const what[] = {"The comment could not be posted",
		"The status could not be changed", "The issue could not be assigned"};
	const char *key = ctx->run.issue_key;
	struct effect effects[] = {
		{EFFECT_JIRA_COMMENT, report->comment_name, key, true,
			json_pack("{s:o}", "body_markdown", text_json(body.data))},
		{EFFECT_JIRA_TRANSITION, report->status_name, key, true,
			json_pack("{s:s}", "status", settings_str(ctx->set, report->to_status))},
		{EFFECT_JIRA_ASSIGN, report->assign_name, key, true,
			json_pack("{s:s}", "account_id",
				settings_str(ctx->set, S_JIRA_HUMAN_ACCOUNT_ID))},
	};
	err_t e = outbox_store(ctx, effects, ARRAY_LEN(effects));
	FAULT_POINT("report.stored");
	for (size_t i = 0; i < ARRAY_LEN(effects); i++) {
		json_auto_t *request = effects[i].request;
		if (e || ret_told->is_left)
			continue;
		effects[i].request = json_incref(request);
		e = outbox_effect(ctx, &effects[i], i == 0 ? &ret_told->comment : NULL);
		e = note(ctx, e, effects[i].name, what[i], ret_told);
	}
	return e;
}

static void told_release(struct told *told)
{
	json_decref(told->comment);
}

err_t step_report(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	AUTO(told_release) struct told told = {0};
	json_auto_t *data = report_data(ctx, RUN_COMPLETED);
	ERR_TRY(tell(ctx, &success, data, &told));
	json_t *id = json_object_get(told.comment, "id");
	run_state_set(ctx, "report",
		json_pack("{s:s, s:O?}", "status", settings_str(ctx->set, S_JIRA_STATUS_IN_TESTING),
			"comment_id", id));
	return journal_event(ctx, EVENT_PROGRESS, NULL, "%s %s%s",
		told.is_left ? "The report waits for" : "Reported to", ctx->run.issue_key,
		told.refused.code == ERR_NONE ? "" : ", in part: see the errors before");
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
	AUTO(told_release) struct told told = {0};
	json_auto_t *data = report_data(ctx, status);
	report_data_trouble(ctx, data, code, reason);
	ERR_TRY(tell(ctx, &trouble, data, &told));
	const struct err *refused = &told.refused;
	return refused->code == ERR_NONE ? NULL : err_new(refused->code, "%s", refused->text);
}
