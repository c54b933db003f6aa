/*
 * One call of the model: what must hold before it, the call, the stored answer with its cost.
 * Called by agent.c once a turn.
 */
#include "worker/agent/agent_private.h"

#include "worker/fault.h"

bool agent_keeps(const struct llm_answer *answer)
{
	return answer->stop != LLM_STOP_OUTPUT && answer->stop != LLM_STOP_CONTEXT;
}

err_t agent_ask(struct agent *a, struct llm_answer *answer)
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
	ERR_TRY(conversation_answer(a->ctx, &a->llm, &a->conv, answer, agent_keeps(answer)));
	a->result->turns++;
	return NULL;
}
