/* The connections of fault-proxy and what faults do to them. */
#define _GNU_SOURCE
#include "tests/fault/pair.h"

#include <arpa/inet.h>
#include <errno.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/socket.h>
#include <time.h>
#include <unistd.h>

#define PIECE 65536

/* One direction: what was read and waits to go on. */
struct flow {
	int from, to;
	char data[PIECE];
	size_t len;
	long passed;    /* bytes of this turn that went on */
	int64_t due_ms; /* nothing goes on before it */
	bool ended;     /* the reading side is at its end */
};

struct pair {
	struct service *service;
	struct flow up, down;
	enum kind kind; /* of this turn */
	long arg;
	bool in_request;
	bool struck; /* the turn's fault was noted */
};

static struct pair *pairs[PAIRS_MAX];

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* ---- connections ---- */

/* reset: the peers see an error instead of an end. */
static void pair_close(int i, bool reset)
{
	struct pair *p = pairs[i];
	const struct linger at_once = {.l_onoff = 1, .l_linger = 0};
	const int fds[] = {p->up.from, p->down.from};
	for (int n = 0; n < 2; n++) {
		if (reset)
			setsockopt(fds[n], SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
		close(fds[n]);
	}
	free(p);
	pairs[i] = NULL;
}

void pair_open(struct service *service)
{
	const struct sockaddr_in address = {.sin_family = AF_INET,
		.sin_port = htons((uint16_t)service->target_port),
		.sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	int client = accept4(service->listen_fd, NULL, NULL, SOCK_CLOEXEC);
	int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	int place = 0;
	while (place < PAIRS_MAX && pairs[place])
		place++;
	if (client < 0 || server < 0 || place == PAIRS_MAX ||
		connect(server, (struct sockaddr *)&address, sizeof address)) {
		close(client);
		close(server);
		return;
	}
	fcntl(client, F_SETFL, O_NONBLOCK);
	fcntl(server, F_SETFL, O_NONBLOCK);
	struct pair *p = calloc(1, sizeof *p);
	if (!p)
		abort();
	p->service = service;
	p->up.from = p->down.to = client;
	p->down.from = p->up.to = server;
	pairs[place] = p;
}

/* The client speaks after the service did: is this turn to be struck? */
static void turn_begin(struct pair *p)
{
	struct service *s = p->service;
	p->in_request = true;
	p->kind = NO_FAULT;
	p->up.passed = p->down.passed = p->up.due_ms = p->down.due_ms = 0;
	p->struck = false;
	s->turns++;
	if (s->kind == NO_FAULT || s->count == 0 || s->skip-- > 0)
		return;
	p->kind = s->kind;
	p->arg = s->arg;
}

/* Counted when it happens: an answer may end before the byte at which it was to be cut. */
static void note_strike(struct pair *p)
{
	if (p->struck)
		return;
	p->struck = true;
	p->service->struck++;
	if (p->service->count > 0)
		p->service->count--;
}

/* @return false when there is nothing more to come from this side */
static bool take_in(struct pair *p, struct flow *f)
{
	ssize_t n = read(f->from, f->data + f->len, PIECE - f->len);
	if (n < 0)
		return errno == EAGAIN || errno == EINTR;
	if (n == 0) {
		f->ended = true;
		return true;
	}
	if (f == &p->up && !p->in_request)
		turn_begin(p);
	if (f == &p->down && p->in_request) {
		p->in_request = false;
		if (p->kind == DELAY)
			f->due_ms = now_ms() + p->arg;
	}
	f->len += (size_t)n;
	return true;
}

/* How many bytes of the turn may go on in this direction before the connection ends; -1: all. */
static long stop_at(const struct pair *p, const struct flow *f)
{
	if (f == &p->up)
		return p->kind == RESET_BEFORE ? 0 : p->kind == RESET_REQUEST ? p->arg : -1;
	return p->kind == RESET_ANSWER || p->kind == CUT ? p->arg : -1;
}

static bool drips(const struct pair *p, const struct flow *f)
{
	return p->kind == (f == &p->up ? DRIP_REQUEST : DRIP);
}

enum end { GOES_ON, RESET, CLOSED };

/* Sends on what may go on now. */
static enum end pass_on(struct pair *p, struct flow *f)
{
	long stop = stop_at(p, f);
	size_t n = f->len;
	if (n == 0 || now_ms() < f->due_ms)
		return f->ended && n == 0 ? CLOSED : GOES_ON;
	if (drips(p, f))
		n = 1;
	if (stop >= 0 && (long)n > stop - f->passed)
		n = (size_t)(stop - f->passed);
	ssize_t sent = n ? write(f->to, f->data, n) : 0;
	if (sent < 0)
		return errno == EAGAIN ? GOES_ON : RESET;
	memmove(f->data, f->data + sent, f->len - (size_t)sent);
	f->len -= (size_t)sent;
	f->passed += sent;
	if (drips(p, f))
		f->due_ms = now_ms() + p->arg;
	if (drips(p, f) || (f == &p->down && p->kind == DELAY))
		note_strike(p);
	if (stop < 0 || f->passed < stop)
		return GOES_ON;
	note_strike(p);
	return p->kind == CUT ? CLOSED : RESET;
}

static void add_flow(struct pollfd *polls, int *n, const struct flow *f)
{
	bool wanted = !f->ended && f->len < PIECE;
	polls[(*n)++] = (struct pollfd){.fd = wanted ? f->from : -1, .events = POLLIN};
}

int pairs_polls(struct pollfd *polls)
{
	static const struct flow none = {.ended = true};
	int n = 0;
	for (int i = 0; i < PAIRS_MAX; i++) {
		add_flow(polls, &n, pairs[i] ? &pairs[i]->up : &none);
		add_flow(polls, &n, pairs[i] ? &pairs[i]->down : &none);
	}
	return n;
}

static void serve_pair(int i, const struct pollfd *polls)
{
	struct pair *p = pairs[i];
	if ((polls[0].revents && !take_in(p, &p->up)) ||
		(polls[1].revents && !take_in(p, &p->down))) {
		pair_close(i, true);
		return;
	}
	enum end up = pass_on(p, &p->up);
	enum end down = pass_on(p, &p->down);
	if (up == RESET || down == RESET)
		pair_close(i, true);
	else if (up == CLOSED || down == CLOSED)
		pair_close(i, false);
}

void pairs_serve(const struct pollfd *polls)
{
	for (int i = 0; i < PAIRS_MAX; i++)
		if (pairs[i])
			serve_pair(i, &polls[2 * i]);
}

/* The soonest that something held back may go on. */
int pairs_wait_ms(int most_ms)
{
	int64_t least = most_ms, now = now_ms();
	for (int i = 0; i < PAIRS_MAX; i++) {
		const struct flow *flows[] = {
			pairs[i] ? &pairs[i]->up : NULL, pairs[i] ? &pairs[i]->down : NULL};
		for (int n = 0; n < 2; n++)
			if (flows[n] && flows[n]->len && flows[n]->due_ms - now < least)
				least = flows[n]->due_ms - now;
	}
	return least < 1 ? 1 : (int)least;
}
