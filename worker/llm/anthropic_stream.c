/*
 * The answer's side of Anthropic's Messages API: server-sent events become whole content blocks.
 * Called by anthropic.c. Events of unknown kinds are passed over; the blocks are
 * anthropic_block.c's.
 */
#include "worker/llm/anthropic.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/llm/anthropic_block.h"
#include "worker/sse.h"

#define MAX_EVENT (8u << 20)
#define MAX_TOKENS 1000000000 /* of one call: beyond it a figure is nonsense */

struct anthropic_stream {
	llm_event_fn fn;
	void *arg;
	struct sse sse;
	struct anthropic_block block;
	struct llm_usage usage;
	int64_t written; /* 5 min and 1 h together, from services that do not tell them apart */
	char stop[64];
	char *detail;
	bool begun, complete;
};

struct anthropic_stream *anthropic_stream_new(llm_event_fn fn, void *arg)
{
	struct anthropic_stream *s = xcalloc(1, sizeof *s);
	s->fn = fn;
	s->arg = arg;
	sse_init(&s->sse, MAX_EVENT);
	anthropic_block_init(&s->block);
	return s;
}

void anthropic_stream_free(struct anthropic_stream *s)
{
	if (!s)
		return;
	sse_release(&s->sse);
	anthropic_block_release(&s->block);
	free(s->detail);
	free(s);
}

void anthropic_stream_freep(struct anthropic_stream **s)
{
	anthropic_stream_free(*s);
}

bool anthropic_stream_complete(const struct anthropic_stream *s)
{
	return s->complete;
}

static const char *str(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

err_t anthropic_error(const json_t *error)
{
	static const char *const lasting[] = {"invalid_request_error", "authentication_error",
		"billing_error", "permission_error", "not_found_error", "request_too_large"};
	const char *type = str(error, "type"), *message = str(error, "message");
	enum err_code code = ERR_OUTSIDE;
	for (size_t i = 0; i < ARRAY_LEN(lasting); i++)
		if (is(type, lasting[i]))
			code = ERR_OUTSIDE_FINAL;
	return err_new(code, "%s in the stream: %s", type ? type : "an error",
		message ? message : "no words");
}

/* Members that are missing or null keep what an earlier event said. */
static void read_usage(struct anthropic_stream *s, const json_t *usage)
{
	const json_t *by_life = json_object_get(usage, "cache_creation");
	s->usage.is_known |= json_is_object(usage);
	const json_t *details = json_object_get(usage, "output_tokens_details");
	const struct {
		const json_t *from;
		const char *name;
		int64_t *to;
	} members[] = {
		{usage, "input_tokens", &s->usage.fresh},
		{usage, "cache_creation_input_tokens", &s->written},
		{usage, "cache_read_input_tokens", &s->usage.read},
		{usage, "output_tokens", &s->usage.output},
		{details, "thinking_tokens", &s->usage.thinking},
		{by_life, "ephemeral_5m_input_tokens", &s->usage.written_5m},
		{by_life, "ephemeral_1h_input_tokens", &s->usage.written_1h},
	};
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const json_t *v = json_object_get(members[i].from, members[i].name);
		double n = json_is_number(v) ? json_number_value(v) : -1;
		if (n >= 0)
			*members[i].to = n < MAX_TOKENS ? (int64_t)n : MAX_TOKENS;
	}
	if (s->written > s->usage.written_5m + s->usage.written_1h)
		s->usage.written_5m = s->written - s->usage.written_1h;
}

/* ---- events ---- */

static err_t on_start(struct anthropic_stream *s, const json_t *event)
{
	if (s->begun)
		return err_new(ERR_OUTSIDE, "a message that begins twice");
	read_usage(s, json_object_get(json_object_get(event, "message"), "usage"));
	s->begun = true;
	return s->fn(s->arg, &(struct llm_event){.type = LLM_EVENT_BEGIN, .usage = s->usage});
}

static err_t on_block_start(struct anthropic_stream *s, const json_t *event)
{
	return anthropic_block_open(
		&s->block, event, (struct raw){s->sse.data.data, s->sse.data.len});
}

static err_t on_delta(struct anthropic_stream *s, const json_t *event)
{
	return anthropic_block_add(&s->block, event);
}

static err_t on_block_stop(struct anthropic_stream *s, const json_t *event)
{
	return anthropic_block_close(&s->block, event, s->fn, s->arg);
}

static err_t on_message_delta(struct anthropic_stream *s, const json_t *event)
{
	const json_t *delta = json_object_get(event, "delta");
	const json_t *details = json_object_get(delta, "stop_details");
	read_usage(s, json_object_get(event, "usage"));
	const char *stop = str(delta, "stop_reason");
	if (stop)
		snprintf(s->stop, sizeof s->stop, "%s", stop);
	const char *category = str(details, "category"), *words = str(details, "explanation");
	if (category || words) {
		free(s->detail);
		s->detail = xasprintf("%s%s%s", category ? category : "",
			category && words ? ": " : "", words ? words : "");
	}
	return NULL;
}

static const struct {
	const char *name;
	enum llm_stop stop;
} stops[] = {
	{"end_turn", LLM_STOP_END},
	{"stop_sequence", LLM_STOP_END},
	{"tool_use", LLM_STOP_TOOLS},
	{"max_tokens", LLM_STOP_OUTPUT},
	{"refusal", LLM_STOP_REFUSAL},
	{"pause_turn", LLM_STOP_PAUSE},
	{"model_context_window_exceeded", LLM_STOP_CONTEXT},
};

/* Unknown words too: tool calls are found by their blocks. */
enum llm_stop anthropic_stop_of(const char *stop_name)
{
	for (size_t i = 0; i < ARRAY_LEN(stops); i++)
		if (is(stop_name, stops[i].name))
			return stops[i].stop;
	return LLM_STOP_END;
}

static err_t on_message_stop(struct anthropic_stream *s, const json_t *event)
{
	(void)event;
	struct llm_event end = {.type = LLM_EVENT_END,
		.stop = anthropic_stop_of(s->stop),
		.stop_name = s->stop,
		.detail = s->detail,
		.usage = s->usage};
	if (!s->begun || s->block.json ||
		!*s->stop) /* without a reason nobody knows whether it was cut */
		return err_new(ERR_OUTSIDE, "the end of a message that is not whole");
	ERR_TRY(s->fn(s->arg, &end));
	s->complete = true;
	return NULL;
}

static err_t on_error(struct anthropic_stream *s, const json_t *event)
{
	(void)s;
	return anthropic_error(json_object_get(event, "error"));
}

static const struct {
	const char *type;
	err_t (*on)(struct anthropic_stream *s, const json_t *event);
} handlers[] = {
	{"message_start", on_start},
	{"content_block_start", on_block_start},
	{"content_block_delta", on_delta},
	{"content_block_stop", on_block_stop},
	{"message_delta", on_message_delta},
	{"message_stop", on_message_stop},
	{"error", on_error},
};

static err_t take_event(struct anthropic_stream *s)
{
	json_error_t error;
	json_auto_t *event = raw_parse((struct raw){s->sse.data.data, s->sse.data.len}, &error);
	const char *type = str(event, "type");
	if (!event)
		return err_new(ERR_OUTSIDE, "an event that is not JSON: %s", error.text);
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		if (is(type, handlers[i].type))
			return handlers[i].on(s, event);
	return NULL; /* ping, and what is to come */
}

err_t anthropic_stream_feed(struct anthropic_stream *s, const char *data, size_t len)
{
	while (len > 0 && !s->complete) {
		bool complete;
		ERR_TRY(sse_feed(&s->sse, &data, &len, &complete));
		if (complete)
			ERR_TRY(take_event(s));
	}
	return NULL;
}
