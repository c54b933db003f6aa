/* A run's priority from its issue's labels (DESIGN 4.2). */
#ifndef AIRUNNER_FETCH_PRIORITY_H
#define AIRUNNER_FETCH_PRIORITY_H

#include "worker/run.h"

/** Sets the run's priority when a label names one. */
err_t fetch_priority(struct run_ctx *ctx, const json_t *labels);

#endif
