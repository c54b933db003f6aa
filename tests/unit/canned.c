/* The canned server of the tests of HTTP clients. */
#define _GNU_SOURCE
#include "tests/unit/canned.h"

#include <arpa/inet.h>
#include <poll.h>
#include <pthread.h>
#include <stdatomic.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/mem.h"

#define MAX_REQUESTS 64

struct canned {
	int fd;
	char url[64];
	const struct canned_reply *replies;
	size_t count;
	pthread_t thread;
	atomic_int stop;
	atomic_size_t served;
	char *requests[MAX_REQUESTS];
};

static void nap(int ms)
{
	poll(NULL, 0, ms);
}

static size_t content_length(const char *head)
{
	const char *p = strcasestr(head, "\ncontent-length:");
	return p ? strtoul(p + 16, NULL, 10) : 0;
}

static char *read_request(int fd)
{
	struct buf b = BUF(32u << 20);
	char chunk[65536];
	for (;;) {
		char *end = strstr(b.data, "\r\n\r\n");
		if (end && b.len >= (size_t)(end + 4 - b.data) + content_length(b.data))
			return buf_take(&b);
		ssize_t n = read(fd, chunk, sizeof chunk);
		if (n <= 0)
			return buf_take(&b);
		buf_add(&b, chunk, (size_t)n);
	}
}

static void answer(struct canned *s, int fd, const struct canned_reply *r)
{
	size_t len = strlen(r->raw), step = r->chunk ? r->chunk : len;
	for (size_t at = 0; at < len && !s->stop; at += step) {
		size_t n = len - at < step ? len - at : step;
		if (send(fd, r->raw + at, n, MSG_NOSIGNAL) < 0)
			return;
		if (r->chunk_ms)
			nap(r->chunk_ms);
	}
	char byte;
	for (int ms = 0; ms < r->hang_ms && !s->stop; ms += 10) {
		if (recv(fd, &byte, 1, MSG_PEEK | MSG_DONTWAIT) == 0)
			return; /* the client has gone */
		nap(10);
	}
}

static void *serve(void *arg)
{
	struct canned *s = arg;
	while (!s->stop) {
		struct pollfd p = {.fd = s->fd, .events = POLLIN};
		if (poll(&p, 1, 20) <= 0)
			continue;
		int fd = accept(s->fd, NULL, NULL);
		if (fd < 0)
			continue;
		size_t i = s->served;
		char *request = read_request(fd);
		if (i < MAX_REQUESTS)
			s->requests[i] = request;
		else
			free(request);
		s->served = i + 1;
		answer(s, fd, &s->replies[i < s->count ? i : s->count - 1]);
		close(fd);
	}
	return NULL;
}

struct canned *canned_start(const struct canned_reply *replies, size_t count)
{
	struct canned *s = xcalloc(1, sizeof *s);
	s->replies = replies;
	s->count = count;
	s->fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	struct sockaddr_in a = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof a;
	if (bind(s->fd, (struct sockaddr *)&a, len) < 0 || listen(s->fd, 8) < 0 ||
		getsockname(s->fd, (struct sockaddr *)&a, &len) < 0)
		abort();
	snprintf(s->url, sizeof s->url, "http://127.0.0.1:%d", ntohs(a.sin_port));
	if (pthread_create(&s->thread, NULL, serve, s) != 0)
		abort();
	return s;
}

void canned_stop(struct canned *s)
{
	s->stop = 1;
	shutdown(s->fd, SHUT_RDWR); /* wakes its poll() */
	pthread_join(s->thread, NULL);
	close(s->fd);
	for (size_t i = 0; i < MAX_REQUESTS; i++)
		free(s->requests[i]);
	free(s);
}

const char *canned_url(const struct canned *s)
{
	return s->url;
}

size_t canned_count(struct canned *s)
{
	return s->served;
}

const char *canned_request(struct canned *s, size_t i)
{
	return i < s->served && i < MAX_REQUESTS ? s->requests[i] : "";
}
