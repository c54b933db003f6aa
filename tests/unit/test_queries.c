/* Every statement of sql/queries.sql prepares on a fresh schema, and those of hot paths use their
 * index. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/db_private.h"
#include "lib/mem.h"
#include "lib/migrate.h"
#include "tests/unit/with_db.h"

static struct settings *set;
static struct db *db;

static void every_statement_prepares(void **state)
{
	(void)state;
	for (int q = 0; q < Q__MAX; q++) {
		if (q == Q_SESSION_SETUP)
			continue; /* sent as text when a connection begins */
		MYSQL_STMT *stmt = mysql_stmt_init(db->conn);
		const char *sql = query_rows[q].sql;
		if (mysql_stmt_prepare(stmt, sql, strlen(sql)))
			fail_msg("%s: %s", query_rows[q].name, mysql_stmt_error(stmt));
		assert_int_equal((int)mysql_stmt_param_count(stmt), query_rows[q].params);
		mysql_stmt_close(stmt);
	}
}

/* The key column of EXPLAIN's first row. */
static void assert_key(const char *sql, const char *key)
{
	autofree char *explain = xasprintf("EXPLAIN %s", sql);
	assert_int_equal(mysql_query(db->conn, explain), 0);
	MYSQL_RES *result = mysql_store_result(db->conn);
	MYSQL_ROW row = mysql_fetch_row(result);
	assert_non_null(row[5]);
	assert_string_equal(row[5], key);
	assert_null(strstr(row[9] ? row[9] : "", "filesort"));
	mysql_free_result(result);
}

static void the_claim_reads_its_order_from_an_index(void **state)
{
	(void)state;
	with_db_sql(db, "INSERT INTO repos (address, ready, head_priority, head_run_id) "
			"SELECT CONCAT('r', seq), seq % 2, seq % 4, seq FROM seq_1_to_2000; "
			"ANALYZE TABLE repos");
	assert_key("SELECT id FROM repos FORCE INDEX (by_head) WHERE ready = 1 ORDER BY "
		   "head_priority, head_position, last_claim_at, head_run_id LIMIT 1 FOR UPDATE "
		   "SKIP LOCKED",
		"by_head");
	assert_key("SELECT id FROM repos FORCE INDEX (by_head_id) WHERE ready = 1 ORDER BY "
		   "head_run_id LIMIT 1 FOR UPDATE SKIP LOCKED",
		"by_head_id");
}

static void the_head_of_a_repository_reads_its_order_from_an_index(void **state)
{
	(void)state;
	with_db_sql(db, "INSERT INTO runs (issue_key, queued_issue, repo_id, line) "
			"SELECT CONCAT('A-', seq), CONCAT('A-', seq), 0, CONCAT('A-', seq) FROM "
			"seq_1_to_2000; ANALYZE TABLE runs");
	assert_key("SELECT r.id FROM runs r WHERE r.repo_id = 0 AND r.status = 'queued' AND "
		   "(r.due_at IS NULL OR r.due_at <= NOW(3)) "
		   "ORDER BY r.priority, r.position, r.id LIMIT 1",
		"by_queue");
}

static void a_program_built_for_another_schema_is_refused(void **state)
{
	(void)state;
	with_db_sql(db,
		"INSERT INTO schema_migrations (version, name, checksum) VALUES (900, 'x', 'x')");
	err_t e = migrate_check(db);
	assert_int_equal(err_code(e), ERR_CONFIG);
	int applied = 0;
	assert_int_equal(err_code(migrate_apply(db, "sql/migrate", &applied)), ERR_CONFIG);
	with_db_sql(db, "DELETE FROM schema_migrations WHERE version = 900");
	assert_null(migrate_check(db));
}

static void a_changed_migration_is_refused(void **state)
{
	(void)state;
	int applied = 0;
	with_db_sql(db, "UPDATE schema_migrations SET checksum = REVERSE(checksum)");
	assert_int_equal(err_code(migrate_apply(db, "sql/migrate", &applied)), ERR_CONFIG);
	with_db_sql(db, "UPDATE schema_migrations SET checksum = REVERSE(checksum)");
	assert_null(migrate_apply(db, "sql/migrate", &applied));
	assert_int_equal(applied, 0);
}

static void the_handlers_users_have_no_more_rights_than_they_need(void **state)
{
	(void)state;
	autofree char *of_hook =
		xasprintf("SELECT COUNT(*) FROM information_schema.table_privileges "
			  "WHERE grantee LIKE '''air_hook''%%' AND table_schema = DATABASE()");
	assert_int_equal(with_db_number(db, of_hook), 0);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM mysql.procs_priv WHERE User = "
					    "'air_hook' AND Db = DATABASE()"),
		1);
	assert_int_equal(
		with_db_number(db,
			"SELECT COUNT(*) FROM information_schema.table_privileges WHERE grantee "
			"LIKE '''air_api''%' "
			"AND table_schema = DATABASE() AND privilege_type IN ('INSERT', 'DELETE')"),
		0);
}

int main(void)
{
	db = with_db_open(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_statement_prepares),
		cmocka_unit_test(the_claim_reads_its_order_from_an_index),
		cmocka_unit_test(the_head_of_a_repository_reads_its_order_from_an_index),
		cmocka_unit_test(a_program_built_for_another_schema_is_refused),
		cmocka_unit_test(a_changed_migration_is_refused),
		cmocka_unit_test(the_handlers_users_have_no_more_rights_than_they_need),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	db_close(db);
	settings_free(set);
	return failed;
}
