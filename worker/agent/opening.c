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

static err_t store_notes(struct agent *a)
{
	struct run_ctx *ctx = a->ctx;
	autofree char *text = json_dumps(agent_notes(a), JSON_COMPACT);
	return db_exec(ctx->db, Q_STEP_NOTE,
		DB_ARGS(db_str(text), db_i64(ctx->step_id), db_i64(ctx->run.id),
			db_i64(ctx->run.fence)),
		NULL);
}

err_t agent_say(struct agent *a, const struct speech *speech)
{
	ERR_TRY(db_begin(a->ctx->db));
	err_t e = conversation_say(a->ctx, &a->llm, &a->conv, speech->parts, speech->count);
	if (!e)
		e = store_notes(a);
	if (!e)
		return db_commit(a->ctx->db);
	db_rollback(a->ctx->db);
	return e;
}

/* ---- the beginning ---- */

static err_t make_prefix(struct agent *a, struct buf *out)
{
	AUTO(buf_release) struct buf system = BUF(PREFIX_MAX);
	json_auto_t *nothing = json_object();
	ERR_TRY(template_render(a->ctx->set, "prompts/system.md", nothing, &system));
	size_t count;
	autofree struct llm_tool *tools = tools_definitions(&count);
	return llm_prefix(&a->llm, system.data, tools, count, out);
}

/* Was this round's text said already, before the worker was interrupted? */
static bool is_said(const struct agent *a)
{
	return run_state_get(a->ctx, "edit.said") &&
	       run_state_i64(a->ctx, "edit.round") == a->ctx->heal_round;
}

/* Heal rounds and resumed steps go on with the conversation; another model or prompt begins one. */
static err_t open_conversation(struct agent *a)
{
	AUTO(buf_release) struct buf prefix = BUF(PREFIX_MAX * 2);
	ERR_TRY(make_prefix(a, &prefix));
	int64_t conv = run_state_i64(a->ctx, "edit.conv");
	err_t e = conv ? conversation_load(a->ctx, &a->llm, (int)conv, &prefix, &a->conv)
		       : err_new(ERR_NOT_FOUND, "a new attempt");
	if (err_code(e) != ERR_NOT_FOUND)
		return e;
	json_object_del(agent_notes(a), "said");
	if (conv && a->ctx->heal_round == 0) /* with its words the new one's work begins anew too */
		ERR_TRY(work_tree_restore(
			a->ctx->tree, run_state_str(a->ctx, "checkout.base_tree")));
	ERR_TRY(conversation_begin(a->ctx, &a->llm, &prefix, &a->conv));
	FAULT_POINT("conversation.begun");
	return NULL;
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
	json_t *edit = agent_notes(a);
	json_object_set_new(edit, "conv", json_integer(a->conv.conv));
	json_object_set_new(edit, "round", json_integer(a->ctx->heal_round));
	json_object_set_new(edit, "said", json_integer(a->conv.next_seq));
	json_object_set_new(edit, "start_tree", json_string(a->start_tree));
	json_object_set_new(edit, "ended", json_false());
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
	return speech.count == 0
		       ? NULL
		       : conversation_say(a->ctx, &a->llm, &a->conv, speech.parts, speech.count);
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
	return conversation_ends_with_answer(&a->conv) ? answer_again(a) : NULL;
}

err_t agent_open(struct agent *a, const char *text)
{
	const struct settings *set = a->ctx->set;
	ERR_TRY(llm_open(set, settings_str(set, S_ANTHROPIC_MODEL), &a->llm));
	if (!a->llm.profile.price_count && a->ctx->heal_round == 0)
		ERR_TRY(journal_event(a->ctx, EVENT_INFO, NULL,
			"The price of %s is not known (models.json): its tokens are counted "
			"instead of its cost, up to AIRUNNER_MAX_RUN_TOKENS (%lld).",
			a->llm.profile.model,
			(long long)settings_int(set, S_AIRUNNER_MAX_RUN_TOKENS)));
	a->limits = limits_from(set);
	ERR_TRY(conversation_spent(a->ctx, &a->spent));
	const char *top = work_tree_path(a->ctx->tree);
	a->env.root_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (a->env.root_fd < 0)
		return err_errno("work tree %s", top);
	ERR_TRY(open_conversation(a));
	ERR_TRY(agent_snapshot(a));
	memcpy(a->start_tree, a->result->tree, sizeof a->start_tree);
	if (!is_said(a))
		return say_text(a, text);
	const char *start = run_state_str(a->ctx, "edit.start_tree");
	snprintf(a->start_tree, sizeof a->start_tree, "%s", start ? start : "");
	return go_on(a);
}
