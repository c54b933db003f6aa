/*
 * fault-proxy: a plain TCP proxy on loopback that fails on command. The fault harness
 * (tests/e2e/91-fault-proxy.mjs) puts it in front of every outside service.
 *
 *   fault-proxy CONTROL_PORT NAME:PORT …        each NAME listens on its port of 127.0.0.1
 *
 * A connection to the control port is one line, answered by one line:
 *   target NAME PORT                     where connections of NAME go on to, on 127.0.0.1
 *   fault NAME KIND ARG SKIP COUNT       lets SKIP turns pass, then strikes COUNT turns (-1: all)
 *   clear                                no more faults
 *   state                                {"NAME": {"turns": N, "struck": N}, …}
 *
 * A turn is what a client sends until the service answers: on a kept connection one HTTP request.
 * The proxy does not know HTTP, so what is inside may be TLS. Kinds, with what ARG is:
 *   delay MS            the answer begins that much later
 *   reset-before 0      connection reset, nothing of the request goes on
 *   reset-request N     reset after N bytes of the request went on
 *   reset-answer N      reset after N bytes of the answer (0: the request was worked)
 *   cut N               closed in order after N bytes of the answer
 *   drip MS             the answer goes on byte by byte, one each MS
 *   drip-request MS     so does the request
 */
#define _GNU_SOURCE
#include "tests/fault/pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <netinet/in.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#define SERVICES_MAX 8
#define POLLS_MAX (1 + SERVICES_MAX + PAIRS_POLLS)
#define IDLE_MS 200

static const char *const kinds[] = {
	[NO_FAULT] = "none",
	[DELAY] = "delay",
	[RESET_BEFORE] = "reset-before",
	[RESET_REQUEST] = "reset-request",
	[RESET_ANSWER] = "reset-answer",
	[CUT] = "cut",
	[DRIP] = "drip",
	[DRIP_REQUEST] = "drip-request",
};
#define KIND_COUNT (sizeof kinds / sizeof *kinds)

static struct service services[SERVICES_MAX];
static int service_count;

static void die(const char *what)
{
	fprintf(stderr, "fault-proxy: %s: %s\n", what, strerror(errno));
	exit(1);
}

static struct sockaddr_in loopback(int port)
{
	return (struct sockaddr_in){.sin_family = AF_INET,
		.sin_port = htons((uint16_t)port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
}

static int listen_on(int port)
{
	struct sockaddr_in address = loopback(port);
	int one = 1, fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd < 0 || setsockopt(fd, SOL_SOCKET, SO_REUSEADDR, &one, sizeof one) ||
		bind(fd, (struct sockaddr *)&address, sizeof address) || listen(fd, 64))
		die("listen");
	return fd;
}

/* ---- control ---- */

static struct service *find_service(const char *name)
{
	for (int i = 0; i < service_count; i++)
		if (strcmp(services[i].name, name) == 0)
			return &services[i];
	return NULL;
}

static bool order_fault(const char *line)
{
	char name[32], kind[32];
	long arg, skip, count;
	if (sscanf(line, "fault %31s %31s %ld %ld %ld", name, kind, &arg, &skip, &count) != 5)
		return false;
	struct service *s = find_service(name);
	for (size_t i = 0; s && i < KIND_COUNT; i++) {
		if (strcmp(kinds[i], kind) != 0)
			continue;
		s->kind = (enum kind)i;
		s->arg = arg, s->skip = skip, s->count = count, s->struck = 0;
		return true;
	}
	return false;
}

static bool order_target(const char *line)
{
	char name[32];
	int port;
	struct service *s =
		sscanf(line, "target %31s %d", name, &port) == 2 ? find_service(name) : NULL;
	if (s)
		s->target_port = port;
	return s != NULL;
}

static bool order_clear(const char *line)
{
	if (strcmp(line, "clear") != 0)
		return false;
	for (int i = 0; i < service_count; i++)
		services[i].kind = NO_FAULT;
	return true;
}

static void answer_state(int fd)
{
	for (int i = 0; i < service_count; i++)
		dprintf(fd, "%s\"%s\": {\"turns\": %ld, \"struck\": %ld}", i ? ", " : "{",
			services[i].name, services[i].turns, services[i].struck);
	dprintf(fd, "}\n");
}

static void control(int listen_fd)
{
	char line[256];
	size_t len = 0;
	ssize_t n;
	int fd = accept4(listen_fd, NULL, NULL, SOCK_CLOEXEC);
	while (fd >= 0 && len < sizeof line - 1 && !memchr(line, '\n', len) &&
		(n = read(fd, line + len, sizeof line - 1 - len)) > 0)
		len += (size_t)n;
	line[len] = '\0';
	line[strcspn(line, "\n")] = '\0';
	if (strcmp(line, "state") == 0)
		answer_state(fd);
	else
		dprintf(fd, order_fault(line) || order_target(line) || order_clear(line)
				    ? "ok\n"
				    : "not understood\n");
	close(fd);
}

/* ---- the loop ---- */

static void parse(int argc, char **argv)
{
	for (int i = 2; i < argc && service_count < SERVICES_MAX; i++) {
		struct service *s = &services[service_count++];
		int port;
		if (sscanf(argv[i], "%31[^:]:%d", s->name, &port) != 2) {
			fprintf(stderr, "fault-proxy: %s is not NAME:PORT\n", argv[i]);
			exit(2);
		}
		s->listen_fd = listen_on(port);
	}
}

static int fill_polls(struct pollfd *polls, int control_fd)
{
	int n = 0;
	polls[n++] = (struct pollfd){.fd = control_fd, .events = POLLIN};
	for (int i = 0; i < service_count; i++)
		polls[n++] = (struct pollfd){.fd = services[i].listen_fd, .events = POLLIN};
	return n + pairs_polls(polls + n);
}

int main(int argc, char **argv)
{
	if (argc < 3) {
		fprintf(stderr, "usage: fault-proxy CONTROL_PORT NAME:PORT …\n");
		return 2;
	}
	signal(SIGPIPE, SIG_IGN);
	int control_fd = listen_on(atoi(argv[1]));
	parse(argc, argv);
	for (;;) {
		struct pollfd polls[POLLS_MAX];
		int n = fill_polls(polls, control_fd);
		if (poll(polls, (nfds_t)n, pairs_wait_ms(IDLE_MS)) < 0 && errno != EINTR)
			die("poll");
		if (polls[0].revents)
			control(control_fd);
		pairs_serve(polls + 1 + service_count);
		for (int i = 0; i < service_count; i++)
			if (polls[1 + i].revents)
				pair_open(&services[i]);
	}
}
