/*
 * The drainer against a real MariaDB and a service that only pretends: which rows it takes, in what
 * order, and what it leaves alone. The table effect_services is this file's own.
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
#include "worker/drain.h"
#include "worker/outbox_effects.h"

static struct settings *set;
static struct db *db;

/* ---- the services ---- */

static struct {
	char order[400]; /* the markers' names, as they were sent: "a b c " */
	enum err_code fail;
	int sent, looked;
	bool has;
	const char *meanwhile; /* a statement that another runs while a call is on its way */
} service;

static err_t pretend_send(const struct effect_call *call, json_t **ret_result)
{
	const char *name = strrchr(call->marker, ' ') + 1;
	size_t used = strlen(service.order);
	service.sent++;
	snprintf(service.order + used, sizeof service.order - used, "%s ", name);
	if (service.meanwhile)
		with_db_sql(db, service.meanwhile);
	if (service.fail)
		return err_new(service.fail, "pretended");
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
	[EFFECT_FORGE_PULL_REQUEST] = {"forge_pull_request", pretend_send, pretend_lookup,
		EFFECT_AT_FORGE},
};

/* ---- rows ---- */

static void run_row(int id, const char *issue, const char *status)
{
	bool queued = strcmp(status, "queued") == 0, running = strcmp(status, "running") == 0;
	autofree char *sql = xasprintf(
		"INSERT INTO runs (id, issue_key, project_key, line, status, fence, slot, "
		"running_line, queued_issue, due_at) VALUES (%d, '%s', 'A', '%s', '%s', 5, %s, %s, "
		"%s, NOW(3) + INTERVAL 1 HOUR)",
		id, issue, issue, status, running ? "1" : "NULL", running ? "'line'" : "NULL",
		queued ? "issue_key" : "NULL");
	with_db_sql(db, sql);
}

/* more: further columns, "state = 'sending', …" */
static void outbox_row(int run, const char *issue, const char *name, const char *kind, bool closing,
	const char *more)
{
	autofree char *sql = xasprintf("INSERT INTO outbox SET effect_key = '%d/1/%s', run_id = "
				       "%d, fence = 5, issue_key = "
				       "'%s', kind = '%s', is_closing = %d, request = '{}'%s%s",
		run, name, run, issue, kind, closing, *more ? ", " : "", more);
	with_db_sql(db, sql);
}

static void comment(int run, const char *issue, const char *name)
{
	outbox_row(run, issue, name, "jira_comment", true, "");
}

static int fresh(void **state)
{
	(void)state;
	memset(&service, 0, sizeof service);
	with_db_sql(db,
		"DELETE FROM outbox; DELETE FROM run_events; DELETE FROM deliveries; DELETE "
		"FROM runs");
	return 0;
}

static int drain(void)
{
	struct repo_configs repos = {0};
	return drain_work(set, &repos);
}

static long long rows(const char *where)
{
	autofree char *sql = xasprintf("SELECT COUNT(*) FROM outbox WHERE %s", where);
	return with_db_number(db, sql);
}

/* ---- sentences ---- */

static void rows_of_ended_runs_are_sent_in_their_order_per_issue(void **state)
{
	(void)state;
	run_row(1, "A-1", "completed");
	run_row(2, "A-2", "failed");
	comment(1, "A-1", "a");
	comment(2, "A-2", "x");
	outbox_row(1, "A-1", "b", "jira_assign", true, "");
	comment(1, "A-1", "c");
	assert_int_equal(drain(), 0);
	assert_true(strstr(service.order, "a ") < strstr(service.order, "b "));
	assert_true(strstr(service.order, "b ") < strstr(service.order, "c "));
	assert_int_equal(service.sent, 4);
	assert_int_equal(rows("state = 'done'"), 4);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_events"), 4);
	assert_int_equal(drain(), 0);
	assert_int_equal(service.sent, 4);
}

static void rows_of_a_running_run_are_its_childs(void **state)
{
	(void)state;
	run_row(1, "A-1", "running");
	comment(1, "A-1", "a");
	assert_int_equal(drain(), 0);
	assert_int_equal(service.sent, 0);
}

static void a_row_behind_one_that_waits_is_not_sent(void **state)
{
	(void)state;
	run_row(1, "A-1", "completed");
	outbox_row(1, "A-1", "a", "jira_comment", true, "send_until = NOW(3) + INTERVAL 1 MINUTE");
	comment(1, "A-1", "b");
	assert_int_equal(drain(), 0);
	assert_int_equal(service.sent, 0);
}

static void a_row_is_sent_by_one_of_two_drainers(void **state)
{
	(void)state;
	run_row(1, "A-1", "completed");
	comment(1, "A-1", "a");
	/* the other's take, while ours is on its way: the row is not to be had */
	service.meanwhile =
		"UPDATE outbox SET last_error = 'taken twice' WHERE send_until <= NOW(3)";
	assert_int_equal(drain(), 0);
	assert_int_equal(rows("last_error = 'taken twice'"), 0);
	/* and one whose try was taken over for good does not end the other's */
	comment(1, "A-1", "b");
	service.meanwhile = "UPDATE outbox SET attempts = attempts + 1 WHERE state = 'sending'";
	assert_int_equal(drain(), 0);
	assert_int_equal(rows("state = 'sending'"), 1);
}

static void a_try_whose_process_died_is_looked_up_first(void **state)
{
	(void)state;
	run_row(1, "A-1", "completed");
	outbox_row(1, "A-1", "a", "jira_comment", true,
		"state = 'sending', attempts = 1, send_until = NOW(3) - INTERVAL 1 SECOND");
	service.has = true;
	assert_int_equal(drain(), 0);
	assert_int_equal(service.looked, 1);
	assert_int_equal(service.sent, 0);
	assert_int_equal(rows("state = 'done' AND result LIKE '%found%'"), 1);
}

static void a_service_that_is_away_is_left_alone_after_two_tries(void **state)
{
	(void)state;
	for (int i = 1; i <= 5; i++) {
		autofree char *issue = xasprintf("A-%d", i);
		run_row(i, issue, "completed");
		comment(i, issue, "a");
		outbox_row(i, issue, "b", "jira_assign", true, "");
	}
	service.fail = ERR_OUTSIDE;
	assert_int_equal(drain(), DRAIN_AWAY);
	assert_int_equal(service.sent, 2);
	assert_int_equal(rows("state = 'waiting'"), 10);
	assert_int_equal(rows("send_until > NOW(3)"), 4); /* those two, and what is behind them */
	with_db_sql(db, "UPDATE outbox SET send_until = NULL");
	service.fail = ERR_NONE;
	assert_int_equal(drain(), 0);
	assert_int_equal(rows("state = 'done'"), 10);
}

static void a_lost_answer_keeps_the_row_from_everybody_for_its_time(void **state)
{
	(void)state;
	run_row(1, "A-1", "completed");
	comment(1, "A-1", "a");
	service.fail = ERR_NETWORK;
	service.has = true;
	(void)drain();
	assert_int_equal(rows("state = 'waiting' AND send_until > NOW(3) + INTERVAL 20 SECOND"), 1);
	assert_int_equal(drain(), 0);
	assert_int_equal(service.sent, 1);
	with_db_sql(db, "UPDATE outbox SET send_until = NOW(3)");
	assert_int_equal(drain(), 0);
	assert_int_equal(service.sent, 1);
	assert_int_equal(rows("state = 'done'"), 1);
}

static void a_final_refusal_is_told_and_the_next_goes_on(void **state)
{
	(void)state;
	run_row(1, "A-1", "completed");
	comment(1, "A-1", "a");
	outbox_row(1, "A-1", "b", "jira_assign", true, "");
	service.fail = ERR_NOT_FOUND; /* the issue was deleted */
	assert_int_equal(drain(), 0);
	assert_int_equal(rows("state = 'void'"), 2);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_events WHERE level = 'error' "
					    "AND message LIKE '%never will be: pretended'"),
		2);
}

static void of_a_cancelled_run_only_the_closing_report_is_sent(void **state)
{
	(void)state;
	run_row(1, "A-1", "cancelled");
	outbox_row(1, "A-1", "late", "jira_comment", false, "");
	outbox_row(1, "A-1", "assign", "jira_assign", false,
		"state = 'sending', attempts = 1, send_until = NOW(3) - INTERVAL 1 SECOND");
	comment(1, "A-1", "report");
	assert_int_equal(drain(), 0);
	assert_string_equal(service.order, "report ");
	assert_int_equal(rows("state = 'void'"), 2);
}

static void a_run_that_waits_for_its_issue_is_due_when_the_last_is_over(void **state)
{
	(void)state;
	run_row(1, "A-1", "completed");
	run_row(2, "A-1", "queued");
	comment(1, "A-1", "a");
	outbox_row(1, "A-1", "b", "jira_assign", true, "send_until = NOW(3) + INTERVAL 1 MINUTE");
	assert_int_equal(drain(), 0);
	assert_int_equal(with_db_number(db, "SELECT due_at > NOW(3) FROM runs WHERE id = 2"), 1);
	with_db_sql(db, "UPDATE outbox SET send_until = NULL");
	assert_int_equal(drain(), 0);
	assert_int_equal(with_db_number(db, "SELECT due_at IS NULL FROM runs WHERE id = 2"), 1);
	assert_int_equal(
		with_db_number(db, "SELECT ready = 1 AND head_run_id = 2 FROM repos WHERE id = 0"),
		1);
}

static int setup(void **state)
{
	(void)state;
	static const char *const overrides[] = {"JIRA_BASE_URL=http://127.0.0.1:1",
		"JIRA_EMAIL=a@b.c", "JIRA_AI_ACCOUNT_ID=ai", "AIRUNNER_RETRY_BASE_MS=100", NULL};
	setenv("JIRA_API_TOKEN", "a-token-for-tests", 1);
	db = with_db_open(&set);
	settings_free(set);
	set = with_db_settings(overrides);
	return 0;
}

static int teardown(void **state)
{
	(void)fresh(state);
	db_close(db);
	settings_free(set);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup(f, fresh)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(rows_of_ended_runs_are_sent_in_their_order_per_issue),
		TEST(rows_of_a_running_run_are_its_childs),
		TEST(a_row_behind_one_that_waits_is_not_sent),
		TEST(a_row_is_sent_by_one_of_two_drainers),
		TEST(a_try_whose_process_died_is_looked_up_first),
		TEST(a_service_that_is_away_is_left_alone_after_two_tries),
		TEST(a_lost_answer_keeps_the_row_from_everybody_for_its_time),
		TEST(a_final_refusal_is_told_and_the_next_goes_on),
		TEST(of_a_cancelled_run_only_the_closing_report_is_sent),
		TEST(a_run_that_waits_for_its_issue_is_due_when_the_last_is_over),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
