/* A retry by a person takes the issue back that the run before had given away. */
#ifndef AIRUNNER_RETAKE_H
#define AIRUNNER_RETAKE_H

#include "worker/pipeline.h"

/**
 * The first step of each attempt after the first one. Where our own report left the issue (its
 * status, the person assigned), or where it was when the run ended, it is assigned to the AI
 * account and moved to In Progress, through the outbox. Sets retake {status: the one it is worked
 * in | null}.
 * @return ERR_CANCELLED when a person has moved it on since, with the words for that; ERR_LATER
 */
err_t step_retake(struct run_ctx *ctx, enum step_next *ret_next);

/** What was routed before goes on in the status of now. */
void retake_apply(struct run_ctx *ctx);

#endif
