/*
 * What the models say. A script answers the conversations whose first user message it matches;
 * which turn it plays is the number of assistant messages in the request, so nothing is kept.
 * README.md has the format.
 */
#ifndef STANDIN_SCRIPT_H
#define STANDIN_SCRIPT_H

#include <jansson.h>

#include "lib/err.h"

/** Loads files and folders (*.json, by name): a string or an array of them, NULL for none. */
err_t script_load(const json_t *paths);

/** Adds scripts (object or array, borrowed) before those that are there. @return ERR_BAD_INPUT */
err_t script_add(const json_t *scripts);

/** Forgets all, and loads what the configuration names. */
err_t script_reset(void);
json_t *script_list(void); /* borrowed */

/**
 * The turn to play. Borrowed; never NULL (without a script: a text that says so).
 * @param ret_name  the script's name for the log, borrowed
 * @return NULL when the script is over and ends with "then":"error"
 */
json_t *script_turn(
	const char *model, const char *first_user_text, size_t turn, const char **ret_name);

/** The turn's fault, once per turn (or `count` times); NULL else. Borrowed. */
const json_t *script_fault(json_t *turn);

#endif
