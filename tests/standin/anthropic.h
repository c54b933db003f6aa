/* The Anthropic stand-in's parts. */
#ifndef STANDIN_ANTHROPIC_H
#define STANDIN_ANTHROPIC_H

#include "tests/standin/http.h"
#include "tests/standin/models.h"

/** What a request is checked with. */
struct ask {
	const json_t *json;
	const struct model *model;
	const char *version; /* anthropic-version */
	bool betas;          /* anthropic-beta names something */
	bool count_only;     /* count_tokens: max_tokens and stream are no members */
};

/* All answer NULL, or the 400's words, valid until the next call in this thread. */
const char *check_members(const struct ask *ask);  /* names and types of the top level */
const char *check_thinking(const struct ask *ask); /* thinking, effort, tool_choice, sampling */
const char *check_tools(const struct ask *ask);
const char *check_messages(const struct ask *ask); /* roles, blocks, tool pairs, prefill */

/** Words for a 400. */
const char *refuse(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Is thinking on in this request? And is its text shown? */
bool ask_thinks(const struct ask *ask);
bool ask_shows_thinking(const struct ask *ask);

/**
 * Writes the message as a stream of events. cut_input leaves out the end of the last tool call's
 * input, as max_tokens does.
 */
void anthropic_stream(struct buf *out, const json_t *message, bool cut_input);

/** An error in Anthropic's shape. */
void anthropic_fail(struct req *q, int status, const char *type, const char *message);

/* ---- anthropic_models.c ---- */

void anthropic_get_model(struct req *q);
void anthropic_get_models(struct req *q);

#endif
