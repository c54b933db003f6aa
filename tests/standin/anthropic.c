/*
 * The Messages API under /anthropic: authentication, checks, the scripted answer with computed
 * usage, streamed or whole. Facts: facts/llm.md A2 to A8.
 */
#define _GNU_SOURCE
#include "tests/standin/anthropic.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "tests/standin/cache.h"
#include "tests/standin/canon.h"
#include "tests/standin/fault.h"
#include "tests/standin/history.h"
#include "tests/standin/script.h"
#include "tests/standin/service.h"
#include "tests/standin/world.h"

#define BODY_MAX (32u << 20)

void anthropic_fail(struct req *q, int status, const char *type, const char *message)
{
	answer_json(q, status,
		json_pack("{s:s, s:{s:s, s:s}, s:s}", "type", "error", "error", "type", type,
			"message", message, "request_id", jstr(q->headers, "request-id", "")));
}

static void invalid(struct req *q, const char *message)
{
	anthropic_fail(q, 400, "invalid_request_error", message);
}

static bool authentic(const struct req *q)
{
	const char *key = req_header(q, "x-api-key"), *bearer = req_header(q, "Authorization");
	const char *wanted = config_str("anthropic", "key", "");
	if (!key && bearer && strncasecmp(bearer, "Bearer ", 7) == 0)
		key = bearer + 7;
	return key && *key && (!*wanted || strcmp(key, wanted) == 0);
}

static void add_headers(struct req *q)
{
	autofree char *id = random_id("req_011C", 20);
	answer_header(q, "request-id", "%s", id);
	answer_header(q, "anthropic-organization-id", "11111111-2222-4333-8444-555555555555");
	autofree char *reset = time_rfc3339(q->begun_ms + 60000);
	static const struct {
		const char *name;
		long limit;
	} limits[] = {{"requests", 1000}, {"tokens", 2400000}, {"input-tokens", 2000000},
		{"output-tokens", 400000}};
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		char name[96];
		snprintf(name, sizeof(name), "anthropic-ratelimit-%s-limit", limits[i].name);
		answer_header(q, name, "%ld", limits[i].limit);
		snprintf(name, sizeof(name), "anthropic-ratelimit-%s-remaining", limits[i].name);
		answer_header(q, name, "%ld", limits[i].limit - 1000 * (i > 0) - (i == 0));
		snprintf(name, sizeof(name), "anthropic-ratelimit-%s-reset", limits[i].name);
		answer_header(q, name, "%s", reset);
	}
}

/* Reads and checks the request. @return false when it is answered */
static bool read_ask(struct req *q, struct ask *ask)
{
	*ask = (struct ask){.json = q->json,
		.version = req_header(q, "anthropic-version"),
		.betas = req_header(q, "anthropic-beta") != NULL,
		.count_only = strstr(q->rest, "count_tokens") != NULL};
	const char *type = req_header(q, "Content-Type");
	const char *bad = NULL;
	if (!ask->version)
		bad = "anthropic-version: header is required";
	else if (strcmp(ask->version, "2023-06-01") && strcmp(ask->version, "2026-10-21"))
		bad = refuse("anthropic-version: \"%s\" is not a valid version", ask->version);
	else if (!type || strncmp(type, "application/json", 16) != 0)
		bad = "content-type: must be application/json";
	bad = bad ? bad : check_members(ask);
	if (bad) {
		invalid(q, bad);
		return false;
	}
	ask->model = model_find(jstr(q->json, "model", ""));
	if (!ask->model) {
		anthropic_fail(
			q, 404, "not_found_error", refuse("model: %s", jstr(q->json, "model", "")));
		return false;
	}
	const json_t *binding =
		json_object_get(json_object_get(q->json, "thinking"), "block_binding");
	bool drop = strcmp(jstr(binding, "prefix_mismatch_behavior", ""), "drop_block") == 0;
	bad = check_thinking(ask);
	bad = bad ? bad : check_tools(ask);
	bad = bad ? bad : check_messages(ask);
	bad = bad ? bad : cache_problem(q->json);
	bad = bad ? bad : history_problem(q->json, ask->model, drop);
	if (bad)
		invalid(q, bad);
	return !bad;
}

/* ---- the answer ---- */

static char *first_user_text(const json_t *messages)
{
	AUTO(buf_release) struct buf text = BUF(HTTP_BODY_MAX);
	json_t *content = canon_content(json_object_get(json_array_get(messages, 0), "content")),
	       *b;
	size_t i;
	json_array_foreach (content, i, b)
		buf_addf(&text, "%s\n", jstr(b, "text", ""));
	json_decref(content);
	return buf_take(&text);
}

/* Does the message say that the calls before it were not run? */
static bool is_interruption(const json_t *message)
{
	size_t i;
	json_t *block;
	json_array_foreach (json_object_get(message, "content"), i, block) {
		const char *text = jstr(block, "content", "");
		if (strcmp(text, "Not run: the worker was interrupted.") == 0)
			return true;
	}
	return false;
}

/* A turn whose calls were not run is said again, as a real model does. */
static size_t turns_so_far(const json_t *messages)
{
	size_t n = 0, i;
	json_t *m;
	json_array_foreach (messages, i, m)
		n += strcmp(jstr(m, "role", ""), "assistant") == 0 &&
		     !is_interruption(json_array_get(messages, i + 1));
	return n;
}

static json_t *content_of(const struct ask *ask, const json_t *turn)
{
	json_t *content = json_array(), *tool, *raw = json_object_get(turn, "blocks");
	const char *thought = jstr(turn, "thinking", NULL), *text = jstr(turn, "text", NULL);
	if (thought && ask_thinks(ask)) {
		const char *shown = ask_shows_thinking(ask) ? thought : "";
		autofree char *signature = history_sign(ask->json, shown);
		json_array_append_new(content, json_pack("{s:s, s:s, s:s}", "type", "thinking",
						       "thinking", shown, "signature", signature));
	}
	if (text)
		json_array_append_new(content,
			json_pack("{s:n, s:s, s:s}", "citations", "type", "text", "text", text));
	size_t i;
	json_array_foreach (json_object_get(turn, "tools"), i, tool) {
		autofree char *id = random_id("toolu_01", 22);
		const json_t *input = json_object_get(tool, "input");
		json_array_append_new(
			content, json_pack("{s:s, s:s, s:s, s:o, s:{s:s}}", "type", "tool_use",
					 "id", id, "name", jstr(tool, "name", "?"), "input",
					 input ? json_deep_copy(input) : json_object(), "caller",
					 "type", "direct"));
	}
	if (raw) {
		json_t *copy = json_deep_copy(raw);
		json_array_extend(content, copy);
		json_decref(copy);
	}
	return content;
}

/* No service bills more than max_tokens, whatever a script says. */
static void clip_output(json_t *usage, const json_t *request)
{
	json_int_t most = json_integer_value(json_object_get(request, "max_tokens"));
	if (most > 0 && json_integer_value(json_object_get(usage, "output_tokens")) > most)
		json_object_set_new(usage, "output_tokens", json_integer(most));
}

static json_t *usage_of(
	const struct cache_usage *u, const json_t *content, const json_t *turn, bool thinks)
{
	autofree char *text = json_dumps(content, JSON_COMPACT);
	const char *thought = thinks ? jstr(turn, "thinking", "") : "";
	json_int_t thinking = (json_int_t)strlen(thought) / 4;
	json_int_t output = (json_int_t)strlen(text) / 4 + thinking + 1;
	json_t *usage = json_pack("{s:I, s:I, s:I, s:{s:I, s:I}, s:I, s:{s:I}, s:n, s:s, s:s, s:s}",
		"input_tokens", (json_int_t)u->input, "cache_creation_input_tokens",
		(json_int_t)(u->written_5m + u->written_1h), "cache_read_input_tokens",
		(json_int_t)u->read, "cache_creation", "ephemeral_5m_input_tokens",
		(json_int_t)u->written_5m, "ephemeral_1h_input_tokens", (json_int_t)u->written_1h,
		"output_tokens", output, "output_tokens_details", "thinking_tokens", thinking,
		"server_tool_use", "service_tier", "standard", "inference_geo", "global", "speed",
		"standard");
	json_object_update(usage, json_object_get(turn, "usage"));
	return usage;
}

static json_t *message_of(const struct ask *ask, const json_t *turn, json_t *content, json_t *usage)
{
	const char *usual = json_is_true(json_object_get(turn, "cut_input"))  ? "max_tokens"
			    : json_array_size(json_object_get(turn, "tools")) ? "tool_use"
									      : "end_turn";
	autofree char *id = random_id("msg_01", 22);
	json_t *details = json_object_get(turn, "stop_details");
	return json_pack("{s:s, s:s, s:s, s:s, s:o, s:s, s:n, s:o, s:o, s:n, s:n}", "id", id,
		"type", "message", "role", "assistant", "model", jstr(ask->json, "model", ""),
		"content", content, "stop_reason", jstr(turn, "stop_reason", usual),
		"stop_sequence", "stop_details", details ? json_deep_copy(details) : json_null(),
		"usage", usage, "container", "diagnostics");
}

static void send_message(
	struct req *q, const struct ask *ask, const json_t *turn, const json_t *message)
{
	if (!json_is_true(json_object_get(ask->json, "stream"))) {
		answer_json(q, 200, json_incref((json_t *)message));
		return;
	}
	answer_text(q, 200, "text/event-stream; charset=utf-8", "");
	answer_header(q, "Cache-Control", "no-cache");
	anthropic_stream(&q->out, message, json_is_true(json_object_get(turn, "cut_input")));
	q->stream = true;
	q->pace.chunk_bytes = (size_t)config_int("stream", "chunk_bytes", 512);
	q->pace.chunk_delay_ms = config_int("stream", "chunk_delay_ms", 0);
}

static void play(struct req *q, const struct ask *ask, json_t *turn)
{
	q->pace.first_delay_ms = config_int("stream", "first_delay_ms", 0);
	struct cache_usage used;
	cache_use(q->json, ask->model, q->begun_ms, q->begun_ms + q->pace.first_delay_ms, &used);
	json_t *content = content_of(ask, turn);
	json_t *usage = usage_of(&used, content, turn, ask_thinks(ask));
	clip_output(usage, ask->json);
	json_t *message = message_of(ask, turn, content, usage);
	json_object_set(q->note, "usage", usage);
	history_remember(q->json, content);
	send_message(q, ask, turn, message);
	json_decref(message);
}

static void post_messages(struct req *q)
{
	struct ask ask;
	if (!read_ask(q, &ask))
		return;
	const json_t *messages = json_object_get(q->json, "messages");
	autofree char *text = first_user_text(messages);
	size_t at = turns_so_far(messages);
	const char *name;
	json_t *turn = script_turn(jstr(q->json, "model", ""), text, at, &name);
	q->note = json_pack("{s:s, s:I}", "script", name, "turn", (json_int_t)at);
	if (!turn) {
		anthropic_fail(q, 500, "api_error", "The script is over.");
		return;
	}
	const json_t *fault = script_fault(turn);
	if (!fault || fault_is_after(fault))
		play(q, &ask, turn);
	if (fault)
		fault_strike(q, fault);
}

static void post_count(struct req *q)
{
	struct ask ask;
	if (read_ask(q, &ask))
		answer_json(q, 200,
			json_pack("{s:I}", "input_tokens",
				(json_int_t)cache_count(q->json, ask.model)));
}

static const struct route routes[] = {
	{"POST", "/v1/messages", post_messages},
	{"POST", "/v1/messages/count_tokens", post_count},
	{"GET", "/v1/models/{}", anthropic_get_model},
	{"GET", "/v1/models", anthropic_get_models},
};

void anthropic_answer(struct req *q)
{
	add_headers(q);
	if (q->body.len > BODY_MAX) {
		json_t *rule = json_pack("{s:s}", "kind", "html_413");
		fault_strike(q, rule);
		json_decref(rule);
	} else if (!authentic(q)) {
		anthropic_fail(q, 401, "authentication_error", "invalid x-api-key");
	} else if (!route_run(q, routes, ARRAY_LEN(routes))) {
		anthropic_fail(q, 404, "not_found_error", "Not Found");
	}
}
