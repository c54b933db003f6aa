/*
 * One connection through fault-proxy: what is read on one side goes on to the other, but for what
 * the turn's fault does to it. Used by proxy.c, which has the orders and the loop.
 */
#ifndef FAULT_PAIR_H
#define FAULT_PAIR_H

#include <poll.h>
#include <stdint.h>

enum kind { NO_FAULT, DELAY, RESET_BEFORE, RESET_REQUEST, RESET_ANSWER, CUT, DRIP, DRIP_REQUEST };

struct service {
	char name[32];
	int listen_fd;
	int target_port;
	enum kind kind;
	long arg, skip, count;
	long turns, struck;
};

/** Accepts a connection of the service and opens its other side; a full table refuses it. */
void pair_open(struct service *service);

/** Two entries for each place of the table, in its order. @return how many */
int pairs_polls(struct pollfd *polls);
#define PAIRS_POLLS (2 * PAIRS_MAX)
#define PAIRS_MAX 64

/** Takes in and passes on; polls is what pairs_polls() filled. */
void pairs_serve(const struct pollfd *polls);

/** How long until something that is held back may go on, at most most_ms. */
int pairs_wait_ms(int most_ms);

#endif
