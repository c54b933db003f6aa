/*
 * One HTTP request, whichever front it came by: FastCGI and plain CGI both hand over a list of
 * NAME=VALUE strings (RFC 3875) and a stream of body bytes.
 */
#ifndef AIRUNNER_CGI_REQUEST_H
#define AIRUNNER_CGI_REQUEST_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

#define REQUEST_BODY_MAX (2 << 20) /* bytes; nginx has the same limit */
#define REQUEST_IDS_MAX 2

enum method { METHOD_GET, METHOD_POST, METHOD_PATCH, METHOD_OTHER, METHOD__MAX };
enum role { ROLE_NONE, ROLE_VIEWER, ROLE_OPERATOR, ROLE_ADMIN, ROLE__MAX };

struct request {
	char *const *env; /* NULL-terminated "NAME=VALUE"; borrowed for the request */
	enum method method;
	bool head_only;  /* HEAD: answered as GET without the body */
	bool from_shell; /* plain CGI without a web server: somebody with our database rights looks
			  */
	struct buf path; /* decoded, begins with '/'; no NUL */
	const char *query;       /* raw, "" when there is none */
	const char *remote_addr; /* "" when unknown */
	struct buf body;
	int64_t ids[REQUEST_IDS_MAX]; /* the path's {id} parts, set by routing */
	enum role role;               /* set by auth_check() */
	struct buf who;               /* name of the token or session, "" for none */
	bool by_cookie;               /* known by a browser session, which other sites can misuse */
	struct buf csrf; /* what pages of this session send as X-CSRF-Token; "" for none */
};

/** Reads up to n bytes of the body; 0 at its end, negative on failure. */
typedef int (*request_read_fn)(void *arg, char *p, int n);

/** Takes method, path, query and address out of env. Release with request_release(). */
void request_begin(struct request *req, char *const *env);
void request_release(struct request *req);

/**
 * Reads the body, checking CONTENT_LENGTH before a byte is read.
 * @return ERR_TOO_LARGE (over REQUEST_BODY_MAX), ERR_BAD_INPUT (CONTENT_LENGTH is no number, or
 *         the body is shorter), ERR_IO
 */
err_t request_read_body(struct request *req, request_read_fn read_fn, void *arg);

/** A CGI variable such as "CONTENT_TYPE"; NULL when absent. Borrowed. */
const char *request_env(const struct request *req, const char *name);

/** A header by its name as on the wire, any case: "X-Hub-Signature"; NULL when absent. Borrowed. */
const char *request_header(const struct request *req, const char *name);

/** One name of a cookie header, as sent. @return false when absent; out is then untouched */
bool request_cookie(const struct request *req, const char *name, struct buf *out);

/**
 * A decoded value of "a=1&b=x+y%21" text (query or form body); the first of that name counts.
 * @return false when absent, or when its escapes are broken or hide a NUL
 */
bool request_form_value(const char *encoded, const char *name, struct buf *out);

/**
 * A whole number of the query within [min, max].
 * @return ERR_BAD_INPUT naming the parameter and the range; absent gives def
 */
err_t request_query_int(const struct request *req, const char *name, int64_t def, int64_t min,
	int64_t max, int64_t *ret_value);

const char *request_method_name(enum method method);

#endif
