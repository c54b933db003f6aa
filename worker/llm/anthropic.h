/* Anthropic's Messages API, version 2023-06-01 (platform.claude.com/docs/en/api/messages, 2026-11).
 */
#ifndef AIRUNNER_ANTHROPIC_H
#define AIRUNNER_ANTHROPIC_H

#include "worker/llm/llm.h"

extern const struct llm_provider anthropic_provider;

/**
 * The pieces of a request's body: prefix, messages with cache marks spliced in, end. Points into
 * the request and into tail.
 * @param tail  at least 64 bytes, filled with the end of the body
 * @return pieces in *ret_pieces (free()), their number
 */
size_t anthropic_pieces(const struct llm *llm, const struct llm_request *request, char *tail,
	size_t tail_size, struct http_piece **ret_pieces);

/** Reads a stream of the Messages API: bytes in, events out. */
struct anthropic_stream;
struct anthropic_stream *anthropic_stream_new(llm_event_fn fn, void *arg);
void anthropic_stream_free(struct anthropic_stream *stream);
void anthropic_stream_freep(struct anthropic_stream **stream);

/** @return ERR_OUTSIDE for an error event that may pass and for what cannot be read,
 * ERR_OUTSIDE_FINAL for other error events */
err_t anthropic_stream_feed(struct anthropic_stream *stream, const char *data, size_t len);
bool anthropic_stream_complete(const struct anthropic_stream *stream); /* message_stop was seen */
enum llm_stop anthropic_stop_of(const char *stop_name);

/** Error of an "error" object {type, message}: which of them may pass. */
err_t anthropic_error(const json_t *error);

#endif
