/* package.json and the files beside it that say what a Node project is. */
#ifndef AIRUNNER_PACKAGE_H
#define AIRUNNER_PACKAGE_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/buf.h"

/** Is there tree/name (of any kind)? */
bool tree_has(const char *tree, const char *name);

/**
 * Appends the file tree/name; only a regular file beneath the tree, reached without links (a
 * repository may hold a link to anywhere). @return false when there is none or it exceeds the
 * buffer's limit
 */
bool tree_read(const char *tree, const char *name, struct buf *out);

/** The first of a NULL-terminated list that exists in the tree; NULL: none. */
const char *tree_has_any(const char *tree, const char *const *names);

/** The package.json in the tree's top, new reference; NULL when missing or not a JSON object. */
json_t *package_load(const char *tree);

/** A script of package.json; NULL when absent, empty, or npm's "no test specified". Borrowed. */
const char *package_script(const json_t *package, const char *name);

/** Does package.json name anything to install (or workspaces)? */
bool package_needs_install(const json_t *package);

/** Is the package named in one of the dependency lists? */
bool package_depends(const json_t *package, const char *name);

/**
 * SHA-256 (hexadecimal) of what decides the installed dependencies: lock file, dependency lists,
 * .npmrc, node's version.
 */
void package_key(
	const char *tree, const json_t *package, const char *node_version, char ret_hex[65]);

/** Name of the lock file in the tree's top: npm-shrinkwrap.json, package-lock.json; NULL: none. */
const char *package_lock(const char *tree);

#endif
