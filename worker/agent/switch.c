/*
 * Going on in a new conversation: with another model, or with the same one after its conversation
 * led nowhere. What the new one is told comes from the task, the work tree and the calls made so
 * far; no word or thought of the old model but its summaries is passed on. Called by opening.c and
 * answer.c.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/agent/agent_private.h"
#include "worker/agent/outside.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"

#define PREFIX_MAX (128u << 10)
#define DIFF_MAX (60u << 10)
#define WORDS_MAX 8000
#define CALLS_MAX 60 /* the newest */
#define CALL_MAX 240
#define HANDOVER_MAX (1u << 20)

static const struct {
	const char *name;
	const char *why; /* for the model */
	const char *event;
} reasons[SWITCH__MAX] = {
	[SWITCH_HEAL] = {"heal",
		"Another engineer's work did not pass the checks in several rounds.",
		"the checks failed again, another model takes over"},
	[SWITCH_REFUSAL] = {"refusal", "The engineer before you would not go on.",
		"the model refused"},
	[SWITCH_AWAY] = {"away", "The engineer before you was called away.",
		"its provider does not answer"},
	[SWITCH_STUCK] = {"stuck",
		"The engineer before you went round in circles: find another way.",
		"the model did not get on"},
	[SWITCH_RESTART] = {"restart",
		"An attempt before led nowhere, and the work tree was set back: find another way.",
		"it begins again from the last good state"},
	[SWITCH_CONTEXT] = {"context", "The conversation before this one grew too long.",
		"the conversation grew too long"},
	[SWITCH_PROMPT] = {"prompt", "The engineer before you was called away.",
		"the worker's prompts or tools are others than before"},
};

/* ---- what the new conversation is told ---- */

static json_t *code(const char *s, size_t len, size_t max)
{
	AUTO(buf_release) struct buf b = BUF(2 * max + 1024);
	outside_code(&b, s, len, max);
	return text_jsonn(b.data, b.len);
}

static err_t add_diff(struct agent *a, json_t *data)
{
	const char *base = run_state_str(a->ctx, "checkout.base_tree");
	AUTO(buf_release) struct buf diff = BUF(1u << 20);
	struct diff_stat stat;
	if (!base || strcmp(base, a->result->tree) == 0)
		return NULL;
	ERR_TRY(store_diff(work_tree_store(a->ctx->tree), base, a->result->tree, &diff, &stat));
	if (diff.len)
		json_object_set_new(data, "diff", code(diff.data, diff.len, DIFF_MAX));
	return NULL;
}

static err_t add_calls(struct agent *a, json_t *list)
{
	for (size_t i = 0; i < a->conv.count; i++) {
		AUTO(llm_calls_release) struct llm_calls calls = {0};
		const struct llm_message *m = &a->conv.messages[i];
		int blocks;
		if (m->is_user)
			continue;
		ERR_TRY(llm_read_message(&a->llm, m->data, m->len, &calls, &blocks));
		for (size_t j = 0; j < calls.count; j++) {
			autofree char *line =
				xasprintf("%s %s", calls.items[j].name, calls.items[j].raw);
			json_array_append_new(list, code(line, strlen(line), CALL_MAX));
		}
	}
	while (json_array_size(list) > CALLS_MAX)
		json_array_remove(list, 0);
	return NULL;
}

static err_t add_summary(struct agent *a, const struct agent_switch *to, json_t *data)
{
	const char *words = to->summary;
	json_t *calls = json_array();
	json_object_set_new(data, "calls", calls);
	if (!words) {
		words = run_state_str(a->ctx, "edit.summary");
		ERR_TRY(add_calls(a, calls));
	}
	bool has_words = words && *words;
	if (has_words)
		json_object_set_new(data, "words", code(words, strlen(words), WORDS_MAX));
	json_object_set_new(
		data, "has_summary", json_boolean(has_words || json_array_size(calls) > 0));
	return NULL;
}

/* The issue is what the first conversation was told; later rounds were told findings only. */
static err_t make_text(struct agent *a, const struct agent_switch *to, struct buf *out)
{
	const char *task = run_state_str(a->ctx, "context.text");
	const char *findings = to->findings;
	if (!task && a->ctx->heal_round == 0)
		task = a->text;
	if (!findings && a->ctx->heal_round > 0)
		findings = a->text;
	/* Why a provider is away is nobody's business but ours. */
	const char *detail = to->reason == SWITCH_AWAY ? NULL : to->detail;
	autofree char *why = xasprintf(
		"%s%s%s", reasons[to->reason].why, detail ? " " : "", detail ? detail : "");
	json_auto_t *data =
		json_pack("{s:o, s:o}", "task", text_json(task ? task : ""), "why", text_json(why));
	if (findings && *findings)
		json_object_set_new(data, "findings", text_json(findings));
	ERR_TRY(add_diff(a, data));
	ERR_TRY(add_summary(a, to, data));
	return template_render(a->ctx->set, "prompts/handover.md", data, out);
}

/* ---- the switch ---- */

static void note(struct agent *a, const struct agent_switch *to, const struct llm *llm,
	const struct conversation *conv)
{
	json_t *edit = agent_notes(a), *list = json_object_get(edit, "switches");
	if (!list) {
		list = json_array();
		json_object_set_new(edit, "switches", list);
	}
	json_array_append_new(list, json_pack("{s:s, s:s, s:i}", "reason", reasons[to->reason].name,
					    "model", llm->profile.model, "conv", conv->conv));
	json_object_del(edit, "pending");
	json_object_set_new(edit, "effort", json_string(llm->profile.effort));
	watch_forget(&a->watch);
	agent_note_said(a, conv, llm->profile.model);
	agent_note_watch(a);
}

static err_t tell(struct agent *a, const struct agent_switch *to, const struct llm *llm)
{
	json_t *meta = json_pack("{s:s, s:s, s:s, s:s}", "switch", reasons[to->reason].name, "from",
		a->llm.profile.model, "model", llm->profile.model, "effort", llm->profile.effort);
	return journal_event(a->ctx, EVENT_PROGRESS, meta, "A new conversation with %s: %s%s%s",
		llm->profile.model, reasons[to->reason].event, to->detail ? ": " : "",
		to->detail ? to->detail : "");
}

/* All rows of the switch; in the caller's transaction. */
static err_t store_switch(struct agent *a, const struct agent_switch *to, const struct llm *llm,
	const char *text, struct conversation *ret)
{
	AUTO(buf_release) struct buf prefix = BUF(PREFIX_MAX);
	AUTO(conversation_release) struct conversation conv = {0};
	const struct llm_part part = {.text = text};
	ERR_TRY(agent_prefix(a, llm, &prefix));
	ERR_TRY(conversation_begin(a->ctx, llm, &prefix, &conv));
	note(a, to, llm, &conv);
	ERR_TRY(conversation_say(a->ctx, llm, &conv, &part, 1));
	ERR_TRY(tell(a, to, llm));
	ERR_TRY(agent_store_notes(a));
	*ret = conv;
	conv = (struct conversation){0};
	return NULL;
}

static err_t commit_switch(struct agent *a, const struct agent_switch *to, const struct llm *llm,
	const char *text, struct conversation *ret)
{
	json_auto_t *before = json_deep_copy(agent_notes(a));
	struct db_try t = {0};
	FAULT_POINT("conversation.switching");
	while (db_try(a->ctx->db, &t)) { /* a try that was rolled back noted nothing */
		conversation_release(ret);
		run_state_set(a->ctx, "edit", json_deep_copy(before));
		t.error = store_switch(a, to, llm, text, ret);
	}
	if (t.error)
		conversation_release(ret);
	FAULT_POINT("conversation.switched");
	return t.error;
}

err_t agent_switch(struct agent *a, const struct agent_switch *to)
{
	AUTO(llm_release) struct llm llm = {0};
	AUTO(buf_release) struct buf text = BUF(HANDOVER_MAX);
	struct conversation conv = {0};
	const char *model = to->model ? to->model : a->llm.profile.model;
	ERR_TRY(agent_llm_open(a, model, &llm));
	if (to->effort || !to->model)
		snprintf(llm.profile.effort, sizeof llm.profile.effort, "%s",
			to->effort ? to->effort : a->llm.profile.effort);
	if (to->tree)
		ERR_TRY(work_tree_restore(a->ctx->tree, to->tree));
	ERR_TRY(agent_snapshot(a));
	ERR_TRY(make_text(a, to, &text));
	ERR_TRY(commit_switch(a, to, &llm, text.data, &conv));
	llm_release(&a->llm);
	conversation_release(&a->conv);
	a->llm = llm;
	a->conv = conv;
	llm = (struct llm){0};
	a->cut = a->paused = 0;
	a->max_output = LLM_MAX_OUTPUT;
	a->cache = (struct cache_watch){0};
	return NULL;
}

int agent_switched(struct agent *a, enum switch_reason reason)
{
	int n = 0;
	size_t i;
	json_t *one;
	json_array_foreach (json_object_get(agent_notes(a), "switches"), i, one) {
		const char *name = json_string_value(json_object_get(one, "reason"));
		n += name && strcmp(name, reasons[reason].name) == 0;
	}
	return n;
}

const char *agent_other_model(const struct agent *a)
{
	static char model[sizeof a->llm.profile.model];
	static const enum setting names[] = {S_ANTHROPIC_MODEL, S_OPENAI_MODEL};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		struct llm other;
		if (llm_open(a->ctx->set, settings_str(a->ctx->set, names[i]), &other))
			continue;
		bool fits = llm_is_usable(&other) &&
			    strcmp(other.profile.provider, a->llm.profile.provider) != 0;
		snprintf(model, sizeof model, "%s", other.profile.model);
		llm_release(&other);
		if (fits)
			return model;
	}
	return NULL;
}
