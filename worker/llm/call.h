/*
 * One try of a model's call, whatever its wire format: headers, key, timers, the stream's bytes to
 * the provider's reader, and what a failure means.
 */
#ifndef AIRUNNER_LLM_CALL_H
#define AIRUNNER_LLM_CALL_H

#include "worker/llm/llm.h"

struct llm_call_spec {
	const struct http_piece *pieces; /* the body */
	size_t count;
	struct http_header header; /* one more than all have; name NULL: none */
	http_data_fn feed;         /* gets stream and bytes */
	bool (*is_complete)(const void *stream);
	/* The error of an answer that is not 200; *ret_can_retry is set. */
	err_t (*status_error)(const struct http_request *request,
		const struct http_response *response, bool *ret_can_retry);
	void *stream;
};

/** @return NULL when the stream was read to its end; a reset after that loses nothing */
err_t llm_call_make(const struct llm *llm, const struct llm_request *request,
	const struct llm_call_spec *spec, struct http_response *ret_response, bool *ret_can_retry);

#endif
