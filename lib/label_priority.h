/* A run's priority from its issue's labels (DESIGN 4.2): the webhook's, and those that were
 * fetched. */
#ifndef AIRUNNER_LABEL_PRIORITY_H
#define AIRUNNER_LABEL_PRIORITY_H

#include <jansson.h>

#include "lib/run_names.h"

/**
 * The most urgent priority that a label names, alone or behind "priority:" or "priority-", in any
 * case.
 * @param labels  JSON array of strings (others are passed over), may be NULL
 * @return enum run_priority, 0 when none does
 */
int label_priority(const json_t *labels);

#endif
