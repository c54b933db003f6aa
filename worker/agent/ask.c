/*
 * One call of the model: what must hold before it, the most it may cost reserved, the call, the
 * stored answer with its cost. Called by agent.c once a turn. Each try that may have been billed
 * and brought no answer is charged as an estimate, and its repeat reserves anew.
 */
#include "worker/agent/agent_private.h"

#include <time.h>

#include "lib/log.h"
#include "worker/budget.h"
#include "worker/fault.h"
#include "worker/journal.h"

#define LEFT_OPEN "A call of the model's was left open by a process that ended"
#define SILENT_MANY 2 /* answers in a row without a call; the next one is made to have one */

/* A call with its reservation. */
struct asking {
	struct agent *a;
	struct llm_request request;
	int64_t wanted; /* tokens for the answer */
	struct budget_call call;
};

bool agent_keeps(const struct llm_answer *answer)
{
	return answer->stop != LLM_STOP_OUTPUT && answer->stop != LLM_STOP_CONTEXT;
}

/* ---- reserving ---- */

int64_t agent_wanted_output(const struct agent *a)
{
	int64_t most = a->llm.profile.max_output;
	int64_t wanted = a->max_output ? a->max_output : LLM_MAX_OUTPUT;
	return wanted < most ? wanted : most;
}

static err_t charge(struct agent *a, int64_t usd_micro, const char *why)
{
	a->spent.usd_micro += usd_micro;
	if (usd_micro == 0)
		return NULL;
	return journal_event(a->ctx, EVENT_INFO,
		json_pack("{s:I,s:b}", "cost_usd_micro", (json_int_t)usd_micro, "estimated", true),
		"%s: it is counted as an estimate, at most %.6f USD", why, (double)usd_micro / 1e6);
}

static err_t reserve(struct asking *s)
{
	struct agent *a = s->a;
	ERR_TRY(budget_reserve(a->ctx, &a->llm, a->conv.conv, &s->request, s->wanted, &s->call));
	s->request.max_output = s->call.max_tokens;
	return charge(a, s->call.lost, LEFT_OPEN);
}

/* A try without an answer: what it may have cost is charged; another one needs room of its own. */
static err_t on_failure(void *arg, const struct llm_failure *failure)
{
	struct asking *s = arg;
	int64_t usd_micro = 0;
	if (!failure->is_billed)
		return failure->again ? NULL : budget_release(s->a->ctx, &s->call);
	ERR_TRY(budget_estimate(s->a->ctx, &s->a->llm, &s->call, failure->usage, &usd_micro));
	if (!failure->again) {
		s->a->spent.usd_micro += usd_micro;
		log_warning("the call's answer is lost: counted as an estimate, at most %.6f USD",
			(double)usd_micro / 1e6);
		return NULL;
	}
	ERR_TRY(charge(s->a, usd_micro, "A call's answer was cut or lost"));
	return reserve(s);
}

/* ---- after the answer ---- */

static err_t note_money(struct agent *a, int64_t cost)
{
	int64_t before = a->spent.usd_micro, after = before + cost;
	if (!limits_money_notice(&a->limits, before, after))
		return NULL;
	int64_t cap = budget_caps(a->ctx->set, a->ctx->repo).run;
	return journal_event(a->ctx, EVENT_PROGRESS,
		json_pack("{s:I,s:I,s:I}", "spent_usd_micro", (json_int_t)after, "notice_usd_micro",
			(json_int_t)a->limits.notice_usd_micro, "cap_usd_micro", (json_int_t)cap),
		"The run has spent %.6f USD, more than its notice of %.2f USD; its limit is %.2f "
		"USD",
		(double)after / 1e6, (double)a->limits.notice_usd_micro / 1e6, (double)cap / 1e6);
}

/* An answer that was cut because the caps left no more room will be cut again. */
static err_t check_room(const struct asking *s, const struct llm_answer *answer)
{
	if (answer->stop != LLM_STOP_OUTPUT || s->request.max_output >= s->wanted)
		return NULL;
	return err_new(ERR_LIMIT,
		"the answer was cut at %lld tokens, which is all that the limits of money leave: "
		"%.6f USD are spent by this run",
		(long long)s->request.max_output,
		(double)(s->a->spent.usd_micro + answer->cost_usd_micro) / 1e6);
}

static int64_t unix_ms(void)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	return (int64_t)now.tv_sec * 1000 + now.tv_nsec / 1000000;
}

/* An event when the share of cache reads falls, once for each cause in a conversation. */
static err_t watch_cache(
	struct agent *a, const struct llm_usage *usage, int64_t asked_ms, int blocks)
{
	int percent;
	int64_t before = a->cache.prompt;
	enum cache_cause cause =
		cache_watch_note(&a->cache, &a->llm.profile, usage, asked_ms, blocks, &percent);
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

/* By a provider that did not say what it counted: the whole reservation was charged. */
static err_t note_cost(struct asking *s, const struct llm_answer *answer)
{
	if (answer->cost_known)
		return note_money(s->a, answer->cost_usd_micro);
	return s->call.by_price ? charge(s->a, s->call.reserved, "An answer came without its usage")
				: NULL;
}

static err_t ask(struct asking *s, struct llm_answer *answer)
{
	struct agent *a = s->a;
	int64_t asked_ms = unix_ms();
	int blocks = conversation_added(&a->conv);
	ERR_TRY(llm_ask(&a->llm, &s->request, answer));
	ERR_TRY(conversation_answer(
		a->ctx, &a->llm, &a->conv, answer, agent_keeps(answer), s->call.id));
	a->result->turns++;
	if (s->call.by_price && answer->cost_known && answer->cost_usd_micro > s->call.reserved)
		log_warning("the call cost %.6f USD, more than the %.6f USD that its request and "
			    "max_tokens allow: see the prices in models.json",
			(double)answer->cost_usd_micro / 1e6, (double)s->call.reserved / 1e6);
	ERR_TRY(note_cost(s, answer));
	ERR_TRY(check_room(s, answer));
	return watch_cache(a, &answer->usage, asked_ms, blocks);
}

struct llm_request agent_request(struct agent *a)
{
	return (struct llm_request){.prefix = a->conv.prefix,
		.prefix_len = a->conv.prefix_len,
		.messages = a->conv.messages,
		.count = a->conv.count,
		.must_call = a->watch.silent >= SILENT_MANY,
		.alive = run_alive_callback,
		.alive_arg = a->ctx};
}

/* The reservation that the last turn made, or a new one. */
static err_t take_reservation(struct asking *s)
{
	struct agent *a = s->a;
	s->call = a->call;
	a->call = (struct budget_call){0};
	if (s->call.id && s->call.conv != a->conv.conv) /* a new conversation was begun */
		ERR_TRY(budget_release(a->ctx, &s->call));
	if (!s->call.id)
		return reserve(s);
	s->request.max_output = s->call.max_tokens;
	return charge(a, s->call.lost, LEFT_OPEN);
}

err_t agent_ask(struct agent *a, struct llm_answer *answer)
{
	struct asking s = {.a = a, .wanted = agent_wanted_output(a), .request = agent_request(a)};
	s.request.failed = on_failure;
	s.request.failed_arg = &s;
	err_t e = limits_check(&a->limits, &a->spent, monotonic_ms() - a->ctx->started_ms);
	if (!e)
		e = run_check_recent(a->ctx); /* the reservation's own fence is the last word */
	if (e && a->call.id) {
		struct err cause = *e;
		(void)budget_release(a->ctx, &a->call); /* else settled when the run ends */
		return err_new(cause.code, "%s", cause.text);
	}
	ERR_TRY(e);
	ERR_TRY(take_reservation(&s));
	FAULT_POINT("llm.asking");
	return ask(&s, answer);
}
