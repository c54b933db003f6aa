/* One try of a call. Called by the providers' stream functions. */
#include "worker/llm/call.h"

#include <string.h>

#include "lib/mem.h"

#define MAX_BODY (32u << 20)

/* A try that failed in transit may be repeated; what the caller or the service said may not always.
 */
static bool failure_retries(err_t e)
{
	enum err_code code = err_code(e);
	return code == ERR_NETWORK || code == ERR_TIMEOUT || code == ERR_OUTSIDE;
}

static void wipe(char **secret)
{
	explicit_bzero(*secret, strlen(*secret));
	free(*secret);
}

err_t llm_call_make(const struct llm *llm, const struct llm_request *request,
	const struct llm_call_spec *spec, struct http_response *ret_response, bool *ret_can_retry)
{
	const char *before, *name = endpoint_header(&llm->at, &before);
	AUTO(wipe) char *auth = xasprintf("%s%s", before, llm->at.key);
	struct http_header headers[5] = {
		{"content-type", "application/json"}, {"accept", "text/event-stream"}};
	size_t n = 2;
	if (spec->header.name)
		headers[n++] = spec->header;
	if (name)
		headers[n++] = (struct http_header){name, auth};
	const struct http_request req = {.service = llm->at.service,
		.method = "POST",
		.url = llm->at.url,
		.headers = headers,
		.body = spec->pieces,
		.body_pieces = spec->count,
		.timeout_ms = settings_int(llm->set, S_AIRUNNER_LLM_TIMEOUT_S) * 1000,
		.stall_ms = settings_int(llm->set, S_AIRUNNER_LLM_STALL_S) * 1000,
		.max_body = MAX_BODY,
		.on_data = spec->feed,
		.on_data_arg = spec->stream,
		.alive = request->alive,
		.alive_arg = request->alive_arg};
	err_t e = http_try(llm->set, &req, ret_response);
	if (spec->is_complete(spec->stream))
		return NULL;
	*ret_can_retry = failure_retries(e);
	if (e)
		return e;
	if (ret_response->status != 200)
		return spec->status_error(&req, ret_response, ret_can_retry);
	*ret_can_retry = true;
	return err_new(ERR_NETWORK, "%s: the stream was cut before its end", llm->at.service);
}
