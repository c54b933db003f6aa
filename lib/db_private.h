/* Shared by lib/db.c and lib/db_rows.c only. */
#ifndef AIRUNNER_DB_PRIVATE_H
#define AIRUNNER_DB_PRIVATE_H

#include <mysql.h>

#include "lib/db.h"

struct db {
	const struct settings *set; /* borrowed */
	MYSQL *conn;
	MYSQL_STMT *statements[Q__MAX]; /* prepared when first used */
	int64_t insert_id;
	bool lost;
	bool in_transaction;
};

err_t db_error(struct db *db, unsigned code, const char *where, const char *text);
err_t db_execute(struct db *db, enum query q, const struct db_arg *args, MYSQL_STMT **ret_stmt);
err_t db_finish(struct db *db, enum query q, MYSQL_STMT *stmt);

#endif
