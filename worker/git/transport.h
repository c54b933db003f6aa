/*
 * git's smart HTTP by libcurl, in place of libgit2's own http and https: TLS 1.3, the system's or
 * our authorities, timeouts, cancel, no redirect to another host (integrations.md C1, C2:
 * libgit2 1.5 has TLS 1.2 only and waits for ever on a hanging server).
 */
#ifndef AIRUNNER_TRANSPORT_H
#define AIRUNNER_TRANSPORT_H

#include <git2.h>
#include <git2/sys/transport.h>

#include "worker/http.h"

/** What a connection's transport is given, and where it leaves its error; outlives the connection.
 */
struct transport_context {
	const struct settings *set;
	const char *url;     /* the repository's address */
	http_alive_fn alive; /* may be NULL */
	void *alive_arg;
	int64_t stall_ms; /* longest wait without a byte; 0: TRANSPORT_STALL_MS */
	int64_t total_ms; /* whole request; 0: TRANSPORT_TOTAL_MS */
	struct err error; /* code ERR_NONE while nothing failed */
};

#define TRANSPORT_STALL_MS 60000
#define TRANSPORT_TOTAL_MS 900000

/** For git_remote_callbacks.transport. @return 0 or a libgit2 error */
int transport_new(git_transport **out, git_remote *owner, struct transport_context *context);

/** Keeps the first error for the caller of libgit2. @return GIT_EUSER, or GIT_EAUTH for
 * ERR_UNAUTHORIZED */
int transport_fail(struct transport_context *context, err_t e);

#endif
