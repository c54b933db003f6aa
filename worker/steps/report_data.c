/*
 * The data of the Jira texts: run, pull request, checks, tests, figures, kept work, what to do
 * next. Called by report.c. The words are in templates/jira/.
 */
#include "worker/steps/report_data.h"

#include <ctype.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"
#include "worker/metrics.h"

#define REASON_MAX 4000
#define MAX_FINDINGS 10

/* Which of trouble.md's sentences tells what to do; codes that are not named: look into the log. */
static const struct {
	enum err_code code;
	const char *next;
} nexts[] = {
	{ERR_QUESTION, "question"},
	{ERR_LIMIT, "limit"},
	{ERR_CHECKS, "checks"},
	{ERR_PUSH_REFUSED, "push"},
	{ERR_MERGE, "merge"},
	{ERR_UNAUTHORIZED, "access"},
	{ERR_FORBIDDEN, "access"},
	{ERR_NOT_FOUND, "access"},
	{ERR_CONFIG, "config"},
	{ERR_UNROUTED, "config"},
	{ERR_SANDBOX, "config"},
	{ERR_TIMEOUT, "outside"},
	{ERR_NETWORK, "outside"},
	{ERR_OUTSIDE, "outside"},
	{ERR_RATE, "outside"},
	{ERR_SPENT, "access"},
	{ERR_CONTEXT, "limit"},
	{ERR_OUTSIDE_FINAL, "access"},
	{ERR_LLM_ANSWER, "model"},
};

char *report_plain(const char *words)
{
	AUTO(buf_release) struct buf out = BUF(2 * REASON_MAX);
	for (const char *p = words; *p; p++) {
		bool in_word =
			p > words && isalnum((unsigned char)p[-1]) && isalnum((unsigned char)p[1]);
		if (strchr("\\`*[]<>#~|&", *p) || (*p == '_' && !in_word))
			buf_addc(&out, '\\');
		buf_addc(&out, *p);
	}
	return buf_take(&out);
}

static const char *member(const json_t *object, const char *name)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : "";
}

static json_t *text_or_null(const char *s)
{
	return s && *s ? text_json(s) : json_null();
}

static json_t *duration_text(double seconds)
{
	long long s = (long long)(seconds + 0.5);
	autofree char *text =
		s < 60 ? xasprintf("%lld s", s) : xasprintf("%lld min %lld s", s / 60, s % 60);
	return json_string(text);
}

/* name and outcome of each check, in words. */
static json_t *checks(const struct run_ctx *ctx)
{
	json_t *out = json_array();
	size_t i;
	json_t *c;
	json_array_foreach (run_state_get(ctx, "verify.checks"), i, c) {
		const char *skipped = member(c, "skipped_reason");
		bool ok = json_is_true(json_object_get(c, "ok"));
		double seconds = json_number_value(json_object_get(c, "ms")) / 1000;
		autofree char *outcome =
			*skipped ? xasprintf("skipped (%s)", skipped)
				 : xasprintf("%s in %.1f s", ok ? "passed" : "failed", seconds);
		json_array_append_new(
			out, json_pack("{s:o, s:o}", "name", text_json(member(c, "name")),
				     "outcome", text_json(outcome)));
	}
	return out;
}

static json_t *tests(const struct run_ctx *ctx)
{
	const json_t *test = run_state_get(ctx, "test");
	if (!test)
		return json_null();
	const char *script = run_state_str(ctx, "test.script");
	if (!json_is_true(json_object_get(test, "ran")))
		return json_string("not run: the repository has none");
	bool ok = json_is_true(json_object_get(test, "ok"));
	bool counted = json_is_integer(json_object_get(test, "passed"));
	autofree char *numbers = counted ? xasprintf(" (%lld passed, %lld failed)",
						   (long long)run_state_i64(ctx, "test.passed"),
						   (long long)run_state_i64(ctx, "test.failed"))
					 : xstrdup("");
	autofree char *text = xasprintf(
		"%s%s, script `%s`", ok ? "passed" : "failed", numbers, script ? script : "test");
	return text_json(text);
}

/* The branch that holds work, published or kept unfinished; null when nothing was pushed. */
static json_t *pushed_branch(const struct run_ctx *ctx)
{
	return text_or_null(run_state_get(ctx, "push") ? run_state_str(ctx, "route.branch") : NULL);
}

static json_t *figures(json_t *metrics)
{
	double seconds = json_number_value(json_object_get(metrics, "duration_seconds"));
	double cost = json_number_value(json_object_get(metrics, "estimated_cost"));
	json_int_t input = json_integer_value(json_object_get(metrics, "total_input_tokens"));
	json_int_t output = json_integer_value(json_object_get(metrics, "total_output_tokens"));
	json_int_t cached = json_integer_value(json_object_get(metrics, "cached_tokens"));
	const json_t *metadata = json_object_get(metrics, "metadata");
	bool known = json_is_true(json_object_get(metadata, "cost_known"));
	autofree char *cost_text = xasprintf("%.4f USD%s", cost,
		known ? "" : " and more (a model without a known price was used)");
	return json_pack("{s:o, s:s, s:I, s:I, s:I, s:b, s:O*, s:O*, s:O*, s:O*, s:O*}", "duration",
		duration_text(seconds), "cost", cost_text, "input_tokens", input, "output_tokens",
		output, "cached_percent", input > 0 ? cached * 100 / input : 0, "used_model",
		input > 0, "model", json_object_get(metrics, "model_used"), "files_changed",
		json_object_get(metrics, "files_changed"), "lines_added",
		json_object_get(metrics, "lines_added"), "lines_removed",
		json_object_get(metrics, "lines_removed"), "heal_rounds",
		json_object_get(metrics, "self_heal_attempts"));
}

json_t *report_data(struct run_ctx *ctx, enum run_status status)
{
	json_auto_t *metrics = run_metrics_json(ctx, status, NULL, NULL);
	json_t *pr = run_state_get(ctx, "pull_request");
	int64_t known = run_state_i64(ctx, "verify.known") + run_state_i64(ctx, "test.known");
	const char *before = run_state_str(ctx, "fetch.issue.status");
	return json_pack("{s:I, s:s, s:s, s:o, s:O?, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "run_id",
		(json_int_t)ctx->run.id, "key", ctx->run.issue_key, "status",
		run_status_name(status), "status_before", text_or_null(before), "pull_request",
		json_is_object(pr) ? pr : NULL, "branch", pushed_branch(ctx), "summary",
		text_or_null(run_state_str(ctx, "edit.summary")), "checks", checks(ctx), "tests",
		tests(ctx), "known_findings",
		known > 0 ? json_integer((json_int_t)known) : json_null(), "rollback_tag",
		text_or_null(run_state_str(ctx, "tag.name")), "figures",
		metrics ? figures(metrics) : json_null());
}

/* "src/a.ts:3 TS2322 …" lines for a code block, which no line may close. */
static json_t *findings(const struct run_ctx *ctx)
{
	json_t *list = run_state_get(ctx, "verify.findings");
	if (json_array_size(list) == 0)
		list = run_state_get(ctx, "test.findings");
	AUTO(buf_release) struct buf out = BUF(REASON_MAX);
	size_t i;
	json_t *f;
	json_array_foreach (list, i, f) {
		if (i >= MAX_FINDINGS)
			break;
		buf_addf(&out, "%s%s:%lld %s %s", i ? "\n" : "", member(f, "file"),
			(long long)json_integer_value(json_object_get(f, "line")),
			member(f, "code"), member(f, "message"));
	}
	for (char *p = out.data; *p; p++)
		if (*p == '`')
			*p = '\'';
	return text_or_null(out.data);
}

void report_data_trouble(struct run_ctx *ctx, json_t *data, enum err_code code, const char *reason)
{
	const char *next = "log";
	for (size_t i = 0; i < ARRAY_LEN(nexts); i++)
		if (nexts[i].code == code)
			next = nexts[i].next;
	autofree char *masked = redact_str(reason);
	AUTO(buf_release) struct buf cut = BUF(REASON_MAX + 200);
	text_middle(&cut, masked, strlen(masked), REASON_MAX);
	autofree char *plain = report_plain(cut.data);
	const char *question = code == ERR_QUESTION ? run_state_str(ctx, "edit.question") : NULL;
	json_object_set_new(data, "reason", text_or_null(plain));
	json_object_set_new(data, "question", text_or_null(question));
	json_object_set_new(data, "category", text_json(err_code_name(code)));
	json_object_set_new(data, "findings", code == ERR_CHECKS ? findings(ctx) : json_null());
	json_object_set_new(data, "next", json_pack("{s:b}", next, 1));
}
