/*
 * The server: collects a request, lets service.c answer it with the world locked, and sends the
 * answer at its pace. Called by main.c; knows nothing of the services.
 */
#define _GNU_SOURCE
#include "tests/standin/http.h"

#include <arpa/inet.h>
#include <microhttpd.h>
#include <poll.h>
#include <stdatomic.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>

#include "lib/mem.h"
#include "tests/standin/service.h"
#include "tests/standin/world.h"

static struct MHD_Daemon *server;
static atomic_bool stopping;

static int socket_of(struct req *q)
{
	return MHD_get_connection_info(q->conn, MHD_CONNECTION_INFO_CONNECTION_FD)->connect_fd;
}

/* Waits; ends early when the client is gone or the server stops. */
static void wait_ms(struct req *q, int64_t ms)
{
	struct pollfd fd = {.fd = socket_of(q), .events = POLLRDHUP};
	while (ms > 0 && !stopping) {
		int slice = ms < 50 ? (int)ms : 50;
		if (poll(&fd, 1, slice) > 0)
			return;
		ms -= slice;
	}
}

static void reset_on_close(struct req *q)
{
	struct linger now = {.l_onoff = 1, .l_linger = 0};
	(void)setsockopt(socket_of(q), SOL_SOCKET, SO_LINGER, &now, sizeof(now));
}

static size_t next_bytes(const struct req *q, size_t pos, size_t max)
{
	const struct pace *p = &q->pace;
	size_t n = q->out.len - pos;
	if (n > max)
		n = max;
	if (p->chunk_bytes && n > p->chunk_bytes)
		n = p->chunk_bytes;
	const int64_t stops[] = {p->stall_at, p->cut_at};
	for (size_t i = 0; i < ARRAY_LEN(stops); i++) {
		if (stops[i] > (int64_t)pos && (int64_t)(pos + n) > stops[i])
			n = (size_t)stops[i] - pos;
	}
	return n;
}

static ssize_t send_more(void *arg, uint64_t pos, char *to, size_t max)
{
	struct req *q = arg;
	struct pace *p = &q->pace;
	wait_ms(q, pos == 0 ? p->first_delay_ms : p->chunk_delay_ms);
	if (p->stall_at >= 0 && (int64_t)pos >= p->stall_at) {
		p->stall_at = -1;
		wait_ms(q, p->stall_ms);
	}
	if (p->cut_at >= 0 && (int64_t)pos >= p->cut_at) {
		reset_on_close(q);
		return MHD_CONTENT_READER_END_WITH_ERROR;
	}
	if (stopping)
		return MHD_CONTENT_READER_END_WITH_ERROR;
	if (pos >= q->out.len)
		return MHD_CONTENT_READER_END_OF_STREAM;
	size_t n = next_bytes(q, pos, max);
	memcpy(to, q->out.data + pos, n);
	return (ssize_t)n;
}

static enum MHD_Result send_answer(struct req *q)
{
	if (q->down) {
		reset_on_close(q);
		return MHD_NO;
	}
	/* A cut or late end of a body shows only when there are bytes to come. */
	bool chunked =
		q->stream || (q->out.len == 0 && (q->pace.cut_at >= 0 || q->pace.stall_at >= 0));
	struct MHD_Response *response = MHD_create_response_from_callback(
		chunked ? MHD_SIZE_UNKNOWN : q->out.len, 16384, send_more, q, NULL);
	if (!response)
		return MHD_NO;
	const char *name;
	json_t *value;
	json_object_foreach (q->headers, name, value)
		MHD_add_response_header(response, name, json_string_value(value));
	if (q->out.len == 0 || !q->stream) { /* one piece, headers and all */
		wait_ms(q, q->pace.first_delay_ms);
		q->pace.first_delay_ms = 0;
	}
	enum MHD_Result sent = MHD_queue_response(q->conn, (unsigned)q->status, response);
	MHD_destroy_response(response);
	return sent;
}

static struct req *req_new(struct MHD_Connection *conn, const char *method, const char *path)
{
	struct req *q = xcalloc(1, sizeof(*q));
	q->conn = conn;
	q->method = xstrdup(method);
	q->path = xstrdup(path);
	q->rest = q->path;
	q->status = 500;
	q->headers = json_object();
	q->pace = (struct pace){.stall_at = -1, .cut_at = -1};
	buf_init(&q->body, HTTP_BODY_MAX);
	buf_init(&q->out, HTTP_BODY_MAX);
	return q;
}

static void req_free(struct req *q)
{
	free((char *)q->method);
	free((char *)q->path);
	json_decref(q->json);
	json_decref(q->headers);
	json_decref(q->note);
	json_decref(q->webhooks);
	buf_release(&q->body);
	buf_release(&q->out);
	free(q);
}

static enum MHD_Result on_request(void *cls, struct MHD_Connection *conn, const char *url,
	const char *method, const char *version, const char *data, size_t *data_len, void **slot)
{
	(void)cls;
	(void)version;
	struct req *q = *slot;
	if (!q) {
		*slot = req_new(conn, method, url);
		return MHD_YES;
	}
	if (*data_len) {
		buf_add(&q->body, data, *data_len);
		*data_len = 0;
		return MHD_YES;
	}
	q->json = json_loadb(q->body.data, q->body.len, JSON_ALLOW_NUL, NULL);
	service_answer(q);
	return send_answer(q);
}

static void on_end(
	void *cls, struct MHD_Connection *conn, void **slot, enum MHD_RequestTerminationCode how)
{
	(void)cls;
	(void)conn;
	(void)how;
	if (*slot)
		req_free(*slot);
	*slot = NULL;
}

err_t http_start(int port, int *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	server = MHD_start_daemon(MHD_USE_THREAD_PER_CONNECTION | MHD_USE_INTERNAL_POLLING_THREAD,
		(uint16_t)port, NULL, NULL, on_request, NULL, MHD_OPTION_SOCK_ADDR, &at,
		MHD_OPTION_NOTIFY_COMPLETED, on_end, NULL, MHD_OPTION_LISTENING_ADDRESS_REUSE, 1u,
		MHD_OPTION_END);
	if (!server)
		return err_errno("listen on 127.0.0.1:%d", port);
	*ret_port = MHD_get_daemon_info(server, MHD_DAEMON_INFO_BIND_PORT)->port;
	return NULL;
}

void http_stop(void)
{
	stopping = true;
	MHD_stop_daemon(server);
}
