/* A run that stands in the wrong queue goes to the right one, in one transaction. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/with_db.h"
#include "worker/claim.h"
#include "worker/steps/fetch_move.h"

static struct settings *set;
static struct db *db;
static struct run_ctx ctx;

/* A webhook named only an id: its run stands in repository 0, and a worker has claimed it. */
static int claimed_by_id(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM run_steps; DELETE FROM run_events; DELETE FROM outbox; DELETE "
			"FROM deliveries; DELETE FROM runs; "
			"DELETE FROM repo_projects; DELETE FROM repos WHERE id <> 0; UPDATE repos "
			"SET running = 0, ready = 0; "
			"INSERT INTO repos (id, address) VALUES (3, 'a'); "
			"INSERT INTO runs (id, issue_key, queued_issue, line) VALUES (7, '10023', "
			"'10023', '10023'); "
			"CALL refresh_head(0)");
	ctx = (struct run_ctx){.set = set, .db = db};
	assert_null(run_claim(db, set, "w", &ctx.run));
	assert_int_equal(ctx.run.id, 7);
	with_db_sql(db,
		"INSERT INTO run_steps (run_id, attempt, fence, step) VALUES (7, 0, 1, 'fetch')");
	return 0;
}

static int release(void **state)
{
	(void)state;
	run_release(&ctx.run);
	return 0;
}

static void moved_run_waits_in_its_own_queue(void **state)
{
	(void)state;
	assert_null(run_move(&ctx, 3, "MW", "MW-3", "MW-1"));
	assert_int_equal(
		with_db_number(db,
			"SELECT COUNT(*) FROM runs WHERE id = 7 AND status = 'queued' AND repo_id "
			"= 3 "
			"AND project_key = 'MW' AND issue_key = 'MW-3' AND queued_issue = 'MW-3' "
			"AND line = 'MW-1' AND slot IS NULL AND locked_by IS NULL"),
		1);
	assert_int_equal(with_db_number(db, "SELECT running FROM repos WHERE id = 0"), 0);
	assert_int_equal(
		with_db_number(db, "SELECT head_run_id FROM repos WHERE id = 3 AND ready = 1"), 7);
	run_release(&ctx.run);
	assert_null(run_claim(db, set, "w", &ctx.run));
	assert_int_equal(ctx.run.id, 7);
	assert_int_equal(ctx.run.crashes, 0); /* the step that moved it ended in order */
	assert_string_equal(ctx.run.line, "MW-1");
}

static void run_with_a_lost_fence_is_not_moved(void **state)
{
	(void)state;
	ctx.run.fence--;
	assert_int_equal(err_code(run_move(&ctx, 3, "MW", "MW-3", "MW-1")), ERR_FENCE);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM runs WHERE id = 7 AND status = "
					    "'running' AND repo_id = 0"),
		1);
	assert_int_equal(with_db_number(db, "SELECT running FROM repos WHERE id = 0"), 1);
}

static void run_of_an_issue_that_is_queued_already_gives_way(void **state)
{
	(void)state;
	with_db_sql(db, "INSERT INTO runs (id, issue_key, queued_issue, line, repo_id) VALUES (8, "
			"'MW-3', 'MW-3', 'MW-3', 3)");
	assert_null(run_move(&ctx, 3, "MW", "MW-3", "MW-1"));
	assert_int_equal(with_db_number(db,
				 "SELECT COUNT(*) FROM runs WHERE id = 7 AND status = 'cancelled'"),
		1);
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM runs WHERE id = 8 AND status = 'queued'"),
		1);
	assert_int_equal(with_db_number(db, "SELECT running FROM repos WHERE id = 0"), 0);
}

static void run_whose_line_is_busy_waits_for_it(void **state)
{
	(void)state;
	with_db_sql(db,
		"INSERT INTO runs (id, issue_key, line, repo_id, status, slot, running_line) "
		"VALUES (9, 'MW-2', 'MW-1', 3, 'running', 1, 'MW-1'); UPDATE repos SET max_running "
		"= 2, running = 1 WHERE id = 3");
	assert_null(run_move(&ctx, 3, "MW", "MW-3", "MW-1"));
	assert_int_equal(with_db_number(db, "SELECT ready FROM repos WHERE id = 3"), 0);
}

static int setup(void **state)
{
	(void)state;
	db = with_db_open(&set);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM run_steps; DELETE FROM runs; DELETE FROM repos WHERE id <> 0");
	db_close(db);
	settings_free(set);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, claimed_by_id, release)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(moved_run_waits_in_its_own_queue),
		TEST(run_with_a_lost_fence_is_not_moved),
		TEST(run_of_an_issue_that_is_queued_already_gives_way),
		TEST(run_whose_line_is_busy_waits_for_it),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
