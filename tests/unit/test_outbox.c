/*
 * The outbox against a real MariaDB and a service that only pretends: what it was sent, how often,
 * and what happens when nobody knows. The table effect_services is this file's own.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "tests/unit/with_db.h"
#include "worker/outbox.h"
#include "worker/pipeline.h"
#include "worker/outbox_effects.h"

static struct settings *set;
static struct db *db;
static struct run_ctx ctx;

/* ---- the service ---- */

static struct {
	int sent, looked;
	enum err_code fail[4]; /* of the first sends; ERR_NONE: it works */
	bool keeps;            /* a failing send had its effect all the same */
	bool has;              /* the effect is there */
	const char *says;      /* its words behind "pretended" */
	char body[200], marker[100];
} service;

static err_t pretend_send(const struct effect_call *call, json_t **ret_result)
{
	enum err_code code = service.sent < 4 ? service.fail[service.sent] : ERR_NONE;
	service.sent++;
	service.has = code == ERR_NONE || service.keeps;
	const char *body = json_string_value(json_object_get(call->request, "body_markdown"));
	snprintf(service.body, sizeof service.body, "%s", body ? body : "");
	snprintf(service.marker, sizeof service.marker, "%s", call->marker);
	if (code != ERR_NONE)
		return err_new(code, "pretended%s", service.says ? service.says : "");
	*ret_result = json_pack("{s:s}", "id", "sent");
	return NULL;
}

static err_t pretend_lookup(const struct effect_call *call, json_t **ret_result)
{
	(void)call;
	service.looked++;
	if (service.has)
		*ret_result = json_pack("{s:s}", "id", "found");
	return NULL;
}

const struct effect_service effect_services[EFFECT__MAX] = {
	[EFFECT_JIRA_COMMENT] = {"jira_comment", pretend_send, pretend_lookup},
	[EFFECT_JIRA_ASSIGN] = {"jira_assign", pretend_send, NULL},
};

/* ---- a running run ---- */

static int fresh_run(void **state)
{
	(void)state;
	memset(&service, 0, sizeof service);
	with_db_sql(db, "DELETE FROM outbox; DELETE FROM run_steps; DELETE FROM run_events; DELETE "
			"FROM deliveries; "
			"DELETE FROM runs; "
			"INSERT INTO runs (id, issue_key, line, status, fence, slot, running_line) "
			"VALUES (7, 'A-1', 'A-1', 'running', 5, 1, 'A-1')");
	ctx = (struct run_ctx){.set = set,
		.db = db,
		.run = {.id = 7, .issue_key = "A-1", .fence = 5, .attempt = 2}};
	return 0;
}

static err_t effect(enum effect_kind kind, const char *name, bool closing, char **ret_id)
{
	json_auto_t *result = NULL;
	struct effect e = {.kind = kind,
		.name = name,
		.issue_key = "A-1",
		.closing = closing,
		.request = json_pack("{s:s}", "body_markdown", "words and geheim-geheim")};
	ERR_TRY(outbox_effect(&ctx, &e, &result));
	if (ret_id)
		*ret_id = xstrdup(json_string_value(json_object_get(result, "id")));
	return NULL;
}

static err_t comment(char **ret_id)
{
	return effect(EFFECT_JIRA_COMMENT, "report", false, ret_id);
}

static void assert_state(const char *state)
{
	autofree char *sql = xasprintf(
		"SELECT COUNT(*) FROM outbox WHERE effect_key = '7/2/report' AND state = '%s'",
		state);
	if (with_db_number(db, sql) != 1)
		fail_msg("the row is not %s", state);
}

/* A row as a worker leaves it that died while sending. */
static void left_sending(int open_s)
{
	autofree char *sql = xasprintf(
		"INSERT INTO outbox (effect_key, run_id, fence, issue_key, kind, request, state, "
		"attempts, send_until) VALUES ('7/2/report', 7, 4, 'A-1', 'jira_comment', "
		"'{\"body_markdown\":\"old\"}', 'sending', 1, NOW(3) + INTERVAL %d SECOND)",
		open_s);
	with_db_sql(db, sql);
}

/* ---- sentences ---- */

static void effect_is_stored_sent_once_and_done(void **state)
{
	(void)state;
	autofree char *id = NULL, *again = NULL;
	assert_null(comment(&id));
	assert_string_equal(id, "sent");
	assert_state("done");
	assert_null(comment(&again));
	assert_string_equal(again, "sent");
	assert_int_equal(service.sent, 1);
	assert_int_equal(service.looked, 0);
	assert_string_equal(service.marker, "AI Runner · run 7 · attempt 2 · report");
}

static void secrets_reach_neither_row_nor_service(void **state)
{
	(void)state;
	redact_add("GH_TOKEN", "geheim-geheim");
	assert_null(comment(NULL));
	redact_clear();
	assert_string_equal(service.body, "words and [redacted GH_TOKEN]");
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM outbox WHERE request LIKE '%geheim%'"), 0);
}

static void secrets_in_a_services_words_do_not_reach_the_row(void **state)
{
	(void)state;
	redact_add("GH_TOKEN", "geheim-geheim");
	service.fail[0] = ERR_OUTSIDE_FINAL;
	service.says = " geheim-geheim";
	assert_int_equal(err_code(comment(NULL)), ERR_OUTSIDE_FINAL);
	redact_clear();
	assert_int_equal(with_db_number(db,
				 "SELECT last_error = 'pretended [redacted GH_TOKEN]' FROM outbox"),
		1);
}

static void secrets_do_not_reach_the_reason_of_a_run(void **state)
{
	(void)state;
	redact_add("GH_TOKEN", "geheim-geheim");
	with_db_sql(db, "INSERT INTO run_steps (run_id, attempt, fence, step) VALUES (7, 2, 4, "
			"'geheim-geheim')");
	ctx.run.crashes = 3; /* the reason names the step */
	ctx.state = json_object();
	assert_int_equal(pipeline_work(&ctx), RUN_FAILED);
	json_decref(ctx.state);
	redact_clear();
	assert_int_equal(with_db_number(db, "SELECT status = 'failed' AND reason LIKE '%redacted%' "
					    "AND reason NOT LIKE '%geheim%' AND metrics NOT LIKE "
					    "'%geheim%' FROM runs"),
		1);
}

/* Its work is kept and its issue told; a worker that waits too long kills it. The last test: a
 * process that is asked to stop stays so. */
static void a_run_that_is_being_closed_is_not_stopped(void **state)
{
	(void)state;
	run_request_stop();
	ctx.closing = true;
	assert_null(run_check_alive(&ctx));
	ctx.closing = false;
	assert_int_equal(err_code(run_check_alive(&ctx)), ERR_STOPPING);
}

static void next_attempt_of_a_run_is_another_effect(void **state)
{
	(void)state;
	assert_null(comment(NULL));
	ctx.run.attempt = 3;
	assert_null(comment(NULL));
	assert_int_equal(service.sent, 2);
}

static void lost_fence_sends_nothing(void **state)
{
	(void)state;
	ctx.run.fence = 4;
	assert_int_equal(err_code(comment(NULL)), ERR_FENCE);
	assert_int_equal(service.sent, 0);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM outbox"), 0);
}

static void fence_lost_between_storing_and_sending_sends_nothing(void **state)
{
	(void)state;
	left_sending(-1);
	with_db_sql(db, "UPDATE runs SET fence = 6");
	assert_int_equal(err_code(comment(NULL)), ERR_FENCE);
	assert_int_equal(service.sent + service.looked, 0);
	assert_state("sending");
}

static void cancelled_run_sends_nothing_but_its_closing_report(void **state)
{
	(void)state;
	with_db_sql(db, "UPDATE runs SET cancel_at = NOW(3)");
	assert_int_equal(err_code(comment(NULL)), ERR_CANCELLED);
	assert_int_equal(service.sent, 0);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM outbox"), 0);
	assert_null(effect(EFFECT_JIRA_COMMENT, "report", true, NULL));
	assert_int_equal(service.sent, 1);
}

static void cancellation_after_storing_still_sends_nothing(void **state)
{
	(void)state;
	left_sending(-1);
	with_db_sql(db, "UPDATE runs SET cancel_at = NOW(3)");
	assert_int_equal(err_code(comment(NULL)), ERR_CANCELLED);
	assert_int_equal(service.sent + service.looked, 0);
}

static void sending_row_is_looked_up_and_not_sent_again(void **state)
{
	(void)state;
	left_sending(-1);
	service.has = true;
	autofree char *id = NULL;
	assert_null(comment(&id));
	assert_string_equal(id, "found");
	assert_int_equal(service.sent, 0);
	assert_state("done");
}

static void sending_row_that_had_no_effect_is_sent_as_it_was_stored(void **state)
{
	(void)state;
	left_sending(-1);
	assert_null(comment(NULL));
	assert_int_equal(service.looked, 1);
	assert_int_equal(service.sent, 1);
	assert_string_equal(service.body, "old");
}

static void sending_row_is_left_alone_until_its_time(void **state)
{
	(void)state;
	left_sending(1);
	service.has = true;
	assert_int_equal(with_db_number(db, "SELECT send_until > NOW(3) FROM outbox"), 1);
	assert_null(comment(NULL));
	assert_int_equal(with_db_number(db, "SELECT TIMESTAMPDIFF(MICROSECOND, created_at, "
					    "done_at) >= 900000 FROM outbox"),
		1);
	assert_int_equal(service.sent, 0);
}

static void error_that_may_pass_is_tried_again_after_a_look(void **state)
{
	(void)state;
	service.fail[0] = ERR_OUTSIDE;
	service.keeps = true;
	autofree char *id = NULL;
	assert_null(comment(&id));
	assert_string_equal(id, "found"); /* the 503 had posted it: no second comment */
	assert_int_equal(service.sent, 1);
}

static void error_that_stays_leaves_the_row_waiting_with_its_words(void **state)
{
	(void)state;
	service.fail[0] = service.fail[1] = service.fail[2] = ERR_OUTSIDE;
	err_t e = comment(NULL);
	assert_int_equal(err_code(e), ERR_OUTSIDE);
	assert_string_equal(err_text(e), "jira_comment A-1: pretended");
	assert_int_equal(service.sent, 3);
	assert_state("waiting");
	assert_int_equal(with_db_number(db, "SELECT last_error = 'pretended' FROM outbox"), 1);
}

static void final_refusal_voids_the_row(void **state)
{
	(void)state;
	service.fail[0] = ERR_OUTSIDE_FINAL;
	assert_int_equal(err_code(comment(NULL)), ERR_OUTSIDE_FINAL);
	assert_state("void");
	assert_int_equal(err_code(comment(NULL)), ERR_OUTSIDE_FINAL);
	assert_int_equal(service.sent, 1);
}

static void unknown_end_keeps_the_row_until_send_until(void **state)
{
	(void)state;
	/* outbox_effect() itself would wait those 30 s: its statements are tried by hand instead */
	with_db_sql(db, "INSERT INTO outbox (effect_key, run_id, fence, issue_key, kind, request) "
			"VALUES ('7/2/report', 7, 5, 'A-1', 'jira_comment', '{}')");
	int64_t affected = 0;
	long long id = with_db_number(db, "SELECT id FROM outbox");
	assert_null(db_exec(db, Q_OUTBOX_TAKE,
		DB_ARGS(db_i64(5), db_i64(id), db_i64(0), db_i64(7), db_i64(5), db_i64(0)),
		&affected));
	assert_int_equal(affected, 1);
	assert_null(db_exec(db, Q_OUTBOX_FAILED,
		DB_ARGS(db_str("waiting"), db_str("timed out"), db_i64(1), db_i64(1000),
			db_i64(1000), db_i64(id), db_i64(1)),
		NULL));
	assert_null(db_exec(db, Q_OUTBOX_TAKE,
		DB_ARGS(db_i64(5), db_i64(id), db_i64(1), db_i64(7), db_i64(5), db_i64(0)),
		&affected));
	assert_int_equal(affected, 0);
}

static void harmless_effect_is_repeated_without_a_look(void **state)
{
	(void)state;
	service.fail[0] = ERR_TIMEOUT;
	assert_null(effect(EFFECT_JIRA_ASSIGN, "report", false, NULL));
	assert_int_equal(service.sent, 2);
	assert_int_equal(service.looked, 0);
}

static int setup(void **state)
{
	(void)state;
	static const char *const overrides[] = {"AIRUNNER_RETRY_BASE_MS=1", NULL};
	db = with_db_open(&set);
	settings_free(set);
	set = with_db_settings(overrides);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM outbox; DELETE FROM runs");
	db_close(db);
	settings_free(set);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup(f, fresh_run)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(effect_is_stored_sent_once_and_done),
		TEST(secrets_reach_neither_row_nor_service),
		TEST(secrets_in_a_services_words_do_not_reach_the_row),
		TEST(secrets_do_not_reach_the_reason_of_a_run),
		TEST(next_attempt_of_a_run_is_another_effect),
		TEST(lost_fence_sends_nothing),
		TEST(fence_lost_between_storing_and_sending_sends_nothing),
		TEST(cancelled_run_sends_nothing_but_its_closing_report),
		TEST(cancellation_after_storing_still_sends_nothing),
		TEST(sending_row_is_looked_up_and_not_sent_again),
		TEST(sending_row_that_had_no_effect_is_sent_as_it_was_stored),
		TEST(sending_row_is_left_alone_until_its_time),
		TEST(error_that_may_pass_is_tried_again_after_a_look),
		TEST(error_that_stays_leaves_the_row_waiting_with_its_words),
		TEST(final_refusal_voids_the_row),
		TEST(unknown_end_keeps_the_row_until_send_until),
		TEST(harmless_effect_is_repeated_without_a_look),
		TEST(a_run_that_is_being_closed_is_not_stopped),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
