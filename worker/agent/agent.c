/*
 * The agent loop: ask, store the answer, act on it, store the results, ask again, until the model
 * calls finish or ask_human or a limit is reached. Called by worker/steps/edit.c.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/agent/agent_private.h"
#include "worker/agent/path.h"
#include "worker/fault.h"

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
	path_close(&a->env.output_fd);
}

static void note_end(struct agent *a)
{
	const struct agent_result *r = a->result;
	json_t *edit = agent_notes(a);
	json_object_set_new(edit, "ended", json_true());
	json_object_set_new(edit, "summary", text_json(r->summary ? r->summary : ""));
	json_object_set_new(edit, "question", r->question ? text_json(r->question) : json_null());
}

void agent_count(struct agent *a, const struct llm_answer *answer)
{
	a->spent.turns++;
	a->spent.usd_micro += answer->cost_known ? answer->cost_usd_micro : 0;
}

/* What the model is told beside its results: limits that come near, trouble, the end of its
 * context. */
static err_t add_notices(struct agent *a, const struct spent *before,
	const struct llm_answer *answer, struct speech *speech)
{
	json_auto_t *notice = json_object();
	a->spent.ms = monotonic_ms() - a->ctx->started_ms;
	if (limits_notice(&a->limits, before, &a->spent, notice))
		ERR_TRY(speech_nudge(speech, a, json_incref(notice)));
	ERR_TRY(agent_discipline(a, speech));
	return agent_compact(a, &answer->usage, speech);
}

static err_t turn(struct agent *a)
{
	AUTO(llm_answer_release)
	struct llm_answer answer = {.message = BUF(0), .text = BUF(0)};
	AUTO(speech_release) struct speech speech = {0};
	struct spent before = a->spent;
	if (!a->llm.profile.price_count)
		ERR_TRY(agent_tell_cost_unknown(a));
	err_t e = agent_ask(a, &answer);
	if (e)
		return agent_away(a, e);
	if (!answer.cost_known)
		ERR_TRY(agent_tell_cost_unknown(a));
	agent_count(a, &answer);
	a->outputs = 0;
	ERR_TRY(agent_on_answer(a, &answer, &speech));
	if (a->ended)
		note_end(a);
	else if (speech.count > 0)
		ERR_TRY(add_notices(a, &before, &answer, &speech));
	if (speech.count > 0)
		ERR_TRY(agent_say(a, &speech));
	FAULT_POINT("tools.stored");
	return NULL;
}

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
		ERR_TRY(agent_switch_waits(a) ? agent_switch_now(a) : turn(a));
	a->result->end = how_it_ended(a);
	return NULL;
}

err_t agent_work(struct run_ctx *ctx, const char *text, struct agent_result *ret_result)
{
	*ret_result = (struct agent_result){0};
	AUTO(agent_release)
	struct agent a = {.ctx = ctx,
		.result = ret_result,
		.env = {.ctx = ctx, .root_fd = -1, .output_fd = -1},
		.max_output = LLM_MAX_OUTPUT};
	return work(&a, text);
}
