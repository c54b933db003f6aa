/* lib/db: values come back as they went, errors have their codes, a lost connection is noticed. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/db_private.h"
#include "lib/mem.h"
#include "tests/unit/with_db.h"

static struct settings *set;
static struct db *db;

static void numbers_of_every_kind_come_back(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM runs; INSERT INTO runs (id, issue_key, queued_issue, line) "
			"VALUES (1, 'A-1', 'A-1', 'A-1')");
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	assert_null(db_query(db, Q_RUN_METRICS_ROW, DB_ARGS(db_i64(1)), &rows));
	assert_true(db_rows_next(rows));
	assert_true(db_rows_double(rows, "seconds") >= 0);
	assert_true(strlen(db_rows_str(rows, "seconds")) > 0);
	assert_int_equal(db_rows_i64(rows, "turns"), 0);
	assert_true(db_rows_null(rows, "model"));
	assert_null(db_rows_str(rows, "model"));
	assert_false(db_rows_next(rows));
}

static void bytes_come_back_as_they_went(void **state)
{
	(void)state;
	static const char bytes[] = "a\0b\xff\xc3 end";
	char key[41] = "tree";
	with_db_sql(db, "DELETE FROM run_messages; DELETE FROM runs; "
			"INSERT INTO runs (id, issue_key, status, slot, running_line, line, fence) "
			"VALUES (1, 'A-1', 'running', 1, 'A-1', 'A-1', 4)");
	assert_null(db_exec_fenced(db, Q_ARTIFACT_ADD,
		DB_ARGS(db_str("diff"), db_str(key), db_i64(0), db_i64(sizeof bytes),
			db_blob(bytes, sizeof bytes), db_i64(1), db_i64(4))));
	assert_int_equal(
		with_db_number(db,
			"SELECT COUNT(*) FROM artifacts WHERE content = X'610062FFC320656E6400'"),
		1);
}

static void a_fenced_write_that_changes_nothing_is_still_ours(void **state)
{
	(void)state;
	for (int i = 0; i < 2; i++)
		assert_null(db_exec_fenced(
			db, Q_RUN_SET_BRANCH, DB_ARGS(db_str("same"), db_i64(1), db_i64(4))));
	assert_int_equal(err_code(db_exec_fenced(db, Q_RUN_SET_BRANCH,
				 DB_ARGS(db_str("same"), db_i64(1), db_i64(3)))),
		ERR_FENCE);
}

static void wrong_number_of_arguments_is_our_own_defect(void **state)
{
	(void)state;
	assert_int_equal(err_code(db_exec(db, Q_RUN_BY_ID, DB_NO_ARGS, NULL)), ERR_INTERNAL);
}

static void a_transaction_is_undone_by_rollback(void **state)
{
	(void)state;
	assert_null(db_begin(db));
	assert_null(db_exec(db, Q_WORKER_PUT,
		DB_ARGS(db_str("w"), db_str("h"), db_i64(1), db_i64(1), db_str("0"), db_str("")),
		NULL));
	db_rollback(db);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM workers"), 0);
}

static void a_lost_connection_is_noticed_and_can_be_made_anew(void **state)
{
	(void)state;
	struct db *other = NULL;
	assert_null(db_open(set, &other));
	autofree char *sql = xasprintf("KILL %lu", mysql_thread_id(other->conn));
	with_db_sql(db, sql);
	assert_int_equal(
		err_code(db_exec(other, Q_WORKER_SEEN, DB_ARGS(db_str("w")), NULL)), ERR_DB_AWAY);
	assert_int_equal(err_code(db_begin(other)), ERR_DB_AWAY);
	assert_null(db_reconnect(other));
	assert_null(db_exec(other, Q_WORKER_SEEN, DB_ARGS(db_str("w")), NULL));
	db_close(other);
}

static void a_connection_lost_at_commit_is_unsure(void **state)
{
	(void)state;
	struct db *other = NULL;
	assert_null(db_open(set, &other));
	assert_null(db_begin(other));
	autofree char *sql = xasprintf("KILL %lu", mysql_thread_id(other->conn));
	with_db_sql(db, sql);
	assert_int_equal(err_code(db_commit(other)), ERR_DB_UNSURE);
	db_close(other);
}

/* The next n updates of table workers by this connection collide, as with another node's. */
static void let_collide(int n)
{
	autofree char *sql = xasprintf(
		"DELETE FROM workers; INSERT INTO workers (name, host, pid, capacity, version) "
		"VALUES ('w', 'h', 1, 1, '0'); SET @collisions = %d; "
		"CREATE OR REPLACE TRIGGER collide BEFORE UPDATE ON workers FOR EACH ROW BEGIN "
		"IF @collisions > 0 THEN SET @collisions = @collisions - 1; "
		"SIGNAL SQLSTATE '40001' SET MYSQL_ERRNO = 1213; END IF; END",
		n);
	with_db_sql(db, sql);
}

static err_t see_worker(void)
{
	return db_exec(db, Q_WORKER_SEEN, DB_ARGS(db_str("w")), NULL);
}

static void a_statement_that_collides_is_done_again(void **state)
{
	(void)state;
	let_collide(3);
	assert_null(see_worker());
	assert_int_equal(with_db_number(db, "SELECT @collisions"), 0);
	let_collide(100);
	assert_int_equal(err_code(see_worker()), ERR_DB_RETRY);
	assert_int_equal(with_db_number(db, "SELECT @collisions"), 92);
}

static void in_a_transaction_a_collision_is_told_at_once(void **state)
{
	(void)state;
	let_collide(1);
	assert_null(db_begin(db));
	assert_int_equal(err_code(see_worker()), ERR_DB_RETRY);
	db_rollback(db);
}

static void a_transaction_that_collides_is_done_again_whole(void **state)
{
	(void)state;
	let_collide(2);
	int bodies = 0;
	struct db_try t = {0};
	while (db_try(db, &t)) {
		bodies++;
		t.error = db_exec(db, Q_WORKER_PUT,
			DB_ARGS(db_str("other"), db_str("h"), db_i64(1), db_i64(1), db_str("0"),
				db_str("")),
			NULL);
		if (!t.error)
			t.error = see_worker();
	}
	assert_null(t.error);
	assert_int_equal(bodies, 3);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM workers"), 2);
}

static void a_transaction_with_another_error_is_undone_and_ends(void **state)
{
	(void)state;
	let_collide(0);
	int bodies = 0;
	struct db_try t = {0};
	while (db_try(db, &t)) {
		bodies++;
		assert_null(see_worker());
		t.error = err_new(ERR_CONFLICT, "not so");
	}
	assert_int_equal(bodies, 1);
	assert_int_equal(err_code(t.error), ERR_CONFLICT);
	assert_null(db_begin(db)); /* there is none open */
	db_rollback(db);
}

static void errors_by_which_the_server_goes_away_are_told_from_a_statements_own(void **state)
{
	(void)state;
	static const struct {
		unsigned number;
		enum err_code code;
	} cases[] = {{2002, ERR_DB_AWAY}, {2006, ERR_DB_AWAY}, {2013, ERR_DB_AWAY},
		{1053, ERR_DB_AWAY}, {1317, ERR_DB_AWAY}, {1927, ERR_DB_AWAY}, {1290, ERR_DB_AWAY},
		{1047, ERR_DB_AWAY}, {1040, ERR_DB_AWAY}, {1021, ERR_DB_AWAY},
		{1062, ERR_DB_DUPLICATE}, {1205, ERR_DB_RETRY}, {1213, ERR_DB_RETRY},
		{1969, ERR_DB_RETRY}, {1020, ERR_DB_RETRY}, {1064, ERR_DB}, {1146, ERR_DB},
		{1406, ERR_DB}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		db->lost = false;
		err_t e = db_error(db, cases[i].number, "test", "words");
		if (err_code(e) != cases[i].code)
			fail_msg("%u is %s", cases[i].number, err_code_name(err_code(e)));
		assert_int_equal(db->lost, cases[i].code == ERR_DB_AWAY);
	}
	assert_null(db_reconnect(db));
}

int main(void)
{
	db = with_db_open(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			errors_by_which_the_server_goes_away_are_told_from_a_statements_own),
		cmocka_unit_test(numbers_of_every_kind_come_back),
		cmocka_unit_test(bytes_come_back_as_they_went),
		cmocka_unit_test(a_fenced_write_that_changes_nothing_is_still_ours),
		cmocka_unit_test(wrong_number_of_arguments_is_our_own_defect),
		cmocka_unit_test(a_transaction_is_undone_by_rollback),
		cmocka_unit_test(a_lost_connection_is_noticed_and_can_be_made_anew),
		cmocka_unit_test(a_connection_lost_at_commit_is_unsure),
		cmocka_unit_test(a_statement_that_collides_is_done_again),
		cmocka_unit_test(in_a_transaction_a_collision_is_told_at_once),
		cmocka_unit_test(a_transaction_that_collides_is_done_again_whole),
		cmocka_unit_test(a_transaction_with_another_error_is_undone_and_ends),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	db_close(db);
	settings_free(set);
	return failed;
}
