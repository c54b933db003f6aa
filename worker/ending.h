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

/** Why a run that was routed to nothing completes so; NULL for one that did its work. Borrowed. */
const char *ending_reason(const struct run_ctx *ctx);

/** Error category: that of the first new finding when checks could not be healed, else the code's
 * name. */
const char *ending_category(const struct run_ctx *ctx, enum err_code code);

/** "src/a.ts:3 TS2322 …" of the first new finding; freed by the caller. */
char *ending_finding(const struct run_ctx *ctx);

/** The changed tree that this end calls for keeping, valid until the next call; NULL: none. */
const char *ending_tree(const struct run_ctx *ctx, enum err_code code);

/** Moves unfinished work to a branch of its own, so that no Story branch gets it. */
void ending_leave_story_branch(struct run_ctx *ctx);

#endif
