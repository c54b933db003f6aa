/* Which run is claimed next: order among repositories and inside one, limits, lines, waiting; and
 * that no step of the queue reads more rows when more are queued. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/with_db.h"
#include "worker/claim.h"

static struct settings *set, *plain_set;
static struct db *db;

static int empty_queue(void **state)
{
	(void)state;
	with_db_sql(db,
		"DELETE FROM run_steps; DELETE FROM run_events; DELETE FROM deliveries; DELETE "
		"FROM runs; DELETE FROM repo_projects; DELETE FROM repos WHERE id <> 0; INSERT "
		"INTO repos (id, address) VALUES (1, 'a'), (2, 'b'), (3, 'c'), (4, 'd'); INSERT "
		"INTO repo_projects (project_key, repo_id) VALUES ('A', 1), ('B', 2), ('C', 3), "
		"('D', 4)");
	return 0;
}

static void sql(const char *text)
{
	with_db_sql(db, text);
}

static void refresh_all(void)
{
	sql("CALL refresh_head(1); CALL refresh_head(2); CALL refresh_head(3); CALL "
	    "refresh_head(4)");
}

/* The webhook's procedure; the issue's letter is its project. */
static int64_t enqueue(const char *issue, int priority)
{
	static int unique;
	char key[65], project[2] = {issue[0]};
	snprintf(key, sizeof key, "%064d", ++unique);
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	assert_null(db_query(db, Q_INTAKE,
		DB_ARGS(db_str(key), db_i64(1), db_str(issue), db_str(project), db_str("test"),
			db_i64(priority)),
		&rows));
	assert_true(db_rows_next(rows));
	return db_rows_i64(rows, "run_id");
}

static void enqueue_all(const char *const *issues)
{
	for (; *issues; issues++)
		enqueue(*issues, 3);
}

static char *claim_by(const struct settings *order)
{
	struct run run AUTO(run_release) = {0};
	assert_null(run_claim(db, order, "w", &run));
	return run.id ? take(&run.issue_key) : xstrdup("none");
}

static void assert_claims_by(const struct settings *order, const char *const *issues)
{
	for (; *issues; issues++) {
		autofree char *got = claim_by(order);
		assert_string_equal(got, *issues);
	}
}

#define ISSUES(...) ((const char *const[]){__VA_ARGS__, NULL})
#define assert_claims(...) assert_claims_by(set, ISSUES(__VA_ARGS__))

/* Ends the running run of an issue. */
static void end(const char *issue)
{
	autofree char *where =
		xasprintf("FROM runs WHERE status = 'running' AND issue_key = '%s'", issue);
	autofree char *id = xasprintf("SELECT id %s", where);
	autofree char *fence = xasprintf("SELECT fence %s", where);
	autofree char *repo = xasprintf("SELECT repo_id %s", where);
	struct run run = {.id = with_db_number(db, id),
		.fence = with_db_number(db, fence),
		.repo_id = with_db_number(db, repo)};
	assert_null(run_close(db, &run, RUN_COMPLETED, NULL, NULL, NULL));
}

static void the_most_urgent_head_goes_first(void **state)
{
	(void)state;
	enqueue("A-1", 4);
	enqueue("B-1", 3);
	enqueue("C-1", 1);
	enqueue("D-1", 2);
	assert_claims("C-1", "D-1", "B-1", "A-1", "none");
}

static void equally_urgent_heads_go_by_position(void **state)
{
	(void)state;
	enqueue_all(ISSUES("A-1", "B-1", "C-1"));
	sql("UPDATE runs SET position = 5 WHERE issue_key = 'A-1'; UPDATE runs SET position = -5 "
	    "WHERE issue_key = 'C-1'");
	refresh_all();
	assert_claims("C-1", "B-1", "A-1");
}

static void then_the_repository_that_has_waited_longest_for_a_claim(void **state)
{
	(void)state;
	enqueue_all(ISSUES("A-1", "B-1", "C-1"));
	sql("UPDATE repos SET last_claim_at = NOW(3) - INTERVAL (CASE id WHEN 1 THEN 10 WHEN 2 "
	    "THEN "
	    "30 ELSE 20 END) SECOND WHERE id <> 0");
	assert_claims("B-1", "C-1", "A-1");
}

static void then_the_oldest_run(void **state)
{
	(void)state;
	enqueue_all(ISSUES("C-1", "A-1", "B-1"));
	assert_claims("C-1", "A-1", "B-1");
}

static void a_position_by_hand_sorts_inside_its_repository(void **state)
{
	(void)state;
	enqueue_all(ISSUES("A-1", "A-2", "A-3"));
	sql("UPDATE runs SET position = -1 WHERE issue_key = 'A-3'");
	refresh_all();
	assert_claims("A-3", "none");
	end("A-3");
	assert_claims("A-1");
}

static void a_repository_with_many_runs_starves_no_other(void **state)
{
	(void)state;
	sql("UPDATE repos SET max_running = 0 WHERE id = 1");
	char issue[16];
	for (int i = 0; i < 30; i++) {
		snprintf(issue, sizeof issue, "A-%d", i);
		enqueue(issue, 3);
	}
	enqueue_all(ISSUES("B-1", "C-1", "B-2", "C-2"));
	autofree char *first = claim_by(set);
	assert_string_equal(first, "A-0");
	assert_claims("B-1", "C-1", "A-1", "A-2");
	end("B-1");
	end("C-1");
	assert_claims("B-2", "C-2", "A-3");
}

static void a_limit_of_three_gives_three_slots_and_the_freed_one_again(void **state)
{
	(void)state;
	sql("UPDATE repos SET max_running = 3 WHERE id = 1");
	enqueue_all(ISSUES("A-1", "A-2", "A-3", "A-4", "A-5"));
	assert_claims("A-1", "A-2", "A-3", "none");
	assert_int_equal(with_db_number(db, "SELECT SUM(slot) FROM runs"), 6);
	end("A-2");
	assert_claims("A-4", "none");
	assert_int_equal(with_db_number(db, "SELECT slot FROM runs WHERE issue_key = 'A-4'"), 2);
}

static void a_lowered_limit_holds_as_soon_as_runs_have_ended(void **state)
{
	(void)state;
	sql("UPDATE repos SET max_running = 3 WHERE id = 1");
	enqueue_all(ISSUES("A-1", "A-2", "A-3", "A-4"));
	assert_claims("A-1", "A-2", "A-3");
	sql("UPDATE repos SET max_running = 1 WHERE id = 1; CALL refresh_head(1)");
	end("A-1");
	end("A-3");
	assert_claims("none");
	end("A-2");
	assert_claims("A-4", "none");
}

static void without_a_limit_all_run_each_in_a_slot_of_its_own(void **state)
{
	(void)state;
	sql("UPDATE repos SET max_running = 0 WHERE id = 1");
	enqueue_all(ISSUES("A-1", "A-2", "A-3"));
	assert_claims("A-1", "A-2", "A-3", "none");
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM runs WHERE slot = id"), 3);
}

static void a_line_runs_once_also_across_repositories(void **state)
{
	(void)state;
	enqueue_all(ISSUES("A-1", "B-1", "B-2"));
	sql("UPDATE runs SET line = 'S-1' WHERE issue_key IN ('A-1', 'B-1')");
	assert_claims("A-1", "B-2", "none");
	end("B-2");
	assert_claims("none");
	end("A-1");
	assert_null(queue_look(db)); /* that is for the poll: the line was held elsewhere */
	assert_claims("B-1");
}

static void plain_order_goes_by_id_alone_and_keeps_limit_and_line(void **state)
{
	(void)state;
	sql("UPDATE repos SET plain_order = 1");
	enqueue("B-1", 4);
	enqueue("A-1", 2);
	enqueue("A-2", 1);
	enqueue("C-1", 1);
	enqueue("D-1", 1);
	sql("UPDATE runs SET position = -9 WHERE issue_key = 'D-1'; UPDATE runs SET line = 'S-1' "
	    "WHERE issue_key IN ('B-1', 'C-1')");
	refresh_all();
	assert_claims_by(plain_set, ISSUES("B-1", "A-1", "D-1", "none"));
	end("A-1");
	assert_claims_by(plain_set, ISSUES("A-2", "none"));
}

static void a_paused_repository_waits(void **state)
{
	(void)state;
	enqueue_all(ISSUES("A-1"));
	sql("UPDATE repos SET paused = 1 WHERE id = 1; CALL refresh_head(1)");
	enqueue_all(ISSUES("A-2"));
	assert_null(queue_look(db));
	assert_claims("none");
	sql("UPDATE repos SET paused = 0 WHERE id = 1");
	assert_null(queue_look(db));
	assert_claims("A-1");
}

static void a_run_that_becomes_due_goes_to_its_place_in_the_order(void **state)
{
	(void)state;
	enqueue("A-1", 1);
	enqueue_all(ISSUES("A-2", "B-1"));
	sql("UPDATE runs SET due_at = NOW(3) + INTERVAL 1 HOUR WHERE issue_key = 'A-1'; CALL "
	    "refresh_head(1)");
	assert_claims("A-2");
	end("A-2");
	assert_null(queue_look(db));
	assert_claims("B-1", "none");
	end("B-1");
	enqueue_all(ISSUES("A-3", "B-2"));
	sql("UPDATE runs SET due_at = NOW(3) - INTERVAL 1 SECOND WHERE issue_key = 'A-1'");
	assert_null(queue_look(db)); /* though the repository has another head */
	assert_claims("A-1", "B-2");
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM runs WHERE due_at IS NOT NULL"), 0);
}

static void a_head_that_is_not_queued_any_more_is_passed_over(void **state)
{
	(void)state;
	enqueue_all(ISSUES("A-1", "A-2"));
	sql("UPDATE runs SET status = 'cancelled', queued_issue = NULL WHERE issue_key = 'A-1'");
	assert_claims("A-2");
}

static void a_count_that_went_wrong_breaks_no_limit_and_is_put_right(void **state)
{
	(void)state;
	enqueue_all(ISSUES("A-1", "A-2", "B-1"));
	assert_claims("A-1");
	sql("UPDATE repos SET running = 0 WHERE id = 1; CALL refresh_head(1)");
	assert_claims("B-1", "none");
	assert_int_equal(with_db_number(db, "SELECT running FROM repos WHERE id = 1"), 1);
	end("A-1");
	assert_claims("A-2");
}

static void an_event_makes_its_queued_run_more_urgent_but_not_less(void **state)
{
	(void)state;
	enqueue_all(ISSUES("A-1", "B-1", "B-2"));
	enqueue("B-2", 1);
	assert_int_equal(with_db_number(db, "SELECT head_priority FROM repos WHERE id = 2"), 1);
	enqueue("B-2", 4);
	assert_claims("B-2", "A-1");
}

int main(void)
{
	static const char *const plain[] = {"USE_SMART_QUEUE=false", NULL};
	db = with_db_open(&set);
	plain_set = with_db_settings(plain);
#define QUEUE(test) cmocka_unit_test_setup(test, empty_queue)
	const struct CMUnitTest tests[] = {
		QUEUE(the_most_urgent_head_goes_first),
		QUEUE(equally_urgent_heads_go_by_position),
		QUEUE(then_the_repository_that_has_waited_longest_for_a_claim),
		QUEUE(then_the_oldest_run),
		QUEUE(a_position_by_hand_sorts_inside_its_repository),
		QUEUE(a_repository_with_many_runs_starves_no_other),
		QUEUE(a_limit_of_three_gives_three_slots_and_the_freed_one_again),
		QUEUE(a_lowered_limit_holds_as_soon_as_runs_have_ended),
		QUEUE(without_a_limit_all_run_each_in_a_slot_of_its_own),
		QUEUE(a_line_runs_once_also_across_repositories),
		QUEUE(plain_order_goes_by_id_alone_and_keeps_limit_and_line),
		QUEUE(a_paused_repository_waits),
		QUEUE(a_run_that_becomes_due_goes_to_its_place_in_the_order),
		QUEUE(a_head_that_is_not_queued_any_more_is_passed_over),
		QUEUE(a_count_that_went_wrong_breaks_no_limit_and_is_put_right),
		QUEUE(an_event_makes_its_queued_run_more_urgent_but_not_less),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	db_close(db);
	settings_free(set);
	settings_free(plain_set);
	return failed;
}
