/*
 * One connection to MariaDB and its prepared statements. Called by handlers and worker; knows
 * nothing of what the statements mean. Results live in lib/db_rows.c.
 */
#include "lib/db_private.h"

#include <errmsg.h>
#include <mysqld_error.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define CONNECT_TIMEOUT_S 5
#define IO_TIMEOUT_S 60

struct db_arg db_str(const char *s)
{
	return s ? (struct db_arg){.type = DB_STR, .p = s, .len = strlen(s)} : db_null();
}

static void statements_close(struct db *db)
{
	for (int q = 0; q < Q__MAX; q++) {
		if (db->statements[q])
			mysql_stmt_close(db->statements[q]);
		db->statements[q] = NULL;
	}
}

static void connection_close(struct db *db)
{
	statements_close(db);
	if (db->conn)
		mysql_close(db->conn);
	db->conn = NULL;
}

/* "host:port" at *list; moves *list behind it. */
static bool next_host(const char **list, char *ret_host, size_t size, unsigned *ret_port)
{
	const char *p = *list + strspn(*list, " ,");
	size_t n = strcspn(p, " ,");
	if (n == 0 || n >= size)
		return false;
	memcpy(ret_host, p, n);
	ret_host[n] = '\0';
	*list = p + n;
	*ret_port = 3306;
	char *colon = strrchr(ret_host, ':');
	long long port;
	if (colon && text_to_i64(colon + 1, &port)) {
		*colon = '\0';
		*ret_port = (unsigned)port;
	}
	return true;
}

static err_t connect_to(struct db *db, const char *host, unsigned port, const char *socket)
{
	connection_close(db);
	db->conn = mysql_init(NULL);
	if (!db->conn)
		abort();
	unsigned connect_s = CONNECT_TIMEOUT_S, io_s = IO_TIMEOUT_S;
	mysql_options(db->conn, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	mysql_options(db->conn, MYSQL_OPT_READ_TIMEOUT, &io_s);
	mysql_options(db->conn, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
	mysql_options(db->conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_options(db->conn, MYSQL_INIT_COMMAND, query_rows[Q_SESSION_SETUP].sql);
	const char *ca = settings_str(db->set, S_AIRUNNER_DB_TLS_CA);
	if (*ca && !socket) {
		my_bool yes = 1;
		mysql_ssl_set(db->conn, NULL, NULL, ca, NULL, NULL);
		mysql_options(db->conn, MYSQL_OPT_SSL_ENFORCE, &yes);
		mysql_options(db->conn, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	}
	const char *user = settings_str(db->set, S_AIRUNNER_DB_USER);
	const char *name = settings_str(db->set, S_AIRUNNER_DB_NAME);
	if (mysql_real_connect(db->conn, host, user, settings_str(db->set, S_AIRUNNER_DB_PASSWORD),
		    name, port, socket, CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS))
		return NULL;
	unsigned code = mysql_errno(db->conn);
	const char *where = socket ? socket : host;
	if (code == ER_ACCESS_DENIED_ERROR || code == ER_DBACCESS_DENIED_ERROR ||
		code == ER_BAD_DB_ERROR)
		return err_new(ERR_CONFIG,
			"database at %s refuses user %s, database %s: %s (set AIRUNNER_DB_USER, "
			"AIRUNNER_DB_PASSWORD, AIRUNNER_DB_NAME)",
			where, user, name, mysql_error(db->conn));
	return err_new(
		ERR_DB_AWAY, "database at %s does not answer: %s", where, mysql_error(db->conn));
}

err_t db_reconnect(struct db *db)
{
	db->lost = false;
	db->in_transaction = false;
	const char *socket = settings_str(db->set, S_AIRUNNER_DB_SOCKET);
	const char *hosts = settings_str(db->set, S_AIRUNNER_DB_HOSTS);
	if (!*hosts)
		return connect_to(db, NULL, 0, socket);
	char host[256];
	unsigned port;
	err_t e = err_new(ERR_CONFIG, "AIRUNNER_DB_HOSTS names no host: write host:port,host:port");
	while (next_host(&hosts, host, sizeof host, &port)) {
		e = connect_to(db, host, port, NULL);
		if (!e)
			return NULL;
	}
	return e;
}

err_t db_open(const struct settings *set, struct db **ret_db)
{
	struct db *db = xcalloc(1, sizeof *db);
	db->set = set;
	err_t e = db_reconnect(db);
	if (e) {
		db_close(db);
		return e;
	}
	*ret_db = db;
	return NULL;
}

void db_close(struct db *db)
{
	if (!db)
		return;
	connection_close(db);
	free(db);
}

void db_closep(struct db **db)
{
	db_close(*db);
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

err_t db_exec(struct db *db, enum query q, const struct db_arg *args, int64_t *ret_affected)
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

static err_t plain(struct db *db, const char *what, const char *sql)
{
	if (db->lost || !db->conn)
		return err_new(ERR_DB_AWAY, "database, %s: connection is lost", what);
	if (mysql_query(db->conn, sql))
		return db_error(db, mysql_errno(db->conn), what, mysql_error(db->conn));
	return NULL;
}

err_t db_begin(struct db *db)
{
	ERR_TRY(plain(db, "begin", "START TRANSACTION"));
	db->in_transaction = true;
	return NULL;
}

err_t db_commit(struct db *db)
{
	db->in_transaction = false;
	err_t e = plain(db, "commit", "COMMIT");
	if (err_code(e) == ERR_DB_AWAY)
		return err_new(ERR_DB_UNSURE, "%s: whether it was committed is not known", e->text);
	return e;
}

void db_rollback(struct db *db)
{
	if (!db->in_transaction)
		return;
	db->in_transaction = false;
	if (!db->lost && db->conn && mysql_rollback(db->conn))
		db->lost = true;
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
