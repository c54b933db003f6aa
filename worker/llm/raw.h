/*
 * Values in their own bytes: where a member's value stands in a JSON text. What must be sent back
 * as it came (blocks of kinds we do not know, a tool's input with numbers of any size) is copied
 * from there rather than written anew.
 */
#ifndef AIRUNNER_RAW_H
#define AIRUNNER_RAW_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/** A value inside a text; not terminated. */
struct raw {
	const char *data;
	size_t len;
};

/**
 * Both take a text that a JSON parser has accepted, and borrow it.
 * @return false when the value is no object (array), or holds no such member (item); of members
 * with the same name the last one counts, as for jansson. Names written with escapes are not found.
 */
bool raw_member(struct raw object, const char *name, struct raw *ret_value);
bool raw_item(struct raw array, size_t index, struct raw *ret_value);

/**
 * Parses a text from a model or its service: NULs are taken, and integers beyond 64 bits are no
 * reason to refuse it (then all its integers are reals). @return NULL and *ret_error; json_decref()
 */
json_t *raw_parse(struct raw text, json_error_t *ret_error);

#endif
