/* Mustache templates as tokens; for mustache.c alone. */
#ifndef AIRUNNER_MUSTACHE_PARSE_H
#define AIRUNNER_MUSTACHE_PARSE_H

#include <stddef.h>

#include "lib/err.h"

#define MUSTACHE_SECTIONS_MAX 64 /* open at once */

enum mustache_token_type {
	TOKEN_TEXT,
	TOKEN_VALUE, /* {{x}} */
	TOKEN_RAW,   /* {{{x}}}, {{&x}} */
	TOKEN_SECTION,
	TOKEN_INVERTED,
	TOKEN_CLOSE,
	TOKEN_PARTIAL,
};

struct mustache_token {
	enum mustache_token_type type;
	const char *p; /* the text, or the name without blanks; borrowed from the template */
	size_t len;
	size_t close; /* sections: index of their TOKEN_CLOSE */
	int line;
	const char *indent; /* partials alone on a line: the blanks before */
	size_t indent_len;
};

struct mustache_tokens {
	struct mustache_token *v;
	size_t count;
};

/** Comments, delimiters and lines that hold one such tag alone are gone. @return ERR_CONFIG
 * "NAME:LINE: …" */
err_t mustache_parse(const char *name, const char *text, struct mustache_tokens *ret_tokens);
void mustache_tokens_release(struct mustache_tokens *tokens);

#endif
