/*
 * One try of one HTTP call, by libcurl. Called by worker/retry.c (the retry policy) and by whoever
 * wants a single try; the handles are kept between calls, so connections are reused.
 */
#include "worker/http.h"

#include <ctype.h>
#include <curl/curl.h>
#include <signal.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/mem.h"
#include "worker/fault.h"
#include "worker/http_trace.h"
#include "worker/rate.h"

#define DEFAULT_TIMEOUT_MS 20000
#define DEFAULT_MAX_BODY (8u << 20)
#define MAX_HEADERS (64u << 10)
#define ALIVE_MS 250

static struct {
	CURLM *multi; /* keeps the connections */
	CURL *easy;
	pid_t pid; /* a forked child makes its own: sockets are not shared */
	bool busy;
} client;

/* State of the running call. */
struct call {
	const struct http_request *req;
	struct http_response *res;
	size_t piece, offset; /* where the body reader is */
	size_t got, max_body;
	int64_t last_byte_ms;
	curl_off_t uploaded;
	bool headers_ended; /* libcurl takes a connection closed amid the headers for an answer */
	err_t error;        /* of a callback; ends the call */
};

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

err_t http_init(void)
{
	if (curl_global_init(CURL_GLOBAL_DEFAULT) != CURLE_OK)
		return err_new(ERR_INTERNAL, "libcurl cannot be initialised");
	return NULL;
}

static void client_close(void)
{
	if (client.pid != getpid())
		return;
	curl_easy_cleanup(client.easy);
	curl_multi_cleanup(client.multi);
	memset(&client, 0, sizeof client);
}

void http_exit(void)
{
	client_close();
	curl_global_cleanup();
}

static err_t client_open(void)
{
	if (client.pid == getpid() && client.easy) {
		curl_easy_reset(client.easy);
		return NULL;
	}
	client.multi = curl_multi_init();
	client.easy = curl_easy_init();
	client.pid = getpid();
	if (!client.multi || !client.easy)
		return err_new(ERR_INTERNAL, "libcurl gives no handle");
	return NULL;
}

/* ---- callbacks ---- */

static size_t on_read(char *out, size_t size, size_t count, void *arg)
{
	struct call *c = arg;
	size_t room = size * count, done = 0;
	while (done < room && c->piece < c->req->body_pieces) {
		const struct http_piece *p = &c->req->body[c->piece];
		size_t n = p->len - c->offset < room - done ? p->len - c->offset : room - done;
		if (n > 0)
			memcpy(out + done, p->data + c->offset, n);
		done += n;
		c->offset += n;
		if (c->offset == p->len)
			c->piece++, c->offset = 0;
	}
	c->res->sent = true;
	c->last_byte_ms = now_ms();
	return done;
}

/* libcurl begins anew when a kept connection turned out to be closed. */
static int on_seek(void *arg, curl_off_t offset, int origin)
{
	struct call *c = arg;
	if (offset != 0 || origin != SEEK_SET)
		return CURL_SEEKFUNC_CANTSEEK;
	c->piece = c->offset = 0;
	return CURL_SEEKFUNC_OK;
}

static size_t on_header(char *line, size_t size, size_t count, void *arg)
{
	struct call *c = arg;
	size_t n = size * count;
	c->last_byte_ms = now_ms();
	if (n >= 5 && strncmp(line, "HTTP/", 5) == 0) { /* a new block, e.g. after 100 Continue */
		buf_reset(&c->res->headers);
		c->headers_ended = false;
		return n;
	}
	if (n <= 2 && *line == (n == 2 ? '\r' : '\n'))
		c->headers_ended = true;
	const char *colon = memchr(line, ':', n);
	if (!colon)
		return n;
	size_t end = n;
	while (end > 0 && (line[end - 1] == '\r' || line[end - 1] == '\n'))
		end--;
	for (const char *p = line; p < colon; p++)
		buf_addc(&c->res->headers, (char)tolower((unsigned char)*p));
	buf_add(&c->res->headers, colon, (size_t)(line + end - colon));
	buf_addc(&c->res->headers, '\n');
	return n;
}

static size_t on_body(char *data, size_t size, size_t count, void *arg)
{
	struct call *c = arg;
	size_t n = size * count;
	long status = 0;
	curl_easy_getinfo(client.easy, CURLINFO_RESPONSE_CODE, &status);
	c->last_byte_ms = now_ms();
	c->got += n;
	if (c->got > c->max_body) {
		c->error =
			err_new(ERR_TOO_LARGE, "the answer is larger than %zu bytes", c->max_body);
		return 0;
	}
	if (c->req->on_data && status == 200) {
		c->res->given = true;
		c->error = c->req->on_data(c->req->on_data_arg, data, n);
		return c->error ? 0 : n;
	}
	buf_add(&c->res->body, data, n);
	return n;
}

/* ---- options ---- */

static void set_body(struct call *c)
{
	const struct http_request *req = c->req;
	curl_off_t total = 0;
	for (size_t i = 0; i < req->body_pieces; i++)
		total += (curl_off_t)req->body[i].len;
	bool is_get = strcmp(req->method, "GET") == 0 || strcmp(req->method, "HEAD") == 0;
	if (req->body || !is_get) {
		curl_easy_setopt(client.easy, CURLOPT_POST, 1L);
		curl_easy_setopt(client.easy, CURLOPT_POSTFIELDSIZE_LARGE, total);
		curl_easy_setopt(client.easy, CURLOPT_READFUNCTION, on_read);
		curl_easy_setopt(client.easy, CURLOPT_READDATA, c);
		curl_easy_setopt(client.easy, CURLOPT_SEEKFUNCTION, on_seek);
		curl_easy_setopt(client.easy, CURLOPT_SEEKDATA, c);
	}
	if (strcmp(req->method, "HEAD") == 0)
		curl_easy_setopt(client.easy, CURLOPT_NOBODY, 1L);
	else
		curl_easy_setopt(client.easy, CURLOPT_CUSTOMREQUEST, req->method);
}

static void slist_free(struct curl_slist **list)
{
	curl_slist_free_all(*list);
}

static void slist_add(struct curl_slist **list, const char *line)
{
	struct curl_slist *more = curl_slist_append(*list, line);
	if (!more)
		abort();
	*list = more;
}

static struct curl_slist *make_headers(const struct http_request *req)
{
	struct curl_slist *list = NULL;
	slist_add(&list, "Expect:"); /* no 100-continue pause before bodies over 1 MB */
	for (const struct http_header *h = req->headers; h && h->name; h++) {
		autofree char *line = xasprintf("%s: %s", h->name, h->value);
		slist_add(&list, line);
	}
	return list;
}

/* ---- the call ---- */

static err_t in_call(const struct http_request *req, err_t e)
{
	const char *path = strstr(req->url, "://");
	path = path ? path + 3 : req->url;
	return err_in(e, "%s: %s %.*s", req->service, req->method, (int)strcspn(path, "?"), path);
}

static err_t curl_error(const struct call *c, CURLcode code)
{
	if (code == CURLE_OK && !c->headers_ended)
		return err_new(ERR_NETWORK, "the answer broke off in its headers");
	if (code == CURLE_OK)
		return NULL;
	return err_new(code == CURLE_OPERATION_TIMEDOUT ? ERR_TIMEOUT : ERR_NETWORK, "%s",
		curl_easy_strerror(code));
}

/* Time, stall and the caller's word, looked at between the bytes. */
static err_t check(struct call *c, int64_t began_ms, int64_t *asked_ms)
{
	int64_t now = now_ms();
	int64_t timeout = c->req->timeout_ms ? c->req->timeout_ms : DEFAULT_TIMEOUT_MS;
	curl_off_t up = 0;
	curl_easy_getinfo(client.easy, CURLINFO_SIZE_UPLOAD_T, &up);
	if (up != c->uploaded)
		c->uploaded = up, c->last_byte_ms = now;
	if (now - began_ms >= timeout)
		return err_new(
			ERR_TIMEOUT, "no complete answer within %g s", (double)timeout / 1000);
	if (c->req->stall_ms && now - c->last_byte_ms >= c->req->stall_ms)
		return err_new(ERR_TIMEOUT, "no byte for %g s", (double)c->req->stall_ms / 1000);
	if (!c->req->alive || now - *asked_ms < ALIVE_MS)
		return NULL;
	*asked_ms = now;
	return c->req->alive(c->req->alive_arg);
}

static err_t perform(struct call *c)
{
	int64_t began_ms = now_ms(), asked_ms = began_ms;
	c->last_byte_ms = began_ms;
	for (;;) {
		int running = 0, left;
		CURLMcode m = curl_multi_perform(client.multi, &running);
		if (m != CURLM_OK)
			return err_new(ERR_NETWORK, "%s", curl_multi_strerror(m));
		if (c->error)
			return c->error;
		CURLMsg *msg = curl_multi_info_read(client.multi, &left);
		if (msg && msg->msg == CURLMSG_DONE)
			return curl_error(c, msg->data.result);
		ERR_TRY(check(c, began_ms, &asked_ms));
		int wait_ms = c->req->stall_ms && c->req->stall_ms < 4 * ALIVE_MS
				      ? (int)c->req->stall_ms / 4 + 1
				      : ALIVE_MS;
		curl_multi_poll(client.multi, NULL, 0, wait_ms, NULL);
	}
}

static err_t try_with_client(const struct settings *set, struct call *c)
{
	const struct http_request *req = c->req;
	AUTO(slist_free) struct curl_slist *headers = make_headers(req);
	ERR_TRY(http_set_options(set, client.easy, req->url));
	curl_easy_setopt(client.easy, CURLOPT_URL, req->url);
	curl_easy_setopt(client.easy, CURLOPT_HTTPHEADER, headers);
	curl_easy_setopt(client.easy, CURLOPT_HEADERFUNCTION, on_header);
	curl_easy_setopt(client.easy, CURLOPT_HEADERDATA, c);
	curl_easy_setopt(client.easy, CURLOPT_WRITEFUNCTION, on_body);
	curl_easy_setopt(client.easy, CURLOPT_WRITEDATA, c);
	/* On a kept connection libcurl may send a request twice; a fresh one never does. */
	curl_easy_setopt(client.easy, CURLOPT_FRESH_CONNECT, req->once ? 1L : 0L);
	set_body(c);
	if (curl_multi_add_handle(client.multi, client.easy) != CURLM_OK)
		return err_new(ERR_INTERNAL, "libcurl takes no handle");
	err_t e = perform(c);
	long sent = 0;
	curl_easy_getinfo(client.easy, CURLINFO_RESPONSE_CODE, &c->res->status);
	curl_easy_getinfo(client.easy, CURLINFO_REQUEST_SIZE, &sent);
	c->res->sent |= sent > 0;
	curl_multi_remove_handle(client.multi, client.easy);
	curl_easy_setopt(client.easy, CURLOPT_HTTPHEADER, NULL);
	return e;
}

err_t http_try(const struct settings *set, const struct http_request *request,
	struct http_response *ret_response)
{
	size_t max_body = request->max_body ? request->max_body : DEFAULT_MAX_BODY;
	*ret_response = (struct http_response){
		.body = BUF(max_body), .headers = BUF(MAX_HEADERS), .tries = 1};
	if (client.busy && client.pid == getpid())
		return err_new(ERR_INTERNAL, "an HTTP call inside an HTTP call");
	ERR_TRY(rate_take(set, request->service, request->alive, request->alive_arg));
	ERR_TRY(client_open());
	struct call call = {.req = request, .res = ret_response, .max_body = max_body};
	int64_t began_ms = now_ms();
	http_trace_request(request);
	FAULT_POINT("http.%s.before", request->service);
	client.busy = true;
	err_t e = try_with_client(set, &call);
	client.busy = false;
	ret_response->ms = now_ms() - began_ms;
	FAULT_POINT("http.%s.after", request->service);
	http_trace_response(request, ret_response, e);
	rate_note(set, request->service, ret_response);
	return e ? in_call(request, e) : NULL;
}
