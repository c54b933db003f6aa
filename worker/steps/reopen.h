/*
 * The part of steps that cannot be skipped when a run is taken up again: what they had open in the
 * process that died. Each is beside its step; called by worker/resume.c in this order.
 */
#ifndef AIRUNNER_REOPEN_H
#define AIRUNNER_REOPEN_H

#include "worker/run.h"

/** Repository and forge. @return ERR_CONFLICT when the project has another repository now
 */
err_t fetch_reopen(struct run_ctx *ctx);

/** Work tree at the base commit, and sandbox; fetches when the store lacks it or our own commit. */
err_t checkout_reopen(struct run_ctx *ctx);

/** The tag in the store, when the journal has one: another machine's store lacks it. */
err_t tag_reopen(struct run_ctx *ctx);

/** Dependencies of the base, unless they lie there. */
err_t baseline_reopen(struct run_ctx *ctx);

#endif
