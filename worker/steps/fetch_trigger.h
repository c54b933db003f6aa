/* Is there anything new in the issue since a run of it ended? (DESIGN 4.3) */
#ifndef AIRUNNER_FETCH_TRIGGER_H
#define AIRUNNER_FETCH_TRIGGER_H

#include "lib/crypto.h"
#include "worker/run.h"

/** SHA-256 of issue id, status, assignee, newest comment and newest change not made by us. */
void trigger_key(const json_t *issue, char ret_key[SHA256_HEX_LEN + 1]);

/**
 * Stores the run's trigger key. *ret_run_id is the first run of the issue that ended with the same
 * key; 0 when there is none, and for a retry, which a person wanted.
 */
err_t fetch_trigger(struct run_ctx *ctx, const json_t *issue, int64_t *ret_run_id);

#endif
