/*
 * Which service answers a request, under which prefix, and what is written down about it. Called
 * by http.c for each request; the services' handlers run inside the lock taken here.
 */
#define _GNU_SOURCE
#include "tests/standin/service.h"

#include <microhttpd.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/fault.h"
#include "tests/standin/webhook.h"
#include "tests/standin/world.h"

#define LOG_MAX 20000

static const struct service {
	const char *name;
	const char *prefix;
	http_handler_fn answer;
} services[] = {
	{"control", "/_control", control_answer},
	{"jira", "/jira", jira_answer},
	{"github", "/github", github_answer},
	{"anthropic", "/anthropic", anthropic_answer},
	{"openai", "/openai", openai_answer},
};

static json_t *requests;
static int64_t requests_seen;

json_t *request_log(void)
{
	if (!requests)
		requests = json_array();
	return requests;
}

void request_log_clear(void)
{
	json_array_clear(request_log());
}

/* Headers whose words are secrets are logged as "present". */
static enum MHD_Result log_pair(
	void *to, enum MHD_ValueKind kind, const char *name, const char *value)
{
	(void)kind;
	static const char *const secrets[] = {
		"authorization", "x-api-key", "cookie", "x-moveware-webhook-secret"};
	char lower[128];
	size_t n = strlen(name) < sizeof(lower) ? strlen(name) : sizeof(lower) - 1;
	for (size_t i = 0; i < n; i++)
		lower[i] = name[i] >= 'A' && name[i] <= 'Z' ? (char)(name[i] + 32) : name[i];
	lower[n] = '\0';
	for (size_t i = 0; i < ARRAY_LEN(secrets); i++) {
		if (strcmp(secrets[i], lower) == 0)
			value = "(present)";
	}
	json_object_set_new(to, lower, json_string(value ? value : ""));
	return MHD_YES;
}

static json_t *log_begin(struct req *q)
{
	json_t *headers = json_object(), *query = json_object();
	MHD_get_connection_values(q->conn, MHD_HEADER_KIND, log_pair, headers);
	MHD_get_connection_values(q->conn, MHD_GET_ARGUMENT_KIND, log_pair, query);
	json_t *body = q->json ? json_incref(q->json) : NULL;
	if (!body && q->body.len)
		body = json_stringn(q->body.data, q->body.len);
	json_t *entry = json_pack("{s:I, s:I, s:s, s:s, s:s, s:o, s:o, s:o, s:I}", "n",
		(json_int_t)++requests_seen, "at_ms", (json_int_t)q->begun_ms, "service",
		q->service, "method", q->method, "path", q->path, "query", query, "headers",
		headers, "body", body ? body : json_null(), "body_bytes", (json_int_t)q->body.len);
	json_array_append_new(request_log(), entry);
	if (json_array_size(requests) > LOG_MAX)
		json_array_remove(requests, 0);
	return json_incref(entry);
}

static void log_end(struct req *q, json_t *entry, const json_t *fault)
{
	json_object_set_new(entry, "status", json_integer(q->down ? 0 : q->status));
	if (q->note)
		json_object_set(entry, "note", q->note);
	if (fault)
		json_object_set(entry, "fault", json_object_get(fault, "kind"));
	if (q->status >= 400 && q->out.len)
		json_object_set_new(entry, "answer", json_stringn(q->out.data, q->out.len));
	json_decref(entry);
}

static void answer_outside(struct req *q, const struct service *service)
{
	json_t *entry = log_begin(q);
	json_t *fault = fault_take(q);
	if (!fault || fault_is_after(fault))
		service->answer(q);
	if (fault)
		fault_strike(q, fault);
	log_end(q, entry, fault);
	json_decref(fault);
}

static const struct service *service_of(struct req *q)
{
	for (size_t i = 0; i < ARRAY_LEN(services); i++) {
		size_t n = strlen(services[i].prefix);
		if (strncmp(q->path, services[i].prefix, n) == 0 &&
			(q->path[n] == '/' || q->path[n] == '\0')) {
			q->rest = q->path + n;
			q->service = services[i].name;
			return &services[i];
		}
	}
	return NULL;
}

void service_answer(struct req *q)
{
	const struct service *service = service_of(q);
	if (!service) {
		answer_text(q, 404, "text/plain", "Stand-in: /jira /github /anthropic /openai\n");
		return;
	}
	world_lock();
	q->begun_ms = world_now_ms();
	if (service->answer == control_answer)
		control_answer(q);
	else
		answer_outside(q, service);
	if (strcmp(q->method, "GET") != 0)
		world_save();
	world_unlock();
	webhook_deliver_all(q);
}
