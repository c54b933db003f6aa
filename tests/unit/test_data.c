/* The API's answers from known rows: member names and values of the Python system. Needs MariaDB.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cgi/data.h"
#include "lib/mem.h"
#include "tests/unit/with_db.h"

static struct settings *set;
static struct db *db;

static void assert_members(const json_t *object, const char *names)
{
	AUTO(buf_release) struct buf list = BUF(4096);
	buf_adds(&list, names);
	for (char *save, *name = strtok_r(list.data, " ", &save); name;
		name = strtok_r(NULL, " ", &save)) {
		if (!json_object_get(object, name))
			fail_msg("no member %s", name);
	}
}

static json_t *member(json_t *json, const char *path)
{
	AUTO(buf_release) struct buf list = BUF(4096);
	buf_adds(&list, path);
	for (char *save, *name = strtok_r(list.data, ".", &save); name;
		name = strtok_r(NULL, ".", &save))
		json = json_is_array(json) ? json_array_get(json, (size_t)(name[0] - '0'))
					   : json_object_get(json, name);
	return json;
}

static long long number(json_t *json, const char *path)
{
	json_t *value = member(json, path);
	if (!json_is_number(value))
		fail_msg("%s is no number", path);
	return (long long)(json_number_value(value) * 1000 + 0.5);
}

static const char *word(json_t *json, const char *path)
{
	const char *text = json_string_value(member(json, path));
	return text ? text : "(null)";
}

static void status_lists_the_runs_of_the_last_hour_newest_first(void **state)
{
	(void)state;
	json_auto_t *json = NULL;
	assert_null(data_status(db, false, 1, &json));
	assert_members(json, "detail_level runs timestamp");
	assert_string_equal(word(json, "detail_level"), "summary");
	assert_int_equal(json_array_size(member(json, "runs")), 5); /* not the one of yesterday */
	assert_int_equal(number(json, "runs.0.run_id"), 106000);
	assert_members(member(json, "runs.0"),
		"run_id issue_key status locked_by locked_at created_at "
		"completed_at progress_events");
	assert_true(json_is_null(member(json, "runs.0.completed_at")));
	assert_int_equal(
		number(json, "runs.4.created_at") - number(json, "timestamp") + 3000000, 0);
	/* only the newest, and no `info` */
	assert_int_equal(json_array_size(member(json, "runs.1.progress_events")), 1);
	assert_string_equal(word(json, "runs.1.progress_events.0.message"), "second");
	assert_string_equal(word(json, "runs.1.progress_events.0.stage"), "executing");
	assert_null(member(json, "runs.1.progress_events.0.meta"));
	assert_int_equal(json_array_size(member(json, "runs.0.progress_events")), 0);
}

static void detailed_status_has_all_progress_with_meta(void **state)
{
	(void)state;
	json_auto_t *json = NULL;
	assert_null(data_status(db, true, 1, &json));
	assert_string_equal(word(json, "detail_level"), "detailed");
	assert_int_equal(json_array_size(member(json, "runs.1.progress_events")), 2);
	assert_string_equal(word(json, "runs.1.progress_events.0.message"), "first");
	assert_int_equal(number(json, "runs.1.progress_events.0.meta.round"), 1000);
	assert_string_equal(word(json, "runs.1.progress_events.0.meta.stage"),
		word(json, "runs.1.progress_events.0.stage"));
	assert_string_equal(word(json, "runs.1.progress_events.1.meta.stage"),
		word(json, "runs.1.progress_events.1.stage"));
}

static void metrics_sum_up_the_period(void **state)
{
	(void)state;
	json_auto_t *json = NULL;
	assert_null(data_metrics(db, 24, &json));
	assert_members(json,
		"period_hours total_runs completed failed success_rate total_cost_usd "
		"avg_duration_seconds total_tokens error_categories avg_self_heal_attempts");
	assert_int_equal(number(json, "total_runs"), 6000);
	assert_int_equal(number(json, "completed"), 2000);
	assert_int_equal(number(json, "failed"), 1000);
	assert_int_equal(number(json, "success_rate"), 66700);
	assert_int_equal(number(json, "total_cost_usd"), 600);
	assert_int_equal(number(json, "avg_duration_seconds"), 100000);
	assert_int_equal(number(json, "total_tokens"), 3300000);
	assert_int_equal(number(json, "error_categories.type_error"), 1000);
	assert_int_equal(number(json, "avg_self_heal_attempts"), 1000);
}

static void a_period_without_runs_divides_by_nothing(void **state)
{
	(void)state;
	json_auto_t *json = NULL;
	with_db_sql(db, "UPDATE runs SET created_at = created_at - INTERVAL 30 DAY");
	err_t e = data_metrics(db, 1, &json);
	with_db_sql(db, "UPDATE runs SET created_at = created_at + INTERVAL 30 DAY");
	assert_null(e);
	assert_int_equal(number(json, "total_runs"), 0);
	assert_int_equal(number(json, "success_rate"), 0);
	assert_int_equal(number(json, "avg_duration_seconds"), 0);
}

static void the_queue_is_counted_by_priority_and_project(void **state)
{
	(void)state;
	json_auto_t *json = NULL;
	assert_null(data_queue(db, &json));
	assert_members(json, "total_queued by_priority by_repo currently_running running_by_repo");
	assert_members(member(json, "by_priority"), "URGENT HIGH NORMAL LOW");
	assert_int_equal(number(json, "total_queued"), 2000);
	assert_int_equal(number(json, "by_priority.URGENT"), 1000);
	assert_int_equal(number(json, "by_priority.NORMAL"), 1000);
	assert_int_equal(number(json, "by_priority.LOW"), 0);
	assert_int_equal(number(json, "by_repo.SHOP"), 1000);
	assert_int_equal(number(json, "by_repo.unrouted"), 1000);
	assert_int_equal(number(json, "currently_running"), 1000);
	assert_int_equal(number(json, "running_by_repo.SHOP"), 1000);
}

static void a_run_is_told_whole(void **state)
{
	(void)state;
	json_auto_t *json = NULL;
	assert_null(data_run(db, 103, &json));
	assert_members(json,
		"run_id issue_key status branch pr_url last_error created_at updated_at "
		"locked_by locked_at priority repo_key metrics events");
	assert_string_equal(word(json, "status"), "failed");
	assert_string_equal(word(json, "last_error"), "checks fail");
	assert_int_equal(number(json, "priority"), 3000);
	assert_int_equal(number(json, "metrics.self_heal_attempts"), 3000);
	assert_int_equal(json_array_size(member(json, "events")), 0);
}

static void money_is_told_by_scope_and_model(void **state)
{
	(void)state;
	json_auto_t *run = NULL, *metrics = NULL;
	with_db_sql(db,
		"INSERT INTO budgets (scope, name, spent_usd_micro, estimated_usd_micro, "
		"reserved_usd_micro, cap) VALUES ('run', '105', 1234567, 4000, 8000, 5000000), "
		"('issue', 'S-5', 2000000, 0, 0, 0), ('day', UTC_DATE(), 7000000, 0, 0, 9000000), "
		"('repo', CONCAT('0 ', UTC_DATE()), 6000000, 0, 0, 0), "
		"('day', '2020-01-01', 8000000, 0, 0, 0); "
		"INSERT INTO llm_calls (run_id, fence, repo_id, issue_key, day, conv, model, "
		"max_tokens, reserved_usd_micro, reserved_tokens, state, cost_usd_micro) VALUES "
		"(105, 1, 0, 'S-5', UTC_DATE(), 1, 'one', 1, 9, 0, 'settled', 1000000), "
		"(105, 1, 0, 'S-5', UTC_DATE(), 1, 'two', 1, 9, 0, 'settled', 230567), "
		"(105, 1, 0, 'S-5', UTC_DATE(), 1, 'two', 1, 9, 0, 'estimated', 4000), "
		"(105, 1, 0, 'S-5', UTC_DATE(), 1, 'two', 1, 9, 0, 'released', 0)");
	assert_null(data_run(db, 105, &run));
	assert_int_equal(number(run, "money.run.spent_usd"), 1235);
	assert_int_equal(number(run, "money.run.estimated_usd"), 4);
	assert_int_equal(number(run, "money.run.reserved_usd"), 8);
	assert_int_equal(number(run, "money.run.cap_usd"), 5000);
	assert_int_equal(number(run, "money.issue.spent_usd"), 2000);
	assert_true(json_is_null(member(run, "money.issue.cap_usd")));
	assert_int_equal(number(run, "money.day.spent_usd"), 7000);
	assert_int_equal(number(run, "money.repo.spent_usd"), 6000);
	assert_string_equal(word(run, "money.models.0.model"), "one");
	assert_int_equal(number(run, "money.models.1.cost_usd"), 235);
	assert_int_equal(number(run, "money.models.1.calls"), 2000);
	assert_null(data_metrics(db, 24, &metrics));
	assert_int_equal(number(metrics, "money_today.all.spent_usd"), 7000);
	assert_int_equal(number(metrics, "money_today.all.cap_usd"), 9000);
	assert_int_equal(json_array_size(member(metrics, "money_today.repos")), 1);
	assert_string_equal(word(metrics, "money_today.repos.0.repo"), "unrouted");
	with_db_sql(db, "DELETE FROM budgets; DELETE FROM llm_calls");
}

static void events_are_oldest_first_and_carry_their_meta(void **state)
{
	(void)state;
	json_auto_t *json = NULL;
	assert_null(data_run(db, 105, &json));
	assert_members(member(json, "events.0"), "level message meta timestamp");
	assert_string_equal(word(json, "events.0.message"), "first");
	assert_string_equal(word(json, "events.2.message"), "third, only info");
	assert_int_equal(number(json, "events.0.meta.round"), 1000);
	assert_string_equal(word(json, "events.0.meta.stage"), word(json, "events.0.stage"));
	assert_string_equal(word(json, "steps.0.step"), "edit");
	assert_int_equal(number(json, "steps.0.duration_ms"), 1500000);
	assert_true(json_is_null(member(json, "last_error")));
	assert_true(json_is_null(member(json, "metrics")));
}

static void an_unknown_run_is_not_found(void **state)
{
	(void)state;
	json_t *json = NULL;
	assert_int_equal(err_code(data_run(db, 4711, &json)), ERR_NOT_FOUND);
	assert_null(json);
}

static void health_is_degraded_without_a_living_worker(void **state)
{
	(void)state;
	json_auto_t *before = NULL, *after = NULL, *away = NULL;
	assert_null(data_health(db, 0, &before));
	assert_members(
		before, "status timestamp uptime_seconds system database queue workers sandbox");
	assert_members(member(before, "system"), "cpu_percent memory_percent disk_percent");
	assert_string_equal(word(before, "status"), "degraded");
	assert_int_equal(number(before, "database.total_runs"), 7000);
	with_db_sql(db, "INSERT INTO workers (name, host, pid, capacity, version, sandbox) "
			"VALUES ('w', 'h', 1, 4, '0', 'bwrap')");
	assert_null(data_health(db, 0, &after));
	assert_string_equal(word(after, "status"), "ok");
	assert_string_equal(word(after, "sandbox"), "bwrap");
	assert_int_equal(number(after, "workers.0.capacity"), 4000);
	assert_null(data_health(NULL, 0, &away));
	assert_string_equal(word(away, "status"), "error");
	assert_string_equal(word(away, "database.status"), "error");
}

static void clear(void)
{
	with_db_sql(db, "DELETE FROM run_events; DELETE FROM run_steps; DELETE FROM runs; DELETE "
			"FROM workers");
}

static int open_all(void **state)
{
	(void)state;
	db = with_db_open(&set);
	clear();
	with_db_sql(db,
		"SET @now = FROM_UNIXTIME(UNIX_TIMESTAMP()); INSERT INTO runs (id, issue_key, "
		"repo_id, "
		"project_key, line, status, priority, slot, running_line, queued_issue, "
		"created_at, "
		"started_at, completed_at, reason, error_category, cost_usd_micro, input_tokens, "
		"output_tokens, metrics) VALUES "
		"(101, 'S-1', 0, 'SHOP', 'S-1', 'completed', 3, NULL, NULL, NULL, @now - INTERVAL "
		"25 HOUR, "
		"@now, @now, NULL, NULL, 99000000, 9, 9, NULL), "
		"(102, 'S-2', 0, 'SHOP', 'S-2', 'completed', 3, NULL, NULL, NULL, @now - INTERVAL "
		"3000 SECOND, "
		"@now - INTERVAL 50 SECOND, @now, NULL, NULL, 100000, 1000, 100, "
		"'{\"self_heal_attempts\":0}'), "
		"(103, 'S-3', 0, 'SHOP', 'S-3', 'failed', 3, NULL, NULL, NULL, @now - INTERVAL "
		"2000 SECOND, "
		"@now - INTERVAL 200 SECOND, @now, 'checks fail', 'type_error', 200000, 1000, 100, "
		"'{\"self_heal_attempts\":3}'), "
		"(104, 'S-4', 0, 'SHOP', 'S-4', 'completed', 3, NULL, NULL, NULL, @now - INTERVAL "
		"1000 SECOND, "
		"@now - INTERVAL 50 SECOND, @now, 'nothing to do', NULL, 300000, 1000, 100, "
		"'{\"self_heal_attempts\":0}'), "
		"(105, 'S-5', 0, 'SHOP', 'S-5', 'running', 2, 1, 'S-5', NULL, @now - INTERVAL 100 "
		"SECOND, "
		"@now - INTERVAL 50 SECOND, NULL, NULL, NULL, 0, 0, 0, NULL), "
		"(106, 'S-6', 0, 'SHOP', 'S-6', 'queued', 1, NULL, NULL, 'S-6', @now, NULL, NULL, "
		"NULL, NULL, 0, "
		"0, 0, NULL), "
		"(107, '10040', 0, '', '10040', 'queued', 3, NULL, NULL, '10040', @now - INTERVAL "
		"2 HOUR, NULL, NULL, NULL, NULL, 0, 0, 0, NULL); "
		"INSERT INTO run_events (run_id, level, stage, message, meta) VALUES "
		"(105, 'progress', 'analyzing', 'first', '{\"round\":1}'), "
		"(105, 'progress', 'executing', 'second', NULL), "
		"(105, 'info', 'executing', 'third, only info', NULL); "
		"INSERT INTO run_steps (run_id, attempt, fence, step, began_at, ended_at, outcome) "
		"VALUES "
		"(105, 1, 1, 'edit', @now - INTERVAL 1500000 MICROSECOND, @now, 'ok')");
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
		cmocka_unit_test(status_lists_the_runs_of_the_last_hour_newest_first),
		cmocka_unit_test(detailed_status_has_all_progress_with_meta),
		cmocka_unit_test(metrics_sum_up_the_period),
		cmocka_unit_test(a_period_without_runs_divides_by_nothing),
		cmocka_unit_test(the_queue_is_counted_by_priority_and_project),
		cmocka_unit_test(a_run_is_told_whole),
		cmocka_unit_test(money_is_told_by_scope_and_model),
		cmocka_unit_test(events_are_oldest_first_and_carry_their_meta),
		cmocka_unit_test(an_unknown_run_is_not_found),
		cmocka_unit_test(health_is_degraded_without_a_living_worker),
	};
	return cmocka_run_group_tests_name("data", tests, open_all, close_all);
}
