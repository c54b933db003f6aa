/* One run in its own process: `airunner-worker --run ID --fence N --lease FD`. */
#ifndef AIRUNNER_CHILD_H
#define AIRUNNER_CHILD_H

#include "worker/repo_config.h"

/**
 * Works run id, which the parent has claimed, to its end.
 * @param worker    name under which it was claimed
 * @param lease_fd  where the parent notes renewals (worker/lease.h); -1: nobody does
 * @return the process's exit code: 0 when the run was closed, put back or left to another owner
 */
int child_work(const struct settings *set, struct repo_configs *repos, const char *worker,
	int64_t id, int64_t fence, int lease_fd);

#endif
