/*
 * What the Anthropic stand-in answered before. An assistant message must come back as it was
 * emitted, in the conversation it was emitted to; thinking blocks are bound by their signature.
 */
#ifndef STANDIN_HISTORY_H
#define STANDIN_HISTORY_H

#include <jansson.h>
#include <stdbool.h>

#include "tests/standin/models.h"

/** NULL when the replayed messages are as they were, else the 400's words (valid until the next
 * call). */
const char *history_problem(const json_t *request, const struct model *model, bool drop_unbound);

/** Signs a thinking block that answers this request; freed by the caller. */
char *history_sign(const json_t *request, const char *thinking);

/** Remembers the answer's content to this request. */
void history_remember(const json_t *request, const json_t *content);
void history_clear(void);

#endif
