/* The daemon's processes: one for each run, and now and then one that reconciles or drains. */
#ifndef AIRUNNER_CHILDREN_H
#define AIRUNNER_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "worker/daemon.h"
#include "worker/lease.h"
#include "worker/run.h"

enum child_kind { CHILD_RUN, CHILD_RECONCILE, CHILD_DRAIN };

struct child {
	enum child_kind kind;
	pid_t pid;
	int64_t run_id;
	int64_t fence;
	int64_t repo_id;
	struct lease_note lease; /* what the run's process knows of renewals; none for a helper */
	bool cancelled;          /* killed because a person cancelled the run */
	bool ended;    /* its process is gone; its run's row may still have to be settled */
	bool killed;   /* ended by a signal */
	int exit_code; /* of one that ended and was not killed */
	char how[64];  /* after its end: "exit code 1", "signal 9" */
};

struct children {
	struct child *items; /* owned */
	size_t count;
};

/**
 * Starts `airunner-worker --run ID --fence N --lease FD` in a process group of its own that dies
 * with this process. @param claimed_ms  CLOCK_MONOTONIC before the run was claimed
 */
err_t children_start(struct children *children, const struct daemon_options *options,
	const struct run *run, int64_t claimed_ms);

/**
 * One child whose process has ended; it stays in the list until children_remove(), so that its run
 * is not forgotten while the database is away. @return NULL when none has ended
 */
struct child *children_ended(struct children *children);
void children_remove(struct children *children, struct child *child);
bool children_any_alive(const struct children *children);

/** Starts `airunner-worker --reconcile` or `--drain` in the same way. */
err_t children_start_helper(
	struct children *children, const struct daemon_options *options, enum child_kind kind);

/** How many work a run. */
size_t children_runs(const struct children *children);
bool children_work_on(const struct children *children, int64_t run_id, int64_t fence);
/** Is there one of this kind? */
bool children_any(const struct children *children, enum child_kind kind);

/** From now on what a dead child leaves behind becomes this process's own child. */
err_t children_adopt(void);

/** Kills and reaps what dead children left behind. Returns when all of it is gone. */
void children_end_orphans(const struct children *children);

/** Kills the whole tree of a run's process at once. */
void children_cancel(struct children *children, int64_t run_id);
void children_signal(const struct children *children, int signal_number);
void children_release(struct children *children);

#endif
