/* A running run goes back to the queue of the repository, key and line that its issue turned out to
 * have. */
#ifndef AIRUNNER_FETCH_MOVE_H
#define AIRUNNER_FETCH_MOVE_H

#include "worker/run.h"

/**
 * One transaction: the run is queued there, its slot is free, its open step ended. The caller
 * stops: the run is not its own any more. When that issue has a queued run already, this one is
 * cancelled in favour of it.
 * @return NULL, ERR_FENCE, ERR_DB…
 */
err_t run_move(struct run_ctx *ctx, int64_t repo_id, const char *project_key, const char *issue_key,
	const char *line);

#endif
