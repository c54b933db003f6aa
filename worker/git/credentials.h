/* The token for the remote, given only where it belongs. */
#ifndef AIRUNNER_CREDENTIALS_H
#define AIRUNNER_CREDENTIALS_H

#include <git2.h>
#include <stdbool.h>

#include "lib/err.h"

struct credentials {
	const char *token; /* borrowed; "" when none is set */
	const char *home;  /* borrowed: the repository's address, whose host the token is for */
	int given;
};

void credentials_init(struct credentials *credentials, const char *token, const char *home);

/**
 * Answers a server's wish for credentials: user x-access-token (integrations.md B1), the token as
 * password. Only for https (plain http on this machine aside) at the host of the repository's own
 * address, and once: who asks again has refused it.
 * @param allowed  GIT_CREDENTIAL_… types
 * @return ERR_UNAUTHORIZED with the remedy
 */
err_t credentials_give(struct credentials *credentials, const char *url, unsigned allowed,
	git_credential **ret_credential);

/** Scheme, host and port of both addresses are the same. */
bool address_same_host(const char *a, const char *b);

#endif
