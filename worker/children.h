/* The run processes of the daemon. */
#ifndef AIRUNNER_CHILDREN_H
#define AIRUNNER_CHILDREN_H

#include <stdbool.h>
#include <stdint.h>
#include <sys/types.h>

#include "worker/daemon.h"
#include "worker/run.h"

struct child {
	pid_t pid;
	int64_t run_id;
	int64_t fence;
	int64_t repo_id;
	bool cancelled; /* killed because a person cancelled the run */
	char how[64];   /* after its end: "exit code 1", "signal 9" */
};

struct children {
	struct child *items; /* owned */
	size_t count;
};

/** Starts `airunner-worker --run ID --fence N` in a process group of its own that dies with this
 * process. */
err_t children_start(
	struct children *children, const struct daemon_options *options, const struct run *run);

/** From now on what a dead child leaves behind becomes this process's own child. */
err_t children_adopt(void);

/** Kills and reaps what dead children left behind. Returns when all of it is gone. */
void children_end_orphans(const struct children *children);

/** Takes one ended child, with all that it left behind, out of the list. @return false when
 * none has ended */
bool children_reap(struct children *children, struct child *ret_dead);

/** Kills the whole tree of a run's process at once. */
void children_cancel(struct children *children, int64_t run_id);
void children_signal(const struct children *children, int signal_number);
void children_release(struct children *children);

#endif
