/*
 * Checks of a work tree: a table of checks (check.c), each with a detector, a command, a parser.
 * Findings are told apart from those of the base tree (table baselines); only new ones fail.
 */
#ifndef AIRUNNER_CHECK_H
#define AIRUNNER_CHECK_H

#include "worker/run.h"

enum error_category { /* the seed's eight, and unknown */
	CATEGORY_MISSING_EXPORT,
	CATEGORY_TAILWIND_INVALID_CLASS,
	CATEGORY_IMPORT_RESOLUTION,
	CATEGORY_TYPE_ERROR,
	CATEGORY_REACT_HOOK_ERROR,
	CATEGORY_UNDEFINED_VARIABLE,
	CATEGORY_MISSING_DEPENDENCY,
	CATEGORY_SYNTAX_ERROR,
	CATEGORY_UNKNOWN,
	CATEGORY__MAX
};

/** By the tool's own code (TS2305 …) first, by words second. */
enum error_category classify(const char *code, const char *message);
const char *error_category_name(enum error_category category);

#endif
