/* What the errors of the database mean to us: the one table. Called by lib/db.c and db_rows.c. */
#include <errmsg.h>
#include <mysqld_error.h>

#include "lib/db_private.h"
#include "lib/mem.h"

#define ER_WSREP_NOT_READY 1047 /* ER_UNKNOWN_COM_ERROR, which Galera sends for it */

/* What the server's errors mean; those that are not named are a statement's own fault (ERR_DB).
 * ERR_DB_AWAY drops the connection, and with it whatever it had begun. */
static const struct {
	unsigned from, to;
	enum err_code code;
} meanings[] = {
	{CR_CONNECTION_ERROR, CR_CONN_HOST_ERROR, ERR_DB_AWAY},
	{CR_SERVER_GONE_ERROR, CR_SERVER_GONE_ERROR, ERR_DB_AWAY},
	{CR_SERVER_LOST, CR_SERVER_LOST, ERR_DB_AWAY},
	{CR_SERVER_LOST_EXTENDED, CR_SERVER_LOST_EXTENDED, ERR_DB_AWAY},
	{CR_MALFORMED_PACKET, CR_MALFORMED_PACKET, ERR_DB_AWAY}, /* the server died in an answer */
	{ER_SERVER_SHUTDOWN, ER_SERVER_SHUTDOWN, ERR_DB_AWAY},
	{ER_NORMAL_SHUTDOWN, ER_NORMAL_SHUTDOWN, ERR_DB_AWAY},
	{ER_QUERY_INTERRUPTED, ER_QUERY_INTERRUPTED, ERR_DB_AWAY}, /* at a shutdown, or by KILL */
	{ER_CONNECTION_KILLED, ER_CONNECTION_KILLED, ERR_DB_AWAY},
	{ER_NET_READ_ERROR, ER_NET_WRITE_INTERRUPTED, ERR_DB_AWAY},
	{ER_CON_COUNT_ERROR, ER_CON_COUNT_ERROR, ERR_DB_AWAY},
	{ER_TOO_MANY_USER_CONNECTIONS, ER_TOO_MANY_USER_CONNECTIONS, ERR_DB_AWAY},
	{ER_WSREP_NOT_READY, ER_WSREP_NOT_READY, ERR_DB_AWAY},
	{ER_OPTION_PREVENTS_STATEMENT, ER_OPTION_PREVENTS_STATEMENT, ERR_DB_AWAY}, /* read-only */
	{ER_READ_ONLY_MODE, ER_READ_ONLY_MODE, ERR_DB_AWAY},
	{ER_ERROR_DURING_COMMIT, ER_ERROR_DURING_COMMIT, ERR_DB_AWAY}, /* a node that left */
	{ER_DISK_FULL, ER_DISK_FULL, ERR_DB_AWAY},
	{ER_RECORD_FILE_FULL, ER_RECORD_FILE_FULL, ERR_DB_AWAY},
	{ER_DUP_ENTRY, ER_DUP_ENTRY, ERR_DB_DUPLICATE},
	{ER_LOCK_WAIT_TIMEOUT, ER_LOCK_WAIT_TIMEOUT, ERR_DB_RETRY},
	{ER_LOCK_DEADLOCK, ER_LOCK_DEADLOCK, ERR_DB_RETRY},
	{ER_CHECKREAD, ER_CHECKREAD, ERR_DB_RETRY},
	{ER_STATEMENT_TIMEOUT, ER_STATEMENT_TIMEOUT, ERR_DB_RETRY},
	{ER_TOO_MANY_CONCURRENT_TRXS, ER_TOO_MANY_CONCURRENT_TRXS, ERR_DB_RETRY},
	{ER_NEED_REPREPARE, ER_NEED_REPREPARE, ERR_DB_RETRY},
};

static enum err_code meaning(unsigned code)
{
	for (size_t i = 0; i < ARRAY_LEN(meanings); i++)
		if (code >= meanings[i].from && code <= meanings[i].to)
			return meanings[i].code;
	return ERR_DB;
}

err_t db_error(struct db *db, unsigned code, const char *where, const char *text)
{
	enum err_code is = meaning(code);
	db->lost |= is == ERR_DB_AWAY;
	db->collided = code == ER_LOCK_DEADLOCK;
	if (is == ERR_DB_RETRY) /* 1205 and 1969 roll back the statement only: a commit now would
				   keep half a transaction */
		mysql_rollback(db->conn);
	return err_new(is, "database, %s: %s (%u)", where, text, code);
}
