/*
 * Where a provider is reached and how it is greeted: address, path, authentication. What
 * models.json says of a provider is here overridden by the settings of the same provider; keys come
 * from the settings only.
 */
#ifndef AIRUNNER_ENDPOINT_H
#define AIRUNNER_ENDPOINT_H

#include "lib/err.h"
#include "lib/settings.h"
#include "worker/llm/profile.h"

enum endpoint_auth {
	AUTH_X_API_KEY, /* x-api-key: KEY */
	AUTH_BEARER,    /* authorization: Bearer KEY */
	AUTH_API_KEY,   /* api-key: KEY (Azure) */
	AUTH_NONE,      /* local servers */
	AUTH__MAX
};

struct endpoint {
	char service[32]; /* the provider's name: of its rate limit, and in errors */
	char api[16];     /* "messages", "responses" or "chat" */
	char *url;        /* owned */
	enum endpoint_auth auth;
	const char *key; /* borrowed from the settings, "" for none */
};

/** @return ERR_CONFIG naming the setting or the provider */
err_t endpoint_of(
	const struct settings *set, const struct profile *profile, struct endpoint *ret_endpoint);
void endpoint_release(struct endpoint *endpoint);

/** Can it be called: is there a key, or none needed? */
bool endpoint_is_usable(const struct endpoint *endpoint);

/** Name of the header that carries the key (NULL for AUTH_NONE), and what stands before the key. */
const char *endpoint_header(const struct endpoint *endpoint, const char **ret_before);

#endif
