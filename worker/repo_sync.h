/* Repositories of repos.json as rows. */
#ifndef AIRUNNER_REPO_SYNC_H
#define AIRUNNER_REPO_SYNC_H

#include "lib/db.h"
#include "worker/repo_config.h"

/** Writes all rows in one transaction and fills in repo_id. The worker's parent, at start and on
 * SIGHUP. */
err_t repo_configs_sync(struct db *db, const struct settings *set, struct repo_configs *configs);

/** Fills in repo_id only (a run's child). */
err_t repo_configs_ids(struct db *db, struct repo_configs *configs);

#endif
