/* Transactions, and doing them again when they collide with another's. Called by the worker. */
#include "lib/db_private.h"

#define TRANSACTION_TRIES 8

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

bool db_in_transaction(const struct db *db)
{
	return db->in_transaction;
}

/* Only a collision says for certain that nothing was committed. */
err_t db_commit(struct db *db)
{
	db->in_transaction = false;
	err_t e = plain(db, "commit", "COMMIT");
	if (!e || (err_code(e) == ERR_DB_RETRY && db->collided))
		return e;
	db->lost = true;
	return err_new(ERR_DB_UNSURE, "%s: whether it was committed is not known", e->text);
}

void db_rollback(struct db *db)
{
	if (!db->in_transaction)
		return;
	db->in_transaction = false;
	if (!db->lost && db->conn && mysql_rollback(db->conn))
		db->lost = true;
}

bool db_try(struct db *db, struct db_try *t)
{
	if (t->tries > 0) {
		if (t->error)
			db_rollback(db);
		else
			t->error = db_commit(db);
		if (err_code(t->error) != ERR_DB_RETRY || t->tries >= TRANSACTION_TRIES)
			return false;
		db_collision_wait(t->tries);
	}
	t->tries++;
	t->error = db_begin(db);
	return !t->error;
}
