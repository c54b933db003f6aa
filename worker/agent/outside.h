/*
 * Texts from outside on their way into a prompt: valid UTF-8, without secrets, without what a
 * person would not see (invisible characters, HTML comments), and unable to close the tags they
 * stand in.
 */
#ifndef AIRUNNER_OUTSIDE_H
#define AIRUNNER_OUTSIDE_H

#include "lib/buf.h"

/**
 * Appends s, at most max bytes (the middle is left out).
 * @return how many hidden things were dropped
 */
int outside_text(struct buf *out, const char *s, size_t len, size_t max);

/** The same for code that the model may see as it is: only made valid, masked and disarmed. */
void outside_code(struct buf *out, const char *s, size_t len, size_t max);

#endif
