/*
 * The answer's side of the Chat Completions API: chunks become one message, given when [DONE] came.
 * Called by openai_chat.c. Servers differ: tool calls without index or id, arguments as an object,
 * "stop" for an answer with calls, no usage. Reasoning texts of local servers are passed over; none
 * wants them back.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/llm/openai.h"
#include "worker/llm/raw.h"
#include "worker/sse.h"

#define MAX_EVENT (8u << 20)
#define MAX_CALLS 128

struct part_call {
	json_int_t index;
	char *id, *name;
	struct buf arguments;
};

struct chat_stream {
	llm_event_fn fn;
	void *arg;
	struct sse sse;
	struct buf text, refusal;
	struct part_call calls[MAX_CALLS];
	size_t count;
	struct llm_usage usage;
	char finish[64];
	bool begun, complete;
};

struct chat_stream *chat_stream_new(llm_event_fn fn, void *arg)
{
	struct chat_stream *s = xcalloc(1, sizeof *s);
	s->fn = fn;
	s->arg = arg;
	s->text = s->refusal = BUF(MAX_EVENT);
	sse_init(&s->sse, MAX_EVENT);
	return s;
}

void chat_stream_free(struct chat_stream *s)
{
	if (!s)
		return;
	sse_release(&s->sse);
	buf_release(&s->text);
	buf_release(&s->refusal);
	for (size_t i = 0; i < s->count; i++) {
		free(s->calls[i].id);
		free(s->calls[i].name);
		buf_release(&s->calls[i].arguments);
	}
	free(s);
}

void chat_stream_freep(struct chat_stream **s)
{
	chat_stream_free(*s);
}

bool chat_stream_complete(const struct chat_stream *s)
{
	return s->complete;
}

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

/* ---- deltas ---- */

/* The call that a delta belongs to: by index and id, as far as the server tells them. */
static struct part_call *find_call(struct chat_stream *s, const json_t *delta, const char *id)
{
	const json_t *index = json_object_get(delta, "index");
	for (size_t i = s->count; i-- > 0;) {
		struct part_call *c = &s->calls[i];
		if (json_is_integer(index) && c->index != json_integer_value(index))
			continue;
		if (!id || !*id || !c->id || strcmp(id, c->id) == 0)
			return c;
		if (!json_is_integer(index))
			return NULL; /* another id and no index: a new one */
	}
	return NULL;
}

static err_t on_call(struct chat_stream *s, const json_t *delta)
{
	const json_t *function = json_object_get(delta, "function");
	const json_t *arguments = json_object_get(function, "arguments");
	const char *id = openai_str(delta, "id"), *name = openai_str(function, "name");
	struct part_call *c = find_call(s, delta, id);
	if (!c && s->count == MAX_CALLS)
		return err_new(ERR_OUTSIDE, "more than %d tool calls in one answer", MAX_CALLS);
	if (!c) {
		c = &s->calls[s->count++];
		*c = (struct part_call){.arguments = BUF(MAX_EVENT)};
		c->index = json_integer_value(json_object_get(delta, "index"));
	}
	if (id && *id && !c->id)
		c->id = xstrdup(id);
	if (name && *name && !c->name)
		c->name = xstrdup(name);
	autofree char *object =
		json_is_object(arguments) ? json_dumps(arguments, JSON_COMPACT) : NULL;
	if (object)
		buf_adds(&c->arguments, object);
	else if (json_is_string(arguments))
		buf_add(&c->arguments, json_string_value(arguments), json_string_length(arguments));
	return NULL;
}

static err_t on_choice(struct chat_stream *s, const json_t *choice)
{
	const json_t *delta = json_object_get(choice, "delta");
	const struct {
		const char *member;
		struct buf *to;
	} texts[] = {{"content", &s->text}, {"refusal", &s->refusal}};
	if (json_integer_value(json_object_get(choice, "index")) != 0)
		return NULL;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		const json_t *piece = json_object_get(delta, texts[i].member);
		if (json_is_string(piece))
			buf_add(texts[i].to, json_string_value(piece), json_string_length(piece));
	}
	size_t i;
	json_t *call;
	json_array_foreach (json_object_get(delta, "tool_calls"), i, call)
		ERR_TRY(on_call(s, call));
	const char *finish = openai_str(choice, "finish_reason");
	if (finish)
		snprintf(s->finish, sizeof s->finish, "%s", finish);
	return NULL;
}

/* ---- the end ---- */

/* Words of several servers for one thing; the first of each kind is the one that is stored. */
static const struct {
	const char *name;
	enum llm_stop stop;
} stops[] = {
	{"stop", LLM_STOP_END},
	{"tool_calls", LLM_STOP_TOOLS},
	{"length", LLM_STOP_OUTPUT},
	{"content_filter", LLM_STOP_REFUSAL},
	{"refusal", LLM_STOP_REFUSAL},
	{"function_call", LLM_STOP_TOOLS},
	{"tool_use", LLM_STOP_TOOLS},
	{"max_tokens", LLM_STOP_OUTPUT},
	{"model_length", LLM_STOP_OUTPUT},
};

enum llm_stop chat_stop_of(const char *stop_name)
{
	for (size_t i = 0; i < ARRAY_LEN(stops); i++)
		if (is(stop_name, stops[i].name))
			return stops[i].stop;
	return openai_is_refusal(stop_name) ? LLM_STOP_REFUSAL : LLM_STOP_END;
}

static bool is_object(const char *text)
{
	json_auto_t *parsed = json_loads(text, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	return json_is_object(parsed);
}

static bool is_known(const char *finish)
{
	for (size_t i = 0; i < ARRAY_LEN(stops); i++)
		if (is(finish, stops[i].name))
			return true;
	return false;
}

/* An end of unknown name may be a cut: then its last call shows it. */
static const char *stop_name(const struct chat_stream *s)
{
	enum llm_stop stop = chat_stop_of(s->finish);
	if (s->refusal.len)
		return "refusal";
	if (stop != LLM_STOP_END && stop != LLM_STOP_TOOLS)
		return s->finish;
	if (s->count == 0)
		return "stop";
	bool is_whole = is_known(s->finish) || is_object(s->calls[s->count - 1].arguments.data);
	return is_whole ? "tool_calls" : "length";
}

/* A call as the service wants it back: arguments that are no object would be refused. */
static void add_call(struct buf *out, const struct part_call *c, bool is_first)
{
	buf_adds(out, is_first ? ",\"tool_calls\":[{\"id\":" : ",{\"id\":");
	openai_add_text(out, c->id);
	buf_adds(out, ",\"type\":\"function\",\"function\":{\"name\":");
	openai_add_text(out, c->name);
	buf_adds(out, ",\"arguments\":");
	openai_add_text(out, is_object(c->arguments.data) ? c->arguments.data : "{}");
	buf_adds(out, "}}");
}

/* The message that is kept and sent back; empty when nothing was said. */
static void make_message(const struct chat_stream *s, struct buf *out)
{
	if (!s->text.len && !s->refusal.len && !s->count)
		return;
	buf_adds(out, "{\"role\":\"assistant\",\"content\":");
	if (s->text.len)
		openai_add_text(out, s->text.data);
	else
		buf_adds(out, "null");
	if (s->refusal.len) {
		buf_adds(out, ",\"refusal\":");
		openai_add_text(out, s->refusal.data);
	}
	for (size_t i = 0; i < s->count; i++)
		add_call(out, &s->calls[i], i == 0);
	buf_adds(out, s->count ? "]}" : "}");
}

/* It would hide what comes after it. */
static bool has_nul(const struct buf *b)
{
	return strlen(b->data) < b->len;
}

static err_t give_calls(struct chat_stream *s)
{
	for (size_t i = 0; i < s->count; i++) {
		struct part_call *c = &s->calls[i];
		if (!c->name)
			return err_new(ERR_OUTSIDE, "a tool call without a name");
		if (buf_cut(&c->arguments))
			return err_new(ERR_TOO_LARGE, "the arguments of a tool call are too large");
		if (!c->id) /* needed to answer it; servers without ids count by order */
			c->id = xasprintf("call_%zu", i);
		if (c->arguments.len == 0)
			buf_adds(&c->arguments, "{}");
		ERR_TRY(s->fn(
			s->arg, &(struct llm_event){.type = LLM_EVENT_BLOCK,
					.json = "",
					.tool_id = c->id,
					.tool_name = c->name,
					.tool_input = has_nul(&c->arguments) ? "null"
									     : c->arguments.data}));
	}
	return NULL;
}

static err_t on_done(struct chat_stream *s)
{
	AUTO(buf_release) struct buf message = BUF(4 * MAX_EVENT);
	if (!s->begun || !*s->finish)
		return err_new(ERR_OUTSIDE, "the end of a message that is not whole");
	if (buf_cut(&s->text) || buf_cut(&s->refusal))
		return err_new(ERR_TOO_LARGE, "a text of the answer is too large");
	ERR_TRY(give_calls(s));
	make_message(s, &message);
	ERR_TRY(s->fn(s->arg, &(struct llm_event){.type = LLM_EVENT_BLOCK,
				      .json = message.len ? message.data : "",
				      .text = s->text.len ? s->text.data : NULL}));
	const char *name = stop_name(s);
	ERR_TRY(s->fn(s->arg, &(struct llm_event){.type = LLM_EVENT_END,
				      .stop = chat_stop_of(name),
				      .stop_name = name,
				      .detail = s->refusal.len ? s->refusal.data : NULL,
				      .usage = s->usage}));
	s->complete = true;
	return NULL;
}

static err_t on_chunk(struct chat_stream *s, const json_t *chunk)
{
	const json_t *error = json_object_get(chunk, "error");
	const json_t *usage = json_object_get(chunk, "usage");
	if (error && !json_is_null(error))
		return openai_error(json_is_object(error) ? error : chunk);
	if (!s->begun)
		ERR_TRY(s->fn(s->arg, &(struct llm_event){.type = LLM_EVENT_BEGIN}));
	s->begun = true;
	if (json_is_object(usage))
		openai_usage(usage, "prompt_tokens", "completion_tokens", &s->usage);
	size_t i;
	json_t *choice;
	json_array_foreach (json_object_get(chunk, "choices"), i, choice)
		ERR_TRY(on_choice(s, choice));
	return NULL;
}

static err_t take_event(struct chat_stream *s)
{
	json_error_t error;
	if (is(s->sse.data.data, "[DONE]"))
		return on_done(s);
	json_auto_t *chunk = raw_parse((struct raw){s->sse.data.data, s->sse.data.len}, &error);
	if (!json_is_object(chunk))
		return err_new(ERR_OUTSIDE, "a chunk that is no JSON object: %s", error.text);
	return on_chunk(s, chunk);
}

err_t chat_stream_feed(struct chat_stream *s, const char *data, size_t len)
{
	while (len > 0 && !s->complete) {
		bool complete;
		ERR_TRY(sse_feed(&s->sse, &data, &len, &complete));
		if (complete)
			ERR_TRY(take_event(s));
	}
	return NULL;
}
