/* The OpenAI stand-in's parts: the same scripts as Anthropic's, in OpenAI's two shapes. */
#ifndef STANDIN_OPENAI_H
#define STANDIN_OPENAI_H

#include "tests/standin/http.h"

/** An error in OpenAI's shape; param and code may be NULL. */
void openai_fail(struct req *q, int status, const char *type, const char *code, const char *param,
	const char *message);

/** Text of a content: a string, or parts with "text". Appended. */
void openai_text(struct buf *out, const json_t *content);

/** Is the structured output's schema one that strict mode takes? Answers 400 if not. */
bool openai_check_schema(struct req *q, const json_t *format, const char *param);

/** The script's turn; NULL when the request is answered already (fault, end of script). */
json_t *openai_turn(struct req *q, const char *first_user_text, size_t turn);

/** Strikes with the turn's fault, if it has one that comes after the answer. */
void openai_turn_end(struct req *q);

/** Makes the answer a stream of events at the configured pace. */
void openai_begin_stream(struct req *q);

/** Answers with the response as a stream. */
void openai_stream_response(struct req *q, const json_t *response);

void openai_post_responses(struct req *q);
void openai_post_chat(struct req *q);

#endif
