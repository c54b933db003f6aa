/*
 * Masks secrets by value. Every secret setting registers itself when it is loaded; every way out of the process
 * (log, conversation, Jira and forge texts, artifacts) passes its text through redact_buf().
 * Masked: the value itself, its base64 and URL-encoded forms, and any run of 12 or more of its bytes.
 * Values shorter than 8 bytes are not registered (they would mask ordinary words).
 */
#ifndef AIRUNNER_REDACT_H
#define AIRUNNER_REDACT_H

#include "lib/buf.h"

/** Registers a secret under its setting's name; copies both. At most 64 secrets. */
void redact_add(const char *name, const char *value);

/** Replaces every known secret in b by [redacted NAME]. @return how many were replaced */
int redact_buf(struct buf *b);

/** The same for a string; returns a new one, freed by the caller. */
char *redact_str(const char *s);

/** Forgets all (tests). */
void redact_clear(void);

#endif
