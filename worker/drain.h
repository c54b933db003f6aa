/* The drainer: sends what runs have left in the outbox. */
#ifndef AIRUNNER_DRAIN_H
#define AIRUNNER_DRAIN_H

#include "lib/settings.h"
#include "worker/repo_config.h"

#define DRAIN_AWAY 3 /* exit code: a service does not answer, try again later */

/**
 * Sends the effects whose run no child works, in their order per issue, until there are none that
 * may be sent now. Several drainers, also on other machines, share the rows by compare-and-set.
 * @return exit code: 0, 1 (the database or settings are in the way), DRAIN_AWAY
 */
int drain_work(const struct settings *set, struct repo_configs *repos);

#endif
