/* How a run ends: closing its row, the words for it, what of its work is kept. */
#ifndef AIRUNNER_ENDING_H
#define AIRUNNER_ENDING_H

#include "worker/run.h"

/** Writes the closing event and metrics and closes the row. @return ERR_FENCE when it is not ours
 * any more */
err_t ending_close(
	struct run_ctx *ctx, enum run_status status, const char *reason, const char *category);

/** Puts the run back into the queue over a new connection; failing that its lease runs out. */
void ending_requeue(struct run_ctx *ctx, err_t cause);

/**
 * An outside service does not answer: puts the run back into the queue, each time for longer.
 * *ret_waits is false when it is no such error or AIRUNNER_OUTSIDE_PATIENCE_S is over.
 */
err_t ending_wait(struct run_ctx *ctx, err_t cause, bool *ret_waits);

/**
 * Journals that the run ends by this error, and in which words, unless that is decided already:
 * whoever takes the run up after a kill ends it in the same way. Sets end {code, reason, category,
 * tree: the changed tree that is worth keeping | null}.
 */
err_t ending_decide(struct run_ctx *ctx, err_t cause);

/** The error that was decided on; NULL when nothing is. */
err_t ending_decided(const struct run_ctx *ctx);

/** Why a run that was routed to nothing completes so; NULL for one that did its work. Borrowed. */
const char *ending_reason(const struct run_ctx *ctx);

/** "src/a.ts:3 TS2322 …" of the first new finding; freed by the caller. */
char *ending_finding(const struct run_ctx *ctx);

/** Moves unfinished work to a branch of its own: no Story branch gets it, nor one of others. */
void ending_leave_branch(struct run_ctx *ctx);

#endif
