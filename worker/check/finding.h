/*
 * Findings: what a check objects to, as JSON objects
 *   {check, file, line, col, code, message, category, hint, key}
 * file, line and col are left out where there is none.
 * message is clean one- or few-line text of at most FINDING_TEXT bytes without paths of this
 * machine; key is what tells the same finding of two trees: file, code and message without numbers,
 * never the line.
 */
#ifndef AIRUNNER_FINDING_H
#define AIRUNNER_FINDING_H

#include <jansson.h>
#include <stddef.h>

#include "lib/settings.h"

#define FINDING_TEXT 1500
#define FINDINGS_MAX 5000 /* of one check */

struct finding {
	const char *check;
	const char *file; /* as the tool named it; NULL: none */
	int line, col;    /* 0: none */
	const char *code; /* NULL: "" */
	const char *message;
	size_t message_len; /* 0: strlen */
	const char *key;    /* identity where it is not the message: a test's name; may be NULL */
};

/** Appends to the array, classified; silently no more than FINDINGS_MAX. tree: path prefix taken
 * out of the texts. */
void finding_add(json_t *findings, const char *tree, const struct finding *finding);

/**
 * Tells new findings from those the base has too (counted: two of the same against one of the base
 * are one new).
 * @param base       findings of the base, NULL: none are known
 * @param ret_new    new reference: array of the same objects
 * @param ret_known  the same
 */
void findings_split(
	const json_t *findings, const json_t *base, json_t **ret_new, json_t **ret_known);

/** Fills the member hint of each finding from templates/hints/<category>.md. */
err_t findings_hint(const struct settings *set, json_t *findings);

#endif
