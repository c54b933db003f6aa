/* Inline text of Atlassian documents: text nodes with marks, within the document's limit. */
#ifndef AIRUNNER_ADF_OUT_INLINE_H
#define AIRUNNER_ADF_OUT_INLINE_H

#include <cmark-gfm.h>
#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

/** What is left of a document's text; full: something was cut, and nothing more is taken. */
struct adf_text {
	size_t left; /* characters */
	bool full;
};

struct adf_marks {
	bool strong, em, strike, code;
	const char *href; /* NULL: no link */
};

/**
 * Appends text to an array of inline nodes. Empty text gives no node, the same marks as before join
 * the node before. Marks that the schema forbids together are left out (code allows only a link).
 */
void adf_text_add(
	struct adf_text *text, json_t *content, const char *raw, const struct adf_marks *marks);

/** Appends the inline children of a cmark node. */
void adf_inline(
	cmark_node *parent, struct adf_text *text, json_t *content, const struct adf_marks *marks);

#endif
