/*
 * The request side of the Chat Completions API, as Ollama, vLLM, llama.cpp and LiteLLM speak it
 * too: only what all of them take is sent. Called through openai_chat_provider by worker/llm/llm.c;
 * the answer's side is openai_chat_stream.c.
 *
 * Body: {"model":…,"stream":true,…,"tools":[…],"messages":[system,m0,m1,…],"max_…tokens":N}. A
 * stored message is an array of messages (a tool's result is one of its own); its brackets are left
 * out when it is sent.
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
	buf_adds(out, ",\"stream\":true,\"stream_options\":{\"include_usage\":true}");
	if (llm->profile.thinking != THINKING_NONE && *llm->profile.effort) {
		buf_adds(out, ",\"reasoning_effort\":");
		openai_add_text(out, llm->profile.effort);
	}
	buf_adds(out, ",\"tools\":[");
	for (size_t i = 0; i < count; i++) {
		buf_adds(out, i ? ",{\"type\":\"function\",\"function\":{\"name\":"
				: "{\"type\":\"function\",\"function\":{\"name\":");
		openai_add_text(out, tools[i].name);
		buf_adds(out, ",\"description\":");
		openai_add_text(out, tools[i].description);
		buf_addf(out, ",\"parameters\":%s}}", tools[i].schema);
	}
	buf_adds(out, "],\"messages\":[{\"role\":\"system\",\"content\":");
	openai_add_text(out, system);
	buf_adds(out, "},");
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
			buf_adds(out, "{\"role\":\"tool\",\"tool_call_id\":");
			openai_add_text(out, parts[i].tool_id);
			buf_adds(out, ",\"content\":");
			openai_add_output(out, &parts[i]);
		} else {
			buf_adds(out, "{\"role\":\"user\",\"content\":");
			openai_add_text(out, parts[i].text);
		}
		buf_addc(out, '}');
	}
	buf_addc(out, ']');
}

static void read_calls(const json_t *message, struct llm_calls *ret_calls)
{
	size_t i;
	json_t *call;
	json_array_foreach (json_object_get(message, "tool_calls"), i, call) {
		const json_t *function = json_object_get(call, "function");
		const char *id = openai_str(call, "id"), *name = openai_str(function, "name");
		const char *arguments = openai_str(function, "arguments");
		if (id && name)
			llm_calls_add(ret_calls, id, name, arguments ? arguments : "{}");
	}
}

static err_t read_message(
	const char *data, size_t len, struct llm_calls *ret_calls, int *ret_blocks)
{
	json_auto_t *list = json_loadb(data, len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	if (!json_is_array(list))
		return err_new(ERR_INTERNAL, "a stored message is not one");
	size_t i;
	json_t *message;
	json_array_foreach (list, i, message)
		read_calls(message, ret_calls);
	*ret_blocks = (int)json_array_size(list);
	return NULL;
}

static err_t on_data(void *arg, const char *data, size_t len)
{
	return chat_stream_feed(arg, data, len);
}

static bool is_complete(const void *arg)
{
	return chat_stream_complete(arg);
}

static err_t stream(const struct llm *llm, const struct llm_request *request, llm_event_fn fn,
	void *arg, struct http_response *ret_response, bool *ret_can_retry)
{
	char tail[96];
	const char *limit = llm->profile.max_tokens;
	int len = snprintf(tail, sizeof tail, "],%s\"%s\":%lld}",
		llm_forces_call(llm, request) ? "\"tool_choice\":\"required\"," : "",
		*limit ? limit : "max_completion_tokens",
		(long long)openai_max_output(llm, request));
	autofree struct http_piece *pieces = NULL;
	size_t count = openai_pieces(request, tail, (size_t)len, &pieces);
	AUTO(chat_stream_freep) struct chat_stream *s = chat_stream_new(fn, arg);
	const struct llm_call_spec call = {.pieces = pieces,
		.count = count,
		.feed = on_data,
		.is_complete = is_complete,
		.status_error = openai_status_error,
		.stream = s};
	err_t e = llm_call_make(llm, request, &call, ret_response, ret_can_retry);
	return e && openai_refused(ret_response, fn, arg) ? NULL : e;
}

const struct llm_provider openai_chat_provider = {
	.api = "chat",
	.answer_open = "[",
	.answer_close = "]",
	.prefix = make_prefix,
	.user_message = make_user_message,
	.stop_of = chat_stop_of,
	.read_message = read_message,
	.stream = stream,
};
