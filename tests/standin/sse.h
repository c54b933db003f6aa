/* Server-sent events, for the streams of both vendors. */
#ifndef STANDIN_SSE_H
#define STANDIN_SSE_H

#include <jansson.h>

#include "lib/buf.h"

/** Appends one event with compact JSON (taken over); name NULL: data only. */
void sse_event(struct buf *out, const char *name, json_t *data);

/** Length of the next piece of a text for a delta: at most n bytes, whole characters. */
size_t sse_piece(const char *s, size_t n);

#endif
