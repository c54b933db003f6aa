/*
 * What comes of an answer: its tools are run, or the model is told what was wrong with it, or the
 * work ends. Called by agent.c, and by opening.c for an answer whose consequences were not stored.
 */
#include "worker/agent/agent_private.h"

#define IN_A_ROW 3 /* pauses before the run ends */

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
	watch_silence(&a->watch);
	return speech_nudge(speech, a, json_pack("{s:b}", "no_call", true));
}

err_t agent_on_answer(struct agent *a, const struct llm_answer *answer, struct speech *speech)
{
	switch (answer->stop) {
	case LLM_STOP_REFUSAL:
		return agent_refused(a, answer->detail);
	case LLM_STOP_CONTEXT:
		return agent_context_full(a);
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
	for (size_t i = 0; a->interrupted && i < answer->calls.count; i++)
		speech_add(speech, answer->calls.items[i].id, AGENT_NOT_RUN, true);
	return a->interrupted ? NULL : agent_run_tools(a, &answer->calls, speech);
}
