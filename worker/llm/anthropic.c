/*
 * The request side of Anthropic's Messages API: prefix, messages, cache marks, headers, errors.
 * Called through anthropic_provider by worker/llm/llm.c; the answer's side is anthropic_stream.c.
 *
 * Body: {"model":…,"stream":true,…,"tools":[…],"system":[…],"messages":[m0,m1,…],"max_tokens":N}
 * Marks (at most four): end of system (in the prefix), end of the first user message (in its
 * bytes), the newest user message and, when much was added since, the user message before it. The
 * last two move, so they are spliced in at send time and are never stored. All live for five
 * minutes, which every read renews: an hour costs 0.75 of the input price more for each token,
 * always, and saves 1.15 of it only where more than five minutes pass between two calls.
 */
#include "worker/llm/anthropic.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/llm/call.h"
#include "worker/llm/raw.h"

#define VERSION "2023-06-01"
#define MARK ",\"cache_control\":{\"type\":\"ephemeral\"}"
#define MESSAGE_END "}]}" /* of every user message: last block, list, message */
#define LOOK_BACK 15      /* blocks; the service looks back 20 from a mark */

static void add_json(struct buf *out, const char *text)
{
	json_auto_t *value = text_json(text);
	autofree char *s = json_dumps(value, JSON_COMPACT | JSON_ENCODE_ANY);
	buf_adds(out, s);
}

static void add_thinking(const struct llm *llm, struct buf *out)
{
	const struct profile *p = &llm->profile;
	if (p->thinking == THINKING_ADAPTIVE)
		buf_adds(out, ",\"thinking\":{\"type\":\"adaptive\"}");
	else if (p->thinking == THINKING_ENABLED)
		buf_addf(out, ",\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":%lld}",
			(long long)p->thinking_budget[llm->purpose]);
	if (*p->effort) {
		buf_adds(out, ",\"output_config\":{\"effort\":");
		add_json(out, p->effort);
		buf_addc(out, '}');
	}
}

static err_t make_prefix(const struct llm *llm, const char *system, const struct llm_tool *tools,
	size_t count, struct buf *out)
{
	buf_adds(out, "{\"model\":");
	add_json(out, llm->profile.model);
	buf_adds(out, ",\"stream\":true");
	add_thinking(llm, out);
	buf_adds(out, ",\"tools\":[");
	for (size_t i = 0; i < count; i++) {
		buf_adds(out, i ? ",{\"name\":" : "{\"name\":");
		add_json(out, tools[i].name);
		buf_adds(out, ",\"description\":");
		add_json(out, tools[i].description);
		buf_addf(out, ",\"input_schema\":%s}", tools[i].schema);
	}
	buf_adds(out, "],\"system\":[{\"type\":\"text\",\"text\":");
	add_json(out, system);
	buf_adds(out, MARK "}],\"messages\":[");
	return buf_cut(out) ? err_new(ERR_TOO_LARGE, "the system prompt is too large") : NULL;
}

static void add_part(const struct llm_part *part, struct buf *out)
{
	if (part->tool_id) {
		buf_adds(out, "{\"type\":\"tool_result\",\"tool_use_id\":");
		add_json(out, part->tool_id);
		buf_adds(out, ",\"content\":");
	} else {
		buf_adds(out, "{\"type\":\"text\",\"text\":");
	}
	add_json(out, part->text);
	if (part->is_error)
		buf_adds(out, ",\"is_error\":true");
}

static void make_user_message(
	const struct llm_part *parts, size_t count, bool is_first, struct buf *out)
{
	buf_adds(out, "{\"role\":\"user\",\"content\":[");
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_adds(out, "},");
		add_part(&parts[i], out);
	}
	buf_adds(out, is_first ? MARK MESSAGE_END : MESSAGE_END);
}

static err_t read_message(
	const char *data, size_t len, struct llm_calls *ret_calls, int *ret_blocks)
{
	json_auto_t *message =
		json_loadb(data, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	const json_t *content = json_object_get(message, "content");
	struct raw blocks = {0}, it, input;
	raw_member((struct raw){data, len}, "content", &blocks);
	if (!json_is_array(content))
		return err_new(ERR_INTERNAL, "a stored message is not one");
	size_t i;
	json_t *block;
	json_array_foreach (content, i, block) {
		const char *type = json_string_value(json_object_get(block, "type"));
		const char *id = json_string_value(json_object_get(block, "id"));
		const char *name = json_string_value(json_object_get(block, "name"));
		if (!type || strcmp(type, "tool_use") != 0 || !id || !name)
			continue;
		bool found = raw_item(blocks, i, &it) && raw_member(it, "input", &input);
		autofree char *raw = found ? xstrndup(input.data, input.len) : xstrdup("{}");
		llm_calls_add(ret_calls, id, name, raw);
	}
	*ret_blocks = (int)json_array_size(content);
	return NULL;
}

/* ---- the body ---- */

/* The newest user message gets a mark, and the one before it when a look-back from there would
 * miss. */
static void choose_marks(const struct llm_request *req, size_t *ret_newest, size_t *ret_before)
{
	*ret_newest = *ret_before = SIZE_MAX;
	int added = 0;
	for (size_t i = req->count; i-- > 1;) { /* the first message has its own mark */
		if (req->messages[i].is_user && *ret_newest != SIZE_MAX) {
			if (added > LOOK_BACK)
				*ret_before = i;
			return;
		}
		if (req->messages[i].is_user)
			*ret_newest = i;
		if (*ret_newest != SIZE_MAX)
			added += req->messages[i].blocks;
	}
}

static size_t add_piece(struct http_piece *pieces, size_t n, const char *data, size_t len)
{
	pieces[n] = (struct http_piece){data, len};
	return n + 1;
}

size_t anthropic_pieces(const struct llm *llm, const struct llm_request *request, char *tail,
	size_t tail_size, struct http_piece **ret_pieces)
{
	int64_t max = request->max_output ? request->max_output : LLM_MAX_OUTPUT;
	if (max > llm->profile.max_output)
		max = llm->profile.max_output;
	int tail_len = snprintf(tail, tail_size, "],%s\"max_tokens\":%lld}",
		llm_forces_call(llm, request) ? "\"tool_choice\":{\"type\":\"any\"}," : "",
		(long long)max);
	size_t newest, before, n = 0;
	choose_marks(request, &newest, &before);
	struct http_piece *pieces = xcalloc(request->count * 4 + 2, sizeof *pieces);
	n = add_piece(pieces, n, request->prefix, request->prefix_len);
	for (size_t i = 0; i < request->count; i++) {
		const struct llm_message *m = &request->messages[i];
		if (i)
			n = add_piece(pieces, n, ",", 1);
		bool mark = (i == newest || i == before) && m->len > strlen(MESSAGE_END);
		size_t head = mark ? m->len - strlen(MESSAGE_END) : m->len;
		n = add_piece(pieces, n, m->data, head);
		if (mark) {
			n = add_piece(pieces, n, MARK, strlen(MARK));
			n = add_piece(pieces, n, MESSAGE_END, strlen(MESSAGE_END));
		}
	}
	n = add_piece(pieces, n, tail, (size_t)tail_len);
	*ret_pieces = pieces;
	return n;
}

/* ---- the call ---- */

/* Which refusals mean that the conversation is too long, and which that waiting will not help. */
static const struct {
	long status;
	const char *words;
	enum err_code code;
} refusals[] = {
	{400, "prompt is too long", ERR_CONTEXT},
	{400, "exceed context limit", ERR_CONTEXT},
	{413, "", ERR_CONTEXT},
	{429, "enforced_spend_limit_reached", ERR_SPENT},
	{429, "contract_spend_limit_reached", ERR_SPENT},
	{400, "specified API usage limits", ERR_SPENT},
	{402, "", ERR_SPENT},
};

static err_t status_error(
	const struct http_request *req, const struct http_response *res, bool *ret_can_retry)
{
	json_auto_t *body = json_loadb(res->body.data, res->body.len, 0, NULL);
	const json_t *error = json_object_get(body, "error");
	const char *message = json_string_value(json_object_get(error, "message"));
	*ret_can_retry = http_answer_retries(res);
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		if (refusals[i].status != res->status || !strstr(res->body.data, refusals[i].words))
			continue;
		*ret_can_retry = false;
		return err_new(refusals[i].code, "%s%.300s",
			refusals[i].code == ERR_CONTEXT
				? "the conversation no longer fits the model: "
				: "anthropic refuses until its spending limit is raised: ",
			message ? message : "");
	}
	return http_status_error(req, res, message);
}

static err_t on_data(void *arg, const char *data, size_t len)
{
	return anthropic_stream_feed(arg, data, len);
}

static bool is_complete(const void *arg)
{
	return anthropic_stream_complete(arg);
}

static err_t stream(const struct llm *llm, const struct llm_request *request, llm_event_fn fn,
	void *arg, struct http_response *ret_response, bool *ret_can_retry)
{
	char tail[64];
	autofree struct http_piece *pieces = NULL;
	size_t count = anthropic_pieces(llm, request, tail, sizeof tail, &pieces);
	AUTO(anthropic_stream_freep) struct anthropic_stream *s = anthropic_stream_new(fn, arg);
	const struct llm_call_spec call = {.pieces = pieces,
		.count = count,
		.header = {"anthropic-version", VERSION},
		.feed = on_data,
		.is_complete = is_complete,
		.status_error = status_error,
		.stream = s};
	return llm_call_make(llm, request, &call, ret_response, ret_can_retry);
}

const struct llm_provider anthropic_provider = {
	.api = "messages",
	.answer_open = "{\"role\":\"assistant\",\"content\":[",
	.answer_close = "]}",
	.prefix = make_prefix,
	.user_message = make_user_message,
	.stop_of = anthropic_stop_of,
	.read_message = read_message,
	.stream = stream,
};
