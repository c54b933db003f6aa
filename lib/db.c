/*
 * The prepared statements of a connection to MariaDB. Called by handlers and worker; knows nothing
 * of what the statements mean. The connection is made in lib/db_connect.c, transactions are in
 * lib/db_transaction.c, results in lib/db_rows.c.
 */
#include "lib/db_private.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/mem.h"

#define STATEMENT_TRIES 8

struct db_arg db_str(const char *s)
{
	return s ? (struct db_arg){.type = DB_STR, .p = s, .len = strlen(s)} : db_null();
}

static err_t statement_get(struct db *db, enum query q, MYSQL_STMT **ret_stmt)
{
	if (db->lost || !db->conn)
		return err_new(ERR_DB_AWAY, "database, %s: connection is lost", query_rows[q].name);
	if (!db->statements[q]) {
		MYSQL_STMT *stmt = mysql_stmt_init(db->conn);
		if (!stmt)
			abort();
		const char *sql = query_rows[q].sql;
		if (mysql_stmt_prepare(stmt, sql, strlen(sql))) {
			err_t e = db_error(db, mysql_stmt_errno(stmt), query_rows[q].name,
				mysql_stmt_error(stmt));
			mysql_stmt_close(stmt);
			return e;
		}
		db->statements[q] = stmt;
	}
	*ret_stmt = db->statements[q];
	return NULL;
}

static void bind_arg(MYSQL_BIND *bind, const struct db_arg *arg)
{
	switch (arg->type) {
	case DB_I64:
		bind->buffer_type = MYSQL_TYPE_LONGLONG;
		bind->buffer = (void *)&arg->i64;
		break;
	case DB_STR:
	case DB_BLOB:
		bind->buffer_type = arg->type == DB_STR ? MYSQL_TYPE_STRING : MYSQL_TYPE_BLOB;
		bind->buffer = (void *)arg->p;
		bind->buffer_length = arg->len;
		break;
	default:
		bind->buffer_type = MYSQL_TYPE_NULL;
	}
}

/* Binds and executes; on success *ret_stmt has a result set when the query has one. */
err_t db_execute(struct db *db, enum query q, const struct db_arg *args, MYSQL_STMT **ret_stmt)
{
	const char *name = query_rows[q].name;
	MYSQL_STMT *stmt = NULL;
	ERR_TRY(statement_get(db, q, &stmt));
	size_t count = 0;
	while (args[count].type != DB_END)
		count++;
	if (count != mysql_stmt_param_count(stmt))
		return err_new(ERR_INTERNAL, "query %s wants %lu arguments, has %zu", name,
			mysql_stmt_param_count(stmt), count);
	autofree MYSQL_BIND *binds = xcalloc(count, sizeof *binds);
	for (size_t i = 0; i < count; i++)
		bind_arg(&binds[i], &args[i]);
	log_trace("sql", "%s", name);
	if ((count && mysql_stmt_bind_param(stmt, binds)) || mysql_stmt_execute(stmt))
		return db_error(db, mysql_stmt_errno(stmt), name, mysql_stmt_error(stmt));
	*ret_stmt = stmt;
	return NULL;
}

/* Drains what is left (a CALL ends with a status result). */
err_t db_finish(struct db *db, enum query q, MYSQL_STMT *stmt)
{
	mysql_stmt_free_result(stmt);
	int more;
	while ((more = mysql_stmt_next_result(stmt)) == 0)
		mysql_stmt_free_result(stmt);
	if (more > 0)
		return db_error(
			db, mysql_stmt_errno(stmt), query_rows[q].name, mysql_stmt_error(stmt));
	return NULL;
}

static err_t exec_once(
	struct db *db, enum query q, const struct db_arg *args, int64_t *ret_affected)
{
	MYSQL_STMT *stmt = NULL;
	ERR_TRY(db_execute(db, q, args, &stmt));
	/* before draining: mysql_stmt_next_result() resets the count */
	int64_t affected = (int64_t)mysql_stmt_affected_rows(stmt);
	db->insert_id = (int64_t)mysql_stmt_insert_id(stmt);
	ERR_TRY(db_finish(db, q, stmt));
	if (ret_affected)
		*ret_affected = affected;
	return NULL;
}

void db_collision_wait(int tries)
{
	long wait_ms = tries * 5 + (getpid() * 7 + tries * 13) % 20;
	struct timespec wait = {.tv_nsec = wait_ms * 1000000};
	nanosleep(&wait, NULL);
}

/* Outside a transaction a collision (a deadlock, or on a cluster a row that another node changed at
 * the same moment) has undone all there was. Not so a lock wait: that took seconds already. */
bool db_statement_again(struct db *db, err_t e, int tries)
{
	if (err_code(e) != ERR_DB_RETRY || !db->collided || db->in_transaction ||
		tries >= STATEMENT_TRIES)
		return false;
	db_collision_wait(tries);
	return true;
}

err_t db_exec(struct db *db, enum query q, const struct db_arg *args, int64_t *ret_affected)
{
	for (int tries = 1;; tries++) {
		err_t e = exec_once(db, q, args, ret_affected);
		if (!db_statement_again(db, e, tries))
			return e;
	}
}

err_t db_exec_fenced(struct db *db, enum query q, const struct db_arg *args)
{
	int64_t affected = 0;
	ERR_TRY(db_exec(db, q, args, &affected));
	if (affected < 1)
		return err_new(
			ERR_FENCE, "%s: the run is not this worker's any more", query_rows[q].name);
	return NULL;
}

int64_t db_insert_id(const struct db *db)
{
	return db->insert_id;
}

err_t db_script(struct db *db, const char *name, const char *sql)
{
	if (mysql_real_query(db->conn, sql, strlen(sql)))
		return db_error(db, mysql_errno(db->conn), name, mysql_error(db->conn));
	for (int statement = 1;; statement++) {
		MYSQL_RES *result = mysql_store_result(db->conn);
		if (result)
			mysql_free_result(result);
		int more = mysql_next_result(db->conn);
		if (more < 0)
			return NULL;
		if (more > 0)
			return err_in(
				db_error(db, mysql_errno(db->conn), name, mysql_error(db->conn)),
				"statement %d", statement + 1);
	}
}
