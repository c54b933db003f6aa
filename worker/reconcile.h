/* The reconciling poll: finds orders in Jira whose webhook never came. */
#ifndef AIRUNNER_RECONCILE_H
#define AIRUNNER_RECONCILE_H

#include "lib/settings.h"

/**
 * The whole work of the process `airunner-worker --reconcile`, which the daemon starts. One at a
 * time, whatever the number of workers. @return exit code
 */
int reconcile_work(const struct settings *set);

#endif
