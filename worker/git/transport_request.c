/*
 * One HTTP request of the git transport, driven by hand: nothing is received while nobody reads, so
 * a large pack never piles up in memory. Called by transport.c.
 */
#include "worker/git/transport_request.h"

#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "worker/run.h"

#define POLL_MS 250
#define IN_MAX ((size_t)64 << 20) /* what one round of libcurl may bring; it is some kB */

static size_t on_data(char *data, size_t size, size_t count, void *arg)
{
	struct request *request = arg;
	buf_add(&request->in, data, size * count);
	return buf_cut(&request->in) ? 0 : size * count;
}

static void add_header(struct request *request, const char *name, const char *value)
{
	autofree char *line = xasprintf("%s: %s", name, value);
	struct curl_slist *longer = curl_slist_append(request->headers, line);
	if (!longer)
		abort(); /* out of memory */
	request->headers = longer;
}

static void set_limits(CURL *easy, const struct transport_context *context)
{
	int64_t stall_ms = context->stall_ms ? context->stall_ms : TRANSPORT_STALL_MS;
	int64_t total_ms = context->total_ms ? context->total_ms : TRANSPORT_TOTAL_MS;
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_LIMIT, 1L);
	curl_easy_setopt(easy, CURLOPT_LOW_SPEED_TIME, (long)(stall_ms + 999) / 1000);
	curl_easy_setopt(easy, CURLOPT_TIMEOUT_MS, (long)total_ms);
	curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
}

static void set_body(struct request *request, const struct request_options *options)
{
	if (options->body) {
		add_header(request, "Content-Type", options->content_type);
		add_header(request, "Expect", ""); /* no waiting for 100 Continue */
		curl_easy_setopt(request->easy, CURLOPT_POST, 1L);
		curl_easy_setopt(
			request->easy, CURLOPT_POSTFIELDSIZE_LARGE, (curl_off_t)options->body->len);
		curl_easy_setopt(request->easy, CURLOPT_POSTFIELDS, options->body->data);
	}
	if (options->user) {
		curl_easy_setopt(request->easy, CURLOPT_HTTPAUTH, CURLAUTH_BASIC);
		curl_easy_setopt(request->easy, CURLOPT_USERNAME, options->user);
		curl_easy_setopt(request->easy, CURLOPT_PASSWORD, options->password);
	}
}

err_t request_start(struct request *request, struct transport_context *context, CURLM *multi,
	const struct request_options *options)
{
	*request = (struct request){.context = context, .multi = multi, .in = BUF(IN_MAX)};
	request->easy = curl_easy_init();
	if (!request->easy)
		return err_new(ERR_INTERNAL, "libcurl gives no handle");
	ERR_TRY(http_set_options(context->set, request->easy, options->url));
	set_limits(request->easy, context);
	set_body(request, options);
	add_header(request, "Accept", options->accept);
	curl_easy_setopt(
		request->easy, CURLOPT_USERAGENT, "git/2.0 (airunner " AIRUNNER_VERSION ")");
	curl_easy_setopt(request->easy, CURLOPT_ACCEPT_ENCODING, "");
	curl_easy_setopt(request->easy, CURLOPT_HTTPHEADER, request->headers);
	curl_easy_setopt(request->easy, CURLOPT_WRITEFUNCTION, on_data);
	curl_easy_setopt(request->easy, CURLOPT_WRITEDATA, request);
	curl_easy_setopt(request->easy, CURLOPT_ERRORBUFFER, request->detail);
	if (curl_easy_setopt(request->easy, CURLOPT_URL, options->url) != CURLE_OK ||
		curl_multi_add_handle(multi, request->easy) != CURLM_OK)
		return err_new(ERR_INTERNAL, "libcurl takes no request");
	log_trace("http", "git %s %s", options->body ? "POST" : "GET", options->url);
	return NULL;
}

static void note_end(struct request *request)
{
	int left;
	for (CURLMsg *message; (message = curl_multi_info_read(request->multi, &left));)
		if (message->msg == CURLMSG_DONE && message->easy_handle == request->easy) {
			request->done = true;
			request->result = message->data.result;
		}
}

static err_t failure(const struct request *request)
{
	const char *detail =
		*request->detail ? request->detail : curl_easy_strerror(request->result);
	switch (request->result) {
	case CURLE_OK:
		return NULL;
	case CURLE_OPERATION_TIMEDOUT:
		return err_new(ERR_TIMEOUT, "the server did not answer in time: %s", detail);
	case CURLE_PEER_FAILED_VERIFICATION:
	case CURLE_SSL_CACERT_BADFILE:
		return err_new(ERR_CONFIG,
			"%s; an authority of your own is named by AIRUNNER_CA_FILE", detail);
	default:
		return err_new(ERR_NETWORK, "%s", detail);
	}
}

err_t request_pump(struct request *request)
{
	const struct transport_context *context = request->context;
	int64_t asked_ms = 0;
	if (request->taken == request->in.len) {
		buf_reset(&request->in);
		request->taken = 0;
	}
	while (request->in.len == 0 && !request->done) {
		int running;
		if (context->alive && monotonic_ms() - asked_ms >= POLL_MS) {
			ERR_TRY(context->alive(context->alive_arg));
			asked_ms = monotonic_ms();
		}
		if (curl_multi_perform(request->multi, &running) != CURLM_OK)
			return err_new(ERR_INTERNAL, "libcurl cannot go on");
		note_end(request);
		if (request->in.len == 0 && !request->done)
			curl_multi_poll(request->multi, NULL, 0, POLL_MS, NULL);
	}
	return request->in.len ? NULL : failure(request);
}

size_t request_take(struct request *request, char *out, size_t size)
{
	size_t there = request->in.len - request->taken;
	size_t n = there < size ? there : size;
	memcpy(out, request->in.data + request->taken, n);
	request->taken += n;
	return n;
}

long request_status(struct request *request)
{
	long status = 0;
	curl_easy_getinfo(request->easy, CURLINFO_RESPONSE_CODE, &status);
	return status;
}

const char *request_content_type(struct request *request)
{
	const char *type = NULL;
	curl_easy_getinfo(request->easy, CURLINFO_CONTENT_TYPE, &type);
	return type ? type : "";
}

const char *request_redirect(struct request *request)
{
	const char *url = NULL;
	curl_easy_getinfo(request->easy, CURLINFO_REDIRECT_URL, &url);
	return url;
}

void request_stop(struct request *request)
{
	if (request->easy) {
		curl_multi_remove_handle(request->multi, request->easy);
		curl_easy_cleanup(request->easy);
	}
	curl_slist_free_all(request->headers);
	buf_release(&request->in);
	*request = (struct request){0};
}
