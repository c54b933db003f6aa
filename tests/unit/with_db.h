/* Unit tests that need MariaDB: the runner names a migrated, empty database of their own. */
#ifndef AIRUNNER_TEST_WITH_DB_H
#define AIRUNNER_TEST_WITH_DB_H

#include "lib/db.h"

/**
 * Opens the database of AIRUNNER_TEST_DB_{SOCKET,USER,PASSWORD,NAME}; applies the migrations when
 * it is empty. Fails the test program with a word when the environment names none.
 */
struct db *with_db_open(struct settings **ret_set);

/** Settings of a worker with the given overrides ("NAME=VALUE", NULL-terminated) and the test
 * database. */
struct settings *with_db_settings(const char *const *overrides);

/** Runs a statement of a test's own. */
void with_db_sql(struct db *db, const char *sql);

/** One number of a statement of a test's own. */
long long with_db_number(struct db *db, const char *sql);

#endif
