/*
 * Step `pull_request`: a draft for the branch, found or created. Sub-tasks of a Story share the
 * Story's: its check-list gets a line for each. Written through the outbox only. The words of a new
 * one are in templates/forge/pull_request.md.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/forge/forge.h"
#include "worker/journal.h"
#include "worker/outbox.h"
#include "worker/pipeline.h"
#include "worker/steps/checklist.h"
#include "worker/steps/report_data.h"

#define BODY_MAX 60000 /* GitHub takes 65,536 characters */
#define DESCRIPTION_MAX 8000
#define TITLE_MAX 250
#define INCOMPLETE " (incomplete)"

/* What the pull request is for: the Story of a sub-task, else the issue itself. */
struct subject {
	const char *key;
	const char *summary;
	const char *description;
	bool is_story;
};

static struct subject subject_of(const struct run_ctx *ctx)
{
	bool is_story = run_state_str(ctx, "route.story_key") && !run_state_get(ctx, "salvage");
	const json_t *issue = run_state_get(ctx, is_story ? "fetch.issue.parent" : "fetch.issue");
	const char *key = json_string_value(json_object_get(issue, "key"));
	const char *summary = json_string_value(json_object_get(issue, "summary"));
	const char *description = json_string_value(json_object_get(issue, "description"));
	return (struct subject){
		.key = key ? key : ctx->run.issue_key,
		.summary = summary ? summary : "",
		.description = description ? description : "",
		.is_story = is_story,
	};
}

static const char *issue_summary(const struct run_ctx *ctx)
{
	const char *summary = run_state_str(ctx, "fetch.issue.summary");
	return summary ? summary : "";
}

static char *title_of(const struct run_ctx *ctx, const struct subject *subject)
{
	AUTO(buf_release) struct buf title = BUF(TITLE_MAX * 4);
	autofree char *plain = xasprintf("%s: %s%s", subject->key, subject->summary,
		run_state_get(ctx, "salvage") ? INCOMPLETE : "");
	for (char *p = plain; *p; p++)
		if (*p == '\n' || *p == '\r')
			*p = ' ';
	text_middle(&title, plain, strlen(plain), TITLE_MAX);
	return buf_take(&title);
}

static err_t body_of(struct run_ctx *ctx, const struct subject *subject, struct buf *out)
{
	AUTO(buf_release) struct buf description = BUF(2 * DESCRIPTION_MAX);
	AUTO(buf_release) struct buf list = BUF(2048);
	text_middle(
		&description, subject->description, strlen(subject->description), DESCRIPTION_MAX);
	bool is_incomplete = run_state_get(ctx, "salvage") != NULL;
	checklist_set(&list, "", ctx->run.issue_key, issue_summary(ctx), !is_incomplete);
	json_auto_t *data = report_data(ctx, is_incomplete ? RUN_BLOCKED : RUN_COMPLETED);
	if (!data)
		return err_new(ERR_INTERNAL, "the pull request has no data");
	json_object_set_new(data, "subject",
		json_pack("{s:o, s:o, s:o, s:b}", "key", text_json(subject->key), "summary",
			text_json(subject->summary), "description",
			description.len ? text_json(description.data) : json_null(), "is_story",
			subject->is_story));
	json_object_set_new(data, "check_list", text_json(list.data));
	json_object_set_new(data, "is_incomplete", json_boolean(is_incomplete));
	return template_render(ctx->set, "forge/pull_request.md", data, out);
}

static err_t open_new(struct run_ctx *ctx, json_t **ret_result)
{
	struct subject subject = subject_of(ctx);
	autofree char *title = title_of(ctx, &subject);
	AUTO(buf_release) struct buf body = BUF(4 * BODY_MAX);
	AUTO(buf_release) struct buf cut = BUF(2 * BODY_MAX);
	ERR_TRY(body_of(ctx, &subject, &body));
	text_middle(&cut, body.data, body.len, BODY_MAX);
	struct effect effect = {
		.kind = EFFECT_FORGE_PULL_REQUEST,
		.name = "pull_request",
		.issue_key = ctx->run.issue_key,
		.request = json_pack("{s:o, s:o, s:o, s:o, s:b}", "head",
			text_json(run_state_str(ctx, "route.branch")), "base",
			text_json(run_state_str(ctx, "route.base_branch")), "title",
			text_json(title), "body", text_json(cut.data), "draft", true),
	};
	return outbox_effect(ctx, &effect, ret_result);
}

/* What was kept unfinished is finished now. Freed by the caller. */
static char *finished_title(const struct run_ctx *ctx, const char *title)
{
	size_t n = strlen(title), tail = strlen(INCOMPLETE);
	bool is_over = !run_state_get(ctx, "salvage") && text_ends(title, INCOMPLETE);
	return xstrndup(title, is_over ? n - tail : n);
}

/* The list of the one that is there gets this issue's line; nothing is sent when it has it. */
static err_t extend(struct run_ctx *ctx, const struct pull_request *pr, json_t **ret_result)
{
	AUTO(buf_release) struct buf body = BUF(4 * BODY_MAX);
	checklist_set(&body, pr->body, ctx->run.issue_key, issue_summary(ctx),
		!run_state_get(ctx, "salvage"));
	bool is_begun = false;
	autofree char *title = finished_title(ctx, pr->title);
	bool is_same = strcmp(body.data, pr->body) == 0 && strcmp(title, pr->title) == 0;
	ERR_TRY(outbox_knows(ctx, "pull_request_edit", &is_begun));
	if ((is_begun || !is_same) && body.len <= BODY_MAX) {
		struct effect effect = {
			.kind = EFFECT_FORGE_PULL_REQUEST_EDIT,
			.name = "pull_request_edit",
			.issue_key = ctx->run.issue_key,
			.request = json_pack("{s:I, s:o, s:o}", "number", (json_int_t)pr->number,
				"title", text_json(title), "body", text_json(body.data)),
		};
		ERR_TRY(outbox_effect(ctx, &effect, NULL));
	}
	*ret_result = json_pack("{s:I, s:o, s:b, s:b}", "number", (json_int_t)pr->number, "url",
		text_json(pr->url), "draft", pr->draft, "found", true);
	return NULL;
}

err_t step_pull_request(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	AUTO(pull_request_release) struct pull_request pr = {0};
	json_t *result = NULL;
	if (!*ctx->repo->owner || !*ctx->repo->name)
		return journal_event(ctx, EVENT_INFO, NULL,
			"No pull request: the repository names no owner and name at a forge; the "
			"work is on branch %s",
			run_state_str(ctx, "route.branch"));
	if (!ctx->forge)
		ERR_TRY(forge_open(ctx->set, ctx->repo, &ctx->forge));
	ERR_TRY(run_check_alive(ctx));
	bool is_begun = false; /* by this run, before it was interrupted */
	ERR_TRY(outbox_knows(ctx, "pull_request", &is_begun));
	if (!is_begun)
		ERR_TRY(forge_find_pull_request(
			ctx->forge, run_state_str(ctx, "route.branch"), &pr));
	ERR_TRY(pr.number ? extend(ctx, &pr, &result) : open_new(ctx, &result));
	run_state_set(ctx, "pull_request", result);
	const char *url = run_state_str(ctx, "pull_request.url");
	bool was_there = json_is_true(run_state_get(ctx, "pull_request.found"));
	ERR_TRY(journal_pull_request(ctx, url));
	return journal_event(ctx, EVENT_PROGRESS, json_pack("{s:o}", "pr_url", text_json(url)),
		"%s %s", was_there ? "The branch's pull request is" : "Opened draft pull request",
		url);
}
