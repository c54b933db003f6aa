/*
 * POST /chat/completions: data-only chunks and [DONE] when streamed, usage in a last chunk only
 * with stream_options.include_usage. Called by openai.c.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/openai.h"
#include "tests/standin/sse.h"
#include "tests/standin/world.h"

#define PIECE 24

static const char *const known[] = {"model", "messages", "max_completion_tokens",
	"reasoning_effort", "response_format", "tools", "tool_choice", "parallel_tool_calls",
	"stream", "stream_options", "store", "metadata", "service_tier", "verbosity",
	"prompt_cache_key", "prompt_cache_options", "prompt_cache_retention", "safety_identifier",
	"user", "seed", "n", "logprobs", "top_logprobs", "prediction", "modalities", "moderation"};
static const char *const refused[] = {
	"max_tokens", "temperature", "top_p", "stop", "presence_penalty", "frequency_penalty"};

static bool listed(const char *const *list, size_t n, const char *name)
{
	for (size_t i = 0; i < n; i++) {
		if (strcmp(list[i], name) == 0)
			return true;
	}
	return false;
}

static bool accepts_members(struct req *q)
{
	const char *name;
	json_t *value;
	json_object_foreach (q->json, name, value) {
		if (listed(known, ARRAY_LEN(known), name) || json_is_null(value))
			continue;
		bool unsupported = listed(refused, ARRAY_LEN(refused), name);
		const char *hint = strcmp(name, "max_tokens") == 0
					   ? " Use 'max_completion_tokens' instead."
					   : "";
		autofree char *words =
			unsupported ? xasprintf("Unsupported parameter: '%s' is not supported with "
						"this model.%s",
					      name, hint)
				    : xasprintf("Unrecognized request argument supplied: %s", name);
		openai_fail(q, 400, "invalid_request_error",
			unsupported ? "unsupported_parameter" : "unknown_parameter", name, words);
		return false;
	}
	if (json_array_size(json_object_get(q->json, "messages")))
		return true;
	openai_fail(q, 400, "invalid_request_error", "missing_required_parameter", "messages",
		"Missing required parameter: 'messages'.");
	return false;
}

static bool answered(const json_t *messages, size_t from, const char *id)
{
	for (size_t i = from; i < json_array_size(messages); i++) {
		const json_t *m = json_array_get(messages, i);
		if (strcmp(jstr(m, "role", ""), "tool") != 0)
			return false;
		if (strcmp(jstr(m, "tool_call_id", ""), id) == 0)
			return true;
	}
	return false;
}

static bool check_calls(struct req *q, const json_t *messages)
{
	size_t i, j;
	json_t *m, *call;
	json_array_foreach (messages, i, m) {
		json_array_foreach (json_object_get(m, "tool_calls"), j, call) {
			if (answered(messages, i + 1, jstr(call, "id", "")))
				continue;
			autofree char *words = xasprintf(
				"An assistant message with 'tool_calls' must be followed by tool "
				"messages responding to each 'tool_call_id'. The following "
				"tool_call_ids did not have response messages: %s",
				jstr(call, "id", ""));
			openai_fail(q, 400, "invalid_request_error", NULL, "messages", words);
			return false;
		}
	}
	return true;
}

static json_t *turn_of(struct req *q, const json_t *messages)
{
	AUTO(buf_release) struct buf text = BUF(HTTP_BODY_MAX);
	size_t turns = 0, i;
	json_t *m;
	json_array_foreach (messages, i, m) {
		const char *role = jstr(m, "role", "");
		turns += strcmp(role, "assistant") == 0;
		if (strcmp(role, "user") == 0 && text.len == 0)
			openai_text(&text, json_object_get(m, "content"));
	}
	return openai_turn(q, text.data, turns);
}

static json_t *calls_of(const json_t *turn)
{
	json_t *calls = json_array(), *tool;
	size_t i;
	json_array_foreach (json_object_get(turn, "tools"), i, tool) {
		autofree char *id = random_id("call_", 24);
		autofree char *arguments =
			json_dumps(json_object_get(tool, "input"), JSON_COMPACT | JSON_ENCODE_ANY);
		json_array_append_new(
			calls, json_pack("{s:s, s:s, s:{s:s, s:s}}", "id", id, "type", "function",
				       "function", "name", jstr(tool, "name", "?"), "arguments",
				       arguments ? arguments : "{}"));
	}
	return calls;
}

static json_t *message_of(const json_t *turn)
{
	bool refusal = strcmp(jstr(turn, "stop_reason", ""), "refusal") == 0;
	const char *text = jstr(turn, "text", NULL);
	json_t *message = json_pack("{s:s, s:s?, s:s?, s:[]}", "role", "assistant", "content",
		refusal ? NULL : text, "refusal", refusal ? text : NULL, "annotations");
	json_t *calls = calls_of(turn);
	if (json_array_size(calls))
		json_object_set(message, "tool_calls", calls);
	json_decref(calls);
	return message;
}

static const char *finish_of(const json_t *turn)
{
	const char *stop = jstr(turn, "stop_reason", "");
	if (strcmp(stop, "max_tokens") == 0)
		return "length";
	return json_array_size(json_object_get(turn, "tools")) ? "tool_calls" : "stop";
}

static json_t *usage_of(struct req *q, const json_t *turn, const json_t *message)
{
	autofree char *in = json_dumps(json_object_get(q->json, "messages"), JSON_COMPACT);
	autofree char *out = json_dumps(message, JSON_COMPACT);
	json_int_t reasoning = (json_int_t)strlen(jstr(turn, "thinking", "")) / 4;
	json_int_t prompt = (json_int_t)strlen(in) / 4;
	json_int_t answer = (json_int_t)strlen(out) / 4 + reasoning;
	json_t *usage = json_pack("{s:I, s:I, s:I, s:{s:i}, s:{s:I}}", "prompt_tokens", prompt,
		"completion_tokens", answer, "total_tokens", prompt + answer,
		"prompt_tokens_details", "cached_tokens", 0, "completion_tokens_details",
		"reasoning_tokens", reasoning);
	json_object_update(usage, json_object_get(turn, "usage"));
	return usage;
}

static json_t *shell(struct req *q, const char *id, const char *object, json_t *choices)
{
	return json_pack("{s:s, s:s, s:I, s:s, s:o, s:s, s:s}", "id", id, "object", object,
		"created", (json_int_t)(q->begun_ms / 1000), "model", jstr(q->json, "model", ""),
		"choices", choices, "service_tier", "default", "system_fingerprint", "fp_standin");
}

struct chat {
	struct req *q;
	const char *id;
	bool usage;
};

static void chunk(struct chat *c, json_t *delta, const char *finish)
{
	json_t *data = shell(c->q, c->id, "chat.completion.chunk",
		json_pack("[{s:i, s:o, s:n, s:s?}]", "index", 0, "delta", delta, "logprobs",
			"finish_reason", finish));
	if (c->usage)
		json_object_set_new(data, "usage", json_null());
	sse_event(&c->q->out, NULL, data);
}

static void chunks(struct chat *c, const char *member, const char *text)
{
	while (text && *text) {
		size_t n = sse_piece(text, PIECE);
		chunk(c, json_pack("{s:s%}", member, text, n), NULL);
		text += n;
	}
}

static void chunk_call(struct chat *c, const json_t *call, size_t index)
{
	const json_t *function = json_object_get(call, "function");
	chunk(c,
		json_pack("{s:[{s:I, s:O, s:s, s:{s:O, s:s}}]}", "tool_calls", "index",
			(json_int_t)index, "id", json_object_get(call, "id"), "type", "function",
			"function", "name", json_object_get(function, "name"), "arguments", ""),
		NULL);
	for (const char *at = jstr(function, "arguments", ""); *at;) {
		size_t n = sse_piece(at, PIECE);
		chunk(c,
			json_pack("{s:[{s:I, s:{s:s%}}]}", "tool_calls", "index", (json_int_t)index,
				"function", "arguments", at, n),
			NULL);
		at += n;
	}
}

static void stream_chat(
	struct req *q, const char *id, const json_t *message, const char *finish, json_t *usage)
{
	openai_begin_stream(q);
	struct chat c = {.q = q,
		.id = id,
		.usage = json_is_true(json_object_get(
			json_object_get(q->json, "stream_options"), "include_usage"))};
	chunk(&c, json_pack("{s:s, s:s, s:n}", "role", "assistant", "content", "", "refusal"),
		NULL);
	chunks(&c, "content", jstr(message, "content", NULL));
	chunks(&c, "refusal", jstr(message, "refusal", NULL));
	size_t i;
	json_t *call;
	json_array_foreach (json_object_get(message, "tool_calls"), i, call)
		chunk_call(&c, call, i);
	chunk(&c, json_object(), finish);
	if (c.usage) {
		json_t *last = shell(q, id, "chat.completion.chunk", json_array());
		json_object_set(last, "usage", usage);
		sse_event(&q->out, NULL, last);
	}
	buf_adds(&q->out, "data: [DONE]\n\n");
}

void openai_post_chat(struct req *q)
{
	const json_t *messages = json_object_get(q->json, "messages");
	const json_t *format = json_object_get(q->json, "response_format");
	if (!accepts_members(q) || !check_calls(q, messages) ||
		!openai_check_schema(q, format, "response_format"))
		return;
	json_t *turn = turn_of(q, messages);
	if (!turn)
		return;
	autofree char *id = random_id("chatcmpl-", 29);
	json_t *message = message_of(turn), *usage = usage_of(q, turn, message);
	json_object_set(q->note, "usage", usage);
	if (json_is_true(json_object_get(q->json, "stream"))) {
		stream_chat(q, id, message, finish_of(turn), usage);
	} else {
		json_t *whole = shell(q, id, "chat.completion",
			json_pack("[{s:i, s:O, s:n, s:s}]", "index", 0, "message", message,
				"logprobs", "finish_reason", finish_of(turn)));
		json_object_set(whole, "usage", usage);
		answer_json(q, 200, whole);
	}
	json_decref(message);
	json_decref(usage);
	openai_turn_end(q);
}
