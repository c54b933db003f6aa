/* Reading a request and leaving an answer in it; the route table. Called by every service. */
#define _GNU_SOURCE
#include <microhttpd.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/http.h"

const char *req_header(const struct req *q, const char *name)
{
	return MHD_lookup_connection_value(q->conn, MHD_HEADER_KIND, name);
}

const char *req_query(const struct req *q, const char *name)
{
	return MHD_lookup_connection_value(q->conn, MHD_GET_ARGUMENT_KIND, name);
}

long req_query_int(const struct req *q, const char *name, long otherwise)
{
	const char *s = req_query(q, name);
	char *end;
	long n = s ? strtol(s, &end, 10) : 0;
	return s && *s && !*end ? n : otherwise;
}

/* One segment of the path into a parameter; returns where it ends. */
static const char *take_segment(const char *path, char *ret_param)
{
	size_t n = strcspn(path, "/");
	if (n == 0 || n >= HTTP_PARAM_MAX)
		return NULL;
	memcpy(ret_param, path, n);
	ret_param[n] = '\0';
	return path + n;
}

static bool matches(struct req *q, const char *pattern)
{
	const char *path = q->rest;
	size_t param = 0;
	while (*pattern) {
		if (strncmp(pattern, "{}", 2) != 0) {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		path = param < HTTP_PARAMS ? take_segment(path, q->param[param++]) : NULL;
		if (!path)
			return false;
		pattern += 2;
	}
	return *path == '\0';
}

bool route_run(struct req *q, const struct route *routes, size_t count)
{
	for (size_t i = 0; i < count; i++) {
		if (strcmp(q->method, routes[i].method) == 0 && matches(q, routes[i].pattern)) {
			routes[i].handler(q);
			return true;
		}
	}
	return false;
}

void answer_header(struct req *q, const char *name, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	char value[1024];
	vsnprintf(value, sizeof(value), fmt, ap);
	va_end(ap);
	json_object_set_new(q->headers, name, json_string(value));
}

void answer_text(struct req *q, int status, const char *type, const char *text)
{
	q->status = status;
	q->stream = false;
	answer_header(q, "Content-Type", "%s", type);
	buf_reset(&q->out);
	buf_adds(&q->out, text);
}

void answer_json(struct req *q, int status, json_t *body)
{
	autofree char *text = json_dumps(body, JSON_COMPACT | JSON_ENCODE_ANY);
	json_decref(body);
	answer_text(q, status, "application/json; charset=utf-8", text ? text : "null");
}

void answer_empty(struct req *q, int status)
{
	q->status = status;
	buf_reset(&q->out);
}
