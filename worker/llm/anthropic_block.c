/*
 * The content block that a stream is telling. Called by anthropic_stream.c. A block to which
 * nothing was added is kept in its own bytes, whatever its kind; a tool's input is kept in the
 * model's own bytes; a delta of an unknown kind is passed over.
 */
#include "worker/llm/anthropic_block.h"

#include <string.h>

#include "lib/mem.h"

#define MAX_BLOCK (8u << 20)

void anthropic_block_init(struct anthropic_block *b)
{
	*b = (struct anthropic_block){0};
	b->began = b->text = b->thinking = b->signature = b->input = BUF(MAX_BLOCK);
}

void anthropic_block_release(struct anthropic_block *b)
{
	json_decref(b->json);
	buf_release(&b->began);
	buf_release(&b->text);
	buf_release(&b->thinking);
	buf_release(&b->signature);
	buf_release(&b->input);
}

static const char *str(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static bool is(const char *a, const char *b)
{
	return a && strcmp(a, b) == 0;
}

err_t anthropic_block_open(struct anthropic_block *b, const json_t *event, struct raw bytes)
{
	struct raw block = {0};
	if (b->json)
		return err_new(ERR_OUTSIDE, "a content block inside a content block");
	if (!json_is_object(json_object_get(event, "content_block")))
		return err_new(ERR_OUTSIDE, "a content block is no object");
	b->json = json_deep_copy(json_object_get(event, "content_block"));
	b->index = json_integer_value(json_object_get(event, "index"));
	b->added = false;
	buf_reset(&b->began);
	if (raw_member(bytes, "content_block", &block))
		buf_add(&b->began, block.data, block.len);
	buf_reset(&b->text);
	buf_reset(&b->thinking);
	buf_reset(&b->signature);
	buf_reset(&b->input);
	return NULL;
}

/* Deltas and ends name the open block by its number; a stream that mixes them up lost something. */
static err_t check_open(const struct anthropic_block *b, const json_t *event)
{
	const json_t *index = json_object_get(event, "index");
	if (!b->json)
		return err_new(ERR_OUTSIDE, "a delta or an end outside of a content block");
	if (json_is_integer(index) && json_integer_value(index) != b->index)
		return err_new(ERR_OUTSIDE, "a delta or an end of another content block");
	return NULL;
}

static void add_citation(struct anthropic_block *b, json_t *citation)
{
	json_t *list = json_object_get(b->json, "citations");
	if (!json_is_array(list)) {
		list = json_array();
		json_object_set_new(b->json, "citations", list);
	}
	json_array_append(list, citation);
	b->added = true;
}

err_t anthropic_block_add(struct anthropic_block *b, const json_t *event)
{
	const json_t *delta = json_object_get(event, "delta");
	const struct {
		const char *type, *member;
		struct buf *to;
	} kinds[] = {
		{"text_delta", "text", &b->text},
		{"input_json_delta", "partial_json", &b->input},
		{"thinking_delta", "thinking", &b->thinking},
		{"signature_delta", "signature", &b->signature},
	};
	ERR_TRY(check_open(b, event));
	const char *type = str(delta, "type");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		const json_t *piece = json_object_get(delta, kinds[i].member);
		if (!is(type, kinds[i].type) || !json_is_string(piece))
			continue;
		buf_add(kinds[i].to, json_string_value(piece), json_string_length(piece));
		b->added |= json_string_length(piece) > 0;
	}
	if (is(type, "citations_delta"))
		add_citation(b, json_object_get(delta, "citation"));
	return NULL;
}

/* What the deltas brought goes behind what the block began with. */
static void put(json_t *block, const char *member, const struct buf *more)
{
	if (more->len == 0)
		return;
	AUTO(buf_release) struct buf whole = BUF(2 * MAX_BLOCK);
	const json_t *begun = json_object_get(block, member);
	if (json_is_string(begun))
		buf_add(&whole, json_string_value(begun), json_string_length(begun));
	buf_add(&whole, more->data, more->len);
	json_object_set_new(block, member, json_stringn(whole.data, whole.len));
}

/* The block's JSON with its input in the model's own bytes, kept as it came. */
static void with_input(struct anthropic_block *b, const char *input, struct buf *out)
{
	json_object_del(b->json, "input");
	autofree char *head = json_dumps(b->json, JSON_COMPACT);
	buf_add(out, head, strlen(head) - 1);
	buf_addf(out, "%s\"input\":%s}", strlen(head) > 2 ? "," : "", input);
}

static bool is_object_text(const char *text, size_t len)
{
	json_auto_t *parsed = json_loadb(text, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	return json_is_object(parsed);
}

/* Of a server's tool, too, whose call is not ours to run. */
static err_t give_call(struct anthropic_block *b, bool is_ours, llm_event_fn fn, void *arg)
{
	const struct raw began = {b->began.data, b->began.len};
	struct raw first = {0};
	AUTO(buf_release) struct buf input = BUF(MAX_BLOCK), json = BUF(2 * MAX_BLOCK);
	if (b->input.len)
		buf_add(&input, b->input.data, b->input.len);
	else if (raw_member(began, "input", &first))
		buf_add(&input, first.data, first.len);
	else
		buf_adds(&input, "{}");
	bool is_good = is_object_text(input.data, input.len);
	const char *id = str(b->json, "id"), *name = str(b->json, "name");
	if (is_ours && (!id || !name))
		return err_new(ERR_OUTSIDE, "a tool call without id or name");
	with_input(b, is_good ? input.data : "{}", &json); /* else it could not be sent back */
	return fn(arg, &(struct llm_event){.type = LLM_EVENT_BLOCK,
			       .json = json.data,
			       .tool_id = is_ours ? id : NULL,
			       .tool_name = name,
			       /* a NUL would hide what comes after it */
			       .tool_input = memchr(input.data, 0, input.len) ? "" : input.data});
}

static err_t give_block(struct anthropic_block *b, llm_event_fn fn, void *arg)
{
	const json_t *said = json_object_get(b->json, "text");
	bool is_text = is(str(b->json, "type"), "text");
	autofree char *made = b->added ? json_dumps(b->json, JSON_COMPACT) : NULL;
	const char *json = made ? made : b->began.data;
	if (is_text && json_string_length(said) == 0)
		json = ""; /* the service refuses an empty text that is sent back */
	return fn(arg, &(struct llm_event){.type = LLM_EVENT_BLOCK,
			       .json = json,
			       .text = is_text ? json_string_value(said) : NULL});
}

err_t anthropic_block_close(
	struct anthropic_block *b, const json_t *event, llm_event_fn fn, void *arg)
{
	ERR_TRY(check_open(b, event));
	if (buf_cut(&b->text) || buf_cut(&b->thinking) || buf_cut(&b->signature) ||
		buf_cut(&b->input))
		return err_new(ERR_TOO_LARGE, "a content block is too large");
	put(b->json, "text", &b->text);
	put(b->json, "thinking", &b->thinking);
	put(b->json, "signature", &b->signature);
	bool is_ours = is(str(b->json, "type"), "tool_use");
	err_t e = is_ours || b->input.len ? give_call(b, is_ours, fn, arg) : give_block(b, fn, arg);
	json_decref(b->json);
	b->json = NULL;
	return e;
}
