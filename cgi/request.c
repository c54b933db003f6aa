/*
 * Takes a request apart. Called by the two fronts (front.c); decides nothing about it: that is
 * routing's, authentication's and the handlers' part.
 */
#include "cgi/request.h"

#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

#define PATH_MAX_BYTES 2048
#define VALUE_MAX_BYTES 4096

static const char *const method_names[METHOD__MAX] = {[METHOD_GET] = "GET",
	[METHOD_POST] = "POST",
	[METHOD_PATCH] = "PATCH",
	[METHOD_OTHER] = "?"};

const char *request_method_name(enum method method)
{
	return method_names[method];
}

const char *request_env(const struct request *req, const char *name)
{
	size_t n = strlen(name);
	for (char *const *p = req->env; *p; p++) {
		if (strncmp(*p, name, n) == 0 && (*p)[n] == '=')
			return *p + n + 1;
	}
	return NULL;
}

const char *request_header(const struct request *req, const char *name)
{
	char variable[80] = "HTTP_";
	size_t at = strlen(variable);
	for (; *name && at + 1 < sizeof variable; name++) {
		char c = *name;
		variable[at++] = (char)(c >= 'a' && c <= 'z' ? c - 32 : c == '-' ? '_' : c);
	}
	variable[at] = '\0';
	return request_env(req, variable);
}

static const char *env_or(const struct request *req, const char *name, const char *otherwise)
{
	const char *value = request_env(req, name);
	return value && *value ? value : otherwise;
}

static void read_method(struct request *req)
{
	const char *name = env_or(req, "REQUEST_METHOD", "GET");
	req->head_only = strcmp(name, "HEAD") == 0;
	req->method = METHOD_OTHER;
	for (int m = 0; m < METHOD_OTHER; m++) {
		if (strcmp(name, method_names[m]) == 0)
			req->method = (enum method)m;
	}
	if (req->head_only)
		req->method = METHOD_GET;
}

void request_begin(struct request *req, char *const *env)
{
	*req = (struct request){.env = env,
		.path = BUF(PATH_MAX_BYTES),
		.body = BUF(REQUEST_BODY_MAX),
		.who = BUF(256),
		.csrf = BUF(128)};
	read_method(req);
	buf_adds(&req->path, env_or(req, "PATH_INFO", env_or(req, "DOCUMENT_URI", "/")));
	req->query = env_or(req, "QUERY_STRING", "");
	req->remote_addr = env_or(req, "REMOTE_ADDR", "");
}

void request_release(struct request *req)
{
	buf_release(&req->path);
	buf_release(&req->body);
	buf_release(&req->who);
	buf_release(&req->csrf);
}

/* -1: not given, so read to the end of the stream. */
static err_t content_length(const struct request *req, int64_t *ret_length)
{
	const char *text = env_or(req, "CONTENT_LENGTH", "");
	long long length = -1;
	if (*text && (!text_to_i64(text, &length) || length < 0))
		return err_new(ERR_BAD_INPUT, "Content-Length is not a number");
	if (length > REQUEST_BODY_MAX)
		return err_new(ERR_TOO_LARGE, "the body has %lld bytes; the limit is %d", length,
			REQUEST_BODY_MAX);
	*ret_length = length;
	return NULL;
}

err_t request_read_body(struct request *req, request_read_fn read_fn, void *arg)
{
	int64_t length = -1;
	ERR_TRY(content_length(req, &length));
	if (length < 0 && req->method == METHOD_GET)
		return NULL;
	char chunk[16384];
	while (length < 0 || (int64_t)req->body.len < length) {
		size_t want = sizeof chunk;
		if (length >= 0 && (size_t)length - req->body.len < want)
			want = (size_t)length - req->body.len;
		int got = read_fn(arg, chunk, (int)want);
		if (got < 0)
			return err_new(ERR_IO, "the request's body cannot be read");
		if (got == 0)
			break;
		buf_add(&req->body, chunk, (size_t)got);
		if (buf_cut(&req->body))
			return err_new(ERR_TOO_LARGE, "the body is larger than %d bytes",
				REQUEST_BODY_MAX);
	}
	if (length >= 0 && (int64_t)req->body.len < length)
		return err_new(ERR_BAD_INPUT, "the body ends after %zu of %lld bytes",
			req->body.len, (long long)length);
	return NULL;
}

bool request_cookie(const struct request *req, const char *name, struct buf *out)
{
	const char *p = request_header(req, "Cookie");
	size_t n = strlen(name);
	while (p && *p) {
		p += strspn(p, "; ");
		size_t len = strcspn(p, ";");
		if (len > n && strncmp(p, name, n) == 0 && p[n] == '=') {
			buf_add(out, p + n + 1, len - n - 1);
			return true;
		}
		p += len;
	}
	return false;
}

static int hex_digit(char c)
{
	return c >= '0' && c <= '9'   ? c - '0'
	       : c >= 'a' && c <= 'f' ? c - 'a' + 10
	       : c >= 'A' && c <= 'F' ? c - 'A' + 10
				      : -1;
}

static bool percent_decode(const char *s, size_t n, struct buf *out)
{
	for (size_t i = 0; i < n; i++) {
		char c = s[i];
		if (c == '%') {
			int high = i + 2 < n ? hex_digit(s[i + 1]) : -1;
			int low = i + 2 < n ? hex_digit(s[i + 2]) : -1;
			if (high < 0 || low < 0 || (high | low) == 0)
				return false;
			c = (char)(high << 4 | low);
			i += 2;
		}
		buf_addc(out, c == '+' && s[i] == '+' ? ' ' : c);
	}
	return true;
}

bool request_form_value(const char *encoded, const char *name, struct buf *out)
{
	size_t n = strlen(name);
	for (const char *p = encoded; *p;) {
		size_t len = strcspn(p, "&");
		if (len > n && strncmp(p, name, n) == 0 && p[n] == '=')
			return percent_decode(p + n + 1, len - n - 1, out);
		p += len + (p[len] == '&');
	}
	return false;
}

err_t request_query_int(const struct request *req, const char *name, int64_t def, int64_t min,
	int64_t max, int64_t *ret_value)
{
	AUTO(buf_release) struct buf text = BUF(VALUE_MAX_BYTES);
	long long value = def;
	if (request_form_value(req->query, name, &text) &&
		(!text_to_i64(text.data, &value) || value < min || value > max))
		return err_new(ERR_BAD_INPUT, "%s must be a whole number from %lld to %lld", name,
			(long long)min, (long long)max);
	*ret_value = value;
	return NULL;
}
