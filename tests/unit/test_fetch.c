/*
 * Step `fetch` and the guard before publishing: a real MariaDB, a canned Jira. What matters: whose
 * issue, which repository, which line; and that nothing is done for an issue that is not ours.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/canned.h"
#include "tests/unit/with_db.h"
#include "worker/claim.h"
#include "worker/http.h"
#include "worker/jira/jira.h"
#include "worker/pipeline.h"
#include "worker/steps/publish_guard.h"

#define SUBTASK "\"issuetype\":{\"name\":\"Sub-task\",\"subtask\":true,\"hierarchyLevel\":-1}"
#define TASK "\"issuetype\":{\"name\":\"Task\",\"subtask\":false,\"hierarchyLevel\":0}"
#define AI "\"assignee\":{\"accountId\":\"ai-1\"}"
#define ANN "\"assignee\":{\"accountId\":\"u-2\",\"displayName\":\"Ann\"}"
#define DOING "\"status\":{\"id\":\"3\",\"name\":\"In Progress\"}"
#define DONE "\"status\":{\"id\":\"4\",\"name\":\"Done\"}"
#define PARENT ",\"parent\":{\"key\":\"MW-1\",\"fields\":{\"summary\":\"S\"}}"

static struct settings *set;
static struct db *db;
static struct run_ctx ctx;
static struct repo_config repos[] = {
	{.project_key = "MW",
		.address = "host/o/mw",
		.base_branch = "main",
		.owner = "",
		.name = "",
		.repo_id = 3},
};
static const struct repo_configs configs = {repos, ARRAY_LEN(repos)};
static struct canned *server;
static struct canned_reply replies[4];
static size_t count;

static void reply(const char *body)
{
	replies[count++].raw =
		xasprintf("HTTP/1.1 200 X\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
			strlen(body), body);
}

static void issue(const char *key, const char *fields)
{
	autofree char *body = xasprintf(
		"{\"id\":\"1\",\"key\":\"%s\",\"fields\":{\"summary\":\"Do\",%s}}", key, fields);
	reply(body);
}

/* Starts Jira with the replies, and claims the one run, which was recorded so. */
static void begin(const char *key, int repo_id)
{
	autofree char *sql = xasprintf("INSERT INTO runs (id, issue_key, queued_issue, line, "
				       "repo_id) VALUES (7, '%s', '%s', '%s', %d); "
				       "CALL refresh_head(%d)",
		key, key, key, repo_id, repo_id);
	with_db_sql(db, sql);
	server = canned_start(replies, count);
	autofree char *url = xasprintf("JIRA_BASE_URL=%s", canned_url(server));
	const char *const overrides[] = {url, "JIRA_EMAIL=ai@example.org",
		"JIRA_AI_ACCOUNT_ID=ai-1", "AIRUNNER_RETRY_BASE_MS=1", NULL};
	ctx = (struct run_ctx){.db = db,
		.repos = &configs,
		.state = json_object(),
		.step = "fetch",
		.started_ms = monotonic_ms()};
	struct settings *mine = with_db_settings(overrides);
	ctx.set = mine;
	assert_null(jira_open(mine, &ctx.jira));
	assert_null(run_claim(db, mine, "w", &ctx.run));
	assert_int_equal(ctx.run.id, 7);
}

static int clean(void **state)
{
	(void)state;
	count = 0;
	with_db_sql(db, "DELETE FROM run_steps; DELETE FROM run_events; DELETE FROM outbox; DELETE "
			"FROM deliveries; DELETE FROM runs; "
			"DELETE FROM repo_projects; DELETE FROM repos WHERE id <> 0; UPDATE repos "
			"SET running = 0, ready = 0; "
			"INSERT INTO repos (id, address, max_running) VALUES (3, 'a', 2)");
	return 0;
}

static int end(void **state)
{
	(void)state;
	jira_close(ctx.jira);
	json_decref(ctx.state);
	run_release(&ctx.run);
	settings_free((struct settings *)ctx.set);
	canned_stop(server);
	for (size_t i = 0; i < count; i++)
		free((char *)replies[i].raw);
	return 0;
}

static const char no_comments[] = "{\"total\":0,\"comments\":[]}";

static void subtask_stands_in_its_storys_line(void **state)
{
	(void)state;
	issue("MW-3", SUBTASK "," AI "," DOING ",\"labels\":[\"urgent\"]" PARENT);
	issue("MW-1", "\"issuetype\":{\"name\":\"Story\"}");
	reply(no_comments);
	begin("MW-3", 3);
	enum step_next next = STEP_NEXT;
	assert_null(step_fetch(&ctx, &next));
	assert_int_equal(next, STEP_NEXT);
	assert_string_equal(ctx.run.line, "MW-1");
	assert_ptr_equal(ctx.repo, &repos[0]);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM runs WHERE id = 7 AND status = "
					    "'running' AND line = 'MW-1' "
					    "AND running_line = 'MW-1' AND priority = 1 AND "
					    "issue_type = 'Sub-task' AND issue_summary = 'Do'"),
		1);
	assert_null(step_route(&ctx, &next));
	assert_int_equal(next, STEP_NEXT);
	assert_string_equal(run_state_str(&ctx, "route.branch"), "story/mw-1");
	assert_string_equal(run_state_str(&ctx, "route.base_branch"), "main");
	assert_string_equal(run_state_str(&ctx, "route.story_key"), "MW-1");
	assert_string_equal(run_state_str(&ctx, "route.line"), "MW-1");
}

static void subtask_whose_storys_line_is_busy_goes_back_to_the_queue(void **state)
{
	(void)state;
	issue("MW-3", SUBTASK "," AI "," DOING PARENT);
	issue("MW-1", "\"issuetype\":{\"name\":\"Story\"}");
	reply(no_comments);
	with_db_sql(db,
		"INSERT INTO runs (id, issue_key, line, repo_id, status, slot, running_line) "
		"VALUES (9, 'MW-2', 'MW-1', 3, 'running', 9, 'MW-1'); UPDATE repos SET running = 1 "
		"WHERE id = 3");
	begin("MW-3", 3);
	enum step_next next = STEP_NEXT;
	assert_null(step_fetch(&ctx, &next));
	assert_int_equal(next, STEP_END);
	assert_true(json_is_true(run_state_get(&ctx, "fetch.moved")));
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM runs WHERE id = 7 AND status = "
					    "'queued' AND line = 'MW-1'"),
		1);
}

static void run_known_by_id_only_moves_to_its_repository(void **state)
{
	(void)state;
	issue("MW-3", TASK "," AI "," DOING);
	reply(no_comments);
	begin("10023", 0);
	enum step_next next = STEP_NEXT;
	assert_null(step_fetch(&ctx, &next));
	assert_int_equal(next, STEP_END);
	assert_true(json_is_true(run_state_get(&ctx, "fetch.moved")));
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM runs WHERE id = 7 AND status = "
					    "'queued' AND repo_id = 3 "
					    "AND issue_key = 'MW-3' AND project_key = 'MW'"),
		1);
}

static void project_without_repository_is_named_with_the_remedy(void **state)
{
	(void)state;
	issue("FOO-1", TASK "," AI "," DOING);
	reply(no_comments);
	begin("FOO-1", 0);
	enum step_next next = STEP_NEXT;
	err_t e = step_fetch(&ctx, &next);
	assert_int_equal(err_code(e), ERR_UNROUTED);
	assert_string_equal(err_text(e),
		"project FOO has no repository: add it to repos.json or set default_project_key");
	assert_string_equal(
		run_state_str(&ctx, "fetch.issue.key"), "FOO-1"); /* so that Jira can be told */
}

static void issue_of_someone_else_needs_no_repository(void **state)
{
	(void)state;
	issue("FOO-1", TASK "," ANN "," DOING);
	reply(no_comments);
	begin("FOO-1", 0);
	enum step_next next = STEP_NEXT;
	assert_null(step_fetch(&ctx, &next));
	assert_int_equal(next, STEP_NEXT);
	assert_null(step_route(&ctx, &next));
	assert_int_equal(next, STEP_END);
	assert_string_equal(run_state_str(&ctx, "route.action"), "none");
	assert_string_equal(run_state_str(&ctx, "route.reason"),
		"FOO-1 is assigned to someone else: nothing to do");
}

/* The issue as the two tests below have it, with a change of Ann's before one of ours. */
static void order(void)
{
	reply("{\"id\":\"1\",\"key\":\"MW-3\",\"fields\":{\"summary\":\"Do\"," TASK "," AI "," DOING
	      "},\"changelog\":{\"histories\":[{\"id\":\"52\",\"author\":{\"accountId\":\"ai-1\"}},"
	      "{\"id\":\"51\",\"author\":{\"accountId\":\"u-2\"}}]}}");
	reply("{\"total\":2,\"comments\":[{\"id\":\"8\",\"author\":{\"accountId\":\"u-2\"}},"
	      "{\"id\":\"9\",\"author\":{\"accountId\":\"ai-1\"}}]}");
}

#define KEY_OF_ORDER "SHA2(CONCAT_WS('\n', '1', '3', 'ai-1', '8', '51'), 256)"

static void add_earlier(const char *status, const char *key)
{
	autofree char *sql = xasprintf("INSERT INTO runs (id, issue_key, line, repo_id, status, "
				       "trigger_key) VALUES (5, 'MW-3', 'MW-3', 3, '%s', %s)",
		status, key);
	with_db_sql(db, sql);
}

static void what_was_worked_already_ends_with_a_word(void **state)
{
	(void)state;
	enum step_next next = STEP_NEXT;
	add_earlier("cancelled", KEY_OF_ORDER);
	order();
	begin("MW-3", 3);
	assert_null(step_fetch(&ctx, &next));
	assert_int_equal(next, STEP_NEXT);
	assert_int_equal(
		with_db_number(db, "SELECT trigger_key = " KEY_OF_ORDER " FROM runs WHERE id = 7"),
		1);
	assert_null(step_route(&ctx, &next));
	assert_int_equal(next, STEP_END);
	assert_string_equal(run_state_str(&ctx, "route.reason"), "nothing new in MW-3 since run 5");
}

/* The run 5 that there is must not hide the order. */
static void assert_is_new(const char *status, const char *key, int attempt)
{
	enum step_next next = STEP_NEXT;
	add_earlier(status, key);
	order();
	begin("MW-3", 3);
	ctx.run.attempt = attempt;
	assert_null(step_fetch(&ctx, &next));
	assert_null(step_route(&ctx, &next));
	assert_int_equal(next, STEP_NEXT);
	assert_string_equal(run_state_str(&ctx, "route.branch"), "ai/mw-3");
}

static void another_trigger_is_something_new(void **state)
{
	(void)state;
	assert_is_new("completed", "SHA2(CONCAT_WS('\n', '1', '3', 'ai-1', '8', '52'), 256)", 1);
}

static void a_retry_by_a_person_is_worked_whatever_was_before(void **state)
{
	(void)state;
	assert_is_new("completed", KEY_OF_ORDER, 2);
}

static void a_run_that_gave_way_hides_nothing(void **state)
{
	(void)state;
	with_db_sql(db, "INSERT INTO runs (id, issue_key, line, repo_id, status, slot, "
			"running_line, fence, trigger_key) VALUES (4, 'MW-3', 'MW-3', 3, "
			"'running', 1, 'MW-3', 1, " KEY_OF_ORDER "); UPDATE repos SET running = 1 "
			"WHERE id = 3");
	struct run run = {.id = 4, .fence = 1, .repo_id = 3};
	assert_null(run_give_way(db, &run));
	assert_is_new("completed", "NULL", 1);
}

static void guard(const char *fields, enum err_code code, const char *words)
{
	issue("MW-3", fields);
	begin("MW-3", 3);
	run_state_set(&ctx, "fetch", json_pack("{s:{s:s}}", "issue", "key", "MW-3"));
	run_state_set(&ctx, "route", json_pack("{s:s}", "status_before", "In Progress"));
	err_t e = publish_guard(&ctx);
	assert_int_equal(err_code(e), code);
	if (!strstr(err_text(e), words))
		fail_msg("%s", err_text(e));
}

static void guard_lets_pass_what_is_still_ours(void **state)
{
	(void)state;
	guard(AI "," DOING, ERR_NONE, "");
}

static void guard_stops_what_a_person_took(void **state)
{
	(void)state;
	guard(ANN "," DOING, ERR_CANCELLED,
		"taken from the AI account while it was worked (it is assigned to Ann)");
}

static void guard_stops_what_nobody_has(void **state)
{
	(void)state;
	guard("\"assignee\":null," DOING, ERR_CANCELLED, "assigned to nobody");
}

static void guard_stops_what_a_person_moved(void **state)
{
	(void)state;
	guard(AI "," DONE, ERR_CANCELLED, "moved from In Progress to Done");
}

static int setup(void **state)
{
	(void)state;
	if (http_init() || setenv("JIRA_API_TOKEN", "token-123456", 1))
		return -1;
	db = with_db_open(&set);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM run_steps; DELETE FROM runs; DELETE FROM repos WHERE id <> 0");
	db_close(db);
	settings_free(set);
	http_exit();
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, clean, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(subtask_stands_in_its_storys_line),
		TEST(subtask_whose_storys_line_is_busy_goes_back_to_the_queue),
		TEST(run_known_by_id_only_moves_to_its_repository),
		TEST(project_without_repository_is_named_with_the_remedy),
		TEST(issue_of_someone_else_needs_no_repository),
		TEST(what_was_worked_already_ends_with_a_word),
		TEST(another_trigger_is_something_new),
		TEST(a_retry_by_a_person_is_worked_whatever_was_before),
		TEST(a_run_that_gave_way_hides_nothing),
		TEST(guard_lets_pass_what_is_still_ours),
		TEST(guard_stops_what_a_person_took),
		TEST(guard_stops_what_nobody_has),
		TEST(guard_stops_what_a_person_moved),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
