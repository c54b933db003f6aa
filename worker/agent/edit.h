/*
 * Replacing one passage of a text, as a model asks for it. Ladder: exactly once; then with the
 * file's line ends; then with the indentation of all lines shifted alike. What cannot be done is
 * answered with words that help the next try.
 */
#ifndef AIRUNNER_EDIT_H
#define AIRUNNER_EDIT_H

#include "lib/buf.h"

struct edit {
	const char *content; /* NUL-terminated, without NULs inside */
	const char *old_text;
	const char *new_text;
};

/**
 * @param out    the new content, when true
 * @param words  what was done (with the lines), or why not: how often it occurs, nearest lines
 */
bool edit_replace(const struct edit *edit, struct buf *out, struct buf *words);

#endif
