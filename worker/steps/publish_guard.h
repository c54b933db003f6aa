/* The last look before anything is published. */
#ifndef AIRUNNER_PUBLISH_GUARD_H
#define AIRUNNER_PUBLISH_GUARD_H

#include "worker/run.h"

/**
 * Reads the issue again. @return ERR_CANCELLED with the reason when it was taken from the AI
 * account or moved by a person since it was routed; Jira's errors
 */
err_t publish_guard(struct run_ctx *ctx);

#endif
