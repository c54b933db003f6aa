/* The metrics of a run: every member of the Python system's, from row and state. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/with_db.h"
#include "worker/metrics.h"

static struct settings *set;
static struct db *db;
static struct run_ctx ctx;

static int fresh_run(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM outbox; DELETE FROM runs; "
			"INSERT INTO runs (id, issue_key, line, status, fence, slot, running_line, "
			"started_at, issue_type, model, "
			"input_tokens, output_tokens, thinking_tokens, cached_tokens, "
			"cost_usd_micro, turns, pr_url, branch) VALUES "
			"(7, 'A-1', 'A-1', 'running', 5, 1, 'A-1', NOW(3) - INTERVAL 90 SECOND, "
			"'Bug', 'claude-x', 1000, 200, 50, 800, "
			"12345, 4, 'https://x/1', 'ai/a-1')");
	ctx = (struct run_ctx){.set = set,
		.db = db,
		.heal_round = 1,
		.run = {.id = 7, .issue_key = "A-1", .fence = 5},
		.state = json_object()};
	return 0;
}

static int drop_state(void **state)
{
	(void)state;
	json_decref(ctx.state);
	return 0;
}

static const char *const members[] = {"run_id", "issue_key", "issue_type", "start_time", "end_time",
	"duration_seconds", "success", "status", "error_category", "error_message", "model_used",
	"total_input_tokens", "total_output_tokens", "thinking_tokens", "cached_tokens",
	"build_attempts", "self_heal_attempts", "pre_commit_passed", "tests_run", "tests_passed",
	"files_changed", "lines_added", "lines_removed", "estimated_cost", "metadata"};

static void completed_run_has_every_member_and_its_figures(void **state)
{
	(void)state;
	json_object_set_new(ctx.state, "verify", json_pack("{s:b, s:i}", "ok", 1, "known", 2));
	json_object_set_new(ctx.state, "test",
		json_pack("{s:b, s:b, s:i, s:i, s:i}", "ok", 1, "ran", 1, "passed", 9, "failed", 0,
			"known", 1));
	json_object_set_new(ctx.state, "commit",
		json_pack("{s:i, s:i, s:i}", "files_changed", 3, "lines_added", 20, "lines_removed",
			4));
	json_object_set_new(ctx.state, "tag", json_pack("{s:s}", "name", "rollback/a-1/x"));
	json_auto_t *m = run_metrics_json(&ctx, RUN_COMPLETED, "not an error", "none");
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (!json_object_get(m, members[i]))
			fail_msg("%s is missing", members[i]);
	assert_int_equal(json_object_size(m), ARRAY_LEN(members));
	json_auto_t *some = json_pack("{s:i, s:s, s:s, s:b, s:s, s:n, s:s, s:i, s:i, s:i, s:i}",
		"run_id", 7, "issue_key", "A-1", "issue_type", "Bug", "success", 1, "status",
		"completed", "error_category", "model_used", "claude-x", "total_input_tokens", 1000,
		"cached_tokens", 800, "build_attempts", 2, "self_heal_attempts", 1);
	const char *name;
	json_t *want;
	json_object_foreach (some, name, want)
		if (!json_equal(json_object_get(m, name), want))
			fail_msg("%s differs", name);
	assert_true(json_is_null(json_object_get(m, "error_message")));
	assert_true(json_is_true(json_object_get(m, "pre_commit_passed")));
	assert_true(json_is_true(json_object_get(m, "tests_passed")));
	assert_int_equal(json_integer_value(json_object_get(m, "lines_added")), 20);
	assert_true(json_real_value(json_object_get(m, "estimated_cost")) == 0.012345);
	double seconds = json_number_value(json_object_get(m, "duration_seconds"));
	assert_true(seconds >= 90 && seconds < 100);
	const char *start = json_string_value(json_object_get(m, "start_time"));
	assert_int_equal(start[10], 'T');
	assert_int_equal(start[strlen(start) - 1], 'Z');
	const json_t *metadata = json_object_get(m, "metadata");
	assert_int_equal(json_integer_value(json_object_get(metadata, "known_findings")), 3);
	assert_string_equal(
		json_string_value(json_object_get(metadata, "rollback_tag")), "rollback/a-1/x");
	assert_string_equal(json_string_value(json_object_get(metadata, "pr_url")), "https://x/1");
}

static void failed_run_says_why_and_claims_nothing(void **state)
{
	(void)state;
	json_auto_t *m = run_metrics_json(&ctx, RUN_FAILED, "the reason", "checks");
	assert_true(json_is_false(json_object_get(m, "success")));
	assert_string_equal(json_string_value(json_object_get(m, "error_message")), "the reason");
	assert_string_equal(json_string_value(json_object_get(m, "error_category")), "checks");
	assert_true(json_is_false(json_object_get(m, "pre_commit_passed")));
	assert_true(json_is_false(json_object_get(m, "tests_run")));
	assert_int_equal(json_integer_value(json_object_get(m, "build_attempts")), 0);
}

static void run_without_a_row_has_no_metrics(void **state)
{
	(void)state;
	ctx.run.id = 99;
	assert_null(run_metrics_json(&ctx, RUN_FAILED, NULL, NULL));
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
	with_db_sql(db, "DELETE FROM runs");
	db_close(db);
	settings_free(set);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh_run, drop_state)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(completed_run_has_every_member_and_its_figures),
		TEST(failed_run_says_why_and_claims_nothing),
		TEST(run_without_a_row_has_no_metrics),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
