/* The queue against a real MariaDB: order, exclusivity, fence, intake. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>
#include <mysqld_error.h>

#include "lib/db_private.h"
#include "lib/mem.h"
#include "tests/unit/with_db.h"
#include "worker/claim.h"

static struct settings *set;
static struct db *db;

static int empty_queue(void **state)
{
	(void)state;
	with_db_sql(db,
		"DELETE FROM run_steps; DELETE FROM run_events; DELETE FROM deliveries; DELETE "
		"FROM runs; "
		"DELETE FROM repo_projects; DELETE FROM repos WHERE id <> 0; "
		"UPDATE repos SET running = 0, ready = 0; "
		"INSERT INTO repos (id, address) VALUES (1, 'a'), (2, 'b'); "
		"INSERT INTO repo_projects (project_key, repo_id) VALUES ('A', 1), ('B', 2)");
	return 0;
}

/* Through the same procedure as a webhook. */
static int64_t enqueue(const char *issue, const char *project, int priority)
{
	static int unique;
	char key[65];
	snprintf(key, sizeof key, "%064d", ++unique);
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	assert_null(db_query(db, Q_INTAKE,
		DB_ARGS(db_str(key), db_i64(1), db_str(issue), db_str(project), db_str("test"),
			priority ? db_i64(priority) : db_null()),
		&rows));
	assert_true(db_rows_next(rows));
	return db_rows_i64(rows, "run_id");
}

static int64_t claim(const char *worker, int64_t *ret_fence)
{
	struct run run AUTO(run_release) = {0};
	assert_null(run_claim(db, set, worker, &run));
	if (ret_fence)
		*ret_fence = run.fence;
	return run.id;
}

static void claim_gives_nothing_from_an_empty_queue(void **state)
{
	(void)state;
	assert_int_equal(claim("w", NULL), 0);
}

static void claim_takes_urgent_before_older_ones(void **state)
{
	(void)state;
	enqueue("A-1", "A", 3);
	int64_t urgent = enqueue("A-2", "A", 1);
	assert_int_equal(claim("w", NULL), urgent);
}

static void claim_skips_busy_repository(void **state)
{
	(void)state;
	int64_t first = enqueue("A-1", "A", 1);
	enqueue("A-2", "A", 1);
	int64_t other = enqueue("B-1", "B", 4);
	assert_int_equal(claim("w", NULL), first);
	assert_int_equal(claim("w", NULL), other);
	assert_int_equal(claim("w", NULL), 0);
}

static void database_refuses_a_second_running_run_in_a_slot(void **state)
{
	(void)state;
	enqueue("A-1", "A", 3);
	int64_t second = enqueue("A-2", "A", 3);
	assert_true(claim("w", NULL) > 0);
	autofree char *cheat = xasprintf("UPDATE runs SET status = 'running', slot = 1, "
					 "running_line = line, queued_issue = NULL WHERE id = %lld",
		(long long)second);
	assert_int_equal(mysql_query(db->conn, cheat), 1);
	assert_int_equal(mysql_errno(db->conn), ER_DUP_ENTRY);
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM runs WHERE status = 'running'"), 1);
}

static void claim_skips_busy_line(void **state)
{
	(void)state;
	with_db_sql(db, "UPDATE repos SET max_running = 0 WHERE id = 1");
	enqueue("A-1", "A", 3);
	enqueue("A-2", "A", 3);
	with_db_sql(db, "UPDATE runs SET line = 'A-0'");
	assert_true(claim("w", NULL) > 0);
	assert_int_equal(claim("w", NULL), 0);
}

static void plain_order_goes_by_id(void **state)
{
	(void)state;
	static const char *const overrides[] = {"USE_SMART_QUEUE=false", NULL};
	struct settings *plain AUTO(settings_freep) = with_db_settings(overrides);
	with_db_sql(db, "UPDATE repos SET plain_order = 1");
	int64_t first = enqueue("A-1", "A", 4);
	enqueue("A-2", "A", 1);
	enqueue("B-1", "B", 1);
	struct run run AUTO(run_release) = {0};
	assert_null(run_claim(db, plain, "w", &run));
	assert_int_equal(run.id, first);
}

static void closing_frees_the_slot(void **state)
{
	(void)state;
	enqueue("A-1", "A", 3);
	int64_t second = enqueue("A-2", "A", 3);
	struct run run AUTO(run_release) = {0};
	assert_null(run_claim(db, set, "w", &run));
	assert_null(run_close(db, &run, RUN_COMPLETED, NULL, NULL, NULL));
	assert_int_equal(claim("w", NULL), second);
	assert_int_equal(with_db_number(db, "SELECT running FROM repos WHERE id = 1"), 1);
}

/* Words of a server (a hook's, say) may be any bytes: a run that cannot be closed is worked again
 * and again. */
static void a_run_is_closed_with_an_error_that_holds_any_bytes(void **state)
{
	(void)state;
	static const char *const words[] = {
		"\xed\xa0\x80", "\xc0\x80", "\xf4\x90\x80\x80", "\xe0\x80\x80", "\xff", "\xe2\x82"};
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		enqueue("A-1", "A", 3);
		struct run run AUTO(run_release) = {0};
		assert_null(run_claim(db, set, "w", &run));
		err_t e = err_new(ERR_PUSH_REFUSED, "it said: %s", words[i]);
		assert_null(run_close(db, &run, RUN_BLOCKED, err_text(e), NULL, NULL));
	}
}

static void an_old_fence_can_write_nothing(void **state)
{
	(void)state;
	enqueue("A-1", "A", 3);
	struct run old AUTO(run_release) = {0}, new AUTO(run_release) = {0};
	assert_null(run_claim(db, set, "first", &old));
	assert_null(run_requeue(db, &old, 0));
	assert_null(run_claim(db, set, "second", &new));
	assert_int_equal(new.id, old.id);
	assert_int_equal(err_code(run_close(db, &old, RUN_COMPLETED, NULL, NULL, NULL)), ERR_FENCE);
	assert_int_equal(err_code(db_exec_fenced(db, Q_STEP_BEGIN,
				 DB_ARGS(db_i64(1), db_str("push"), db_i64(0), db_i64(old.id),
					 db_i64(old.fence)))),
		ERR_FENCE);
	assert_int_equal(err_code(db_exec_fenced(db, Q_EVENT_ADD,
				 DB_ARGS(db_str("info"), db_str("claimed"), db_str("x"), db_null(),
					 db_i64(old.id), db_i64(old.fence)))),
		ERR_FENCE);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_steps"), 0);
	assert_null(run_close(db, &new, RUN_COMPLETED, NULL, NULL, NULL));
}

static void an_issue_with_a_queued_run_shares_it(void **state)
{
	(void)state;
	int64_t first = enqueue("A-1", "A", 0);
	assert_int_equal(enqueue("A-1", "A", 0), first);
	assert_int_equal(claim("w", NULL), first);
	assert_int_not_equal(enqueue("A-1", "A", 0), first);
}

static void an_unknown_project_waits_in_repository_0(void **state)
{
	(void)state;
	int64_t id = enqueue("ZZ-1", "ZZ", 0);
	assert_int_equal(with_db_number(db, "SELECT repo_id FROM runs"), 0);
	assert_int_equal(claim("w", NULL), id);
}

static void a_step_left_open_counts_as_a_crash(void **state)
{
	(void)state;
	enqueue("A-1", "A", 3);
	for (int crashes = 0; crashes < 3; crashes++) {
		struct run run AUTO(run_release) = {0};
		assert_null(run_claim(db, set, "w", &run));
		assert_int_equal(run.crashes, crashes);
		assert_null(db_exec_fenced(db, Q_STEP_BEGIN,
			DB_ARGS(db_i64(1), db_str("edit"), db_i64(0), db_i64(run.id),
				db_i64(run.fence))));
		assert_null(run_requeue(db, &run, 0));
	}
}

static void a_run_that_is_not_due_waits(void **state)
{
	(void)state;
	enqueue("A-1", "A", 3);
	struct run run AUTO(run_release) = {0};
	assert_null(run_claim(db, set, "w", &run));
	assert_null(run_requeue(db, &run, 3600));
	assert_int_equal(claim("w", NULL), 0);
	with_db_sql(db, "UPDATE runs SET due_at = NOW(3) - INTERVAL 1 SECOND");
	assert_null(queue_look(db));
	assert_int_equal(claim("w", NULL), run.id);
}

static void requeue_joins_a_newer_queued_run(void **state)
{
	(void)state;
	int64_t first = enqueue("A-1", "A", 3);
	struct run run AUTO(run_release) = {0};
	assert_null(run_claim(db, set, "w", &run));
	assert_int_not_equal(enqueue("A-1", "A", 3), first);
	assert_null(run_requeue(db, &run, 0));
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM runs WHERE status = 'cancelled'"), 1);
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM runs WHERE status = 'queued'"), 1);
}

static void claim_by_id_refuses_a_busy_repository(void **state)
{
	(void)state;
	enqueue("A-1", "A", 3);
	int64_t second = enqueue("A-2", "A", 3);
	struct run run AUTO(run_release) = {0};
	assert_true(claim("w", NULL) > 0);
	assert_int_equal(err_code(run_claim_id(db, "hand", second, &run)), ERR_CONFLICT);
	assert_int_equal(err_code(run_claim_id(db, "hand", 999999, &run)), ERR_NOT_FOUND);
}

int main(void)
{
	db = with_db_open(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(claim_gives_nothing_from_an_empty_queue, empty_queue),
		cmocka_unit_test_setup(claim_takes_urgent_before_older_ones, empty_queue),
		cmocka_unit_test_setup(claim_skips_busy_repository, empty_queue),
		cmocka_unit_test_setup(
			database_refuses_a_second_running_run_in_a_slot, empty_queue),
		cmocka_unit_test_setup(claim_skips_busy_line, empty_queue),
		cmocka_unit_test_setup(plain_order_goes_by_id, empty_queue),
		cmocka_unit_test_setup(closing_frees_the_slot, empty_queue),
		cmocka_unit_test_setup(
			a_run_is_closed_with_an_error_that_holds_any_bytes, empty_queue),
		cmocka_unit_test_setup(an_old_fence_can_write_nothing, empty_queue),
		cmocka_unit_test_setup(an_issue_with_a_queued_run_shares_it, empty_queue),
		cmocka_unit_test_setup(an_unknown_project_waits_in_repository_0, empty_queue),
		cmocka_unit_test_setup(a_step_left_open_counts_as_a_crash, empty_queue),
		cmocka_unit_test_setup(a_run_that_is_not_due_waits, empty_queue),
		cmocka_unit_test_setup(requeue_joins_a_newer_queued_run, empty_queue),
		cmocka_unit_test_setup(claim_by_id_refuses_a_busy_repository, empty_queue),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	db_close(db);
	settings_free(set);
	return failed;
}
