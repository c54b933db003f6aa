/*
 * OpenAI under /openai/v1: authentication, models, what both APIs share. The APIs themselves are
 * in openai_responses.c and openai_chat.c. Facts: facts/llm.md A11.
 */
#define _GNU_SOURCE
#include "tests/standin/openai.h"

#include <string.h>

#include "lib/mem.h"
#include "tests/standin/fault.h"
#include "tests/standin/script.h"
#include "tests/standin/service.h"
#include "tests/standin/world.h"

static const char *const models[] = {"gpt-6-astra", "gpt-6.1-sol", "gpt-6.1-terra", "gpt-6-sol",
	"gpt-6-luna", "gpt-5.6-sol", "gpt-5.6-terra", "gpt-5.6-luna", "gpt-5.5", "gpt-5.4",
	"gpt-5.2"};

void openai_fail(struct req *q, int status, const char *type, const char *code, const char *param,
	const char *message)
{
	answer_json(q, status,
		json_pack("{s:{s:s, s:s, s:s?, s:s?}}", "error", "message", message, "type", type,
			"param", param, "code", code));
}

void openai_text(struct buf *out, const json_t *content)
{
	if (json_is_string(content))
		buf_addf(out, "%s\n", json_string_value(content));
	size_t i;
	json_t *part;
	json_array_foreach (content, i, part)
		buf_addf(out, "%s\n", jstr(part, "text", ""));
}

static bool lists(const json_t *array, const char *name)
{
	size_t i;
	json_t *v;
	json_array_foreach (array, i, v) {
		if (strcmp(json_string_value(v), name) == 0)
			return true;
	}
	return false;
}

/* NOLINTNEXTLINE(misc-no-recursion): schemas are trees. NULL when strict mode takes it. */
static const char *strict_problem(const json_t *schema)
{
	const json_t *properties = json_object_get(schema, "properties");
	const char *name, *bad;
	json_t *inner;
	if (properties && !json_is_false(json_object_get(schema, "additionalProperties")))
		return "'additionalProperties' is required to be supplied and to be false.";
	json_object_foreach ((json_t *)properties, name, inner) {
		if (!lists(json_object_get(schema, "required"), name))
			return "'required' is required to be supplied and to be an array including "
			       "every key in properties.";
		if ((bad = strict_problem(inner)))
			return bad;
	}
	const json_t *items = json_object_get(schema, "items");
	return items ? strict_problem(items) : NULL;
}

bool openai_check_schema(struct req *q, const json_t *format, const char *param)
{
	if (strcmp(jstr(format, "type", ""), "json_schema") != 0)
		return true;
	const json_t *holder = json_object_get(format, "json_schema");
	holder = holder ? holder : format;
	const json_t *schema = json_object_get(holder, "schema");
	bool strict = json_is_true(json_object_get(holder, "strict"));
	const char *name = jstr(holder, "name", "");
	const char *bad = !*name    ? "a name is required"
			  : !schema ? "a schema is required"
			  : strict  ? strict_problem(schema)
				    : NULL;
	if (!bad)
		return true;
	autofree char *words =
		xasprintf("Invalid schema for response_format '%s': In context=(), %s", name, bad);
	openai_fail(q, 400, "invalid_request_error", "invalid_json_schema", param, words);
	return false;
}

json_t *openai_turn(struct req *q, const char *text, size_t at)
{
	const char *name;
	json_t *turn = script_turn(jstr(q->json, "model", ""), text, at, &name);
	q->note = json_pack("{s:s, s:I}", "script", name, "turn", (json_int_t)at);
	if (!turn) {
		openai_fail(q, 500, "server_error", "server_error", NULL, "The script is over.");
		return NULL;
	}
	const json_t *fault = script_fault(turn);
	if (!fault)
		return turn;
	if (!fault_is_after(fault)) {
		fault_strike(q, fault);
		return NULL;
	}
	json_object_set(q->note, "strike", (json_t *)fault);
	return turn;
}

void openai_turn_end(struct req *q)
{
	const json_t *fault = json_object_get(q->note, "strike");
	if (fault)
		fault_strike(q, fault);
}

void openai_begin_stream(struct req *q)
{
	answer_text(q, 200, "text/event-stream; charset=utf-8", "");
	q->stream = true;
	q->pace.chunk_bytes = (size_t)config_int("stream", "chunk_bytes", 512);
	q->pace.chunk_delay_ms = config_int("stream", "chunk_delay_ms", 0);
	q->pace.first_delay_ms = config_int("stream", "first_delay_ms", 0);
}

static json_t *view_model(const char *id)
{
	return json_pack("{s:s, s:s, s:i, s:s}", "id", id, "object", "model", "created", 1780000000,
		"owned_by", "openai");
}

static bool known_model(const char *id)
{
	for (size_t i = 0; i < ARRAY_LEN(models); i++) {
		if (strcmp(models[i], id) == 0)
			return true;
	}
	return false;
}

static void no_model(struct req *q, const char *id)
{
	autofree char *words =
		xasprintf("The model `%s` does not exist or you do not have access to it.", id);
	openai_fail(q, 404, "invalid_request_error", "model_not_found", NULL, words);
}

static void get_models(struct req *q)
{
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(models); i++)
		json_array_append_new(list, view_model(models[i]));
	answer_json(q, 200, json_pack("{s:s, s:o}", "object", "list", "data", list));
}

static void get_model(struct req *q)
{
	if (known_model(q->param[0]))
		answer_json(q, 200, view_model(q->param[0]));
	else
		no_model(q, q->param[0]);
}

static bool authentic(const struct req *q)
{
	const char *given = req_header(q, "Authorization"), *key = config_str("openai", "key", "");
	return given && strncasecmp(given, "Bearer ", 7) == 0 && given[7] &&
	       (!*key || !strcmp(given + 7, key));
}

static void add_headers(struct req *q)
{
	autofree char *id = random_id("req_", 24);
	answer_header(q, "x-request-id", "%s", id);
	answer_header(q, "openai-processing-ms", "12");
	answer_header(q, "openai-version", "2020-10-01");
	answer_header(q, "x-ratelimit-limit-requests", "10000");
	answer_header(q, "x-ratelimit-remaining-requests", "9999");
	answer_header(q, "x-ratelimit-reset-requests", "6ms");
	answer_header(q, "x-ratelimit-limit-tokens", "30000000");
	answer_header(q, "x-ratelimit-remaining-tokens", "29999000");
	answer_header(q, "x-ratelimit-reset-tokens", "2ms");
}

static const struct route routes[] = {
	{"GET", "/v1/models", get_models},
	{"GET", "/v1/models/{}", get_model},
	{"POST", "/v1/responses", openai_post_responses},
	{"POST", "/v1/chat/completions", openai_post_chat},
};

void openai_answer(struct req *q)
{
	add_headers(q);
	bool post = strcmp(q->method, "POST") == 0;
	if (!authentic(q))
		openai_fail(q, 401, "invalid_request_error", "invalid_api_key", NULL,
			"Incorrect API key provided.");
	else if (post && !json_is_object(q->json))
		openai_fail(q, 400, "invalid_request_error", NULL, NULL,
			"We could not parse the JSON body of your request.");
	else if (post && !jstr(q->json, "model", NULL))
		openai_fail(q, 400, "invalid_request_error", "missing_required_parameter", "model",
			"Missing required parameter: 'model'.");
	else if (post && !known_model(jstr(q->json, "model", "")))
		no_model(q, jstr(q->json, "model", ""));
	else if (!route_run(q, routes, ARRAY_LEN(routes)))
		openai_fail(q, 404, "invalid_request_error", "unknown_url", NULL,
			"Unknown request URL");
}
