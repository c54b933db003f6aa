/*
 * A response as named events with sequence numbers (specs/openai.trimmed.json). Called by
 * openai_responses.c.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/openai.h"
#include "tests/standin/sse.h"
#include "tests/standin/world.h"

#define PIECE 24

static bool is(const json_t *item, const char *type)
{
	return strcmp(jstr(item, "type", ""), type) == 0;
}

struct stream {
	struct buf *out;
	json_int_t number;
};

static void event(struct stream *s, const char *type, json_t *data)
{
	json_object_set_new(data, "type", json_string(type));
	json_object_set_new(data, "sequence_number", json_integer(s->number++));
	sse_event(s->out, type, data);
}

static void whole(struct stream *s, const char *type, const json_t *response, const char *status)
{
	json_t *copy = json_copy((json_t *)response);
	if (status) {
		json_object_set_new(copy, "status", json_string(status));
		json_object_set_new(copy, "output", json_array());
		json_object_del(copy, "usage");
	}
	event(s, type, json_pack("{s:o}", "response", copy));
}

static json_t *place(const json_t *item, size_t index, bool part)
{
	json_t *data = json_pack("{s:O, s:I}", "item_id", json_object_get(item, "id"),
		"output_index", (json_int_t)index);
	if (part)
		json_object_set_new(data, "content_index", json_integer(0));
	return data;
}

static void deltas(struct stream *s, const char *type, const json_t *item, size_t index, bool part,
	const char *text)
{
	while (*text) {
		size_t n = sse_piece(text, PIECE);
		json_t *data = place(item, index, part);
		json_object_set_new(data, "delta", json_stringn(text, n));
		if (strcmp(type, "response.output_text.delta") == 0)
			json_object_set_new(data, "logprobs", json_array());
		event(s, type, data);
		text += n;
	}
}

static void stream_message(struct stream *s, const json_t *item, size_t index)
{
	json_t *part = json_array_get(json_object_get(item, "content"), 0);
	bool refusal = is(part, "refusal");
	const char *member = refusal ? "refusal" : "text", *text = jstr(part, member, "");
	json_t *empty = json_copy(part), *data = place(item, index, true);
	json_object_set_new(empty, member, json_string(""));
	json_object_set_new(data, "part", empty);
	event(s, "response.content_part.added", data);
	deltas(s, refusal ? "response.refusal.delta" : "response.output_text.delta", item, index,
		true, text);
	data = place(item, index, true);
	json_object_set_new(data, member, json_string(text));
	if (!refusal)
		json_object_set_new(data, "logprobs", json_array());
	event(s, refusal ? "response.refusal.done" : "response.output_text.done", data);
	data = place(item, index, true);
	json_object_set(data, "part", part);
	event(s, "response.content_part.done", data);
}

static void stream_call(struct stream *s, const json_t *item, size_t index)
{
	const char *arguments = jstr(item, "arguments", "");
	deltas(s, "response.function_call_arguments.delta", item, index, false, arguments);
	json_t *data = place(item, index, false);
	json_object_set_new(data, "arguments", json_string(arguments));
	json_object_set(data, "name", json_object_get(item, "name"));
	event(s, "response.function_call_arguments.done", data);
}

static void stream_item(struct stream *s, json_t *item, size_t index)
{
	json_t *early = json_copy(item);
	if (!is(item, "reasoning"))
		json_object_set_new(early, "status", json_string("in_progress"));
	if (is(item, "message"))
		json_object_set_new(early, "content", json_array());
	if (is(item, "function_call"))
		json_object_set_new(early, "arguments", json_string(""));
	event(s, "response.output_item.added",
		json_pack("{s:I, s:o}", "output_index", (json_int_t)index, "item", early));
	if (is(item, "message"))
		stream_message(s, item, index);
	if (is(item, "function_call"))
		stream_call(s, item, index);
	event(s, "response.output_item.done",
		json_pack("{s:I, s:O}", "output_index", (json_int_t)index, "item", item));
}

void openai_stream_response(struct req *q, const json_t *response)
{
	openai_begin_stream(q);
	struct stream s = {.out = &q->out};
	whole(&s, "response.created", response, "in_progress");
	whole(&s, "response.in_progress", response, "in_progress");
	size_t i;
	json_t *item;
	json_array_foreach (json_object_get(response, "output"), i, item)
		stream_item(&s, item, i);
	autofree char *end = xasprintf("response.%s", jstr(response, "status", "completed"));
	whole(&s, end, response, NULL);
}
