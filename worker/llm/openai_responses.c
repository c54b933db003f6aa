/*
 * The request side of OpenAI's Responses API. Called through openai_responses_provider by
 * worker/llm/llm.c; the answer's side is openai_responses_stream.c.
 *
 * Body: {"model":…,"stream":true,"store":false,…,"tools":[…],"instructions":…,"input":[i0,i1,…],
 * "max_output_tokens":N}. A stored message is an array of items; its brackets are left out when it
 * is sent. Caching is the service's own (an implicit breakpoint at the end of each request); the
 * key keeps a conversation's requests on one machine.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/llm/openai.h"

static err_t make_prefix(const struct llm *llm, const char *system, const struct llm_tool *tools,
	size_t count, struct buf *out)
{
	buf_adds(out, "{\"model\":");
	openai_add_text(out, llm->profile.model);
	buf_adds(out, ",\"stream\":true,\"store\":false");
	if (llm->profile.thinking != THINKING_NONE)
		buf_adds(out, ",\"include\":[\"reasoning.encrypted_content\"]");
	if (llm->profile.thinking != THINKING_NONE && *llm->profile.effort) {
		buf_adds(out, ",\"reasoning\":{\"effort\":");
		openai_add_text(out, llm->profile.effort);
		buf_addc(out, '}');
	}
	if (*llm->cache_key) {
		buf_adds(out, ",\"prompt_cache_key\":");
		openai_add_text(out, llm->cache_key);
	}
	buf_adds(out, ",\"tools\":[");
	for (size_t i = 0; i < count; i++) {
		buf_adds(out, i ? ",{\"type\":\"function\",\"name\":"
				: "{\"type\":\"function\",\"name\":");
		openai_add_text(out, tools[i].name);
		buf_adds(out, ",\"description\":");
		openai_add_text(out, tools[i].description);
		buf_addf(out, ",\"parameters\":%s,\"strict\":false}", tools[i].schema);
	}
	buf_adds(out, "],\"instructions\":");
	openai_add_text(out, system);
	buf_adds(out, ",\"input\":[");
	return buf_cut(out) ? err_new(ERR_TOO_LARGE, "the system prompt is too large") : NULL;
}

static void make_user_message(
	const struct llm_part *parts, size_t count, bool is_first, struct buf *out)
{
	(void)is_first;
	buf_addc(out, '[');
	for (size_t i = 0; i < count; i++) {
		if (i)
			buf_addc(out, ',');
		if (parts[i].tool_id) {
			buf_adds(out, "{\"type\":\"function_call_output\",\"call_id\":");
			openai_add_text(out, parts[i].tool_id);
			buf_adds(out, ",\"output\":");
			openai_add_output(out, &parts[i]);
			buf_addc(out, '}');
		} else {
			/* A list of parts would match two kinds of items of the document. */
			buf_adds(out, "{\"type\":\"message\",\"role\":\"user\",\"content\":");
			openai_add_text(out, parts[i].text);
			buf_addc(out, '}');
		}
	}
	buf_addc(out, ']');
}

static err_t read_message(
	const char *data, size_t len, struct llm_calls *ret_calls, int *ret_blocks)
{
	json_auto_t *items = json_loadb(data, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	if (!json_is_array(items))
		return err_new(ERR_INTERNAL, "a stored message is not one");
	size_t i;
	json_t *item;
	json_array_foreach (items, i, item) {
		const char *type = openai_str(item, "type"), *id = openai_str(item, "call_id");
		const char *name = openai_str(item, "name");
		const char *arguments = openai_str(item, "arguments");
		if (type && strcmp(type, "function_call") == 0 && id && name)
			llm_calls_add(ret_calls, id, name, arguments ? arguments : "{}");
	}
	*ret_blocks = (int)json_array_size(items);
	return NULL;
}

static err_t on_data(void *arg, const char *data, size_t len)
{
	return responses_stream_feed(arg, data, len);
}

static bool is_complete(const void *arg)
{
	return responses_stream_complete(arg);
}

static err_t stream(const struct llm *llm, const struct llm_request *request, llm_event_fn fn,
	void *arg, struct http_response *ret_response, bool *ret_can_retry)
{
	char tail[96];
	int len = snprintf(tail, sizeof tail, "],%s\"max_output_tokens\":%lld}",
		llm_forces_call(llm, request) ? "\"tool_choice\":\"required\"," : "",
		(long long)openai_max_output(llm, request));
	autofree struct http_piece *pieces = NULL;
	size_t count = openai_pieces(request, tail, (size_t)len, &pieces);
	AUTO(responses_stream_freep) struct responses_stream *s = responses_stream_new(fn, arg);
	const struct llm_call_spec call = {.pieces = pieces,
		.count = count,
		.feed = on_data,
		.is_complete = is_complete,
		.status_error = openai_status_error,
		.stream = s};
	err_t e = llm_call_make(llm, request, &call, ret_response, ret_can_retry);
	return e && openai_refused(ret_response, fn, arg) ? NULL : e;
}

const struct llm_provider openai_responses_provider = {
	.api = "responses",
	.answer_open = "[",
	.answer_close = "]",
	.prefix = make_prefix,
	.user_message = make_user_message,
	.stop_of = responses_stop_of,
	.read_message = read_message,
	.stream = stream,
};
