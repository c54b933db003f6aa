/*
 * Asks a model and collects its answer; retries, cost and trace are here, the wire format is a
 * provider's. Called by the agent loop.
 */
#include "worker/llm/llm.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "worker/llm/anthropic.h"
#include "worker/llm/openai.h"
#include "worker/llm/raw.h"
#include "worker/rate.h"

#define MAX_MESSAGE (8u << 20)
#define MAX_TEXT (256u << 10)
#define CONTEXT_FULL "context_exceeded" /* our own stop_name, for any provider */

static const struct llm_provider *const providers[] = {
	&anthropic_provider, &openai_responses_provider, &openai_chat_provider};

err_t llm_open(const struct settings *set, const char *model, struct llm *ret_llm)
{
	struct llm llm = {.set = set};
	ERR_TRY(profile_load(set, model, &llm.profile));
	err_t e = endpoint_of(set, &llm.profile, &llm.at);
	if (e) {
		llm_release(&llm);
		return err_in(e, "model %s", model);
	}
	for (size_t i = 0; i < ARRAY_LEN(providers); i++)
		if (strcmp(providers[i]->api, llm.at.api) == 0)
			llm.provider = providers[i];
	if (!llm.provider)
		abort(); /* endpoint_of() lets only these through */
	*ret_llm = llm;
	return NULL;
}

void llm_release(struct llm *llm)
{
	profile_release(&llm->profile);
	endpoint_release(&llm->at);
}

bool llm_is_usable(const struct llm *llm)
{
	return endpoint_is_usable(&llm->at);
}

bool llm_forces_call(const struct llm *llm, const struct llm_request *request)
{
	return request->must_call && llm->profile.forced_tool_choice;
}

void llm_calls_add(struct llm_calls *calls, const char *id, const char *name, const char *raw)
{
	calls->items = xrealloc(calls->items, (calls->count + 1) * sizeof *calls->items);
	struct llm_call *call = &calls->items[calls->count++];
	*call = (struct llm_call){.id = xstrdup(id), .name = xstrdup(name), .raw = xstrdup(raw)};
	json_error_t error;
	json_t *input = raw_parse((struct raw){raw, strlen(raw)}, &error);
	if (json_is_object(input))
		call->input = input;
	else
		json_decref(input);
}

void llm_calls_release(struct llm_calls *calls)
{
	for (size_t i = 0; i < calls->count; i++) {
		free(calls->items[i].id);
		free(calls->items[i].name);
		free(calls->items[i].raw);
		json_decref(calls->items[i].input);
	}
	free(calls->items);
	*calls = (struct llm_calls){0};
}

void llm_answer_release(struct llm_answer *answer)
{
	buf_release(&answer->message);
	buf_release(&answer->text);
	llm_calls_release(&answer->calls);
}

err_t llm_prefix(const struct llm *llm, const char *system, const struct llm_tool *tools,
	size_t count, struct buf *out)
{
	return llm->provider->prefix(llm, system, tools, count, out);
}

void llm_user_message(const struct llm *llm, const struct llm_part *parts, size_t count,
	bool is_first, struct buf *out)
{
	llm->provider->user_message(parts, count, is_first, out);
}

enum llm_stop llm_stop_of(const struct llm *llm, const char *stop_name)
{
	return strcmp(stop_name, CONTEXT_FULL) == 0 ? LLM_STOP_CONTEXT
						    : llm->provider->stop_of(stop_name);
}

err_t llm_read_message(const struct llm *llm, const char *data, size_t len,
	struct llm_calls *ret_calls, int *ret_blocks)
{
	return llm->provider->read_message(data, len, ret_calls, ret_blocks);
}

/* ---- collecting an answer ---- */

struct collector {
	const struct llm *llm;
	struct llm_answer *answer;
};

static void answer_begin(struct llm_answer *answer)
{
	llm_answer_release(answer);
	*answer = (struct llm_answer){.message = BUF(MAX_MESSAGE), .text = BUF(MAX_TEXT)};
}

static void add_block(struct collector *c, const struct llm_event *event)
{
	struct llm_answer *a = c->answer;
	if (*event->json) {
		buf_adds(&a->message, a->blocks ? "," : c->llm->provider->answer_open);
		buf_adds(&a->message, event->json);
		a->blocks++;
	}
	if (event->text && *event->text) {
		if (a->text.len)
			buf_addc(&a->text, '\n');
		buf_adds(&a->text, event->text);
	}
	if (event->tool_id)
		llm_calls_add(&a->calls, event->tool_id, event->tool_name, event->tool_input);
}

static err_t on_event(void *arg, const struct llm_event *event)
{
	struct collector *c = arg;
	struct llm_answer *a = c->answer;
	switch (event->type) {
	case LLM_EVENT_BEGIN:
		answer_begin(a);
		a->begun = true;
		a->usage = event->usage;
		break;
	case LLM_EVENT_BLOCK:
		add_block(c, event);
		break;
	case LLM_EVENT_END:
		if (a->blocks)
			buf_adds(&a->message, c->llm->provider->answer_close);
		a->stop = event->stop;
		a->usage = event->usage;
		snprintf(a->stop_name, sizeof a->stop_name, "%s", event->stop_name);
		snprintf(a->detail, sizeof a->detail, "%s", event->detail ? event->detail : "");
		break;
	}
	return buf_cut(&a->message)
		       ? err_new(ERR_TOO_LARGE, "the answer is larger than %u bytes", MAX_MESSAGE)
		       : NULL;
}

/* ---- asking ---- */

#define BODY_EXTRA 256 /* marks and what follows the messages */

void llm_request_bytes(const struct llm_request *request, int64_t *ret_kept, int64_t *ret_rest)
{
	size_t kept = request->prefix_len, rest = BODY_EXTRA;
	for (size_t i = 0; i < request->count; i++)
		*(i ? &rest : &kept) += request->messages[i].len + 1;
	*ret_kept = (int64_t)kept;
	*ret_rest = (int64_t)rest;
}

/* Not billed: what never left, and what the service itself refused. Behind a gateway's 502 or 504
 * the model may have answered. */
static bool may_be_billed(const struct http_response *res)
{
	return res->status == 0 ? res->sent
				: res->status == 200 || res->status == 502 || res->status == 504;
}

static err_t tell_failure(const struct llm_request *request, const struct http_response *res,
	const struct llm_answer *answer, bool again)
{
	if (!request->failed)
		return NULL;
	const struct llm_failure failure = {.is_billed = may_be_billed(res),
		.usage = answer->begun ? &answer->usage : NULL,
		.again = again};
	return request->failed(request->failed_arg, &failure);
}

/* One line a call with AIRUNNER_TRACE=llm. */
static void trace_answer(const struct llm *llm, const struct llm_answer *a, int64_t waited_ms)
{
	const struct llm_usage *u = &a->usage;
	char cost[40] = "cost unknown";
	if (a->cost_known)
		snprintf(cost, sizeof cost, "%.6f USD", (double)a->cost_usd_micro / 1e6);
	log_trace("llm",
		"%s: %lld fresh, %lld written (5m), %lld written (1h), %lld read, %lld output "
		"(%lld thinking) tokens, %s, %s, %lld ms, waited %lld ms, %d tries, %s",
		llm->profile.model, (long long)u->fresh, (long long)u->written_5m,
		(long long)u->written_1h, (long long)u->read, (long long)u->output,
		(long long)u->thinking, cost, a->stop_name, (long long)a->latency_ms,
		(long long)waited_ms, a->tries, *a->request_id ? a->request_id : "no request id");
}

static void finish_answer(
	const struct llm *llm, const struct http_response *res, int tries, struct llm_answer *a)
{
	const char *id = http_response_header(res, "request-id");
	if (!id)
		id = http_response_header(res, "x-request-id");
	snprintf(a->request_id, sizeof a->request_id, "%s", id ? id : "");
	a->latency_ms = res->ms;
	a->tries = tries;
	char day[11];
	profile_today(day);
	a->cost_known = a->usage.is_known &&
			profile_cost(&llm->profile, &a->usage, day, &a->cost_usd_micro);
}

static err_t one_try(const struct llm *llm, const struct llm_request *request,
	struct http_response *res, struct llm_answer *answer, bool *ret_can_retry)
{
	struct collector c = {llm, answer};
	answer_begin(answer);
	err_t e = llm->provider->stream(llm, request, on_event, &c, res, ret_can_retry);
	if (err_code(e) != ERR_CONTEXT)
		return e;
	answer_begin(answer);
	answer->stop = LLM_STOP_CONTEXT;
	answer->usage.is_known = true; /* what was not begun costs nothing */
	snprintf(answer->stop_name, sizeof answer->stop_name, "%s", CONTEXT_FULL);
	snprintf(answer->detail, sizeof answer->detail, "%s", err_text(e));
	return NULL;
}

err_t llm_ask(
	const struct llm *llm, const struct llm_request *request, struct llm_answer *ret_answer)
{
	*ret_answer = (struct llm_answer){.message = BUF(MAX_MESSAGE), .text = BUF(MAX_TEXT)};
	int64_t waited_ms = 0;
	for (int n = 0;; n++) {
		AUTO(http_response_release) struct http_response res = {.body = BUF(0)};
		res.headers = BUF(0);
		bool can_retry = false;
		err_t e = one_try(llm, request, &res, ret_answer, &can_retry);
		if (!e) {
			finish_answer(llm, &res, n + 1, ret_answer);
			trace_answer(llm, ret_answer, waited_ms);
			return NULL;
		}
		int64_t wait_ms = http_retry_wait_ms(llm->set, res.status ? &res : NULL, n);
		bool again = can_retry && n < HTTP_RETRIES && wait_ms >= 0;
		struct err cause = *e; /* what is told to others makes errors of its own */
		if (cause.code == ERR_SPENT)
			rate_note_spent(llm->set, llm->at.service, cause.text);
		err_t told = tell_failure(request, &res, ret_answer, again);
		answer_begin(ret_answer); /* nothing of a failed call is used */
		e = told ? told : err_new(cause.code, "%s", cause.text);
		if (told || !again)
			return e;
		log_warning("%s; asked again in %lld ms", err_text(e), (long long)wait_ms);
		ERR_TRY(http_wait(wait_ms, request->alive, request->alive_arg));
		waited_ms += wait_ms;
	}
}
