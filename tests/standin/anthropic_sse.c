/*
 * A message as server-sent events (facts/llm.md A5): text and inputs in several deltas, thinking
 * closed by its signature, cumulative usage at the end, no [DONE].
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/anthropic.h"
#include "tests/standin/sse.h"
#include "tests/standin/world.h"

#define PIECE 24

static void delta(struct buf *out, size_t index, const char *type, const char *member,
	const char *s, size_t n)
{
	sse_event(out, "content_block_delta",
		json_pack("{s:s, s:I, s:{s:s, s:s%}}", "type", "content_block_delta", "index",
			(json_int_t)index, "delta", "type", type, member, s, n));
}

static void deltas(
	struct buf *out, size_t index, const char *type, const char *member, const char *s)
{
	while (*s) {
		size_t n = sse_piece(s, PIECE);
		delta(out, index, type, member, s, n);
		s += n;
	}
}

static void start(struct buf *out, size_t index, json_t *block)
{
	sse_event(out, "content_block_start",
		json_pack("{s:s, s:I, s:o}", "type", "content_block_start", "index",
			(json_int_t)index, "content_block", block));
}

static void stream_thinking(struct buf *out, size_t index, const json_t *block)
{
	start(out, index,
		json_pack("{s:s, s:s, s:s}", "type", "thinking", "thinking", "", "signature", ""));
	deltas(out, index, "thinking_delta", "thinking", jstr(block, "thinking", ""));
	const char *signature = jstr(block, "signature", "");
	delta(out, index, "signature_delta", "signature", signature, strlen(signature));
}

static void stream_text(struct buf *out, size_t index, const json_t *block)
{
	json_t *empty = json_copy((json_t *)block);
	json_object_set_new(empty, "text", json_string(""));
	start(out, index, empty);
	deltas(out, index, "text_delta", "text", jstr(block, "text", ""));
}

static void stream_tool(struct buf *out, size_t index, const json_t *block, bool cut)
{
	json_t *empty = json_copy((json_t *)block);
	json_object_set_new(empty, "input", json_object());
	start(out, index, empty);
	delta(out, index, "input_json_delta", "partial_json", "", 0);
	const json_t *input = json_object_get(block, "input");
	if (json_object_size(input) == 0)
		return;
	autofree char *text = json_dumps(input, 0);
	if (cut)
		text[sse_piece(text, strlen(text) / 2 + 1)] = '\0';
	deltas(out, index, "input_json_delta", "partial_json", text);
}

static void stream_block(struct buf *out, size_t index, const json_t *block, bool cut)
{
	const char *type = jstr(block, "type", "");
	if (strcmp(type, "thinking") == 0)
		stream_thinking(out, index, block);
	else if (strcmp(type, "text") == 0)
		stream_text(out, index, block);
	else if (strcmp(type, "tool_use") == 0)
		stream_tool(out, index, block, cut);
	else
		start(out, index, json_incref((json_t *)block));
	sse_event(out, "content_block_stop",
		json_pack("{s:s, s:I}", "type", "content_block_stop", "index", (json_int_t)index));
	if (index == 0)
		sse_event(out, "ping", json_pack("{s:s}", "type", "ping"));
}

static void stream_start(struct buf *out, const json_t *message)
{
	json_t *early = json_copy((json_t *)message);
	json_t *usage = json_copy(json_object_get(message, "usage"));
	json_object_set_new(usage, "output_tokens", json_integer(1));
	json_object_set_new(usage, "output_tokens_details", json_null());
	json_object_set_new(early, "usage", usage);
	json_object_set_new(early, "content", json_array());
	json_object_set_new(early, "stop_reason", json_null());
	json_object_set_new(early, "stop_details", json_null());
	sse_event(out, "message_start",
		json_pack("{s:s, s:o}", "type", "message_start", "message", early));
}

static void stream_end(struct buf *out, const json_t *message)
{
	static const char *const names[] = {"input_tokens", "cache_creation_input_tokens",
		"cache_read_input_tokens", "output_tokens", "output_tokens_details",
		"server_tool_use"};
	json_t *usage = json_object();
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		json_t *v = json_object_get(json_object_get(message, "usage"), names[i]);
		json_object_set_new(usage, names[i], v ? json_incref(v) : json_null());
	}
	sse_event(out, "message_delta",
		json_pack("{s:s, s:{s:O, s:O, s:O, s:n}, s:o}", "type", "message_delta", "delta",
			"stop_reason", json_object_get(message, "stop_reason"), "stop_sequence",
			json_object_get(message, "stop_sequence"), "stop_details",
			json_object_get(message, "stop_details"), "container", "usage", usage));
	sse_event(out, "message_stop", json_pack("{s:s}", "type", "message_stop"));
}

void anthropic_stream(struct buf *out, const json_t *message, bool cut_input)
{
	stream_start(out, message);
	const json_t *content = json_object_get(message, "content");
	size_t i;
	json_t *block;
	json_array_foreach (content, i, block)
		stream_block(out, i, block, cut_input && i + 1 == json_array_size(content));
	stream_end(out, message);
}
