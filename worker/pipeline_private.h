/* What the files of the pipeline share: pipeline.c (tables, order, ends), step_work.c, replay.c. */
#ifndef AIRUNNER_PIPELINE_PRIVATE_H
#define AIRUNNER_PIPELINE_PRIVATE_H

#include "worker/pipeline.h"
#include "worker/resume.h"

struct step {
	const char *name;
	enum run_stage stage;
	step_fn work;
	bool guarded; /* the issue is read again first: nothing is published that a person took back
		       */
	enum resume_need needs; /* what must be open when a resumed run begins with it */
};

extern const struct step steps[];
extern const size_t step_count;
size_t step_index(const char *name);

/** The journal row of a step. */
err_t step_begin(struct run_ctx *ctx, const struct step *step, int64_t *ret_id);
err_t step_end(struct run_ctx *ctx, int64_t id, const char *outcome);

/** One journalled step. @return the step's own error, which counts more than one of closing its row
 */
err_t step_work(struct run_ctx *ctx, const struct step *step, enum step_next *ret_next);

/** Was the run given its repository, in whose queue it waits now? */
bool run_moved(const struct run_ctx *ctx);

/** Is a heal round left? */
bool may_heal(const struct run_ctx *ctx);

/** Begins the next heal round: *i becomes edit's. @return ERR_CHECKS when none is left */
err_t heal(struct run_ctx *ctx, size_t *i);

/**
 * Rebuilds state and resources from the journal of this attempt; of a new attempt there is none.
 * @param ret_first  the step to begin with; step_count when all have ended
 * @return an error that ends the run (poison, heal rounds used up, taken back by a person)
 */
err_t pipeline_resume(struct run_ctx *ctx, size_t *ret_first);

#endif
