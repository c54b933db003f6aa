/*
 * The answer's side of OpenAI's Responses API: named events become whole items. Called by
 * openai_responses.c. Items are taken from response.output_item.done, where they are whole (their
 * deltas are passed over), and are sent back as they came, reasoning with its encrypted content;
 * items without an end of their own are taken from the last event. Unknown events are passed over.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/llm/openai.h"
#include "worker/llm/raw.h"
#include "worker/sse.h"

#define MAX_EVENT (8u << 20)

struct responses_stream {
	llm_event_fn fn;
	void *arg;
	struct sse sse;
	size_t items; /* given so far */
	size_t calls;
	struct buf refusal;
	bool begun, complete;
};

struct responses_stream *responses_stream_new(llm_event_fn fn, void *arg)
{
	struct responses_stream *s = xcalloc(1, sizeof *s);
	s->fn = fn;
	s->arg = arg;
	s->refusal = BUF(1u << 20);
	sse_init(&s->sse, MAX_EVENT);
	return s;
}

void responses_stream_free(struct responses_stream *s)
{
	if (!s)
		return;
	sse_release(&s->sse);
	buf_release(&s->refusal);
	free(s);
}

void responses_stream_freep(struct responses_stream **s)
{
	responses_stream_free(*s);
}

bool responses_stream_complete(const struct responses_stream *s)
{
	return s->complete;
}

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* ---- items ---- */

/* A message's texts, joined; its refusals go to s->refusal. */
static void read_content(struct responses_stream *s, const json_t *item, struct buf *text)
{
	size_t i;
	json_t *part;
	json_array_foreach (json_object_get(item, "content"), i, part) {
		const char *words = openai_str(part, "text"), *no = openai_str(part, "refusal");
		if (words && *words)
			buf_addf(text, "%s%s", text->len ? "\n" : "", words);
		if (no)
			buf_addf(&s->refusal, "%s%s", s->refusal.len ? "\n" : "", *no ? no : " ");
	}
}

/* raw: the item in its own bytes, sent back as they are. */
static err_t give_item(struct responses_stream *s, const json_t *item, struct raw raw)
{
	AUTO(buf_release) struct buf text = BUF(MAX_EVENT);
	const char *type = openai_str(item, "type");
	if (!json_is_object(item) || !type)
		return err_new(ERR_OUTSIDE, "an item of the answer is no object with a type");
	autofree char *json = xstrndup(raw.data, raw.len);
	struct llm_event event = {.type = LLM_EVENT_BLOCK, .json = json};
	if (is(type, "message")) {
		read_content(s, item, &text);
		event.text = text.len ? text.data : NULL;
	}
	if (is(type, "function_call")) {
		const json_t *given = json_object_get(item, "arguments");
		const char *arguments = json_string_value(given);
		if (arguments && strlen(arguments) < json_string_length(given))
			arguments = "null"; /* a NUL would hide what comes after it */
		event.tool_id = openai_str(item, "call_id");
		event.tool_name = openai_str(item, "name");
		event.tool_input = arguments && *arguments ? arguments : "{}";
		if (!event.tool_id || !event.tool_name)
			return err_new(ERR_OUTSIDE, "a function call without id or name");
		s->calls++;
	}
	s->items++;
	return s->fn(s->arg, &event);
}

/* ---- events ---- */

static err_t on_begin(struct responses_stream *s, const json_t *event)
{
	(void)event;
	if (s->begun)
		return NULL; /* created, queued, in_progress */
	s->begun = true;
	return s->fn(s->arg, &(struct llm_event){.type = LLM_EVENT_BEGIN});
}

/* The event in its own bytes. */
static struct raw whole(const struct responses_stream *s)
{
	return (struct raw){s->sse.data.data, s->sse.data.len};
}

static err_t on_item(struct responses_stream *s, const json_t *event)
{
	struct raw raw = {0};
	ERR_TRY(on_begin(s, event));
	raw_member(whole(s), "item", &raw);
	return give_item(s, json_object_get(event, "item"), raw);
}

/* Why an answer ended, by our own words: what is stored must say it again. */
static const struct {
	const char *name;
	enum llm_stop stop;
} stops[] = {
	{"completed", LLM_STOP_END},
	{"function_call", LLM_STOP_TOOLS},
	{"max_output_tokens", LLM_STOP_OUTPUT},
	{"content_filter", LLM_STOP_REFUSAL},
	{"refusal", LLM_STOP_REFUSAL},
};

enum llm_stop responses_stop_of(const char *stop_name)
{
	for (size_t i = 0; i < ARRAY_LEN(stops); i++)
		if (is(stop_name, stops[i].name))
			return stops[i].stop;
	return openai_is_refusal(stop_name) ? LLM_STOP_REFUSAL : LLM_STOP_END;
}

static err_t end_with(struct responses_stream *s, const json_t *response, const char *stop_name,
	const char *detail)
{
	struct llm_event end = {.type = LLM_EVENT_END,
		.stop = responses_stop_of(stop_name),
		.stop_name = stop_name,
		.detail = detail};
	openai_usage(
		json_object_get(response, "usage"), "input_tokens", "output_tokens", &end.usage);
	ERR_TRY(s->fn(s->arg, &end));
	s->complete = true;
	return NULL;
}

/* Servers that send no item events say all in the last one. */
static err_t give_missed(struct responses_stream *s, const json_t *response)
{
	size_t i;
	json_t *item;
	struct raw raw = {0}, list = {0}, inner = {0};
	if (s->items > 0)
		return NULL;
	if (raw_member(whole(s), "response", &inner))
		raw_member(inner, "output", &list);
	json_array_foreach (json_object_get(response, "output"), i, item) {
		raw_item(list, i, &raw);
		ERR_TRY(give_item(s, item, raw));
	}
	return NULL;
}

static err_t on_completed(struct responses_stream *s, const json_t *event)
{
	const json_t *response = json_object_get(event, "response");
	ERR_TRY(on_begin(s, event));
	ERR_TRY(give_missed(s, response));
	if (s->refusal.len)
		return end_with(s, response, "refusal", s->refusal.data);
	return end_with(s, response, s->calls ? "function_call" : "completed", NULL);
}

static err_t on_incomplete(struct responses_stream *s, const json_t *event)
{
	const json_t *response = json_object_get(event, "response");
	const json_t *details = json_object_get(response, "incomplete_details");
	const char *reason = openai_str(details, "reason");
	ERR_TRY(on_begin(s, event));
	if (is(reason, "content_filter"))
		return end_with(s, response, reason, "the provider's content filter stopped it");
	/* Whatever else: what is not whole is not run. */
	return end_with(s, response, "max_output_tokens", NULL);
}

static err_t on_failed(struct responses_stream *s, const json_t *event)
{
	const json_t *response = json_object_get(event, "response");
	const json_t *error = json_object_get(response, "error");
	const char *code = openai_str(error, "code");
	if (!openai_is_refusal(code))
		return openai_error(error);
	ERR_TRY(on_begin(s, event));
	return end_with(s, response, code, openai_str(error, "message"));
}

static err_t on_error(struct responses_stream *s, const json_t *event)
{
	(void)s;
	const json_t *inner = json_object_get(event, "error");
	return openai_error(json_is_object(inner) ? inner : event);
}

static const struct {
	const char *type;
	err_t (*on)(struct responses_stream *s, const json_t *event);
} handlers[] = {
	{"response.created", on_begin},
	{"response.queued", on_begin},
	{"response.in_progress", on_begin},
	{"response.output_item.done", on_item},
	{"response.completed", on_completed},
	{"response.incomplete", on_incomplete},
	{"response.failed", on_failed},
	{"response.cancelled", on_failed},
	{"error", on_error},
};

static err_t take_event(struct responses_stream *s)
{
	json_error_t error;
	if (strcmp(s->sse.data.data, "[DONE]") == 0) /* some servers; the end was said before */
		return NULL;
	json_auto_t *event = raw_parse(whole(s), &error);
	const char *type = openai_str(event, "type");
	if (!event)
		return err_new(ERR_OUTSIDE, "an event that is not JSON: %s", error.text);
	for (size_t i = 0; i < ARRAY_LEN(handlers); i++)
		if (is(type, handlers[i].type))
			return handlers[i].on(s, event);
	return NULL; /* deltas, and what is to come */
}

err_t responses_stream_feed(struct responses_stream *s, const char *data, size_t len)
{
	while (len > 0 && !s->complete) {
		bool complete;
		ERR_TRY(sse_feed(&s->sse, &data, &len, &complete));
		if (complete)
			ERR_TRY(take_event(s));
	}
	return NULL;
}
