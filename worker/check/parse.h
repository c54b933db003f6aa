/*
 * Readers of what tools print: one function each, text in, findings out. All take any bytes.
 * check: name for the findings; tree: absolute path of the work tree, taken out of file names.
 */
#ifndef AIRUNNER_PARSE_H
#define AIRUNNER_PARSE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

struct parse_input {
	const char *check;
	const char *tree;
	const char *text; /* clean text (text_clean) */
	size_t len;
};

/** tsc --pretty false: `file(line,col): error TS2304: words`, further lines indented. */
void parse_tsc(const struct parse_input *in, json_t *findings);

/** eslint --format json: errors (severity 2) only. @return false when it is not that JSON */
bool parse_eslint(const struct parse_input *in, json_t *findings);

/** Builds and all else: tsc's lines, file:line:col: words, eslint's lists, Next.js, vite, node's
 * stack traces. */
void parse_any(const struct parse_input *in, json_t *findings);

/** One finding made of the last lines, for output that nothing else could read. code: e.g.
 * "exit-1". */
void parse_tail(const struct parse_input *in, const char *code, json_t *findings);

/** What a test runner says; -1 where it says nothing. */
struct test_counts {
	int run, passed, failed;
};

/** TAP (tape, node:test), node:test's spec, jest, vitest, mocha: failing tests by name, and counts.
 */
void parse_tests(const struct parse_input *in, json_t *findings, struct test_counts *ret_counts);

#endif
