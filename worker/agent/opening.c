/*
 * How a conversation begins, and how one that was interrupted goes on. Called by agent.c; what the
 * journal's row knows of it meanwhile (state.edit, worker/run.h) is kept here.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/agent/agent_private.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"

#define PREFIX_MAX (64u << 10)

/* ---- what the step's journal row knows while it works: see edit in worker/run.h ---- */

json_t *agent_notes(struct agent *a)
{
	if (!run_state_get(a->ctx, "edit"))
		run_state_set(a->ctx, "edit", json_object());
	return run_state_get(a->ctx, "edit");
}

err_t agent_store_notes(struct agent *a)
{
	struct run_ctx *ctx = a->ctx;
	autofree char *text = json_dumps(agent_notes(a), JSON_COMPACT);
	return db_exec(ctx->db, Q_STEP_NOTE,
		DB_ARGS(db_str(text), db_i64(ctx->step_id), db_i64(ctx->run.id),
			db_i64(ctx->run.fence)),
		NULL);
}

/* ---- the beginning ---- */

err_t agent_prefix(const struct agent *a, const struct llm *llm, struct buf *out)
{
	AUTO(buf_release) struct buf system = BUF(PREFIX_MAX);
	enum edit_format format = llm->profile.edit_format;
	json_auto_t *data = json_pack("{s:b}", "patch", format == EDIT_PATCH);
	ERR_TRY(template_render(a->ctx->set, "prompts/system.md", data, &system));
	size_t count;
	autofree struct llm_tool *tools = tools_definitions(format, &count);
	return llm_prefix(llm, system.data, tools, count, out);
}

/* Was this round's text said already, before the worker was interrupted? */
static bool is_said(const struct agent *a)
{
	return run_state_get(a->ctx, "edit.said") &&
	       run_state_i64(a->ctx, "edit.round") == a->ctx->heal_round;
}

/* Heal rounds and resumed steps go on with the conversation; other prompts or tools begin one. */
static err_t open_conversation(struct agent *a)
{
	AUTO(buf_release) struct buf prefix = BUF(PREFIX_MAX * 2);
	ERR_TRY(agent_prefix(a, &a->llm, &prefix));
	int64_t conv = run_state_i64(a->ctx, "edit.conv");
	err_t e = conv ? conversation_load(a->ctx, &a->llm, (int)conv, &prefix, &a->conv)
		       : err_new(ERR_NOT_FOUND, "a new attempt");
	if (!e)
		a->cache = (struct cache_watch){.prompt = a->conv.last_prompt,
			.asked_ms = a->conv.last_ms,
			.told = (unsigned)run_state_i64(a->ctx, "edit.cache_told")};
	if (err_code(e) != ERR_NOT_FOUND)
		return e;
	if (conv) {
		ERR_TRY(conversation_load(a->ctx, &a->llm, (int)conv, NULL, &a->conv));
		return agent_switch(a, &(struct agent_switch){.reason = SWITCH_PROMPT});
	}
	ERR_TRY(conversation_begin(a->ctx, &a->llm, &prefix, &a->conv));
	FAULT_POINT("conversation.begun");
	return NULL;
}

void agent_note_said(struct agent *a, const struct conversation *conv, const char *model)
{
	json_t *edit = agent_notes(a);
	json_object_set_new(edit, "conv", json_integer(conv->conv));
	json_object_set_new(edit, "model", json_string(model));
	json_object_set_new(edit, "round", json_integer(a->ctx->heal_round));
	json_object_set_new(edit, "said", json_integer(conv->next_seq));
	json_object_set_new(edit, "start_tree", json_string(a->start_tree));
	json_object_set_new(edit, "from_tree", json_string(a->result->tree));
	json_object_set_new(edit, "ended", json_false());
}

void agent_begin_round(struct agent *a)
{
	a->watch = (struct watch){0};
	a->asked_to_verify = false;
	memcpy(a->verified_tree, a->start_tree, sizeof a->verified_tree);
}

/* The round's text, after results for calls that the last round left open. */
static err_t say_text(struct agent *a, const char *text)
{
	AUTO(llm_calls_release) struct llm_calls open = {0};
	AUTO(speech_release) struct speech speech = {0};
	ERR_TRY(conversation_open_calls(&a->llm, &a->conv, &open));
	for (size_t i = 0; i < open.count; i++)
		speech_add(&speech, open.items[i].id, AGENT_NOT_RUN, true);
	speech_add(&speech, NULL, text, false);
	agent_begin_round(a);
	agent_note_said(a, &a->conv, a->llm.profile.model);
	ERR_TRY(agent_say(a, &speech));
	FAULT_POINT("conversation.said");
	return NULL;
}

/* ---- going on after an interruption ---- */

/* What the model said last was stored, what came of it was not: its calls are answered as not run,
 * since the work tree was set back to before them. */
static err_t answer_again(struct agent *a)
{
	AUTO(speech_release) struct speech speech = {0};
	AUTO(llm_answer_release)
	struct llm_answer answer = {
		.message = BUF(0), .text = BUF(0), .stop = llm_stop_of(&a->llm, a->conv.last_stop)};
	if (agent_keeps(&answer))
		ERR_TRY(conversation_open_calls(&a->llm, &a->conv, &answer.calls));
	a->interrupted = true;
	ERR_TRY(agent_on_answer(a, &answer, &speech));
	a->interrupted = false;
	if (speech.count == 0)
		return NULL;
	ERR_TRY(agent_discipline(a, &speech));
	a->tree_changed = true; /* what it did is undone */
	return agent_say(a, &speech);
}

static char *noted(struct agent *a, const char *member)
{
	return xstrdup(json_string_value(json_object_get(agent_notes(a), member)));
}

/* The model ended the round, and that was stored: nothing is asked. */
static err_t go_on(struct agent *a)
{
	if (json_is_true(run_state_get(a->ctx, "edit.ended"))) {
		a->ended = true;
		a->result->summary = noted(a, "summary");
		a->result->question = noted(a, "question");
		return NULL;
	}
	if (agent_switch_waits(a) || !conversation_ends_with_answer(&a->conv))
		return NULL;
	return answer_again(a);
}

err_t agent_llm_open(const struct agent *a, const char *model, struct llm *ret_llm)
{
	ERR_TRY(llm_open(a->ctx->set, model, ret_llm));
	snprintf(ret_llm->cache_key, sizeof ret_llm->cache_key, "airunner-run-%lld",
		(long long)a->ctx->run.id);
	return NULL;
}

err_t agent_tell_cost_unknown(struct agent *a)
{
	const struct profile *p = &a->llm.profile;
	json_t *edit = agent_notes(a), *told = json_object_get(edit, "cost_unknown");
	if (json_object_get(told, p->model))
		return NULL;
	if (!told)
		json_object_set_new(edit, "cost_unknown", told = json_object());
	json_object_set_new(told, p->model, json_true());
	ERR_TRY(journal_event(a->ctx, EVENT_INFO, json_pack("{s:s}", "model", p->model),
		p->price_count
			? "The provider does not tell the tokens of %s: its calls are counted "
			  "as estimates, at the most they may cost"
			: "The price of %s is not known (models.json): its cost is not counted, "
			  "its tokens are (AIRUNNER_MAX_RUN_TOKENS)",
		p->model));
	return agent_store_notes(a);
}

/* The conversation's model, while the settings still know it; at first the one that edits. */
static const char *model_of(struct agent *a)
{
	const struct settings *set = a->ctx->set;
	const char *noted = run_state_str(a->ctx, "edit.model");
	if (noted && strcmp(noted, settings_str(set, S_OPENAI_MODEL)) == 0)
		return noted;
	return settings_str(set, S_ANTHROPIC_MODEL);
}

err_t agent_open(struct agent *a, const char *text)
{
	const struct settings *set = a->ctx->set;
	a->text = text;
	ERR_TRY(agent_llm_open(a, model_of(a), &a->llm));
	const char *effort = run_state_str(a->ctx, "edit.effort");
	if (effort) /* raised when the model did not get on */
		snprintf(a->llm.profile.effort, sizeof a->llm.profile.effort, "%s", effort);
	a->limits = limits_from(set);
	ERR_TRY(conversation_spent(a->ctx, &a->spent));
	const char *top = work_tree_path(a->ctx->tree);
	a->env.root_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->env.root_fd < 0)
		return err_errno("work tree %s", top);
	ERR_TRY(agent_snapshot(a));
	memcpy(a->start_tree, a->result->tree, sizeof a->start_tree);
	const char *start = is_said(a) ? run_state_str(a->ctx, "edit.start_tree") : NULL;
	if (start)
		snprintf(a->start_tree, sizeof a->start_tree, "%s", start);
	agent_read_watch(a);
	ERR_TRY(agent_open_outputs(a));
	bool switched = false;
	ERR_TRY(open_conversation(a));
	if (is_said(a))
		return go_on(a);
	ERR_TRY(agent_third_round(a, &switched));
	return switched ? NULL : say_text(a, text);
}
