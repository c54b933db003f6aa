/*
 * Sending Jira's webhooks: POST over a plain socket with X-Hub-Signature over the raw body; 408,
 * 409, 425, 429, 5xx and connection failures are tried again up to five times with the same
 * identifier. Source of the policy: developer.atlassian.com/cloud/jira/platform/webhooks/.
 */
#define _GNU_SOURCE
#include "tests/standin/webhook.h"

#include <netdb.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/standin/world.h"

#define TRIES 6

struct delivery {
	char *url, *secret, *body, *identifier;
	bool flat; /* an Automation rule's request: secret header, no identifier, no retry */
	int64_t retry_ms;
};

static atomic_int under_way;

static void delivery_free(struct delivery *d)
{
	free(d->url);
	free(d->secret);
	free(d->body);
	free(d->identifier);
	free(d);
}

void webhook_add(struct req *q, json_t *body, bool flat)
{
	if (!q->webhooks)
		q->webhooks = json_array();
	autofree char *text = json_dumps(body, JSON_COMPACT);
	autofree char *identifier = random_id("", 32);
	json_array_append_new(q->webhooks,
		json_pack("{s:s, s:s, s:s, s:b, s:s, s:I, s:s}", "body", text, "url",
			config_str("jira", "webhook_url", ""), "secret",
			config_str("jira", "webhook_secret", ""), "flat", flat, "identifier",
			identifier, "retry_ms",
			(json_int_t)config_int("jira", "webhook_retry_ms", 1000), "event",
			jstr(body, "webhookEvent", jstr(body, "event_type", ""))));
	json_decref(body);
}

static struct delivery *delivery_new(const json_t *from)
{
	struct delivery *d = xcalloc(1, sizeof(*d));
	d->url = xstrdup(jstr(from, "url", ""));
	d->secret = xstrdup(jstr(from, "secret", ""));
	d->body = xstrdup(jstr(from, "body", ""));
	d->identifier = xstrdup(jstr(from, "identifier", ""));
	d->flat = json_is_true(json_object_get(from, "flat"));
	d->retry_ms = jint(from, "retry_ms", 1000);
	return d;
}

/* "http://host:port/path" in parts; false when it is no such address. */
static bool split_url(const char *url, char host[256], char port[8], char path[1024])
{
	strcpy(port, "80");
	strcpy(path, "/");
	return sscanf(url, "http://%255[^:/]:%7[0-9]%1023s", host, port, path) >= 2 ||
	       sscanf(url, "http://%255[^:/]%1023s", host, path) >= 1;
}

static int dial(const char *host, const char *port)
{
	struct addrinfo hints = {.ai_socktype = SOCK_STREAM}, *list = NULL;
	if (getaddrinfo(host, port, &hints, &list) != 0)
		return -1;
	int fd = socket(list->ai_family, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct timeval limit = {.tv_sec = 20};
	if (fd >= 0) {
		setsockopt(fd, SOL_SOCKET, SO_RCVTIMEO, &limit, sizeof(limit));
		setsockopt(fd, SOL_SOCKET, SO_SNDTIMEO, &limit, sizeof(limit));
	}
	if (fd >= 0 && connect(fd, list->ai_addr, list->ai_addrlen) != 0) {
		close(fd);
		fd = -1;
	}
	freeaddrinfo(list);
	return fd;
}

static void add_headers(struct buf *b, const struct delivery *d, int retry)
{
	if (d->flat) {
		buf_addf(b, "X-Moveware-Webhook-Secret: %s\r\nUser-Agent: Automation for Jira\r\n",
			d->secret);
		return;
	}
	unsigned char mac[SHA256_LEN];
	crypto_hmac_sha256(d->secret, strlen(d->secret), d->body, strlen(d->body), mac);
	buf_adds(b, "X-Hub-Signature: sha256=");
	text_hex(b, mac, sizeof(mac));
	buf_addf(b,
		"\r\nX-Atlassian-Webhook-Identifier: %s\r\nX-Atlassian-Webhook-Flow: Primary\r\n"
		"User-Agent: Atlassian Webhook HTTP Client\r\n",
		d->identifier);
	if (retry)
		buf_addf(b, "X-Atlassian-Webhook-Retry: %d\r\n", retry);
}

/* One try; the status, 0 when the connection failed. The answer's body goes to reply. */
static int post(const struct delivery *d, int retry, struct buf *reply)
{
	char host[256], port[8], path[1024];
	if (!split_url(d->url, host, port, path))
		return 0;
	int fd = dial(host, port);
	if (fd < 0)
		return 0;
	AUTO(buf_release) struct buf out = BUF(HTTP_BODY_MAX), in = BUF(1 << 20);
	buf_addf(&out, "POST %s HTTP/1.0\r\nHost: %s:%s\r\nContent-Type: application/json\r\n",
		path, host, port);
	buf_addf(&out, "Content-Length: %zu\r\n", strlen(d->body));
	add_headers(&out, d, retry);
	buf_addf(&out, "\r\n%s", d->body);
	size_t sent = 0;
	ssize_t n = 1;
	while (sent < out.len && (n = send(fd, out.data + sent, out.len - sent, MSG_NOSIGNAL)) > 0)
		sent += (size_t)n;
	char part[4096];
	while (n > 0 && (n = recv(fd, part, sizeof(part), 0)) > 0)
		buf_add(&in, part, (size_t)n);
	close(fd);
	int status = 0;
	if (sscanf(in.data, "HTTP/1.%*d %d", &status) != 1)
		return 0;
	const char *body = strstr(in.data, "\r\n\r\n");
	buf_adds(reply, body ? body + 4 : "");
	return status;
}

static bool jira_tries_again(int status)
{
	return status == 0 || status == 408 || status == 409 || status == 425 || status == 429 ||
	       status >= 500;
}

static json_t *deliver(const struct delivery *d)
{
	json_t *statuses = json_array();
	AUTO(buf_release) struct buf reply = BUF(1 << 20);
	for (int try = 0; try < (d->flat ? 1 : TRIES); try++) {
		if (try)
			usleep((useconds_t)d->retry_ms * 1000);
		buf_reset(&reply);
		int status = post(d, try, &reply);
		json_array_append_new(statuses, json_integer(status));
		if (!jira_tries_again(status))
			break;
	}
	json_t *answer = json_loadb(reply.data, reply.len, 0, NULL);
	json_t *last = json_array_get(statuses, json_array_size(statuses) - 1);
	return json_pack("{s:s, s:O, s:o, s:o}", "identifier", d->identifier, "status", last,
		"statuses", statuses, "answer",
		answer ? answer : json_stringn(reply.data, reply.len));
}

static void *deliver_thread(void *arg)
{
	struct delivery *d = arg;
	json_decref(deliver(d));
	delivery_free(d);
	under_way--;
	return NULL;
}

static void begin(struct delivery *d)
{
	pthread_t thread;
	under_way++;
	if (pthread_create(&thread, NULL, deliver_thread, d) == 0) {
		pthread_detach(thread);
		return;
	}
	under_way--;
	delivery_free(d);
}

void webhook_deliver_all(struct req *q)
{
	json_t *results = json_array(), *from;
	size_t i;
	json_array_foreach (q->webhooks, i, from) {
		struct delivery *d = delivery_new(from);
		if (!*d->url || !q->wait_webhooks) {
			*d->url ? begin(d) : delivery_free(d);
			continue;
		}
		json_array_append_new(results, deliver(d));
		delivery_free(d);
	}
	json_t *answer = q->wait_webhooks ? json_loadb(q->out.data, q->out.len, 0, NULL) : NULL;
	if (!json_is_object(answer)) {
		json_decref(answer);
		json_decref(results);
		return;
	}
	json_object_set_new(answer, "webhooks", results);
	answer_json(q, q->status, answer);
}

void webhook_finish(void)
{
	for (int i = 0; i < 100 && under_way; i++)
		usleep(20000);
}
