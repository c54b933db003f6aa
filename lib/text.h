/* Text from outside: valid UTF-8, safe lengths, case-insensitive helpers. */
#ifndef AIRUNNER_TEXT_H
#define AIRUNNER_TEXT_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

/**
 * Appends s as valid UTF-8: broken bytes become U+FFFD, control characters but \t and \n are
 * dropped (so are ANSI escape sequences), \r\n becomes \n.
 */
void text_clean(struct buf *out, const char *s, size_t n);

/** Bytes of the valid UTF-8 character at s (n bytes are there), 0 when there is none. */
size_t text_utf8_len(const char *s, size_t n);

/** A JSON string from any bytes (cleaned first); JSON null for NULL. New reference, never NULL. */
json_t *text_json(const char *s);
json_t *text_jsonn(const char *s, size_t n);

/**
 * Appends s; when longer than max characters (bytes, cut at UTF-8 borders): its first and last
 * halves with "\n… N characters left out …\n" between.
 */
void text_middle(struct buf *out, const char *s, size_t n, size_t max);

bool text_ieq(const char *a, const char *b); /* ASCII case-insensitive; NULLs differ */
bool text_starts(const char *s, const char *prefix);
bool text_ends(const char *s, const char *suffix);
void text_lower(char *s);                              /* ASCII, in place */
bool text_to_i64(const char *s, long long *ret_value); /* whole string, decimal */

/** Appends n bytes as lower-case hexadecimal. */
void text_hex(struct buf *out, const unsigned char *p, size_t n);

/** Appends percent-encoded s (RFC 3986 unreserved characters stay). */
void text_url_encode(struct buf *out, const char *s);

#endif
