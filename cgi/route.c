/* Finds the handler of a request in a program's table. Called by the request loop (app.c). */
#include "cgi/route.h"

#include <string.h>

#define ID_DIGITS_MAX 18 /* so that it fits 63 bits */

/* A number without sign or leading zero. @return its length, 0 when there is none */
static size_t read_id(const char *s, int64_t *ret_id)
{
	size_t n = strspn(s, "0123456789");
	if (n == 0 || n > ID_DIGITS_MAX || s[0] == '0')
		return 0;
	*ret_id = 0;
	for (size_t i = 0; i < n; i++)
		*ret_id = *ret_id * 10 + (s[i] - '0');
	return n;
}

bool route_matches(const char *pattern, const char *path, int64_t *ids)
{
	for (size_t count = 0; *pattern;) {
		if (strncmp(pattern, "{id}", 4) != 0) {
			if (*pattern++ != *path++)
				return false;
			continue;
		}
		size_t n = count < REQUEST_IDS_MAX ? read_id(path, &ids[count++]) : 0;
		if (n == 0)
			return false;
		path += n;
		pattern += 4;
	}
	return *path == '\0';
}

err_t route_find(const struct route *routes, struct request *req, const struct route **ret_route,
	struct buf *ret_allow)
{
	for (const struct route *r = routes; r->path; r++) {
		if (!route_matches(r->path, req->path.data, req->ids))
			continue;
		if (r->method == req->method) {
			*ret_route = r;
			return NULL;
		}
		buf_addf(ret_allow, "%s%s%s", ret_allow->len ? ", " : "",
			request_method_name(r->method), r->method == METHOD_GET ? ", HEAD" : "");
	}
	if (ret_allow->len)
		return err_new(
			ERR_METHOD, "%s is served with %s only", req->path.data, ret_allow->data);
	return err_new(ERR_NOT_FOUND, "there is nothing at %s", req->path.data);
}
