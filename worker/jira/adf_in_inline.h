/* Inline nodes of Atlassian documents as text; see adf.h. */
#ifndef AIRUNNER_ADF_IN_INLINE_H
#define AIRUNNER_ADF_IN_INLINE_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/buf.h"

/** Appends an inline node's text. @return false when it is none that is known */
bool adf_in_inline(const json_t *n, struct buf *out);

/** A text attribute of a node; NULL when absent. Borrowed. */
const char *adf_attr(const json_t *n, const char *name);

/** The first of two attributes that is there and not empty. */
const char *adf_attr_or(const json_t *n, const char *a, const char *b, const char *otherwise);

#endif
