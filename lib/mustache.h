/*
 * Mustache renderer (spec 1.x: comments, interpolation, sections, inverted, partials with
 * indentation, delimiters), judged by the official suites. Data is a jansson tree: the very JSON
 * that the API sends. Lambdas are not supported. Output is escaped for HTML (& < > " ') unless the
 * mode is plain.
 */
#ifndef AIRUNNER_MUSTACHE_H
#define AIRUNNER_MUSTACHE_H

#include <jansson.h>

#include "lib/buf.h"
#include "lib/err.h"

enum mustache_mode { MUSTACHE_HTML, MUSTACHE_PLAIN };

/** Gives a partial's text, borrowed until the next call, NULL when there is none (nothing is put in
 * then). */
typedef const char *(*mustache_partial_fn)(void *arg, const char *name);

struct mustache_options {
	enum mustache_mode mode;
	mustache_partial_fn partial; /* may be NULL */
	void *arg;
};

/**
 * @param name  for error texts
 * @return ERR_CONFIG ("NAME:LINE: unclosed section x"), ERR_TOO_LARGE when out's limit is reached
 */
err_t mustache_render(const char *name, const char *template_text, const json_t *data,
	const struct mustache_options *options, struct buf *out);

#endif
