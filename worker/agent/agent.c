/*
 * The agent loop: ask, store the answer, act on it, store the results, ask again, until the model
 * calls finish or ask_human or a limit is reached. Called by worker/steps/edit.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/agent/agent_private.h"
#include "worker/agent/path.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"

#define PREFIX_MAX (64u << 10)
#define NOT_RUN "Not run: the worker was interrupted."
#define IN_A_ROW 3 /* answers without a tool call, or pauses, before the run ends */

void agent_result_release(struct agent_result *result)
{
	free(result->summary);
	free(result->question);
	*result = (struct agent_result){0};
}

static void agent_release(struct agent *a)
{
	conversation_release(&a->conv);
	llm_release(&a->llm);
	path_close(&a->env.root_fd);
}

static err_t make_prefix(struct agent *a, struct buf *out)
{
	AUTO(buf_release) struct buf system = BUF(PREFIX_MAX);
	json_auto_t *nothing = json_object();
	ERR_TRY(template_render(a->ctx->set, "prompts/system.md", nothing, &system));
	size_t count;
	autofree struct llm_tool *tools = tools_definitions(&count);
	return llm_prefix(&a->llm, system.data, tools, count, out);
}

/* ---- what the step's journal row knows while it works: see edit in worker/run.h ---- */

static json_t *notes(struct agent *a)
{
	if (!run_state_get(a->ctx, "edit"))
		run_state_set(a->ctx, "edit", json_object());
	return run_state_get(a->ctx, "edit");
}

static err_t store_notes(struct agent *a)
{
	struct run_ctx *ctx = a->ctx;
	autofree char *text = json_dumps(notes(a), JSON_COMPACT);
	return db_exec(ctx->db, Q_STEP_NOTE,
		DB_ARGS(db_str(text), db_i64(ctx->step_id), db_i64(ctx->run.id),
			db_i64(ctx->run.fence)),
		NULL);
}

/* A user message and the notes that go with it, or neither. */
static err_t say_noted(struct agent *a, const struct speech *speech)
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
	json_object_del(notes(a), "said");
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
		speech_add(&speech, open.items[i].id, NOT_RUN, true);
	speech_add(&speech, NULL, text, false);
	json_t *edit = notes(a);
	json_object_set_new(edit, "conv", json_integer(a->conv.conv));
	json_object_set_new(edit, "round", json_integer(a->ctx->heal_round));
	json_object_set_new(edit, "said", json_integer(a->conv.next_seq));
	json_object_set_new(edit, "start_tree", json_string(a->start_tree));
	json_object_set_new(edit, "ended", json_false());
	ERR_TRY(say_noted(a, &speech));
	FAULT_POINT("conversation.said");
	return NULL;
}

/* ---- one turn ---- */

/* A cut or refused answer is counted but not sent back: its tool calls may be incomplete. */
static bool is_kept(const struct llm_answer *answer)
{
	return answer->stop != LLM_STOP_OUTPUT && answer->stop != LLM_STOP_CONTEXT;
}

static err_t ask(struct agent *a, struct llm_answer *answer)
{
	ERR_TRY(limits_check(&a->limits, &a->spent, monotonic_ms() - a->ctx->started_ms));
	ERR_TRY(run_check_alive(a->ctx));
	const struct llm_request request = {.prefix = a->conv.prefix,
		.prefix_len = a->conv.prefix_len,
		.messages = a->conv.messages,
		.count = a->conv.count,
		.max_output = a->max_output,
		.alive = run_alive_callback,
		.alive_arg = a->ctx};
	FAULT_POINT("llm.asking");
	ERR_TRY(llm_ask(&a->llm, &request, answer));
	ERR_TRY(conversation_answer(a->ctx, &a->llm, &a->conv, answer, is_kept(answer)));
	a->result->turns++;
	return NULL;
}

static err_t on_cut(struct agent *a, struct speech *speech)
{
	if (++a->cut > 1)
		return err_new(ERR_LLM_ANSWER,
			"the model's answer was cut at its output limit (%lld tokens) twice in a "
			"row",
			(long long)a->max_output);
	a->max_output = 2 * LLM_MAX_OUTPUT < a->llm.profile.max_output ? 2 * LLM_MAX_OUTPUT
								       : a->llm.profile.max_output;
	return speech_nudge(speech, a, json_pack("{s:b}", "cut", true));
}

static err_t on_silence(struct agent *a, struct speech *speech)
{
	if (++a->silent >= IN_A_ROW)
		return err_new(ERR_LLM_ANSWER,
			"the model answered %d times in a row without calling a tool", a->silent);
	return speech_nudge(speech, a, json_pack("{s:b}", "no_call", true));
}

static err_t on_answer(struct agent *a, const struct llm_answer *answer, struct speech *speech)
{
	switch (answer->stop) {
	case LLM_STOP_REFUSAL:
		return err_new(ERR_LLM_ANSWER, "the model refuses this task%s%s",
			*answer->detail ? ": " : "", answer->detail);
	case LLM_STOP_CONTEXT:
		return err_new(ERR_LIMIT,
			"the conversation no longer fits the model's context of %lld tokens",
			(long long)a->llm.profile.context);
	case LLM_STOP_OUTPUT:
		return on_cut(a, speech);
	case LLM_STOP_PAUSE: /* to be sent back as it is */
		return ++a->paused > IN_A_ROW
			       ? err_new(ERR_LLM_ANSWER, "the model paused %d times in a row",
					 a->paused)
			       : NULL;
	default:
		break;
	}
	a->cut = a->paused = 0;
	if (answer->calls.count == 0)
		return on_silence(a, speech);
	a->silent = 0;
	for (size_t i = 0; a->interrupted && i < answer->calls.count; i++)
		speech_add(speech, answer->calls.items[i].id, NOT_RUN, true);
	return a->interrupted ? NULL : agent_run_tools(a, &answer->calls, speech);
}

static void note_end(struct agent *a)
{
	const struct agent_result *r = a->result;
	json_t *edit = notes(a);
	json_object_set_new(edit, "ended", json_true());
	json_object_set_new(edit, "summary", text_json(r->summary ? r->summary : ""));
	json_object_set_new(edit, "question", r->question ? text_json(r->question) : json_null());
}

static err_t turn(struct agent *a)
{
	AUTO(llm_answer_release)
	struct llm_answer answer = {.message = BUF(0), .text = BUF(0)};
	AUTO(speech_release) struct speech speech = {0};
	struct spent before = a->spent;
	ERR_TRY(ask(a, &answer));
	a->spent.turns++;
	a->spent.usd_micro += answer.cost_known ? answer.cost_usd_micro : 0;
	ERR_TRY(on_answer(a, &answer, &speech));
	json_auto_t *notice = json_object();
	if (limits_notice(&a->limits, &before, &a->spent, notice) && !a->ended)
		ERR_TRY(speech_nudge(&speech, a, json_incref(notice)));
	if (a->ended)
		note_end(a);
	if (speech.count > 0)
		ERR_TRY(say_noted(a, &speech));
	FAULT_POINT("tools.stored");
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
	if (is_kept(&answer))
		ERR_TRY(conversation_open_calls(&a->llm, &a->conv, &answer.calls));
	a->interrupted = true;
	ERR_TRY(on_answer(a, &answer, &speech));
	a->interrupted = false;
	return speech.count == 0
		       ? NULL
		       : conversation_say(a->ctx, &a->llm, &a->conv, speech.parts, speech.count);
}

static char *noted(struct agent *a, const char *member)
{
	return xstrdup(json_string_value(json_object_get(notes(a), member)));
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

static err_t agent_open(struct agent *a, const char *text)
{
	const struct settings *set = a->ctx->set;
	ERR_TRY(llm_open(set, settings_str(set, S_ANTHROPIC_MODEL), &a->llm));
	if (!a->llm.profile.price_count && a->ctx->heal_round == 0)
		ERR_TRY(journal_event(a->ctx, EVENT_INFO, NULL,
			"The price of %s is not known (models.json): its cost is not counted, and "
			"the limit in dollars does not hold.",
			a->llm.profile.model));
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

/* ---- */

static enum agent_end how_it_ended(const struct agent *a)
{
	if (a->result->question)
		return AGENT_QUESTION;
	const char *base = run_state_str(a->ctx, "checkout.base_tree");
	bool is_base = base && strcmp(base, a->result->tree) == 0;
	bool is_start = a->ctx->heal_round == 0 && strcmp(a->start_tree, a->result->tree) == 0;
	return is_base || is_start ? AGENT_UNCHANGED : AGENT_FINISHED;
}

static err_t work(struct agent *a, const char *text)
{
	ERR_TRY(agent_open(a, text));
	while (!a->ended)
		ERR_TRY(turn(a));
	a->result->end = how_it_ended(a);
	return NULL;
}

err_t agent_work(struct run_ctx *ctx, const char *text, struct agent_result *ret_result)
{
	*ret_result = (struct agent_result){0};
	AUTO(agent_release)
	struct agent a = {.ctx = ctx,
		.result = ret_result,
		.env = {.ctx = ctx, .root_fd = -1},
		.max_output = LLM_MAX_OUTPUT};
	return work(&a, text);
}
