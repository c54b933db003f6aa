/*
 * The one HTTP client (libcurl): every call to Jira, the forge and the models, and the git
 * transport's own handles get their options from here. TLS by the system's authorities or
 * AIRUNNER_CA_FILE, http and https only, no redirects followed, TCP keepalive. Bodies and headers
 * are traced with AIRUNNER_TRACE=http, secrets masked.
 */
#ifndef AIRUNNER_HTTP_H
#define AIRUNNER_HTTP_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/settings.h"

struct http_header {
	const char *name;
	const char *value;
};

/** One piece of a request body; pieces are sent one after the other without copying. */
struct http_piece {
	const char *data;
	size_t len;
};

/** Gets body bytes as they arrive (status 200 only). An error ends the call with it. */
typedef err_t (*http_data_fn)(void *arg, const char *data, size_t len);

/** Asked about four times a second; an error (ERR_CANCELLED, ERR_FENCE, …) ends the call with it.
 */
typedef err_t (*http_alive_fn)(void *arg);

struct http_request {
	const char *service; /* "jira", "github", "anthropic", "openai": for errors, logs, retry */
	const char *method;
	const char *url;
	const struct http_header *headers; /* ends with {NULL, NULL} */
	const struct http_piece *body;     /* may be NULL */
	size_t body_pieces;
	int64_t timeout_ms;   /* whole call; 0: 20 s */
	int64_t stall_ms;     /* longest wait without a byte; 0: none */
	size_t max_body;      /* 0: 8 MiB */
	http_data_fn on_data; /* NULL: the body is collected */
	void *on_data_arg;
	bool once; /* the effect may not be repeated: no retry after the request was sent (429
		      aside: it had no effect) */
	http_alive_fn alive; /* optional; also asked during waits between tries */
	void *alive_arg;
};

struct http_response {
	long status;
	struct buf body;    /* collected body; error bodies are collected even with on_data */
	struct buf headers; /* "name: value\n" lines, names in lower case */
	bool sent;          /* something of the request left this machine */
	bool given;         /* on_data was called */
	int tries;
	int64_t ms; /* of the last try */
};

void http_response_release(struct http_response *response);

/** Value of a response header (name in lower case), NULL when absent; borrowed until the next call
 * of this function. */
const char *http_response_header(const struct http_response *response, const char *name);

/**
 * One try. Any HTTP status is success here; errors are ERR_NETWORK, ERR_TIMEOUT, ERR_TOO_LARGE and
 * what on_data and alive return. ret_response is to be released in every case.
 */
err_t http_try(const struct settings *set, const struct http_request *request,
	struct http_response *ret_response);

/**
 * With the retry policy: connection errors, 408, 409, 429, 5xx, 529 are tried again up to three
 * times after 1, 2, 4 s with jitter (AIRUNNER_RETRY_BASE_MS) or what retry-after says (at most 120
 * s); x-should-retry is obeyed. A request with on_data is repeated by the caller instead, unless no
 * byte was given yet.
 * @return NULL for 2xx and for every other final status (the caller reads status); errors as
 * http_try()
 */
err_t http_call(const struct settings *set, const struct http_request *request,
	struct http_response *ret_response);

/** May another try help? The one table of the retry policy, used by http_call and the LLM client.
 */
bool http_status_retries(long status);

/** The same for an answer: x-should-retry, and a 403 with retry-after (GitHub's secondary limit),
 * decide first. */
bool http_answer_retries(const struct http_response *response);

#define HTTP_RETRIES 3 /* tries after the first one */
#define HTTP_MAX_WAIT_MS 120000

/** What retry-after-ms or else retry-after says (seconds or a date to come), -1 when nothing. */
int64_t http_wished_wait_ms(const struct http_response *response);

/**
 * Wait before retry number n (0 first): retry-after of the response when given (seconds or a date),
 * else base·2ⁿ with jitter.
 * @param response  may be NULL (no answer came)
 * @return -1 when the service wants more than 120 s: give up and say so
 */
int64_t http_retry_wait_ms(const struct settings *set, const struct http_response *response, int n);

/** Waits, asking alive (may be NULL) four times a second. @return what alive returned */
err_t http_wait(int64_t ms, http_alive_fn alive, void *alive_arg);

/**
 * An error for a final bad status: "SERVICE answered STATUS to METHOD PATH: words", and how long
 * the service wants to be left alone where that is longer than HTTP_MAX_WAIT_MS. 401/403/404 →
 * their codes, 429 → ERR_RATE, 408 and 5xx → ERR_OUTSIDE, else ERR_OUTSIDE_FINAL.
 * @param words  the service's words; NULL: the beginning of the body
 */
err_t http_status_error(const struct http_request *request, const struct http_response *response,
	const char *words);

err_t http_init(void); /* once per process, not before a fork whose child makes calls too */
void http_exit(void);

/**
 * For handles of others (git transport): TLS authorities, protocols, no redirects, keepalive, user
 * agent, no proxy for loopback. @param easy  a CURL handle  @param url  where it will go
 */
err_t http_set_options(const struct settings *set, void *easy, const char *url);

#endif
