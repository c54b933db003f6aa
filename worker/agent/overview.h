/* What a model is told about a repository before its first look. */
#ifndef AIRUNNER_OVERVIEW_H
#define AIRUNNER_OVERVIEW_H

#include <jansson.h>

#include "lib/err.h"

/**
 * {files: text of at most about 4 kB, deep folders with their number of files; scripts: "name:
 * command" lines of package.json, or null; guides: [{path, text}] (AGENTS.md or CLAUDE.md,
 * README)}.
 * @param root_fd  the work tree's top
 */
err_t overview_make(int root_fd, json_t **ret_overview);

#endif
