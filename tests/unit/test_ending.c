/*
 * How a run waits and how its end is decided, against a real MariaDB: waits that grow and come to
 * an end, a time limit over all claims, an end that is journalled once, artifacts that are
 * replaced.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/with_db.h"
#include "worker/ending.h"
#include "worker/journal.h"

static struct settings *set, *db_set; /* the connection reads its own when it is made anew */
static struct db *db;
static struct run_ctx ctx;

static int fresh_run(void **state)
{
	(void)state;
	with_db_sql(db,
		"DELETE FROM outbox; DELETE FROM run_steps; DELETE FROM run_events; DELETE "
		"FROM artifacts; DELETE FROM deliveries; DELETE FROM runs; "
		"INSERT INTO runs (id, issue_key, line, status, fence, slot, running_line, "
		"attempt, locked_at, lease_until) VALUES (7, 'A-1', 'A-1', 'running', 5, 1, "
		"'A-1', 2, NOW(3), NOW(3) + INTERVAL 60 SECOND)");
	ctx = (struct run_ctx){.set = set,
		.db = db,
		.step = "fetch",
		.stage = STAGE_ANALYZING,
		.state = json_object(),
		.run = {.id = 7, .issue_key = (char *)"A-1", .fence = 5, .attempt = 2}};
	return 0;
}

static int drop(void **state)
{
	(void)state;
	json_decref(ctx.state);
	return 0;
}

/* The run's step ended by this, so many seconds ago. */
static void step_ended(const char *step, const char *outcome, int ago_s)
{
	autofree char *sql = xasprintf("INSERT INTO run_steps (run_id, attempt, fence, step, "
				       "ended_at, outcome) VALUES (7, "
				       "2, 5, '%s', NOW(3) - INTERVAL %d SECOND, '%s')",
		step, ago_s, outcome);
	with_db_sql(db, sql);
}

static bool waits(enum err_code code)
{
	bool does = false;
	assert_null(ending_wait(&ctx, err_new(code, "a service is away"), &does));
	return does;
}

static long long due_in_s(void)
{
	return with_db_number(db, "SELECT ROUND(TIMESTAMPDIFF(MICROSECOND, NOW(3), due_at) / 1e6) "
				  "FROM runs WHERE status = 'queued'");
}

static void a_service_that_is_away_sends_the_run_back_for_longer_each_time(void **state)
{
	(void)state;
	step_ended("fetch", "outside", 0);
	assert_true(waits(ERR_OUTSIDE));
	assert_in_range(due_in_s(), 14, 15);
	assert_int_equal(with_db_number(db, "SELECT attempt = 2 AND crashes = 0 FROM runs"), 1);
	json_decref(ctx.state);
	fresh_run(NULL);
	step_ended("fetch", "ok", 100);
	for (int i = 0; i < 4; i++)
		step_ended("route", "network", 50);
	step_ended("resume", "ok", 50); /* opening what a step needs is no progress */
	assert_true(waits(ERR_NETWORK));
	assert_in_range(due_in_s(), 118, 120);
}

static void patience_comes_to_an_end(void **state)
{
	(void)state;
	step_ended("fetch", "outside", 3700);
	step_ended("fetch", "outside", 10);
	assert_false(waits(ERR_OUTSIDE));
	step_ended("fetch", "ok", 5); /* but what went well meanwhile begins it anew */
	step_ended("route", "outside", 0);
	assert_true(waits(ERR_OUTSIDE));
}

static void errors_of_our_own_do_not_wait(void **state)
{
	(void)state;
	assert_false(waits(ERR_CHECKS));
	assert_false(waits(ERR_UNAUTHORIZED));
	ctx.step = "test"; /* a command that hangs is no service */
	assert_false(waits(ERR_TIMEOUT));
	ctx.step = "fetch";
	assert_true(waits(ERR_TIMEOUT));
}

static void an_end_is_decided_once(void **state)
{
	(void)state;
	assert_null(ending_decide(&ctx, err_new(ERR_LIMIT, "too many turns")));
	assert_null(ending_decide(&ctx, err_new(ERR_NETWORK, "something else")));
	assert_int_equal(err_code(ending_decided(&ctx)), ERR_LIMIT);
	assert_string_equal(err_text(ending_decided(&ctx)), "too many turns");
	assert_int_equal(with_db_number(db,
				 "SELECT COUNT(*) FROM run_steps WHERE step = 'end' AND outcome = "
				 "'ok' AND JSON_VALUE(result, '$.code') = 'limit'"),
		1);
	assert_false(waits(ERR_NETWORK)); /* nor does a decided end wait for anything */
}

static void the_time_of_an_attempt_is_that_of_all_its_claims(void **state)
{
	(void)state;
	with_db_sql(db, "UPDATE runs SET locked_at = NOW(3) - INTERVAL 100 SECOND");
	ending_requeue(&ctx, err_new(ERR_STOPPING, "the worker is stopping"));
	assert_in_range(with_db_number(db, "SELECT worked_ms FROM runs"), 100000, 101000);
	/* a second claim, whose worker died: it counts until its lease ran out */
	with_db_sql(db,
		"UPDATE runs SET status = 'running', slot = 1, running_line = line, "
		"queued_issue = NULL, locked_at = NOW(3) - INTERVAL 500 SECOND, lease_until "
		"= NOW(3) - INTERVAL 450 SECOND");
	ending_requeue(&ctx, err_new(ERR_STOPPING, "the worker is stopping"));
	assert_in_range(with_db_number(db, "SELECT worked_ms FROM runs"), 150000, 151000);
	/* another attempt begins at nothing */
	with_db_sql(db, "UPDATE runs SET attempt = 3, locked_at = NOW(3)");
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	assert_null(db_query(db, Q_RUN_WORKED, DB_ARGS(db_i64(7)), &rows));
	assert_true(db_rows_next(rows));
	assert_in_range(db_rows_i64(rows, "ms"), 0, 1000);
}

static void a_step_that_is_repeated_replaces_its_artifacts(void **state)
{
	(void)state;
	size_t len = 600 << 10;
	autofree char *large = xmalloc(len + 1);
	for (size_t i = 0; i < len; i++)
		large[i] = (char)('a' + i % 26);
	large[len] = '\0';
	assert_null(journal_artifact(&ctx, "diff", "change", large, len));
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM artifacts"), 3);
	assert_null(journal_artifact(&ctx, "diff", "change", "short", 5));
	assert_null(journal_artifact(&ctx, "diff", "other", "short", 5));
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM artifacts WHERE name = 'change'"), 1);
	assert_int_equal(with_db_number(db, "SELECT SUM(bytes) FROM artifacts"), 10);
}

static int setup(void **state)
{
	(void)state;
	static const char *const overrides[] = {"AIRUNNER_OUTSIDE_PATIENCE_S=3600", NULL};
	db = with_db_open(&db_set);
	set = with_db_settings(overrides);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM runs");
	db_close(db);
	settings_free(set);
	settings_free(db_set);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh_run, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(a_service_that_is_away_sends_the_run_back_for_longer_each_time),
		TEST(patience_comes_to_an_end),
		TEST(errors_of_our_own_do_not_wait),
		TEST(an_end_is_decided_once),
		TEST(the_time_of_an_attempt_is_that_of_all_its_claims),
		TEST(a_step_that_is_repeated_replaces_its_artifacts),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
