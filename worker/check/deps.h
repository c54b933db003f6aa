/*
 * Installs a Node project's dependencies in the sandbox, the one step that may reach the network:
 * `npm ci` by the lock file, `npm install` without one; never a package's scripts. Done again only
 * when what decides them has changed, or when a command has changed what was installed (stamp file
 * beside the tree: a check must not be run by a compiler that the model put there).
 */
#ifndef AIRUNNER_DEPS_H
#define AIRUNNER_DEPS_H

#include <jansson.h>

#include "worker/check/sandbox.h"

struct deps_request {
	const struct settings *set;
	struct sandbox *sandbox;
	const char *tree; /* absolute; TREE.deps is the stamp, npm-cache beside it the cache */
	const char *node_version;
	bool sync_lock; /* package.json was changed: a lock file that lags is brought up to it */
	http_alive_fn alive;
	void *alive_arg;
	/* Removes what commands may have left in node_modules folders, before each installation.
	 * NULL: only the top one is removed. */
	err_t (*clear)(void *arg);
	void *clear_arg;
};

struct deps_result {
	bool ran;            /* false: nothing to install, or installed already */
	const char *command; /* "npm ci", "npm install", "" */
	int64_t ms;
	json_t *findings; /* owned; not empty: npm refused (EUSAGE, ERESOLVE, E404 …) */
	struct buf log;
};

/** @return ERR_NETWORK (registry out of reach), ERR_TIMEOUT, ERR_SANDBOX, what alive returned.
 * Release in every case. */
err_t deps_install(const struct deps_request *request, struct deps_result *ret_result);
void deps_result_release(struct deps_result *result);

/** "v20.20.2" as the sandbox sees it. @return ERR_CONFIG when there is no node */
err_t deps_node_version(struct sandbox *sandbox, char ret_version[32]);

#endif
