/*
 * Builds answers. Called by handlers and by the request loop (app.c), which writes them out.
 */
#include "cgi/response.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

#define HEADERS_MAX (16 << 10)
#define RETRY_AFTER_S "5"

static const struct {
	int status;
	const char *reason;
} reasons[] = {
	{200, "OK"},
	{303, "See Other"},
	{304, "Not Modified"},
	{400, "Bad Request"},
	{401, "Unauthorized"},
	{403, "Forbidden"},
	{404, "Not Found"},
	{405, "Method Not Allowed"},
	{409, "Conflict"},
	{413, "Content Too Large"},
	{500, "Internal Server Error"},
	{502, "Bad Gateway"},
	{503, "Service Unavailable"},
	{504, "Gateway Timeout"},
};

/* Pages and answers may load only what this server serves; nginx says the same (site.conf). */
static const char fixed_headers[] =
	"Content-Security-Policy: default-src 'none'; script-src 'self'; style-src 'self'; "
	"img-src 'self' data:; connect-src 'self'; form-action 'self'; base-uri 'none'; "
	"frame-ancestors 'none'\r\n"
	"X-Content-Type-Options: nosniff\r\n"
	"Referrer-Policy: no-referrer\r\n";

void response_begin(struct response *res)
{
	*res = (struct response){.status = 200,
		.type = "application/json",
		.headers = BUF(HEADERS_MAX),
		.body = BUF(RESPONSE_BODY_MAX)};
}

void response_release(struct response *res)
{
	buf_release(&res->headers);
	buf_release(&res->body);
}

void response_reset(struct response *res)
{
	res->status = 200;
	res->type = "application/json";
	buf_reset(&res->headers);
	buf_reset(&res->body);
}

void response_header(struct response *res, const char *name, const char *value)
{
	buf_addf(&res->headers, "%s: ", name);
	for (; *value; value++) {
		if (*value != '\r' && *value != '\n')
			buf_addc(&res->headers, *value);
	}
	buf_adds(&res->headers, "\r\n");
}

static int add_chunk(const char *p, size_t n, void *arg)
{
	buf_add(arg, p, n);
	return 0;
}

err_t response_json(struct response *res, json_t *json)
{
	json_auto_t *owned = json;
	res->type = "application/json";
	if (!owned || json_dump_callback(
			      owned, add_chunk, &res->body, JSON_COMPACT | JSON_REAL_PRECISION(12)))
		return err_new(ERR_INTERNAL, "the answer is not valid JSON");
	buf_addc(&res->body, '\n');
	if (buf_cut(&res->body))
		return err_new(
			ERR_INTERNAL, "the answer is larger than %d bytes", RESPONSE_BODY_MAX);
	return NULL;
}

void response_redirect(struct response *res, const char *location)
{
	res->status = 303;
	res->type = "text/plain; charset=utf-8";
	response_header(res, "Location", location);
}

const char *response_reason(int status)
{
	for (size_t i = 0; i < ARRAY_LEN(reasons); i++) {
		if (reasons[i].status == status)
			return reasons[i].reason;
	}
	return "";
}

/* What a client may read: its own mistakes word by word, ours in general words. */
static const char *public_detail(err_t e)
{
	int status = err_http_status(err_code(e));
	if (status < 500)
		return err_text(e);
	if (status == 503)
		return "The database does not answer at the moment. Try again in a few seconds.";
	return "The server could not do this. Its log has the reason.";
}

json_t *response_problem(err_t e, const char *path)
{
	int status = err_http_status(err_code(e));
	autofree char *type = xasprintf("urn:airunner:problem:%s", err_code_name(err_code(e)));
	const char *detail = public_detail(e);
	return json_pack("{s:s s:s s:i s:o s:o s:o}", "type", type, "title",
		response_reason(status), "status", status, "detail", text_json(detail), "instance",
		text_json(path), "error", text_json(detail));
}

void response_error(struct response *res, err_t e, const char *path)
{
	buf_reset(&res->body);
	res->status = err_http_status(err_code(e));
	if (response_json(res, response_problem(e, path)))
		abort(); /* made of cleaned text only */
	res->type = "application/problem+json";
	if (res->status == 503)
		response_header(res, "Retry-After", RETRY_AFTER_S);
	if (res->status == 401)
		response_header(res, "WWW-Authenticate", "Bearer realm=\"airunner\"");
}

void response_write(const struct response *res, bool head_only, struct buf *out)
{
	bool bodiless = res->status == 304;
	buf_addf(out, "Status: %d %s\r\n", res->status, response_reason(res->status));
	buf_adds(out, fixed_headers);
	if (!strstr(res->headers.data, "Cache-Control:"))
		buf_adds(out, "Cache-Control: no-store\r\n");
	buf_add(out, res->headers.data, res->headers.len);
	if (!bodiless)
		buf_addf(out, "Content-Type: %s\r\nContent-Length: %zu\r\n", res->type,
			res->body.len);
	buf_adds(out, "\r\n");
	if (!bodiless && !head_only)
		buf_add(out, res->body.data, res->body.len);
}
