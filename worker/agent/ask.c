/*
 * One call of the model: what must hold before it, the call, the stored answer with its cost.
 * Called by agent.c once a turn.
 */
#include "worker/agent/agent_private.h"

#include <time.h>

#include "worker/fault.h"
#include "worker/journal.h"

bool agent_keeps(const struct llm_answer *answer)
{
	return answer->stop != LLM_STOP_OUTPUT && answer->stop != LLM_STOP_CONTEXT;
}

static int64_t unix_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* An event when the share of cache reads falls, once for each cause in a conversation. */
static err_t watch_cache(struct agent *a, const struct llm_usage *usage, int64_t asked_ms, int blocks)
{
	int percent;
	int64_t before = a->cache.prompt;
	enum cache_cause cause = cache_watch_note(
		&a->cache, &a->llm.profile, usage, asked_ms, blocks, &percent);
	if (cause == CACHE_FINE || a->cache.told & 1u << cause)
		return NULL;
	a->cache.told |= 1u << cause;
	return journal_event(a->ctx, EVENT_INFO,
		json_pack("{s:s, s:I, s:I, s:i}", "cache", cache_cause_name(cause), "read",
			(json_int_t)usage->read, "expected", (json_int_t)before, "turn",
			(int)a->spent.turns + 1),
		"Only %d %% of the conversation so far came from the model's cache (%lld of %lld "
		"tokens): %s",
		percent, (long long)usage->read, (long long)before, cache_cause_words(cause));
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
	int64_t asked_ms = unix_ms();
	int blocks = conversation_added(&a->conv);
	FAULT_POINT("llm.asking");
	ERR_TRY(llm_ask(&a->llm, &request, answer));
	ERR_TRY(conversation_answer(a->ctx, &a->llm, &a->conv, answer, agent_keeps(answer)));
	a->result->turns++;
	return watch_cache(a, &answer->usage, asked_ms, blocks);
}
