/*
 * One HTTP answer: status, headers, body; written whole when the handler is done. Errors become
 * `application/problem+json` (RFC 9457) here and nowhere else; their HTTP status stands in the
 * table of lib/err.c.
 */
#ifndef AIRUNNER_CGI_RESPONSE_H
#define AIRUNNER_CGI_RESPONSE_H

#include <jansson.h>

#include "lib/buf.h"
#include "lib/err.h"

#define RESPONSE_BODY_MAX (16 << 20)

struct response {
	int status;         /* HTTP status, 200 at first */
	const char *type;   /* content type; static text */
	struct buf headers; /* further header lines, each with \r\n */
	struct buf body;
};

void response_begin(struct response *res);
void response_release(struct response *res);
void response_reset(struct response *res); /* as after response_begin(), keeps the memory */

/** Adds a header line. CR and LF of the value are left out, so that no text can add another. */
void response_header(struct response *res, const char *name, const char *value);

/** JSON body; json is taken over. @return ERR_INTERNAL when it is NULL or holds broken UTF-8 */
err_t response_json(struct response *res, json_t *json);

/** 303 See Other. */
void response_redirect(struct response *res, const char *location);

/**
 * The problem of e at path: type, title, status, detail, instance and the old member `error`. What
 * the server did wrong is not told in words of the inside (they are in the log). New reference.
 */
json_t *response_problem(err_t e, const char *path);

/** Makes the answer that problem, with Retry-After where waiting helps. */
void response_error(struct response *res, err_t e, const char *path);

/** The reason phrase: "Not Found"; "" for a status that we do not send. */
const char *response_reason(int status);

/** Appends the answer in CGI form (Status: …, headers, body unless head_only). */
void response_write(const struct response *res, bool head_only, struct buf *out);

#endif
