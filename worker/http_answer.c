/* Reading an answer: headers, and the error that a final bad status means. Called by every client.
 */
#include "worker/http.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"

void http_response_release(struct http_response *response)
{
	buf_release(&response->body);
	buf_release(&response->headers);
}

const char *http_response_header(const struct http_response *response, const char *name)
{
	static char value[4096];
	size_t name_len = strlen(name);
	for (const char *p = response->headers.data; p && *p;) {
		const char *end = strchr(p, '\n');
		size_t len = end ? (size_t)(end - p) : strlen(p);
		if (len > name_len + 1 && strncmp(p, name, name_len) == 0 && p[name_len] == ':') {
			const char *v = p + name_len + 1 + strspn(p + name_len + 1, " \t");
			size_t n = (size_t)(p + len - v);
			n = n < sizeof value ? n : sizeof value - 1;
			memcpy(value, v, n);
			value[n] = '\0';
			return value;
		}
		p = end ? end + 1 : NULL;
	}
	return NULL;
}

static const struct {
	long status;
	enum err_code code;
} status_codes[] = {{401, ERR_UNAUTHORIZED}, {403, ERR_FORBIDDEN}, {404, ERR_NOT_FOUND},
	{408, ERR_OUTSIDE}, {429, ERR_RATE}};

err_t http_status_error(
	const struct http_request *request, const struct http_response *response, const char *words)
{
	enum err_code code = response->status >= 500 ? ERR_OUTSIDE : ERR_OUTSIDE_FINAL;
	for (size_t i = 0; i < ARRAY_LEN(status_codes); i++)
		if (status_codes[i].status == response->status)
			code = status_codes[i].code;
	const char *path = strstr(request->url, "://");
	path = path ? path + 3 + strcspn(path + 3, "/") : request->url;
	path = *path ? path : "/";
	const char *body = response->body.data ? response->body.data : "";
	const char *said = words ? words : body;
	int64_t wish_ms = http_wished_wait_ms(response);
	char wait[64] = "";
	if (wish_ms > HTTP_MAX_WAIT_MS)
		snprintf(wait, sizeof wait, " (it asks for a pause of %lld s)",
			(long long)(wish_ms / 1000));
	return err_new(code, "%s answered %ld to %s %.*s%s%.300s%s", request->service,
		response->status, request->method, (int)strcspn(path, "?"), path, *said ? ": " : "",
		said, wait);
}
