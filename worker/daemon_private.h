/* What the files of the daemon share (worker/daemon*.c). */
#ifndef AIRUNNER_DAEMON_PRIVATE_H
#define AIRUNNER_DAEMON_PRIVATE_H

#include <signal.h>

#include "worker/children.h"
#include "worker/daemon.h"
#include "worker/helpers.h"

struct daemon {
	const struct daemon_options *options;
	struct db *db;
	struct children children;
	int poke_fd;
	int64_t renewed_ms, reaped_ms, watched_ms, looked_ms; /* CLOCK_MONOTONIC; 0: not yet */
	struct helpers helpers;
	int64_t full_ms; /* when it was said last that a disk is full; 0: none is */
	bool hungry;     /* somebody woke us, or a run ended: claim now */
	int claimed;
	bool refused; /* the run to be worked by hand cannot be claimed */
};

/** Puts back all runs of this worker's name that no process of it works on: a dead parent left them
 * behind (its children are gone, they hold the state folder's lock). */
err_t daemon_take_up(struct daemon *d);

/**
 * Claims as many runs as there is room for and starts a child each, when the daemon is hungry;
 * every AIRUNNER_POLL_MS it also looks for runs that became claimable by time.
 * @param stopping  set by a signal, or here when a run by hand cannot be claimed: no further claim
 */
err_t daemon_claim(struct daemon *d, volatile sig_atomic_t *stopping);

/**
 * What the rows of running runs ask for: passes on cancellations and puts back runs whose claim's
 * answer was lost with the connection (every 500 ms), renews leases (10 s), reaps those that ran
 * out (5 s).
 */
err_t daemon_watch(struct daemon *d);

#endif
