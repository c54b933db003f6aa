/*
 * One connection of the store to its remote: fetch, and what a push needs. Anonymous remotes that
 * ignore insteadOf, credentials from a callback, the server's words kept for errors.
 */
#ifndef AIRUNNER_REMOTE_H
#define AIRUNNER_REMOTE_H

#include "worker/git/credentials.h"
#include "worker/git/store_private.h"
#include "worker/git/transport.h"

struct remote {
	struct store *store; /* borrowed */
	git_remote *handle;
	git_remote_callbacks callbacks;
	struct transport_context transport;
	struct credentials credentials;
	struct buf words;   /* "remote: …" lines that the server sent */
	struct buf refused; /* refs that it did not take, with its reason */
	int64_t asked_ms;   /* when alive was asked last */
};

/**
 * Prepares a remote; remote_close() in every case.
 * @return ERR_CONFIG (ssh: set GH_TOKEN to use https), ERR_NOT_FOUND (no such local folder)
 */
err_t remote_open(struct store *store, struct remote *ret_remote);
void remote_close(struct remote *remote);

/** What failed: the transport's own error, else libgit2's. */
err_t remote_error(struct remote *remote, int rc, const char *what);

/**
 * After try number n (0 first) failed with e: waits and says whether to try again. Only what the
 * network or the server may get over is tried again, HTTP_RETRIES times; e is kept when not, or
 * replaced by what alive said.
 */
bool remote_again(struct store *store, int n, err_t *e);

err_t remote_fetch(struct store *store, const char *spec);

#endif
