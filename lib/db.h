/*
 * The database: one connection, prepared statements from sql/queries.sql only.
 * Each query there has a name and typed inputs and outputs in comments; the build turns the file
 * into enum query (build/gen/queries.h) and a table. C code holds no SQL.
 *
 *   struct db_rows *rows;
 *   ERR_TRY(db_query(db, Q_RUN_BY_ID, DB_ARGS(db_i64(id)), &rows));
 *   if (db_rows_next(rows)) issue = db_rows_str(rows, "issue_key");
 *   db_rows_free(rows);
 *
 * Errors: ERR_DB_AWAY (2002, 2006, 2013, 1053, 1317 …, or a node that takes no writes: reconnect by
 * db_reconnect()), ERR_DB_UNSURE (the same during COMMIT), ERR_DB_DUPLICATE (1062), ERR_DB_RETRY
 * (1213, 1205, 1969 …; the transaction is rolled back), ERR_DB else; the table is in
 * lib/db_error.c. A statement outside a transaction that collides (1213) is done again here; a
 * transaction, by its owner (struct db_try). Isolation READ COMMITTED, utf8mb4, time zone +00:00,
 * strict SQL mode. No automatic reconnect.
 */
#ifndef AIRUNNER_DB_H
#define AIRUNNER_DB_H

#include <stdbool.h>
#include <stdint.h>

#include "gen/queries.h"
#include "lib/err.h"
#include "lib/settings.h"

struct db;
struct db_rows;

enum db_type { DB_END, DB_NULL, DB_I64, DB_STR, DB_BLOB };

struct db_arg {
	enum db_type type;
	int64_t i64;
	const void *p; /* borrowed for the call */
	size_t len;
};

static inline struct db_arg db_i64(int64_t v)
{
	return (struct db_arg){.type = DB_I64, .i64 = v};
}
struct db_arg db_str(const char *s); /* NULL becomes SQL NULL */
static inline struct db_arg db_blob(const void *p, size_t len)
{
	return (struct db_arg){.type = DB_BLOB, .p = p, .len = len};
}
static inline struct db_arg db_null(void)
{
	return (struct db_arg){.type = DB_NULL};
}

/** Arguments in the order of the query's question marks; their number is checked. */
#define DB_ARGS(...) ((const struct db_arg[]){__VA_ARGS__, {.type = DB_END}})
#define DB_NO_ARGS ((const struct db_arg[]){{.type = DB_END}})

/** Connects with the settings AIRUNNER_DB_*: to the socket, or to the first of AIRUNNER_DB_HOSTS
 * that takes writes. @return ERR_DB_AWAY, ERR_CONFIG (access denied, unknown database) */
err_t db_open(const struct settings *set, struct db **ret_db);

/** The same for statements that may take hours (migrations). */
err_t db_open_patient(const struct settings *set, struct db **ret_db);
void db_close(struct db *db);
void db_closep(struct db **db);

/** Drops the connection and makes a new one, to the next host when the old one was lost; prepared
 * statements are made anew when used. */
err_t db_reconnect(struct db *db);

/** The same, again and again for so long while no host answers. */
err_t db_reconnect_within(struct db *db, int64_t patience_ms);

/** Goes back to a host before the present one when that is ready again. Asked now and then, outside
 * transactions; costs nothing while there is none to try. @return true when it went */
bool db_prefer(struct db *db);

/** Name of the host that the connection is to; "" with a socket. */
const char *db_host(const struct db *db);

/** Runs a statement without result set (or whose result is not wanted). ret_affected may be NULL.
 */
err_t db_exec(struct db *db, enum query q, const struct db_arg *args, int64_t *ret_affected);

/** The same, and affected rows must be one or more, else ERR_FENCE: for writes whose WHERE proves
 * the fence. */
err_t db_exec_fenced(struct db *db, enum query q, const struct db_arg *args);

/** Id made by the last INSERT of this connection. */
int64_t db_insert_id(const struct db *db);

/** Runs a statement with a result set, kept whole in memory (at most 64 MiB). */
err_t db_query(struct db *db, enum query q, const struct db_arg *args, struct db_rows **ret_rows);

bool db_rows_next(struct db_rows *rows); /* false after the last; first call gives the first row */
size_t db_rows_count(const struct db_rows *rows);

/** Values of the current row by column name; an unknown name aborts. Borrowed until db_rows_free().
 */
bool db_rows_null(const struct db_rows *rows, const char *column);
int64_t db_rows_i64(const struct db_rows *rows, const char *column); /* 0 when NULL */
double db_rows_double(const struct db_rows *rows, const char *column);
const char *db_rows_str(const struct db_rows *rows, const char *column); /* NULL when NULL */
const void *db_rows_blob(const struct db_rows *rows, const char *column, size_t *ret_len);
void db_rows_free(struct db_rows *rows);
void db_rows_freep(struct db_rows **rows);

err_t db_begin(struct db *db);
bool db_in_transaction(const struct db *db);
/** @return ERR_DB_UNSURE when the connection was lost meanwhile: re-read, never guess */
err_t db_commit(struct db *db);
void db_rollback(struct db *db); /* harmless without a transaction */

/**
 * A transaction that is done again when it collides with another's (1213; on a cluster also at
 * COMMIT). The body must have no effect outside the database:
 *
 *   struct db_try t = {0};
 *   while (db_try(db, &t))
 *           t.error = move_rows(…);
 *   return t.error;
 */
struct db_try {
	err_t error; /* set by the body; in the end the transaction's */
	int tries;
};
bool db_try(struct db *db, struct db_try *t);

/** For migrations only: a script of several statements. */
err_t db_script(struct db *db, const char *name, const char *sql);

#endif
