/*
 * Regular expressions (PCRE2) that stand in tables: compiled at first use and kept, with named
 * groups copied out as strings. And lines of a text, one by one.
 */
#ifndef AIRUNNER_PATTERN_H
#define AIRUNNER_PATTERN_H

#include <stdbool.h>
#include <stddef.h>

struct pattern {
	const char *text; /* UTF-8 is matched as bytes; (?i), (?m), … as needed */
	void *code;       /* filled at first use */
};

#define PATTERN_GROUPS 8

/** What the groups matched: strings of the text, each its own copy; group 0 is the whole. */
struct match {
	char *groups[PATTERN_GROUPS]; /* owned; NULL where a group took no part */
	size_t start, end;            /* of the whole match, bytes from the subject's begin */
};

/** Is there a match in subject at or after `from`? ret_match may be NULL; on false it is untouched.
 */
bool pattern_find(
	struct pattern *p, const char *subject, size_t len, size_t from, struct match *ret_match);
void match_release(struct match *m);
int match_int(const struct match *m, int group); /* 0 when absent */

/** Calls for each line without its end: `struct lines l = {text, text + len}; while (lines_next(&l,
 * &s, &n))`. */
struct lines {
	const char *at;
	const char *end;
};
bool lines_next(struct lines *lines, const char **ret_line, size_t *ret_len);

#endif
