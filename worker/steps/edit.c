/*
 * Step edit: the agent works on the task, or, in a heal round, on the findings of the checks (in
 * the same conversation). Sets state.edit.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/agent/agent.h"
#include "worker/agent/conversation.h"
#include "worker/agent/outside.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"

#define FINDINGS_SHOWN 30
#define MESSAGE_MAX 1500
#define TAIL_MAX 4000
#define HEAL_MAX (128u << 10)

static const char *const ends[] = {[AGENT_FINISHED] = "finished",
	[AGENT_UNCHANGED] = "unchanged",
	[AGENT_QUESTION] = "question"};

static json_t *clean(const char *s, size_t max)
{
	AUTO(buf_release) struct buf b = BUF(2 * max);
	if (s)
		outside_text(&b, s, strlen(s), max);
	return text_jsonn(b.data, b.len);
}

static json_t *place(const json_t *finding)
{
	const char *file = json_string_value(json_object_get(finding, "file"));
	json_int_t line = json_integer_value(json_object_get(finding, "line"));
	if (!file)
		return json_string("(no file)");
	autofree char *s = line ? xasprintf("%s:%lld", file, (long long)line) : xstrdup(file);
	return clean(s, 500);
}

static json_t *shown_finding(const json_t *finding)
{
	static const struct {
		const char *name;
		size_t max;
	} members[] = {{"code", 100}, {"check", 100}, {"category", 100}, {"message", MESSAGE_MAX},
		{"hint", 1000}};
	json_t *out = json_pack("{s:o}", "place", place(finding));
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const char *s = json_string_value(json_object_get(finding, members[i].name));
		if (s && *s)
			json_object_set_new(out, members[i].name, clean(s, members[i].max));
		else
			json_object_set_new(out, members[i].name, json_null());
	}
	return out;
}

/* The findings of the step that sent us back: verify's, else test's. */
static json_t *heal_data(const struct run_ctx *ctx)
{
	const char *step =
		json_array_size(run_state_get(ctx, "verify.findings")) ? "verify" : "test";
	autofree char *list_path = xasprintf("%s.findings", step);
	autofree char *tail_path = xasprintf("%s.tail", step);
	const json_t *findings = run_state_get(ctx, list_path);
	const char *tail = run_state_str(ctx, tail_path);
	json_t *shown = json_array();
	size_t i;
	json_t *finding;
	json_array_foreach (findings, i, finding) {
		if (i < FINDINGS_SHOWN)
			json_array_append_new(shown, shown_finding(finding));
	}
	json_t *data = json_pack("{s:o}", "findings", shown);
	if (i > FINDINGS_SHOWN)
		json_object_set_new(data, "more", json_integer((json_int_t)(i - FINDINGS_SHOWN)));
	if (tail && *tail)
		json_object_set_new(data, "tail", clean(tail, TAIL_MAX));
	return data;
}

static err_t make_text(struct run_ctx *ctx, struct buf *out)
{
	const char *task = run_state_str(ctx, "context.text");
	if (ctx->heal_round == 0) {
		buf_adds(out, task ? task : "");
		return task ? NULL : err_new(ERR_INTERNAL, "the step context left no text");
	}
	json_auto_t *data = heal_data(ctx);
	return template_render(ctx->set, "prompts/heal.md", data, out);
}

static err_t report_progress(struct run_ctx *ctx, const struct agent_result *result)
{
	json_auto_t *paths = NULL;
	struct spent spent;
	const char *base = run_state_str(ctx, "checkout.base_tree");
	ERR_TRY(conversation_spent(ctx, &spent));
	ERR_TRY(store_changed_paths(work_tree_store(ctx->tree), base, result->tree, &paths));
	int files = (int)json_array_size(paths), cached;
	ERR_TRY(conversation_cached(ctx, &cached));
	const char *model = run_state_str(ctx, "edit.model");
	if (!model)
		model = settings_str(ctx->set, S_ANTHROPIC_MODEL);
	json_t *meta = json_pack("{s:s,s:i,s:I,s:I,s:i,s:O,s:s,s:i}", "model", model, "turns",
		result->turns, "run_turns", (json_int_t)spent.turns, "cost_usd_micro",
		(json_int_t)spent.usd_micro, "files", files, "paths", paths, "end",
		ends[result->end], "cache_percent", cached);
	return journal_event(ctx, EVENT_PROGRESS, meta,
		"%s worked %d turns: %d files differ from the base, %.4f USD so far", model,
		result->turns, files, (double)spent.usd_micro / 1e6);
}

static void keep_result(struct run_ctx *ctx, const struct agent_result *r)
{
	json_t *question = r->question ? text_json(r->question) : json_null();
	if (!run_state_get(ctx, "edit"))
		run_state_set(ctx, "edit", json_object());
	/* the agent's own notes stay */
	json_object_update_new(run_state_get(ctx, "edit"),
		json_pack("{s:s,s:s,s:o,s:o,s:i}", "end", ends[r->end], "tree", r->tree, "summary",
			text_json(r->summary ? r->summary : ""), "question", question, "turns",
			r->turns));
}

static err_t edit(struct run_ctx *ctx, struct agent_result *result)
{
	AUTO(buf_release) struct buf text = BUF(HEAL_MAX * 4);
	ERR_TRY(make_text(ctx, &text));
	ERR_TRY(agent_work(ctx, text.data, result));
	keep_result(ctx, result);
	ERR_TRY(report_progress(ctx, result));
	if (result->end == AGENT_QUESTION)
		return err_new(ERR_QUESTION, "the model asks: %s", result->question);
	if (result->end == AGENT_UNCHANGED)
		return err_new(ERR_LLM_ANSWER, "nothing was changed: %s", result->summary);
	return NULL;
}

err_t step_edit(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	AUTO(agent_result_release) struct agent_result result = {0};
	return edit(ctx, &result);
}
