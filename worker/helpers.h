/* The daemon's processes beside the runs: the reconciling poll and the drainer. */
#ifndef AIRUNNER_HELPERS_H
#define AIRUNNER_HELPERS_H

#include "worker/children.h"

struct helpers {
	int64_t reconciled_ms; /* 0: not yet */
	int64_t drain_at_ms;   /* no drainer before: the waits grow while a service is away */
	int drains_away;       /* drainers in a row that ended so */
};

/** Starts what is due: a poll every AIRUNNER_RECONCILE_S, a drainer while the outbox holds what no
 * child sends (one indexed look). Not with --once. */
err_t helpers_start(struct helpers *helpers, struct db *db, const struct daemon_options *options,
	struct children *children);

/** One of them has ended. */
void helpers_ended(
	struct helpers *helpers, const struct daemon_options *options, const struct child *dead);

#endif
