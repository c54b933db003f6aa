/*
 * OpenAI's two interfaces, which many servers speak: Responses (stateless: nothing is kept there,
 * encrypted reasoning goes back as it came) and Chat Completions. Shapes: OpenAI's OpenAPI document
 * 2.3.0 (github.com/openai/openai-openapi, 2026-08).
 */
#ifndef AIRUNNER_OPENAI_H
#define AIRUNNER_OPENAI_H

#include "worker/llm/call.h"

extern const struct llm_provider openai_responses_provider;
extern const struct llm_provider openai_chat_provider;

/* ---- openai.c: what both share ---- */

void openai_add_text(struct buf *out, const char *text); /* as a JSON string */

/** A user message's part for the model: a tool's error is marked by its first word. */
void openai_add_output(struct buf *out, const struct llm_part *part);

/** The pieces of a body: prefix, the messages without their brackets, tail. @return their number;
 * *ret_pieces is freed by the caller */
size_t openai_pieces(const struct llm_request *request, const char *tail, size_t tail_len,
	struct http_piece **ret_pieces);

/** Most tokens of the answer, for the tail. */
int64_t openai_max_output(const struct llm *llm, const struct llm_request *request);

/** Is this code of an error the provider's refusal of the contents? */
bool openai_is_refusal(const char *code);

/**
 * The error of an "error" object {code, type, message}, or of what holds one, that came inside a
 * stream.
 * @return ERR_OUTSIDE when it may pass, else ERR_CONTEXT (the conversation no longer fits),
 * ERR_SPENT, ERR_OUTSIDE_FINAL
 */
err_t openai_error(const json_t *error);

/** Error of an answer that is not 200. */
err_t openai_status_error(const struct http_request *request, const struct http_response *response,
	bool *ret_can_retry);

/** The code of a refusal that came as an HTTP error: the answer's end is given to fn. @return is it
 * one? */
bool openai_refused(const struct http_response *response, llm_event_fn fn, void *arg);

/** prompt + details to usage; both APIs count cached and written tokens as part of the prompt. */
void openai_usage(const json_t *usage, const char *in, const char *out, struct llm_usage *ret);

/** A member that is a string, or NULL. */
const char *openai_str(const json_t *object, const char *member);

/* ---- openai_responses_stream.c ---- */

struct responses_stream;
struct responses_stream *responses_stream_new(llm_event_fn fn, void *arg);
void responses_stream_free(struct responses_stream *stream);
void responses_stream_freep(struct responses_stream **stream);
err_t responses_stream_feed(struct responses_stream *stream, const char *data, size_t len);
bool responses_stream_complete(const struct responses_stream *stream);
enum llm_stop responses_stop_of(const char *stop_name);

/* ---- openai_chat_stream.c ---- */

struct chat_stream;
struct chat_stream *chat_stream_new(llm_event_fn fn, void *arg);
void chat_stream_free(struct chat_stream *stream);
void chat_stream_freep(struct chat_stream **stream);
err_t chat_stream_feed(struct chat_stream *stream, const char *data, size_t len);
bool chat_stream_complete(const struct chat_stream *stream); /* [DONE] was seen */
enum llm_stop chat_stop_of(const char *stop_name);

#endif
