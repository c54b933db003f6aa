/*
 * Masks secrets by value. Every secret setting registers itself when it is loaded; every way out of
 * the process (log, conversation, Jira and forge texts, artifacts) passes its text through
 * redact_buf(). Masked: the value itself, its base64 (standard and URL alphabet, at any of the
 * three alignments), URL-encoded, JSON-escaped, hexadecimal and reversed forms, and any run of 12
 * or more bytes of any of these. Values shorter than 8 bytes are not registered (they would mask
 * ordinary words). A secret broken by line ends or other bytes is found only as far as runs of 12
 * bytes are left. Time is linear in the text (one or two ms for 1 MB), whatever the number of
 * secrets.
 */
#ifndef AIRUNNER_REDACT_H
#define AIRUNNER_REDACT_H

#include <jansson.h>

#include "lib/buf.h"

/** Registers a secret under its setting's name; copies both. Over 64 secrets or 16 KiB: aborts. */
void redact_add(const char *name, const char *value);

/**
 * Replaces every known secret in b by [redacted NAME]. The text may grow: past the buffer's limit
 * it is cut.
 * @return how many were replaced
 */
int redact_buf(struct buf *b);

/** The same for a string; returns a new one, freed by the caller. */
char *redact_str(const char *s);

/**
 * The same for every string and key of a JSON value, before it is written as text (masking the text
 * could break an escape). New reference; the given value stays as it is.
 */
json_t *redact_json(json_t *value);

/** Forgets all (tests). */
void redact_clear(void);

#endif
