/* What lies in node_modules, as one value: the seal by which deps.c knows that nobody changed it.
 */
#ifndef AIRUNNER_MODULES_H
#define AIRUNNER_MODULES_H

#include <stdbool.h>

/**
 * A value of all files in the tree's node_modules folders (names, sizes, times, inodes; the time of
 * change cannot be set by a command). Caches that tools keep there are removed first: what they
 * remember could make a check pass.
 * @return false when the tree cannot be walked: take it for changed
 */
bool modules_seal(const char *tree, char ret_hex[65]);

#endif
