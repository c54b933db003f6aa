/* A run's priority from its issue's labels (DESIGN 4.2). */
#ifndef AIRUNNER_FETCH_PRIORITY_H
#define AIRUNNER_FETCH_PRIORITY_H

#include "worker/run.h"

/** The most urgent priority that a label names; 0 when none does. */
int priority_of_labels(const json_t *labels);

/** Sets the run's priority when a label names one. */
err_t fetch_priority(struct run_ctx *ctx, const json_t *labels);

#endif
