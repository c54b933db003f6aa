/*
 * Do the imports of a JavaScript or TypeScript file lead anywhere? Relative ones to a file, with
 * the extensions that tools add; bare ones to an installed or named package, a builtin of node's or
 * an alias. What cannot be decided without the project's bundler counts as fine.
 */
#ifndef AIRUNNER_IMPORTS_H
#define AIRUNNER_IMPORTS_H

#include <jansson.h>
#include <stdbool.h>

/** Is it a file whose imports are read (.js, .jsx, .mjs, .cjs, .ts, .tsx, .mts, .cts)? */
bool imports_applies(const char *file);

/**
 * Reads tree/file (nothing when it is missing or over 2 MiB) and adds a finding for each import
 * that leads nowhere: code "unresolved" or "not-installed".
 * @param package  the tree's package.json, may be NULL
 */
void imports_check(const char *check, const char *tree, const char *file, const json_t *package,
	json_t *findings);

#endif
