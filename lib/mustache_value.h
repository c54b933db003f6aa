/* JSON values in templates; for mustache.c alone. */
#ifndef AIRUNNER_MUSTACHE_VALUE_H
#define AIRUNNER_MUSTACHE_VALUE_H

#include <jansson.h>
#include <stdbool.h>

#include "lib/buf.h"

/** As in mustache.js: missing, null, false, 0, "" and [] are false; {} is not. */
bool mustache_is_false(const json_t *value);

/** Appends the value as text: nothing for null, whole numbers without a point, lists and objects as
 * JSON. */
void mustache_add_plain(struct buf *out, const json_t *value);

/** Appends n bytes with & < > " and ' as entities. */
void mustache_add_html(struct buf *out, const char *s, size_t n);

#endif
