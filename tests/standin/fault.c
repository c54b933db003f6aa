/*
 * Faults on command. service.c asks fault_take() for each request; the models' handlers also
 * strike with the fault of a script's turn.
 */
#define _GNU_SOURCE
#include "tests/standin/fault.h"

#include <string.h>

#include "lib/mem.h"
#include "tests/standin/world.h"

typedef void (*strike_fn)(struct req *q, const json_t *rule);

static json_t *rules; /* those of the control API; made when first needed */

static int64_t number(const json_t *rule, const char *name, int64_t otherwise)
{
	const json_t *v = json_object_get(rule, name);
	return json_is_number(v) ? (int64_t)json_number_value(v) : otherwise;
}

static int64_t seconds_ms(const json_t *rule, const char *name)
{
	const json_t *v = json_object_get(rule, name);
	return (int64_t)(json_number_value(v) * 1000);
}

/* What the service itself says with such a status. */
static json_t *usual_body(const struct req *q, int status)
{
	static const struct {
		int status;
		const char *type;
	} types[] = {{400, "invalid_request_error"}, {401, "authentication_error"},
		{402, "billing_error"}, {403, "permission_error"}, {404, "not_found_error"},
		{413, "request_too_large"}, {429, "rate_limit_error"}, {504, "timeout_error"},
		{529, "overloaded_error"}};
	const char *type = "api_error", *words = "A fault on command";
	for (size_t i = 0; i < ARRAY_LEN(types); i++)
		type = types[i].status == status ? types[i].type : type;
	if (strcmp(q->service, "jira") == 0)
		return json_pack("{s:[s], s:{}}", "errorMessages", words, "errors");
	if (strcmp(q->service, "github") == 0)
		return json_pack("{s:s}", "message", words);
	if (strcmp(q->service, "openai") == 0)
		return json_pack("{s:{s:s, s:s, s:n, s:n}}", "error", "message", words, "type",
			type, "param", "code");
	return json_pack("{s:s, s:{s:s, s:s}, s:s}", "type", "error", "error", "type", type,
		"message", words, "request_id", jstr(q->headers, "request-id", "req_fault"));
}

/* Every answer of these services has one, errors too. */
static void name_request(struct req *q)
{
	bool is_anthropic = strcmp(q->service, "anthropic") == 0;
	const char *header = is_anthropic ? "request-id" : "x-request-id";
	if ((!is_anthropic && strcmp(q->service, "openai") != 0) ||
		json_object_get(q->headers, header))
		return;
	autofree char *id = random_id(is_anthropic ? "req_011C" : "req_", 20);
	answer_header(q, header, "%s", id);
}

static void strike_status(struct req *q, const json_t *rule)
{
	name_request(q);
	json_t *body = json_object_get(rule, "body");
	int status = (int)number(rule, "status", 500);
	if (json_is_string(body))
		answer_text(q, status, "text/plain", json_string_value(body));
	else
		answer_json(q, status, body ? json_incref(body) : usual_body(q, status));
	const char *name;
	json_t *value;
	json_object_foreach (json_object_get(rule, "headers"), name, value)
		json_object_set(q->headers, name, value);
}

static void strike_down(struct req *q, const json_t *rule)
{
	(void)rule;
	q->down = true;
}

static void strike_stall(struct req *q, const json_t *rule)
{
	q->pace.stall_at = number(rule, "after_bytes", 0);
	q->pace.stall_ms = seconds_ms(rule, "seconds");
}

static void strike_cut(struct req *q, const json_t *rule)
{
	q->pace.cut_at = number(rule, "after_bytes", 0);
}

static void strike_delay(struct req *q, const json_t *rule)
{
	q->pace.first_delay_ms += number(rule, "ms", 0);
}

static void strike_slow(struct req *q, const json_t *rule)
{
	q->pace.chunk_bytes = (size_t)number(rule, "chunk_bytes", 16);
	q->pace.chunk_delay_ms = number(rule, "chunk_delay_ms", 100);
}

static void strike_wrong_json(struct req *q, const json_t *rule)
{
	(void)rule;
	answer_text(q, 200, "application/json", "{\"id\": \"x\", \"broken\": [1, 2");
}

static void strike_html_413(struct req *q, const json_t *rule)
{
	(void)rule;
	answer_text(q, 413, "text/html",
		"<html>\r\n<head><title>413 Request Entity Too Large</title></head>\r\n<body>\r\n"
		"<center><h1>413 Request Entity Too Large</h1></center>\r\n"
		"<hr><center>cloudflare</center>\r\n</body>\r\n</html>\r\n");
}

/* Keeps the first n events of a stream. */
static void keep_events(struct req *q, int64_t n)
{
	const char *at = q->out.data;
	while (n-- > 0) {
		const char *end = strstr(at, "\n\n");
		if (!end)
			return;
		at = end + 2;
	}
	buf_truncate(&q->out, (size_t)(at - q->out.data));
}

static void strike_error_event(struct req *q, const json_t *rule)
{
	keep_events(q, number(rule, "after_events", 1));
	const char *type = jstr(rule, "error_type", "overloaded_error");
	const char *message = jstr(rule, "message", "Overloaded");
	json_t *event = strcmp(q->service, "openai") == 0
				? json_pack("{s:s, s:s, s:s, s:n, s:i}", "type", "error", "code",
					  type, "message", message, "param", "sequence_number", 99)
				: json_pack("{s:s, s:{s:s, s:s}, s:n}", "type", "error", "error",
					  "type", type, "message", message, "request_id");
	autofree char *text = json_dumps(event, JSON_COMPACT);
	json_decref(event);
	buf_addf(&q->out, "event: error\ndata: %s\n\n", text);
}

static void strike_event_text(struct req *q, const json_t *rule)
{
	keep_events(q, number(rule, "after_events", 1));
	buf_adds(&q->out, jstr(rule, "text", "event: content_block_delta\ndata: {\"type\":\n\n"));
}

static const struct kind {
	const char *name;
	strike_fn strike;
	bool after;    /* always needs the service's answer */
	int64_t count; /* when the rule names none; -1: until cleared */
} kinds[] = {
	{"status", strike_status, false, 1},
	{"down", strike_down, false, -1},
	{"wrong_json", strike_wrong_json, false, 1},
	{"html_413", strike_html_413, false, 1},
	{"stall", strike_stall, true, 1},
	{"cut", strike_cut, true, 1},
	{"delay", strike_delay, true, 1},
	{"slow", strike_slow, true, 1},
	{"error_event", strike_error_event, true, 1},
	{"event_text", strike_event_text, true, 1},
};

static const struct kind *kind_of(const json_t *rule)
{
	const char *name = jstr(rule, "kind", "");
	for (size_t i = 0; i < ARRAY_LEN(kinds); i++) {
		if (strcmp(kinds[i].name, name) == 0)
			return &kinds[i];
	}
	return NULL;
}

static err_t add_one(const json_t *given)
{
	const struct kind *kind = kind_of(given);
	if (!kind)
		return err_new(
			ERR_BAD_INPUT, "fault: unknown kind \"%s\"", jstr(given, "kind", ""));
	json_t *rule = json_deep_copy(given);
	if (!json_object_get(rule, "count"))
		json_object_set_new(rule, "count", json_integer(kind->count));
	json_array_append_new(fault_list(), rule);
	return NULL;
}

err_t fault_add(const json_t *given)
{
	if (json_is_object(given))
		return add_one(given);
	size_t i;
	json_t *rule;
	json_array_foreach (given, i, rule)
		ERR_TRY(add_one(rule));
	return NULL;
}

json_t *fault_list(void)
{
	if (!rules)
		rules = json_array();
	return rules;
}

void fault_clear(const char *service)
{
	for (size_t i = json_array_size(fault_list()); i-- > 0;) {
		if (!service || strcmp(jstr(json_array_get(rules, i), "service", ""), service) == 0)
			json_array_remove(rules, i);
	}
}

static bool strikes(const struct req *q, const json_t *rule)
{
	const char *service = jstr(rule, "service", q->service);
	const char *method = jstr(rule, "method", q->method);
	const char *path = jstr(rule, "path_contains", "");
	const char *body = jstr(rule, "body_contains", "");
	return strcmp(service, q->service) == 0 && strcmp(method, q->method) == 0 &&
	       strstr(q->path, path) && strstr(q->body.data, body);
}

json_t *fault_take(const struct req *q)
{
	size_t i;
	json_t *rule;
	json_array_foreach (fault_list(), i, rule) {
		int64_t count = jint(rule, "count", 1), skip = jint(rule, "skip", 0);
		if (count == 0 || !strikes(q, rule))
			continue;
		if (skip > 0) {
			json_object_set_new(rule, "skip", json_integer(skip - 1));
			continue;
		}
		if (count > 0)
			json_object_set_new(rule, "count", json_integer(count - 1));
		return json_incref(rule);
	}
	return NULL;
}

bool fault_is_after(const json_t *rule)
{
	return kind_of(rule)->after || json_is_true(json_object_get(rule, "after"));
}

void fault_strike(struct req *q, const json_t *rule)
{
	const struct kind *kind = kind_of(rule);
	if (kind)
		kind->strike(q, rule);
}
