/*
 * The stand-in's HTTP side: one request with its answer, and the server (libmicrohttpd, a thread
 * for each connection). A handler runs with the world locked (world.h), reads the request, and
 * leaves a whole answer in `out` with a pace; the bytes are then sent without the lock, piece by
 * piece, so that streams arrive as streams.
 */
#ifndef STANDIN_HTTP_H
#define STANDIN_HTTP_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"

#define HTTP_BODY_MAX (64u << 20)
#define HTTP_PARAMS 4
#define HTTP_PARAM_MAX 256

struct MHD_Connection;

/** How the answer's bytes leave. */
struct pace {
	size_t chunk_bytes;     /* 0: all at once */
	int64_t chunk_delay_ms; /* between chunks */
	int64_t first_delay_ms; /* before the first byte */
	int64_t stall_at;       /* byte before which to wait for stall_ms; -1: never */
	int64_t stall_ms;
	int64_t cut_at; /* byte before which the connection is reset; -1: never */
};

struct req {
	struct MHD_Connection *conn;
	const char *method;
	const char *path;    /* whole, percent-decoded */
	const char *rest;    /* after the service's prefix */
	const char *service; /* "jira", "github", "anthropic", "openai", "control" */
	char param[HTTP_PARAMS][HTTP_PARAM_MAX]; /* what {} of the route matched */
	struct buf body;
	json_t *json;     /* parsed body, or NULL */
	int64_t begun_ms; /* fake clock */

	int status;
	json_t *headers; /* answer's headers, an object of strings */
	struct buf out;
	bool stream; /* no Content-Length: sent in chunks as it "arises" */
	bool down;   /* no answer at all: the connection is reset */
	struct pace pace;
	json_t *note;       /* what the request log shows beside it, or NULL */
	json_t *webhooks;   /* deliveries to begin once the world is unlocked */
	bool wait_webhooks; /* the answer's body becomes their results */
};

typedef void (*http_handler_fn)(struct req *q);

struct route {
	const char *method;
	const char *pattern; /* "{}" matches one segment */
	http_handler_fn handler;
};

/** Runs the first route that matches q->rest. @return false when none does */
bool route_run(struct req *q, const struct route *routes, size_t count);

/** Request header or query argument; NULL when absent, borrowed. */
const char *req_header(const struct req *q, const char *name);
const char *req_query(const struct req *q, const char *name);
long req_query_int(const struct req *q, const char *name, long otherwise);

/** Answers with JSON (taken over) or with nothing. */
void answer_json(struct req *q, int status, json_t *body);
void answer_empty(struct req *q, int status);
void answer_text(struct req *q, int status, const char *type, const char *text);
void answer_header(struct req *q, const char *name, const char *fmt, ...)
	__attribute__((format(printf, 3, 4)));

/** Starts on 127.0.0.1:port (0: any). @return ERR_IO */
err_t http_start(int port, int *ret_port);
void http_stop(void);

#endif
