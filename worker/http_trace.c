/* What of a call is traced. Called by worker/http.c around each try. */
#include "worker/http_trace.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"

#define TRACE_BODY 2000

static const char *shown_value(const struct http_header *h)
{
	static const char *const secret[] = {"authorization", "x-api-key", "cookie"};
	for (size_t i = 0; i < ARRAY_LEN(secret); i++)
		if (text_ieq(h->name, secret[i]))
			return "[masked]";
	return h->value;
}

void http_trace_request(const struct http_request *req)
{
	if (!log_tracing("http"))
		return;
	AUTO(buf_release) struct buf b = BUF(TRACE_BODY);
	for (const struct http_header *h = req->headers; h && h->name; h++)
		buf_addf(&b, " %s: %s;", h->name, shown_value(h));
	for (size_t i = 0; i < req->body_pieces && !buf_cut(&b); i++)
		buf_add(&b, req->body[i].data, req->body[i].len);
	redact_buf(&b);
	log_trace("http", "> %s %s%s%s", req->method, req->url, b.len ? " " : "", b.data);
}

void http_trace_response(const struct http_request *req, const struct http_response *res, err_t e)
{
	if (!log_tracing("http"))
		return;
	AUTO(buf_release) struct buf b = BUF(TRACE_BODY);
	buf_add(&b, res->body.data, res->body.len);
	redact_buf(&b);
	log_trace("http", "< %ld %s %s in %lld ms %s%s", res->status, req->method, req->url,
		(long long)res->ms, e ? err_text(e) : "", b.data);
}
