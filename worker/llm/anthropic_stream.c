/*
 * The answer's side of Anthropic's Messages API: server-sent events become whole content blocks.
 * Called by anthropic.c. Blocks are kept as they came, unknown types too; a tool's input is kept in
 * the model's own bytes. Unknown events and deltas are passed over.
 */
#include "worker/llm/anthropic.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/sse.h"

#define MAX_EVENT (8u << 20)

struct anthropic_stream {
	llm_event_fn fn;
	void *arg;
	struct sse sse;
	json_t *block; /* the open one, NULL between blocks */
	struct buf text, thinking, signature, input;
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
	s->text = s->thinking = s->signature = s->input = BUF(MAX_EVENT);
	return s;
}

void anthropic_stream_free(struct anthropic_stream *s)
{
	if (!s)
		return;
	sse_release(&s->sse);
	json_decref(s->block);
	buf_release(&s->text);
	buf_release(&s->thinking);
	buf_release(&s->signature);
	buf_release(&s->input);
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
	static const char *const passing[] = {
		"overloaded_error", "api_error", "rate_limit_error", "timeout_error"};
	const char *type = str(error, "type"), *message = str(error, "message");
	enum err_code code = type ? ERR_OUTSIDE_FINAL : ERR_OUTSIDE;
	for (size_t i = 0; i < ARRAY_LEN(passing); i++)
		if (is(type, passing[i]))
			code = ERR_OUTSIDE;
	return err_new(code, "%s in the stream: %s", type ? type : "an error",
		message ? message : "no words");
}

/* Members that are missing or null keep what an earlier event said. */
static void read_usage(struct anthropic_stream *s, const json_t *usage)
{
	const json_t *by_life = json_object_get(usage, "cache_creation");
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
		if (json_is_number(v))
			*members[i].to = (int64_t)json_number_value(v);
	}
	if (s->written > s->usage.written_5m + s->usage.written_1h)
		s->usage.written_5m = s->written - s->usage.written_1h;
}

/* ---- events ---- */

static err_t on_start(struct anthropic_stream *s, const json_t *event)
{
	read_usage(s, json_object_get(json_object_get(event, "message"), "usage"));
	s->begun = true;
	return s->fn(s->arg, &(struct llm_event){.type = LLM_EVENT_BEGIN, .usage = s->usage});
}

static err_t on_block_start(struct anthropic_stream *s, const json_t *event)
{
	json_decref(s->block);
	s->block = json_deep_copy(json_object_get(event, "content_block"));
	if (!json_is_object(s->block))
		return err_new(ERR_OUTSIDE, "a content block is no object");
	buf_reset(&s->text);
	buf_reset(&s->thinking);
	buf_reset(&s->signature);
	buf_reset(&s->input);
	return NULL;
}

static err_t on_delta(struct anthropic_stream *s, const json_t *event)
{
	const json_t *delta = json_object_get(event, "delta");
	const struct {
		const char *type, *member;
		struct buf *to;
	} kinds[] = {
		{"text_delta", "text", &s->text},
		{"input_json_delta", "partial_json", &s->input},
		{"thinking_delta", "thinking", &s->thinking},
		{"signature_delta", "signature", &s->signature},
	};
	if (!s->block)
		return err_new(ERR_OUTSIDE, "a delta outside of a content block");
	const char *type = str(delta, "type");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const json_t *piece = json_object_get(delta, kinds[i].member);
		if (is(type, kinds[i].type) && json_is_string(piece))
			buf_add(kinds[i].to, json_string_value(piece), json_string_length(piece));
	}
	if (is(type, "citations_delta")) {
		json_t *list = json_object_get(s->block, "citations");
		if (!json_is_array(list)) {
			list = json_array();
			json_object_set_new(s->block, "citations", list);
		}
		json_array_append(list, json_object_get(delta, "citation"));
	}
	return NULL;
}

/* What the deltas brought goes behind what the block began with. */
static void put(json_t *block, const char *member, const struct buf *more)
{
	if (more->len == 0)
		return;
	AUTO(buf_release) struct buf whole = BUF(2 * MAX_EVENT);
	const json_t *begun = json_object_get(block, member);
	if (json_is_string(begun))
		buf_add(&whole, json_string_value(begun), json_string_length(begun));
	buf_add(&whole, more->data, more->len);
	json_object_set_new(block, member, json_stringn(whole.data, whole.len));
}

static err_t give_tool(struct anthropic_stream *s)
{
	autofree char *begun = json_dumps(json_object_get(s->block, "input"), JSON_COMPACT);
	const char *raw = s->input.len ? s->input.data : begun && *begun ? begun : "{}";
	json_auto_t *parsed = json_loads(raw, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	const char *kept = json_is_object(parsed) ? raw : "{}"; /* else it could not be sent back */
	const char *id = str(s->block, "id"), *name = str(s->block, "name");
	if (!id || !name)
		return err_new(ERR_OUTSIDE, "a tool call without id or name");
	json_object_del(s->block, "input");
	autofree char *head = json_dumps(s->block, JSON_COMPACT);
	AUTO(buf_release) struct buf json = BUF(2 * MAX_EVENT);
	buf_add(&json, head, strlen(head) - 1);
	buf_addf(&json, ",\"input\":%s}", kept);
	return s->fn(s->arg, &(struct llm_event){.type = LLM_EVENT_BLOCK,
				     .json = json.data,
				     .tool_id = id,
				     .tool_name = name,
				     .tool_input = raw});
}

static err_t on_block_stop(struct anthropic_stream *s, const json_t *event)
{
	(void)event;
	if (!s->block)
		return err_new(ERR_OUTSIDE, "the end of a block that did not begin");
	if (buf_cut(&s->text) || buf_cut(&s->thinking) || buf_cut(&s->input))
		return err_new(ERR_TOO_LARGE, "a content block is too large");
	put(s->block, "text", &s->text);
	put(s->block, "thinking", &s->thinking);
	put(s->block, "signature", &s->signature);
	const char *type = str(s->block, "type");
	err_t e = NULL;
	if (is(type, "tool_use")) {
		e = give_tool(s);
	} else {
		const char *text = is(type, "text") ? str(s->block, "text") : NULL;
		autofree char *json = json_dumps(s->block, JSON_COMPACT);
		if (text && !*text) /* the service refuses an empty text that is sent back */
			json[0] = '\0';
		e = s->fn(s->arg,
			&(struct llm_event){.type = LLM_EVENT_BLOCK, .json = json, .text = text});
	}
	json_decref(s->block);
	s->block = NULL;
	return e;
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
		.stop_name = *s->stop ? s->stop : "none",
		.detail = s->detail,
		.usage = s->usage};
	if (!s->begun || s->block)
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
	json_auto_t *event = json_loadb(s->sse.data.data, s->sse.data.len, JSON_ALLOW_NUL, &error);
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
