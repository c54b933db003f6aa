/*
 * POST /responses: items in, items out, named events with sequence numbers when streamed.
 * Shapes: specs/openai.trimmed.json. Called by openai.c.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/openai.h"
#include "tests/standin/openai_cache.h"
#include "tests/standin/world.h"

static const char *const known[] = {"model", "input", "instructions", "reasoning", "text",
	"max_output_tokens", "tools", "tool_choice", "store", "include", "previous_response_id",
	"background", "truncation", "service_tier", "prompt_cache_key", "prompt_cache_options",
	"prompt_cache_retention", "safety_identifier", "stream", "stream_options", "metadata",
	"parallel_tool_calls", "max_tool_calls", "temperature", "top_p", "top_logprobs", "user",
	"conversation", "prompt", "context_management", "moderation"};

static bool accepts_members(struct req *q)
{
	const char *name;
	json_t *value;
	json_object_foreach (q->json, name, value) {
		size_t i = 0;
		while (i < ARRAY_LEN(known) && strcmp(known[i], name) != 0)
			i++;
		bool sampling = strcmp(name, "temperature") == 0 || strcmp(name, "top_p") == 0;
		if (i < ARRAY_LEN(known) && (!sampling || json_is_null(value)))
			continue;
		autofree char *words = sampling ? xasprintf("Unsupported parameter: '%s' is not "
							    "supported with this model.",
							  name)
						: xasprintf("Unknown parameter: '%s'.", name);
		openai_fail(q, 400, "invalid_request_error",
			sampling ? "unsupported_parameter" : "unknown_parameter", name, words);
		return false;
	}
	return true;
}

static bool is(const json_t *item, const char *type)
{
	return strcmp(jstr(item, "type", ""), type) == 0;
}

static bool has_item(const json_t *input, const char *type, const char *call_id)
{
	size_t i;
	json_t *item;
	json_array_foreach (input, i, item) {
		if (is(item, type) && strcmp(jstr(item, "call_id", ""), call_id) == 0)
			return true;
	}
	return false;
}

static bool check_calls(struct req *q, const json_t *input)
{
	size_t i;
	json_t *item;
	json_array_foreach (input, i, item) {
		const char *id = jstr(item, "call_id", "");
		autofree char *words = NULL;
		if (is(item, "function_call") && !has_item(input, "function_call_output", id))
			words = xasprintf("No tool output found for function call %s.", id);
		if (is(item, "function_call_output") && !has_item(input, "function_call", id) &&
			!json_object_get(q->json, "previous_response_id"))
			words = xasprintf(
				"No tool call found for function call output with call_id %s.", id);
		if (!words)
			continue;
		openai_fail(q, 400, "invalid_request_error", NULL, "input", words);
		return false;
	}
	return true;
}

static bool by_model(const json_t *item)
{
	return is(item, "function_call") || is(item, "reasoning") ||
	       strcmp(jstr(item, "role", ""), "assistant") == 0;
}

/* Rows of items that the model made count as one turn each. */
static size_t turns_so_far(const json_t *input)
{
	size_t n = 0, i;
	json_t *item;
	bool before = false;
	json_array_foreach (input, i, item) {
		n += by_model(item) && !before;
		before = by_model(item);
	}
	return n;
}

static char *first_user_text(const json_t *input)
{
	AUTO(buf_release) struct buf text = BUF(HTTP_BODY_MAX);
	if (json_is_string(input))
		buf_adds(&text, json_string_value(input));
	size_t i;
	json_t *item;
	json_array_foreach (input, i, item) {
		if (strcmp(jstr(item, "role", ""), "user") != 0)
			continue;
		openai_text(&text, json_object_get(item, "content"));
		break;
	}
	return buf_take(&text);
}

static json_t *text_part(const json_t *turn)
{
	const char *text = jstr(turn, "text", "");
	if (strcmp(jstr(turn, "stop_reason", ""), "refusal") == 0)
		return json_pack("{s:s, s:s}", "type", "refusal", "refusal", text);
	return json_pack("{s:s, s:s, s:[], s:[]}", "type", "output_text", "text", text,
		"annotations", "logprobs");
}

static json_t *output_of(const json_t *turn)
{
	json_t *output = json_array(), *tool;
	if (jstr(turn, "thinking", NULL)) {
		autofree char *id = random_id("rs_", 32), *secret = random_id("gAAAA", 48);
		json_array_append_new(
			output, json_pack("{s:s, s:s, s:[], s:s}", "id", id, "type", "reasoning",
					"summary", "encrypted_content", secret));
	}
	if (jstr(turn, "text", NULL)) {
		autofree char *id = random_id("msg_", 32);
		json_array_append_new(
			output, json_pack("{s:s, s:s, s:s, s:s, s:[o]}", "id", id, "type",
					"message", "status", "completed", "role", "assistant",
					"content", text_part(turn)));
	}
	size_t i;
	json_array_foreach (json_object_get(turn, "tools"), i, tool) {
		autofree char *id = random_id("fc_", 32), *call = random_id("call_", 24);
		autofree char *arguments =
			json_dumps(json_object_get(tool, "input"), JSON_COMPACT | JSON_ENCODE_ANY);
		json_array_append_new(
			output, json_pack("{s:s, s:s, s:s, s:s, s:s, s:s}", "id", id, "type",
					"function_call", "status", "completed", "call_id", call,
					"name", jstr(tool, "name", "?"), "arguments",
					arguments ? arguments : "{}"));
	}
	return output;
}

static json_t *usage_of(struct req *q, const json_t *turn, const json_t *output)
{
	autofree char *in =
		json_dumps(json_object_get(q->json, "input"), JSON_COMPACT | JSON_ENCODE_ANY);
	autofree char *out = json_dumps(output, JSON_COMPACT);
	json_int_t reasoning = (json_int_t)strlen(jstr(turn, "thinking", "")) / 4;
	json_int_t input = (json_int_t)(strlen(in) + strlen(jstr(q->json, "instructions", ""))) / 4;
	json_int_t answer = (json_int_t)strlen(out) / 4 + reasoning;
	autofree char *prompt = xasprintf("%s%s", jstr(q->json, "instructions", ""), in);
	int64_t read, written;
	openai_cache_use(jstr(q->json, "model", ""), prompt, world_now_ms(), &read, &written);
	json_t *usage = json_pack("{s:I, s:{s:I, s:I}, s:I, s:{s:I}, s:I}", "input_tokens", input,
		"input_tokens_details", "cached_tokens", (json_int_t)read, "cache_write_tokens",
		(json_int_t)written, "output_tokens", answer, "output_tokens_details",
		"reasoning_tokens", reasoning, "total_tokens", input + answer);
	json_object_update(usage, json_object_get(turn, "usage"));
	return usage;
}

/* A member of the request as the response repeats it. */
static json_t *echo(const struct req *q, const char *name, json_t *otherwise)
{
	json_t *v = json_object_get(q->json, name);
	if (!v)
		return otherwise;
	json_decref(otherwise);
	return json_incref(v);
}

static json_t *response_of(struct req *q, const json_t *turn)
{
	json_t *output = output_of(turn), *error = json_object_get(turn, "error");
	bool cut = strcmp(jstr(turn, "stop_reason", ""), "max_tokens") == 0;
	autofree char *id = random_id("resp_", 32);
	json_t *r = json_pack("{s:s, s:s, s:I, s:s, s:o, s:o, s:s, s:o, s:o}", "id", id, "object",
		"response", "created_at", (json_int_t)(q->begun_ms / 1000), "status",
		error ? "failed"
		: cut ? "incomplete"
		      : "completed",
		"error", error ? json_deep_copy(error) : json_null(), "incomplete_details",
		cut ? json_pack("{s:s}", "reason", "max_output_tokens") : json_null(), "model",
		jstr(q->json, "model", ""), "output", output, "usage", usage_of(q, turn, output));
	const struct {
		const char *name;
		json_t *otherwise;
	} echoes[] = {{"instructions", json_null()}, {"max_output_tokens", json_null()},
		{"parallel_tool_calls", json_true()}, {"previous_response_id", json_null()},
		{"reasoning", json_pack("{s:s, s:n}", "effort", "medium", "summary")},
		{"store", json_true()}, {"text", json_pack("{s:{s:s}}", "format", "type", "text")},
		{"tool_choice", json_string("auto")}, {"tools", json_array()},
		{"truncation", json_string("disabled")}, {"metadata", json_object()}};
	for (size_t i = 0; i < ARRAY_LEN(echoes); i++)
		json_object_set_new(
			r, echoes[i].name, echo(q, echoes[i].name, echoes[i].otherwise));
	json_object_set_new(r, "temperature", json_real(1.0));
	json_object_set_new(r, "top_p", json_real(1.0));
	json_object_set_new(r, "background", json_false());
	return r;
}

void openai_post_responses(struct req *q)
{
	const json_t *input = json_object_get(q->json, "input");
	const json_t *format = json_object_get(json_object_get(q->json, "text"), "format");
	if (!accepts_members(q) || !check_calls(q, input) ||
		!openai_check_schema(q, format, "text.format.schema"))
		return;
	autofree char *text = first_user_text(input);
	json_t *turn = openai_turn(q, text, turns_so_far(input));
	if (!turn)
		return;
	json_t *response = response_of(q, turn);
	json_object_set(q->note, "usage", json_object_get(response, "usage"));
	if (json_is_true(json_object_get(q->json, "stream")))
		openai_stream_response(q, response);
	else
		answer_json(q, 200, json_incref(response));
	json_decref(response);
	openai_turn_end(q);
}
