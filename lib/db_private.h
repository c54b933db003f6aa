/* Shared by lib/db.c, lib/db_connect.c, lib/db_transaction.c and lib/db_rows.c only. */
#ifndef AIRUNNER_DB_PRIVATE_H
#define AIRUNNER_DB_PRIVATE_H

#include <mysql.h>

#include "lib/db.h"
#include "lib/db_hosts.h"

struct db {
	const struct settings *set; /* borrowed */
	struct db_hosts hosts;      /* empty: the socket */
	bool patient;               /* db_open_patient() */
	MYSQL *conn;
	MYSQL_STMT *statements[Q__MAX]; /* prepared when first used */
	int64_t insert_id;
	bool lost;
	bool collided; /* the last error was 1213: rolled back whole, at once */
	bool in_transaction;
};

err_t db_error(struct db *db, unsigned code, const char *where, const char *text);
err_t db_execute(struct db *db, enum query q, const struct db_arg *args, MYSQL_STMT **ret_stmt);
err_t db_finish(struct db *db, enum query q, MYSQL_STMT *stmt);

/** May this error's statement be done again? A statement of its own that collided with another may;
 * waits a little, unevenly. @param tries  how often it was tried */
bool db_statement_again(struct db *db, err_t e, int tries);

/** A short uneven wait, so that two who collided do not meet again. */
void db_collision_wait(int tries);

#endif
