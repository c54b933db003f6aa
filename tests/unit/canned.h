/* A tiny HTTP server for unit tests: a thread that answers each connection with the next canned
 * reply. */
#ifndef AIRUNNER_TEST_CANNED_H
#define AIRUNNER_TEST_CANNED_H

#include <stddef.h>

struct canned_reply {
	const char *raw; /* whole answer from "HTTP/1.1 …" on */
	size_t chunk;    /* bytes a write; 0: all at once */
	int chunk_ms;    /* wait between writes */
	int hang_ms;     /* wait before closing */
};

struct canned;

/** The last reply is given again when there are more connections than replies. */
struct canned *canned_start(const struct canned_reply *replies, size_t count);
void canned_stop(struct canned *server);
const char *canned_url(const struct canned *server); /* http://127.0.0.1:PORT */
size_t canned_count(struct canned *server);          /* requests so far */
const char *canned_request(
	struct canned *server, size_t i); /* head and body as received; "" beyond */

#endif
