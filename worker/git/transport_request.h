/* One HTTP request of the git transport whose answer is read piece by piece. */
#ifndef AIRUNNER_TRANSPORT_REQUEST_H
#define AIRUNNER_TRANSPORT_REQUEST_H

#include <curl/curl.h>

#include "worker/git/transport.h"

struct request_options {
	const char *url;
	const struct buf *body;   /* NULL: GET; else POST, borrowed until request_stop() */
	const char *content_type; /* of the body */
	const char *accept;
	const char *user, *password; /* NULL: none */
};

struct request {
	struct transport_context *context;
	CURLM *multi; /* borrowed; keeps the connection for the next request */
	CURL *easy;
	struct curl_slist *headers;
	struct buf in; /* what came and was not taken yet */
	size_t taken;
	bool done;
	CURLcode result;
	char detail[CURL_ERROR_SIZE];
};

/** Sends a request; request_stop() in every case, after which it may be started again. */
err_t request_start(struct request *request, struct transport_context *context, CURLM *multi,
	const struct request_options *options);

/** Waits until bytes are there or the answer is complete. @return ERR_NETWORK, ERR_TIMEOUT, what
 * alive returned */
err_t request_pump(struct request *request);

/** Takes at most size bytes of what is there. */
size_t request_take(struct request *request, char *out, size_t size);

long request_status(struct request *request);              /* of the answer that is there */
const char *request_content_type(struct request *request); /* "" when none; borrowed */
const char *request_redirect(struct request *request);     /* absolute address or NULL; borrowed */
void request_stop(struct request *request);

#endif
