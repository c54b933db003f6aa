/* What the API changes of a run, and the procedures behind it. Needs MariaDB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cgi/app.h"
#include "cgi/control.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/unit/with_db.h"
#include "worker/claim.h"

#define RUN "INSERT INTO runs (id, issue_key, repo_id, line, status, "

static struct settings *worker_set;
static struct db *db;
static struct app app;

static const struct route routes[] = {
	{METHOD_POST, "/api/runs/{id}/cancel", ROLE_OPERATOR, control_cancel},
	{METHOD_POST, "/api/runs/{id}/retry", ROLE_OPERATOR, control_retry},
	{METHOD_PATCH, "/api/runs/{id}", ROLE_OPERATOR, control_reorder},
	{0},
};
static const struct app_spec spec = {
	.name = "test", .program = PROGRAM_PAGES, .routes = routes, .csrf = true};

static json_t *answer; /* of the last request */

static int ask_as(const char *who, const char *const headers[3], const char *method,
	const char *path, const char *body)
{
	autofree char *path_var = xasprintf("PATH_INFO=%s", path);
	autofree char *method_var = xasprintf("REQUEST_METHOD=%s", method);
	char *const env[] = {path_var, method_var, (char *)"REMOTE_ADDR=9.9.9.9", (char *)who,
		(char *)headers[0], headers[0] ? (char *)headers[1] : NULL, NULL};
	AUTO(request_release) struct request req;
	AUTO(response_release) struct response res;
	request_begin(&req, env);
	response_begin(&res);
	buf_adds(&req.body, body);
	app_answer(&app, &req, NULL, &res);
	json_decref(answer);
	answer = json_loadb(res.body.data, res.body.len, 0, NULL);
	return res.status;
}

static int ask(const char *method, const char *path, const char *body)
{
	static const char *const none[3] = {NULL};
	return ask_as("HTTP_AUTHORIZATION=Bearer tok-operator", none, method, path, body);
}

static const char *said(const char *member)
{
	const char *s = json_string_value(json_object_get(answer, member));
	return s ? s : "";
}

static long long number(const char *what)
{
	autofree char *sql = xasprintf("SELECT %s FROM runs WHERE id = 5", what);
	return with_db_number(db, sql);
}

static int begin(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM outbox; DELETE FROM run_steps; DELETE FROM runs; "
			"DELETE FROM audit_log; DELETE FROM repos WHERE id <> 0; "
			"INSERT INTO repos (id, address, running) VALUES (1, 'a', 0)");
	return 0;
}

static void add(const char *status)
{
	autofree char *sql =
		xasprintf(RUN "slot, running_line, queued_issue, locked_by, attempt, "
			      "crashes, started_at, reason, error_category, fence) "
			      "VALUES (5, 'A-5', 1, 'A-5', '%s', IF('%s' = "
			      "'running', 1, NULL), IF('%s' = 'running', 'A-5', NULL), "
			      "IF('%s' = 'queued', 'A-5', NULL), 'w', 3, 2, NOW(3), "
			      "'why', 'type_error', 7); UPDATE repos SET running = '%s' "
			      "= 'running' WHERE id = 1; CALL refresh_head(1)",
			status, status, status, status, status);
	with_db_sql(db, sql);
}

static void a_queued_run_is_cancelled_at_once(void **state)
{
	(void)state;
	add("queued");
	assert_int_equal(with_db_number(db, "SELECT ready FROM repos WHERE id = 1"), 1);
	assert_int_equal(ask("POST", "/api/runs/5/cancel", ""), 200);
	assert_string_equal(said("message"), "Run 5 cancelled");
	assert_int_equal(number("status = 'cancelled' AND completed_at IS NOT NULL"), 1);
	assert_int_equal(with_db_number(db, "SELECT ready FROM repos WHERE id = 1"), 0);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM audit_log WHERE who = 'o' AND "
					    "what = 'cancel' AND object = 'run 5'"),
		1);
}

static void a_running_run_is_marked_and_its_waiting_effects_are_void(void **state)
{
	(void)state;
	add("running");
	with_db_sql(db, "INSERT INTO outbox (effect_key, run_id, fence, issue_key, kind, request, "
			"state, is_closing) VALUES ('1', 5, 7, 'A-5', 'k', '{}', 'waiting', 0), "
			"('2', 5, 7, 'A-5', 'k', '{}', 'waiting', 1), "
			"('3', 5, 7, 'A-5', 'k', '{}', 'sending', 0), "
			"('4', 5, 7, 'A-5', 'k', '{}', 'done', 0)");
	assert_int_equal(ask("POST", "/api/runs/5/cancel", ""), 200);
	assert_string_equal(said("message"), "Run 5 is being cancelled");
	assert_int_equal(number("status = 'running' AND cancel_at IS NOT NULL"), 1);
	assert_int_equal(with_db_number(db,
				 "SELECT GROUP_CONCAT(effect_key) = '1' FROM outbox WHERE state = "
				 "'void'"),
		1);
	/* a second time is no error and does not move the time */
	with_db_sql(db, "UPDATE runs SET cancel_at = '2020-01-01'");
	assert_int_equal(ask("POST", "/api/runs/5/cancel", ""), 200);
	assert_int_equal(number("YEAR(cancel_at)"), 2020);
}

static void a_cancelled_run_that_is_put_back_is_closed_instead(void **state)
{
	(void)state;
	add("running");
	assert_int_equal(ask("POST", "/api/runs/5/cancel", ""), 200);
	with_db_sql(db, "INSERT INTO outbox (effect_key, run_id, fence, issue_key, kind, request) "
			"VALUES ('1', 5, 7, 'A-5', 'k', '{}')");
	struct run run = {.id = 5, .fence = 7, .repo_id = 1};
	assert_null(run_requeue(db, &run, 0));
	assert_int_equal(number("status = 'cancelled' AND slot IS NULL"), 1);
	assert_int_equal(with_db_number(db, "SELECT running FROM repos WHERE id = 1"), 0);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM outbox WHERE state = 'void'"), 1);
	assert_int_equal(err_code(run_requeue(db, &run, 0)), ERR_FENCE);
}

static void an_ended_run_cannot_be_cancelled(void **state)
{
	(void)state;
	add("completed");
	assert_int_equal(ask("POST", "/api/runs/5/cancel", ""), 409);
	assert_int_equal(ask("POST", "/api/runs/6/cancel", ""), 404);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM audit_log"), 0);
}

static void an_ended_run_is_retried_as_if_new(void **state)
{
	(void)state;
	static const char *const ends[] = {"failed", "completed", "blocked", "cancelled"};
	for (size_t i = 0; i < ARRAY_LEN(ends); i++) {
		begin(NULL);
		add(ends[i]);
		assert_int_equal(ask("POST", "/api/runs/5/retry", i ? "{}" : ""), 200);
		assert_string_equal(said("message"), "Run 5 queued for retry");
		assert_string_equal(said("mode"), "restart");
		assert_int_equal(
			number("status = 'queued' AND attempt = 4 AND base_attempt = 4 AND crashes "
			       "= 0 AND started_at IS NULL AND reason IS NULL AND error_category "
			       "IS NULL AND completed_at IS NULL AND cancel_at IS NULL"),
			1);
		assert_int_equal(
			with_db_number(db, "SELECT head_run_id FROM repos WHERE id = 1"), 5);
	}
}

static void a_retry_that_continues_keeps_what_was_done(void **state)
{
	(void)state;
	add("failed");
	assert_int_equal(ask("POST", "/api/runs/5/retry", "{\"mode\":\"continue\"}"), 200);
	assert_int_equal(number("attempt = 4 AND base_attempt = 1"), 1);
	assert_int_equal(ask("POST", "/api/runs/5/retry", "{\"mode\":\"no\"}"), 400);
	assert_int_equal(ask("POST", "/api/runs/5/retry", "{\"mode\":null}"), 400);
	assert_int_equal(ask("POST", "/api/runs/5/retry", "{\"other\":1}"), 400);
	assert_int_equal(ask("POST", "/api/runs/5/retry", "[1]"), 400);
	assert_int_equal(ask("POST", "/api/runs/5/retry", "{"), 400);
}

static void a_retry_gives_way_to_a_queued_run_of_the_issue(void **state)
{
	(void)state;
	add("failed");
	with_db_sql(db, RUN "queued_issue) VALUES (6, 'A-5', 0, 'A-5', 'queued', 'A-5')");
	assert_int_equal(ask("POST", "/api/runs/5/retry", ""), 409);
	assert_non_null(strstr(said("error"), "run 6 "));
	assert_int_equal(number("status = 'failed' AND attempt = 3"), 1);
	assert_int_equal(ask("POST", "/api/runs/6/retry", ""), 409);
	assert_int_equal(ask("POST", "/api/runs/7/retry", ""), 404);
}

static void a_queued_run_gets_another_place(void **state)
{
	(void)state;
	add("queued");
	assert_int_equal(ask("PATCH", "/api/runs/5", "{\"priority\":\"urgent\"}"), 200);
	assert_int_equal(ask("PATCH", "/api/runs/5", "{\"position\":-3}"), 200);
	assert_int_equal(number("priority = 1 AND position = -3"), 1);
	assert_int_equal(with_db_number(db, "SELECT head_priority = 1 AND head_position = -3 FROM "
					    "repos WHERE id = 1"),
		1);
	static const char *const bad[] = {"", "{}", "{\"priority\":0}", "{\"priority\":5}",
		"{\"priority\":\"x\"}", "{\"position\":1.5}", "{\"position\":9999999999}",
		"{\"priority\":1,\"status\":1}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_int_equal(ask("PATCH", "/api/runs/5", bad[i]), 400);
	with_db_sql(db, "UPDATE runs SET status = 'failed', queued_issue = NULL");
	assert_int_equal(ask("PATCH", "/api/runs/5", "{\"priority\":1}"), 409);
	assert_int_equal(ask("PATCH", "/api/runs/6", "{\"priority\":1}"), 404);
}

/* HMAC-SHA256 with the row's key of the cookie's value. */
static void a_session_acts_only_with_its_token_and_from_our_pages(void **state)
{
	(void)state;
	static const char who[] = "HTTP_COOKIE=airunner_session=ses-operator";
	static const char token[] =
		"HTTP_X_CSRF_TOKEN="
		"b1df2d643b5c0ed3dc15a5b8f4b0ffd6d4d8a6f4f6d8a2a4b1f7c0d6e3b2a1c0";
	autofree char *good = NULL;
	unsigned char digest[32];
	crypto_hmac_sha256("key", 3, "ses-operator", 12, digest);
	AUTO(buf_release) struct buf hex = BUF(128);
	text_hex(&hex, digest, sizeof digest);
	good = xasprintf("HTTP_X_CSRF_TOKEN=%s", hex.data);
	const struct {
		const char *headers[3];
		int status;
	} cases[] = {
		{{NULL}, 403},
		{{good}, 403},
		{{good, "HTTP_SEC_FETCH_SITE=cross-site"}, 403},
		{{good, "HTTP_SEC_FETCH_SITE=same-site"}, 403},
		{{good, "HTTP_SEC_FETCH_SITE=none"}, 403},
		{{good, "HTTP_ORIGIN=https://other"}, 403},
		{{token, "HTTP_SEC_FETCH_SITE=same-origin"}, 403},
		{{"HTTP_SEC_FETCH_SITE=same-origin"}, 403},
		{{good, "HTTP_SEC_FETCH_SITE=same-origin"}, 409},
	};
	add("failed");
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		int status = ask_as(who, cases[i].headers, "POST", "/api/runs/5/cancel", "");
		if (status != cases[i].status)
			fail_msg("case %zu: %d", i, status);
	}
	const char *const fine[3] = {good, "HTTP_SEC_FETCH_SITE=same-origin", NULL};
	assert_int_equal(ask_as("HTTP_COOKIE=airunner_session=ses-old", fine, "POST",
				 "/api/runs/5/cancel", ""),
		403);
	assert_int_equal(ask_as("HTTP_AUTHORIZATION=Bearer tok-viewer", fine, "POST",
				 "/api/runs/5/cancel", ""),
		403);
}

static int open_all(void **state)
{
	(void)state;
	db = with_db_open(&worker_set);
	with_db_sql(db,
		"DELETE FROM api_tokens; DELETE FROM sessions; INSERT INTO api_tokens (name, "
		"secret_hash, role) VALUES ('v', SHA2('tok-viewer', 256), 'viewer'), ('o', "
		"SHA2('tok-operator', 256), 'operator'); INSERT INTO sessions (id_hash, kind, "
		"role, name, expires_at, csrf_key) VALUES (SHA2('ses-operator', 256), 'session', "
		"'operator', 's', NOW(3) + INTERVAL 1 DAY, 'key'), (SHA2('ses-old', 256), "
		"'session', 'operator', 's', NOW(3) + INTERVAL 1 DAY, '')");
	app = (struct app){.spec = &spec};
	return settings_load(&(struct settings_options){.program = PROGRAM_PAGES,
				     .default_db_user = "air_api"},
		       &app.set)
		       ? -1
		       : 0;
}

static int close_all(void **state)
{
	begin(state);
	json_decref(answer);
	db_closep(&app.db);
	settings_freep(&app.set);
	db_close(db);
	settings_free(worker_set);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_queued_run_is_cancelled_at_once, begin),
		cmocka_unit_test_setup(
			a_running_run_is_marked_and_its_waiting_effects_are_void, begin),
		cmocka_unit_test_setup(a_cancelled_run_that_is_put_back_is_closed_instead, begin),
		cmocka_unit_test_setup(an_ended_run_cannot_be_cancelled, begin),
		cmocka_unit_test_setup(an_ended_run_is_retried_as_if_new, begin),
		cmocka_unit_test_setup(a_retry_that_continues_keeps_what_was_done, begin),
		cmocka_unit_test_setup(a_retry_gives_way_to_a_queued_run_of_the_issue, begin),
		cmocka_unit_test_setup(a_queued_run_gets_another_place, begin),
		cmocka_unit_test_setup(
			a_session_acts_only_with_its_token_and_from_our_pages, begin),
	};
	return cmocka_run_group_tests_name("control", tests, open_all, close_all);
}
