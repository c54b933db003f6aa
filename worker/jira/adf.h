/*
 * Atlassian documents (ADF), which Jira Cloud's REST v3 takes and gives instead of text. What a
 * valid document is was found with Atlassian's own schema (integrations.md A6).
 */
#ifndef AIRUNNER_ADF_H
#define AIRUNNER_ADF_H

#include <jansson.h>

#include "lib/buf.h"

/* Jira refuses comments over 32,767 characters, and conversion can make the text grow. */
#define ADF_TEXT_MAX 30000

/**
 * A document from Markdown (CommonMark with autolinks and strike-through; tables become code).
 * What the schema forbids is hoisted, dissolved or dropped; text past ADF_TEXT_MAX characters is
 * cut, and a last paragraph says so.
 *
 * @param marker  text of an own last paragraph, never cut; may be NULL
 * @return new reference, never NULL
 */
json_t *adf_from_markdown(const char *markdown, const char *marker);

/** The plainest document: one code block with the text as it is, and the marker. */
json_t *adf_from_plain(const char *text, const char *marker);

/**
 * Appends a document, or a plain string as older Jiras send it, as Markdown-like text for prompts
 * and people. Nodes that are not known give their children's text; NULL and JSON null give nothing.
 */
void adf_to_text(const json_t *adf, struct buf *out);

#endif
