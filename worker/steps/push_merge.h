/* A branch that others moved between checkout and push. */
#ifndef AIRUNNER_PUSH_MERGE_H
#define AIRUNNER_PUSH_MERGE_H

#include "worker/pipeline.h"

/**
 * Fetches the branch and merges it with our commit. A clean merge sets push.merge {base_commit,
 * base_tree, tree, time_s} and the work tree, and *ret_next to STEP_MERGED: what comes out was
 * never checked. *ret_arrived: the remote has our commit, with others on top of it.
 * @return ERR_MERGE with the names of the files in conflict; ERR_PUSH_REFUSED after three merges
 */
err_t push_merge(struct run_ctx *ctx, enum step_next *ret_next, bool *ret_arrived);

/** Makes push.merge what the run stands on: checkout's base is the branch as it was fetched,
 * edit's tree the merged one; what was checked and committed is forgotten. */
void push_merge_apply(struct run_ctx *ctx);

#endif
