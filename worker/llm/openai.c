/*
 * What OpenAI's two interfaces share: texts, pieces of a body, usage, and what errors mean. Errors
 * are told apart by their code; compatible servers often send words only. Called by
 * openai_responses.c and openai_chat.c with their streams.
 */
#define _GNU_SOURCE
#include "worker/llm/openai.h"

#include <string.h>
#include <strings.h>

#include "lib/mem.h"
#include "lib/text.h"

#define MAX_TOKENS 1000000000 /* of one call: beyond it a figure is nonsense */

void openai_add_text(struct buf *out, const char *text)
{
	json_auto_t *value = text_json(text);
	autofree char *s = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	buf_adds(out, s);
}

void openai_add_output(struct buf *out, const struct llm_part *part)
{
	autofree char *marked = part->is_error ? xasprintf("Error: %s", part->text) : NULL;
	openai_add_text(out, marked ? marked : part->text);
}

const char *openai_str(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

int64_t openai_max_output(const struct llm *llm, const struct llm_request *request)
{
	int64_t max = request->max_output ? request->max_output : LLM_MAX_OUTPUT;
	return max < llm->profile.max_output ? max : llm->profile.max_output;
}

size_t openai_pieces(const struct llm_request *request, const char *tail, size_t tail_len,
	struct http_piece **ret_pieces)
{
	struct http_piece *pieces = xcalloc(request->count * 2 + 2, sizeof *pieces);
	size_t n = 0;
	pieces[n++] = (struct http_piece){request->prefix, request->prefix_len};
	for (size_t i = 0; i < request->count; i++) {
		const struct llm_message *m = &request->messages[i];
		if (i)
			pieces[n++] = (struct http_piece){",", 1};
		pieces[n++] = (struct http_piece){m->data + 1, m->len > 2 ? m->len - 2 : 0};
	}
	pieces[n++] = (struct http_piece){tail, tail_len};
	*ret_pieces = pieces;
	return n;
}

/* ---- usage ---- */

static int64_t tokens(const json_t *from, const char *member)
{
	const json_t *v = json_object_get(from, member);
	double n = json_is_number(v) ? json_number_value(v) : 0;
	return n <= 0 ? 0 : n < MAX_TOKENS ? (int64_t)n : MAX_TOKENS;
}

void openai_usage(const json_t *usage, const char *in, const char *out, struct llm_usage *ret)
{
	autofree char *in_name = xasprintf("%s_details", in);
	autofree char *out_name = xasprintf("%s_details", out);
	const json_t *in_details = json_object_get(usage, in_name);
	const json_t *out_details = json_object_get(usage, out_name);
	int64_t prompt = tokens(usage, in);
	*ret = (struct llm_usage){.read = tokens(in_details, "cached_tokens"),
		.written_5m = tokens(in_details, "cache_write_tokens"),
		.output = tokens(usage, out),
		.thinking = tokens(out_details, "reasoning_tokens")};
	if (ret->read > prompt)
		ret->read = prompt;
	if (ret->written_5m > prompt - ret->read)
		ret->written_5m = prompt - ret->read;
	ret->fresh = prompt - ret->read - ret->written_5m;
	ret->is_known = json_is_object(usage);
}

/* ---- errors ---- */

/* Codes, or words of servers that send none; the first that occurs decides. */
static const struct {
	const char *code;  /* NULL: any */
	const char *words; /* of the message; NULL: any */
	enum err_code means;
} meanings[] = {
	{"context_length_exceeded", NULL, ERR_CONTEXT},
	{"string_above_max_length", NULL, ERR_CONTEXT},
	{"exceed_context_size_error", NULL, ERR_CONTEXT}, /* llama.cpp */
	{NULL, "maximum context length", ERR_CONTEXT},    /* vLLM, LiteLLM */
	{NULL, "context window", ERR_CONTEXT},
	{NULL, "available context size", ERR_CONTEXT}, /* llama.cpp */
	{NULL, "input length exceeds", ERR_CONTEXT},   /* Ollama */
	{NULL, "prompt is too long", ERR_CONTEXT},
	{"insufficient_quota", NULL, ERR_SPENT},
	{"credit_balance_exhausted", NULL, ERR_SPENT},
	{"billing_hard_limit_reached", NULL, ERR_SPENT},
	{"billing_not_active", NULL, ERR_SPENT},
	{NULL, "exceeded your current quota", ERR_SPENT},
	{"server_error", NULL, ERR_OUTSIDE},
	{"rate_limit_exceeded", NULL, ERR_OUTSIDE},
	{"slow_down", NULL, ERR_OUTSIDE},
	{"server_is_overloaded", NULL, ERR_OUTSIDE},
	{"overloaded_error", NULL, ERR_OUTSIDE},
	{"vector_store_timeout", NULL, ERR_OUTSIDE},
};

/* The provider will not have these contents worked on. */
static const char *const refusing[] = {"invalid_prompt", "bio_policy", "cyber_policy",
	"content_filter", "content_policy_violation", "ContentPolicyViolationError"};

bool openai_is_refusal(const char *code)
{
	for (size_t i = 0; code && i < ARRAY_LEN(refusing); i++)
		if (strcmp(code, refusing[i]) == 0)
			return true;
	return false;
}

static bool fits(size_t i, const char *code, const char *type, const char *message)
{
	const char *wanted = meanings[i].code, *words = meanings[i].words;
	if (wanted)
		return (code && strcmp(code, wanted) == 0) || (type && strcmp(type, wanted) == 0);
	return message && strcasestr(message, words);
}

static enum err_code meaning(const json_t *error, const char *message)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (fits(i, openai_str(error, "code"), openai_str(error, "type"), message))
			return meanings[i].means;
	return ERR_NONE;
}

static err_t say(enum err_code code, const char *message)
{
	return err_new(code, "%s%.300s",
		code == ERR_CONTEXT ? "the conversation no longer fits the model: "
		: code == ERR_SPENT ? "openai refuses until its quota is raised: "
				    : "",
		message ? message : "no words");
}

/* {"error": {…}}, and what other servers make of it: {"error": "words"}, {"object": "error", …}. */
static const json_t *error_of(const json_t *body)
{
	const json_t *error = json_object_get(body, "error");
	return json_is_object(error) ? error : body;
}

static const char *words_of(const json_t *body)
{
	const char *message = openai_str(error_of(body), "message");
	return message ? message : openai_str(body, "error");
}

/* Unknown codes of a stream may pass: the request was good enough to be begun. */
err_t openai_error(const json_t *error)
{
	const char *code = openai_str(error, "code"), *message = words_of(error);
	enum err_code means = meaning(error, message);
	if (means == ERR_CONTEXT || means == ERR_SPENT)
		return say(means, message);
	const char *type = openai_str(error, "type");
	bool is_final = type && strcmp(type, "invalid_request_error") == 0;
	return err_new(means == ERR_NONE && is_final ? ERR_OUTSIDE_FINAL : ERR_OUTSIDE,
		"%s in the stream: %.300s", code ? code : "an error",
		message ? message : "no words");
}

err_t openai_status_error(const struct http_request *request, const struct http_response *response,
	bool *ret_can_retry)
{
	json_auto_t *body = json_loadb(response->body.data, response->body.len, 0, NULL);
	const char *message = words_of(body);
	enum err_code means = response->status == 413   ? ERR_CONTEXT
			      : response->status == 402 ? ERR_SPENT
							: meaning(error_of(body), message);
	*ret_can_retry = http_answer_retries(response);
	if (means != ERR_CONTEXT && means != ERR_SPENT)
		return http_status_error(request, response, message);
	*ret_can_retry = false;
	return say(means, message);
}

bool openai_refused(const struct http_response *response, llm_event_fn fn, void *arg)
{
	json_auto_t *body = json_loadb(response->body.data, response->body.len, 0, NULL);
	const json_t *error = error_of(body);
	const char *code = openai_str(error, "code");
	if (response->status != 400 || !openai_is_refusal(code))
		return false;
	const struct llm_event begin = {.type = LLM_EVENT_BEGIN};
	const struct llm_event end = {.type = LLM_EVENT_END,
		.stop = LLM_STOP_REFUSAL,
		.stop_name = code,
		.detail = words_of(body),
		.usage = {.is_known = true}}; /* what is refused before it is begun costs nothing */
	return !fn(arg, &begin) && !fn(arg, &end);
}
