/* Schema migrations sql/migrate/NNN_name.sql: applied in order under a lock, recorded with a
 * checksum. */
#ifndef AIRUNNER_MIGRATE_H
#define AIRUNNER_MIGRATE_H

#include "lib/db.h"

/**
 * Applies what is missing.
 * @return ERR_CONFIG for a changed checksum or a schema newer than this program; ERR_DB
 */
err_t migrate_apply(struct db *db, const char *folder, int *ret_applied);

/** Is the schema the one this program was built for? ERR_CONFIG with the remedy when not. */
err_t migrate_check(struct db *db);

#endif
