/* One run in its own process: `airunner-worker --run ID [--fence N]`. */
#ifndef AIRUNNER_CHILD_H
#define AIRUNNER_CHILD_H

#include "worker/repo_config.h"

/**
 * Works run id to its end. fence 0: the run is claimed here first (by hand); else it was claimed by
 * the parent.
 * @param worker  name under which the run is claimed
 * @return the process's exit code: 0 when the run was closed, put back or left to another owner
 */
int child_work(const struct settings *set, struct repo_configs *repos, const char *worker,
	int64_t id, int64_t fence);

#endif
