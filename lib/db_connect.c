/*
 * Makes the connection: by the socket, or to the first host of AIRUNNER_DB_HOSTS that is ready for
 * writes; goes on to the next when it is lost, and back to a better one later. Called by everybody
 * who opens the database; which host is worth a try is lib/db_hosts.c's.
 */
#include "lib/db_private.h"

#include <mysqld_error.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/log.h"
#include "lib/mem.h"

#define CONNECT_TIMEOUT_S 5
#define IO_TIMEOUT_S 60
/* With several hosts one that hangs is given up in time for the lease (60 s) of what is running. */
#define HOST_CONNECT_TIMEOUT_S 3
#define PATIENT_IO_TIMEOUT_S 7200
#define AGAIN_MS 500

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
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

static void set_options(const struct db *db, MYSQL *conn)
{
	bool several = db->hosts.count > 1;
	unsigned connect_s = several ? HOST_CONNECT_TIMEOUT_S : CONNECT_TIMEOUT_S;
	unsigned io_s = IO_TIMEOUT_S;
	if (db->patient)
		io_s = PATIENT_IO_TIMEOUT_S;
	else if (several)
		io_s = (unsigned)settings_int(db->set, S_AIRUNNER_DB_TIMEOUT_S);
	mysql_options(conn, MYSQL_OPT_CONNECT_TIMEOUT, &connect_s);
	mysql_options(conn, MYSQL_OPT_READ_TIMEOUT, &io_s);
	mysql_options(conn, MYSQL_OPT_WRITE_TIMEOUT, &io_s);
	mysql_options(conn, MYSQL_SET_CHARSET_NAME, "utf8mb4");
	mysql_options(conn, MYSQL_INIT_COMMAND, query_rows[Q_SESSION_SETUP].sql);
	if (db->hosts.count == 0)
		return;
	const char *ca = settings_str(db->set, S_AIRUNNER_DB_TLS_CA);
	if (*ca) {
		my_bool yes = 1;
		mysql_ssl_set(conn, NULL, NULL, ca, NULL, NULL);
		mysql_options(conn, MYSQL_OPT_SSL_ENFORCE, &yes);
		mysql_options(conn, MYSQL_OPT_SSL_VERIFY_SERVER_CERT, &yes);
	}
}

static err_t refusal(const struct db *db, MYSQL *conn, const char *where)
{
	unsigned code = mysql_errno(conn);
	if (code == ER_ACCESS_DENIED_ERROR || code == ER_DBACCESS_DENIED_ERROR ||
		code == ER_BAD_DB_ERROR)
		return err_new(ERR_CONFIG,
			"database at %s refuses user %s, database %s: %s (set AIRUNNER_DB_USER, "
			"AIRUNNER_DB_PASSWORD, AIRUNNER_DB_NAME)",
			where, settings_str(db->set, S_AIRUNNER_DB_USER),
			settings_str(db->set, S_AIRUNNER_DB_NAME), mysql_error(conn));
	return err_new(ERR_DB_AWAY, "database at %s does not answer: %s", where, mysql_error(conn));
}

/* A host that answers may still take no writes: outside its cluster, or read-only. */
static err_t check_node(MYSQL *conn, const char *where)
{
	MYSQL_RES *result = NULL;
	if (!mysql_query(conn, query_rows[Q_NODE_STATE].sql))
		result = mysql_store_result(conn);
	MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
	bool ready = row && row[0] && strcmp(row[0], "1") == 0;
	if (result)
		mysql_free_result(result);
	return ready ? NULL
		     : err_new(ERR_DB_AWAY, "database at %s takes no writes now%s%s", where,
			       row ? "" : ": ", row ? "" : mysql_error(conn));
}

/* @param host  NULL: the socket */
static err_t connect_to(const struct db *db, const struct db_host *host, MYSQL **ret_conn)
{
	const char *socket = host ? NULL : settings_str(db->set, S_AIRUNNER_DB_SOCKET);
	const char *where = host ? host->label : socket;
	MYSQL *conn = mysql_init(NULL);
	if (!conn)
		abort();
	set_options(db, conn);
	err_t e = NULL;
	if (!mysql_real_connect(conn, host ? host->name : NULL,
		    settings_str(db->set, S_AIRUNNER_DB_USER),
		    settings_str(db->set, S_AIRUNNER_DB_PASSWORD),
		    settings_str(db->set, S_AIRUNNER_DB_NAME), host ? host->port : 0, socket,
		    CLIENT_MULTI_STATEMENTS | CLIENT_FOUND_ROWS))
		e = refusal(db, conn, where);
	else if (host)
		e = check_node(conn, where);
	if (e) {
		mysql_close(conn);
		return e;
	}
	*ret_conn = conn;
	return NULL;
}

/* The first host that takes the connection; the error of the first one tried when none does. */
static err_t connect_any(struct db *db)
{
	struct db_hosts *hosts = &db->hosts;
	struct err first = {0};
	autofree size_t *order = xcalloc(hosts->count, sizeof *order);
	db_hosts_order(hosts, now_ms(), order);
	for (size_t n = 0; n < hosts->count; n++) {
		err_t e = connect_to(db, &hosts->items[order[n]], &db->conn);
		if (!e) {
			db_hosts_good(hosts, order[n], now_ms());
			return NULL;
		}
		log_debug("%s", err_text(e));
		if (first.code == ERR_NONE)
			first = *e;
		db_hosts_failed(hosts, order[n], now_ms());
	}
	return err_new(first.code, "%s", first.text);
}

err_t db_reconnect(struct db *db)
{
	if (db->lost && db->hosts.current != DB_HOST_NONE)
		db_hosts_failed(&db->hosts, db->hosts.current, now_ms());
	db->lost = false;
	db->in_transaction = false;
	connection_close(db);
	return db->hosts.count ? connect_any(db) : connect_to(db, NULL, &db->conn);
}

err_t db_reconnect_within(struct db *db, int64_t patience_ms)
{
	int64_t until_ms = now_ms() + patience_ms;
	for (;;) {
		err_t e = db_reconnect(db);
		if (!e || err_code(e) != ERR_DB_AWAY || now_ms() >= until_ms)
			return e;
		struct timespec wait = {.tv_nsec = AGAIN_MS * 1000000L};
		nanosleep(&wait, NULL);
	}
}

bool db_prefer(struct db *db)
{
	size_t i = db_hosts_better(&db->hosts, now_ms());
	if (i == DB_HOST_NONE || db->in_transaction || db->lost)
		return false;
	MYSQL *conn = NULL;
	err_t e = connect_to(db, &db->hosts.items[i], &conn);
	if (e) {
		log_debug("%s", err_text(e));
		db_hosts_failed(&db->hosts, i, now_ms());
		return false;
	}
	connection_close(db);
	db->conn = conn;
	db_hosts_good(&db->hosts, i, now_ms());
	return true;
}

const char *db_host(const struct db *db)
{
	return db->hosts.current == DB_HOST_NONE ? "" : db->hosts.items[db->hosts.current].label;
}

static err_t open_with(const struct settings *set, bool patient, struct db **ret_db)
{
	struct db *db = xcalloc(1, sizeof *db);
	db->set = set;
	db->patient = patient;
	db->hosts.current = DB_HOST_NONE;
	err_t e = NULL;
	if (settings_has(set, S_AIRUNNER_DB_HOSTS)) /* handlers: always the socket */
		e = db_hosts_parse(settings_str(set, S_AIRUNNER_DB_HOSTS), &db->hosts);
	if (!e)
		e = db_reconnect(db);
	if (e) {
		db_close(db);
		return e;
	}
	*ret_db = db;
	return NULL;
}

err_t db_open(const struct settings *set, struct db **ret_db)
{
	return open_with(set, false, ret_db);
}

err_t db_open_patient(const struct settings *set, struct db **ret_db)
{
	return open_with(set, true, ret_db);
}

void db_close(struct db *db)
{
	if (!db)
		return;
	connection_close(db);
	db_hosts_release(&db->hosts);
	free(db);
}

void db_closep(struct db **db)
{
	db_close(*db);
}
