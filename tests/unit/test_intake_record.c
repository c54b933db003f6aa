/* The stored procedure behind the webhook: deliveries, repeats, shared runs. Needs MariaDB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cgi/intake.h"
#include "lib/mem.h"
#include "tests/unit/with_db.h"

static struct settings *set;
static struct db *db;

static void clear(void)
{
	with_db_sql(db,
		"DELETE FROM deliveries; DELETE FROM runs; DELETE FROM repo_projects; "
		"DELETE FROM repos WHERE id <> 0; UPDATE repos SET ready = 0, head_run_id = 0");
}

static int64_t record_body(const char *body, const char *identifier, bool *ret_duplicate)
{
	struct intake in;
	int64_t run_id = 0;
	assert_null(intake_read(body, strlen(body), identifier, &in));
	err_t e = intake_record(db, &in, &run_id, ret_duplicate);
	if (e)
		fail_msg("%s", err_text(e));
	return run_id;
}

static void a_repeat_of_the_body_answers_the_same_run(void **state)
{
	(void)state;
	bool duplicate = true;
	clear();
	int64_t first = record_body("{\"issue_key\":\"A-1\"}", NULL, &duplicate);
	assert_false(duplicate);
	assert_int_equal(record_body("{\"issue_key\":\"A-1\"}", NULL, &duplicate), first);
	assert_true(duplicate);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM runs"), 1);
	assert_int_equal(with_db_number(db, "SELECT SUM(repeats) FROM deliveries"), 1);
}

static void distinct_bodies_of_one_issue_share_its_queued_run(void **state)
{
	(void)state;
	bool duplicate;
	clear();
	int64_t first = record_body("{\"issue_key\":\"A-1\",\"n\":1}", NULL, &duplicate);
	assert_int_equal(record_body("{\"issue_key\":\"A-1\",\"n\":2}", NULL, &duplicate), first);
	assert_false(duplicate);
	int64_t other = record_body("{\"issue_key\":\"A-2\"}", NULL, &duplicate);
	assert_int_equal(other, first + 1); /* joining burns no id */
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM deliveries"), 3);
}

static void an_issue_that_runs_gets_a_new_queued_run(void **state)
{
	(void)state;
	bool duplicate;
	clear();
	int64_t first = record_body("{\"issue_key\":\"A-1\",\"n\":1}", NULL, &duplicate);
	with_db_sql(db, "UPDATE runs SET status = 'running', slot = 1, running_line = line, "
			"queued_issue = NULL");
	int64_t second = record_body("{\"issue_key\":\"A-1\",\"n\":2}", NULL, &duplicate);
	assert_int_not_equal(second, first);
	assert_false(duplicate);
	/* a repeat still answers the run that it made */
	assert_int_equal(record_body("{\"issue_key\":\"A-1\",\"n\":1}", NULL, &duplicate), first);
	assert_true(duplicate);
}

static void an_identifier_is_a_repeat_for_a_week_and_a_body_for_two_minutes(void **state)
{
	(void)state;
	bool duplicate;
	clear();
	record_body("{\"issue_key\":\"A-1\",\"n\":1}", "id-1", &duplicate);
	record_body("{\"issue_key\":\"A-2\"}", NULL, &duplicate);
	with_db_sql(db, "UPDATE deliveries SET received_at = NOW(3) - INTERVAL 121 SECOND");
	record_body("{\"issue_key\":\"A-1\",\"n\":2}", "id-1", &duplicate);
	assert_true(duplicate);
	record_body("{\"issue_key\":\"A-2\"}", NULL, &duplicate);
	assert_false(duplicate);
	with_db_sql(db, "UPDATE deliveries SET received_at = NOW(3) - INTERVAL 169 HOUR");
	record_body("{\"issue_key\":\"A-1\",\"n\":3}", "id-1", &duplicate);
	assert_false(duplicate);
	record_body("{\"issue_key\":\"A-1\",\"n\":4}", "id-1", &duplicate);
	assert_true(duplicate);
}

static void the_project_decides_the_repository(void **state)
{
	(void)state;
	bool duplicate;
	clear();
	with_db_sql(db, "INSERT INTO repos (id, address) VALUES (7, 'a'), (8, 'b'); "
			"INSERT INTO repo_projects VALUES ('SHOP', 7, 0), ('REST', 8, 1)");
	record_body("{\"issue_key\":\"SHOP-1\"}", NULL, &duplicate);
	record_body("{\"issue_key\":\"OTHER-1\"}", NULL, &duplicate);
	record_body("{\"issue\":{\"id\":10040}}", NULL, &duplicate);
	assert_int_equal(
		with_db_number(db, "SELECT repo_id FROM runs WHERE issue_key = 'SHOP-1'"), 7);
	assert_int_equal(
		with_db_number(db, "SELECT repo_id FROM runs WHERE issue_key = 'OTHER-1'"), 8);
	assert_int_equal(
		with_db_number(db, "SELECT repo_id FROM runs WHERE issue_key = '10040'"), 0);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM repos WHERE ready = 1"), 3);
}

static void labels_raise_the_priority_of_a_shared_run_but_never_lower_it(void **state)
{
	(void)state;
	bool duplicate;
	clear();
	record_body("{\"issue_key\":\"A-1\",\"labels\":[\"low\"]}", NULL, &duplicate);
	assert_int_equal(with_db_number(db, "SELECT priority FROM runs"), 4);
	record_body("{\"issue_key\":\"A-1\",\"labels\":[\"urgent\"]}", NULL, &duplicate);
	assert_int_equal(with_db_number(db, "SELECT priority FROM runs"), 1);
	record_body("{\"issue_key\":\"A-1\",\"labels\":[\"high\"]}", NULL, &duplicate);
	record_body("{\"issue_key\":\"A-1\"}", NULL, &duplicate);
	assert_int_equal(with_db_number(db, "SELECT priority FROM runs"), 1);
	assert_int_equal(with_db_number(db, "SELECT head_priority FROM repos WHERE id = 0"), 1);
	record_body("{\"issue_key\":\"A-2\"}", NULL, &duplicate);
	assert_int_equal(
		with_db_number(db, "SELECT priority FROM runs WHERE issue_key = 'A-2'"), 3);
}

/* A parameter of another character set than the column's made every delivery read the whole table.
 */
static void a_delivery_reads_no_more_rows_when_there_are_many(void **state)
{
	(void)state;
	bool duplicate;
	clear();
	with_db_sql(db, "INSERT INTO deliveries (dedupe_key, has_identifier, issue_key, run_id) "
			"SELECT SHA2(seq, 256), 0, 'Z-1', 1 FROM seq_1_to_3000; FLUSH STATUS");
	record_body("{\"issue_key\":\"A-1\"}", NULL, &duplicate);
	assert_in_range(with_db_number(db,
				"SELECT SUM(VARIABLE_VALUE) FROM information_schema.SESSION_STATUS "
				"WHERE VARIABLE_NAME LIKE 'HANDLER_READ_%NEXT'"),
		0, 100);
}

static int open_all(void **state)
{
	(void)state;
	db = with_db_open(&set);
	return 0;
}

static int close_all(void **state)
{
	(void)state;
	clear();
	db_close(db);
	settings_free(set);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_repeat_of_the_body_answers_the_same_run),
		cmocka_unit_test(distinct_bodies_of_one_issue_share_its_queued_run),
		cmocka_unit_test(an_issue_that_runs_gets_a_new_queued_run),
		cmocka_unit_test(an_identifier_is_a_repeat_for_a_week_and_a_body_for_two_minutes),
		cmocka_unit_test(the_project_decides_the_repository),
		cmocka_unit_test(labels_raise_the_priority_of_a_shared_run_but_never_lower_it),
		cmocka_unit_test(a_delivery_reads_no_more_rows_when_there_are_many),
	};
	return cmocka_run_group_tests_name("intake_record", tests, open_all, close_all);
}
