/* The parent loop against a real MariaDB, with shell scripts in place of run processes. */
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "tests/unit/cut_proxy.h"
#include "tests/unit/with_db.h"
#include "worker/daemon.h"
#include "worker/run.h"

#define WAIT_MS 20000

static struct settings *set, *cut_set;
static struct db *db;
static char dir[] = "/tmp/airunner-daemon-XXXXXX";
static pid_t daemon_pid;
static struct cut_proxy proxy;

static int set_up(void **state)
{
	(void)state;
	with_db_sql(db,
		"DELETE FROM outbox; DELETE FROM run_steps; DELETE FROM run_events; DELETE FROM "
		"deliveries; DELETE "
		"FROM runs; DELETE FROM workers; DELETE FROM repo_projects; DELETE FROM repos "
		"WHERE id <> 0; INSERT INTO repos (id, address) VALUES (1, 'a'); INSERT INTO "
		"repo_projects (project_key, repo_id) VALUES ('A', 1); CALL intake(REPEAT('0', "
		"64), 1, 'A-1', 'A', 'test', 3)");
	autofree char *go = xasprintf("%s/go", dir);
	unlink(go);
	return 0;
}

/* A program that is started as a run's process would be. */
static char *script(const char *text)
{
	char *path = xasprintf("%s/program", dir);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fprintf(f, "#!/bin/sh\n%s\n", text);
	assert_int_equal(fclose(f), 0);
	assert_int_equal(chmod(path, 0755), 0);
	return path;
}

static void start_with(const struct settings *settings, const char *program)
{
	daemon_pid = fork();
	assert_true(daemon_pid >= 0);
	if (daemon_pid)
		return;
	struct repo_configs repos = {0};
	char *const none[] = {NULL};
	_exit(daemon_run(&(struct daemon_options){.set = settings,
		.repos = &repos,
		.worker = "w",
		.program = program,
		.child_args = none,
		.sandbox = "none"}));
}

static void start(const char *program)
{
	start_with(set, program);
}

static int stop(void **state)
{
	(void)state;
	kill(daemon_pid, SIGCONT);
	kill(daemon_pid, SIGTERM);
	int status = 1;
	assert_int_equal(waitpid(daemon_pid, &status, 0), daemon_pid);
	assert_int_equal(status, 0);
	return 0;
}

static bool comes_true(const char *sql)
{
	for (int waited_ms = 0; waited_ms < WAIT_MS; waited_ms += 50) {
		if (with_db_number(db, sql) == 1)
			return true;
		usleep(50000);
	}
	return false;
}

static void a_run_whose_process_cannot_work_is_not_tried_without_pause(void **state)
{
	(void)state;
	autofree char *program = script("exit 1");
	start(program);
	assert_true(comes_true("SELECT fence > 0 AND status = 'queued' FROM runs"));
	sleep(3);
	assert_int_equal(with_db_number(db, "SELECT fence FROM runs"), 1);
	assert_int_equal(
		with_db_number(db, "SELECT status = 'queued' AND due_at > NOW(3) FROM runs"), 1);
}

static void a_killed_process_is_replaced_at_once(void **state)
{
	(void)state;
	autofree char *text =
		xasprintf("[ -e %s/go ] && exec sleep 60; touch %s/go; kill -9 $$", dir, dir);
	autofree char *program = script(text);
	start(program);
	assert_true(comes_true("SELECT fence = 2 AND status = 'running' FROM runs"));
}

static void a_process_that_ends_while_the_database_is_away_is_not_forgotten(void **state)
{
	(void)state;
	autofree char *go = xasprintf("%s/go", dir);
	autofree char *text = xasprintf("while [ ! -e %s ]; do sleep 0.1; done", go);
	autofree char *program = script(text);
	start(program);
	assert_true(comes_true("SELECT status = 'running' FROM runs"));
	usleep(300000);
	kill(daemon_pid, SIGSTOP);
	autofree char *cut = xasprintf("KILL %lld",
		with_db_number(db, "SELECT id FROM information_schema.processlist WHERE id <> "
				   "CONNECTION_ID() AND db = DATABASE()"));
	with_db_sql(db, cut);
	FILE *f = fopen(go, "w");
	assert_non_null(f);
	fclose(f);
	usleep(500000);
	kill(daemon_pid, SIGCONT);
	assert_true(comes_true("SELECT status = 'queued' OR fence > 1 FROM runs"));
}

static int lines_of(const char *name)
{
	AUTO(buf_release) struct buf text = BUF(4096);
	autofree char *path = xasprintf("%s/%s", dir, name);
	if (buf_read_file(&text, path))
		return 0;
	int lines = 0;
	for (const char *p = text.data; *p; p++)
		lines += *p == '\n';
	return lines;
}

static void what_runs_left_to_be_sent_gets_a_drainer_and_more_seldom_while_a_service_is_away(
	void **state)
{
	(void)state;
	autofree char *text = xasprintf(
		"case $1 in --drain) echo x >>%s/drained; exit 3;; *) exec sleep 60;; esac", dir);
	autofree char *program = script(text);
	start(program);
	assert_true(comes_true("SELECT status = 'running' FROM runs"));
	usleep(1500000);
	assert_int_equal(lines_of("drained"), 0); /* nothing is left */
	with_db_sql(db,
		"INSERT INTO runs (id, issue_key, line, status) VALUES (900, 'B-1', 'B-1', "
		"'completed'); INSERT INTO outbox (effect_key, run_id, fence, issue_key, kind, "
		"request) VALUES ('900/1/report', 900, 1, 'B-1', 'jira_comment', '{}')");
	for (int waited_ms = 0; waited_ms < WAIT_MS && lines_of("drained") == 0; waited_ms += 50)
		usleep(50000);
	assert_int_equal(lines_of("drained"), 1);
	usleep(7000000); /* two seconds to the next, four to the one after it */
	assert_in_range(lines_of("drained"), 2, 3);
}

static void a_lease_without_a_process_runs_out(void **state)
{
	(void)state;
	autofree char *program = script("exec sleep 60");
	start(program);
	assert_true(comes_true("SELECT status = 'running' FROM runs"));
	/* a claim of whose commit this worker never heard */
	with_db_sql(db,
		"INSERT INTO runs (issue_key, repo_id, line, status, slot, running_line, "
		"locked_by, fence, lease_until) VALUES ('B-1', 0, 'B-1', 'running', 1, 'B-1', "
		"'w', 1, NOW(3) + INTERVAL 11 SECOND)");
	assert_true(comes_true("SELECT fence = 2 OR status = 'queued' FROM runs WHERE issue_key = "
			       "'B-1'"));
	assert_int_equal(with_db_number(db, "SELECT fence FROM runs WHERE issue_key = 'A-1'"), 1);
}

/* The database's clock may be set: a lease is lost when another took it, not before. */
static void a_lease_that_a_jump_of_the_clock_ended_is_renewed(void **state)
{
	(void)state;
	autofree char *program = script("exec sleep 60");
	setenv("AIRUNNER_FAULT_MS", "reap:200,renew:2000", 1); /* it looks before it renews */
	start(program);
	unsetenv("AIRUNNER_FAULT_MS");
	assert_true(comes_true("SELECT status = 'running' FROM runs"));
	with_db_sql(db, "UPDATE runs SET lease_until = NOW(3) - INTERVAL 1 DAY");
	assert_true(comes_true("SELECT lease_until > NOW(3) FROM runs WHERE status = 'running'"));
	assert_int_equal(with_db_number(db, "SELECT fence FROM runs"), 1);
}

static void a_claim_whose_answer_is_lost_goes_on_long_before_its_lease_ends(void **state)
{
	(void)state;
	autofree char *program = script("exec sleep 60");
	cut_proxy_at(&proxy, "CALL queue_claim", CUT_AFTER);
	start_with(cut_set, program);
	assert_true(
		comes_true("SELECT fence = 2 AND status = 'running' AND crashes = 0 FROM runs"));
	assert_int_equal(proxy.order->when, CUT_NEVER);
}

/* The server may commit a claim when its connection has long been made anew. */
static void a_claim_that_is_committed_late_is_put_back_but_not_anothers_of_the_name(void **state)
{
	(void)state;
	autofree char *program = script("exec sleep 60");
	start(program);
	assert_true(comes_true("SELECT status = 'running' FROM runs"));
	with_db_sql(db,
		"INSERT INTO runs (issue_key, repo_id, line, status, slot, running_line, "
		"locked_by, claimed_as, fence, lease_until) SELECT 'B-1', 0, 'B-1', 'running', 1, "
		"'B-1', 'w', claimed_as, 1, NOW(3) + INTERVAL 1 HOUR FROM runs; INSERT INTO runs "
		"(issue_key, repo_id, line, status, slot, running_line, locked_by, claimed_as, "
		"fence, lease_until) SELECT 'B-2', 0, 'B-2', 'running', 2, 'B-2', 'w', 5, 1, "
		"NOW(3) + INTERVAL 1 HOUR");
	assert_true(comes_true("SELECT fence = 2 OR status = 'queued' FROM runs WHERE issue_key = "
			       "'B-1'"));
	sleep(2);
	assert_int_equal(with_db_number(db, "SELECT fence = 1 AND status = 'running' FROM runs "
					    "WHERE issue_key = 'B-2'"),
		1);
}

static void a_run_that_becomes_due_is_claimed_within_the_poll(void **state)
{
	(void)state;
	autofree char *program = script("exec sleep 60");
	with_db_sql(db, "SET @due = NOW(3) + INTERVAL 3 SECOND; UPDATE runs SET due_at = @due; "
			"CALL refresh_head(1)");
	start(program);
	assert_true(comes_true("SELECT fence = 1 FROM runs"));
	assert_int_equal(with_db_number(db, "SELECT locked_at BETWEEN @due AND @due + INTERVAL "
					    "2500000 MICROSECOND FROM runs"),
		1);
}

int main(void)
{
	assert_non_null(mkdtemp(dir));
	autofree char *state_dir = xasprintf("AIRUNNER_STATE_DIR=%s", dir);
	db = with_db_open(&set);
	settings_free(set);
	const char *const overrides[] = {state_dir, NULL};
	set = with_db_settings(overrides);
	cut_proxy_start(&proxy, dir, getenv("AIRUNNER_TEST_DB_SOCKET"));
	autofree char *socket = xasprintf("AIRUNNER_DB_SOCKET=%s", proxy.socket);
	const char *const through_proxy[] = {state_dir, socket, NULL};
	cut_set = with_db_settings(through_proxy);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			a_run_whose_process_cannot_work_is_not_tried_without_pause, set_up, stop),
		cmocka_unit_test_setup_teardown(a_killed_process_is_replaced_at_once, set_up, stop),
		cmocka_unit_test_setup_teardown(
			a_process_that_ends_while_the_database_is_away_is_not_forgotten, set_up,
			stop),
		cmocka_unit_test_setup_teardown(
			a_lease_that_a_jump_of_the_clock_ended_is_renewed, set_up, stop),
		cmocka_unit_test_setup_teardown(a_lease_without_a_process_runs_out, set_up, stop),
		cmocka_unit_test_setup_teardown(
			a_claim_whose_answer_is_lost_goes_on_long_before_its_lease_ends, set_up,
			stop),
		cmocka_unit_test_setup_teardown(
			a_claim_that_is_committed_late_is_put_back_but_not_anothers_of_the_name,
			set_up, stop),
		cmocka_unit_test_setup_teardown(
			a_run_that_becomes_due_is_claimed_within_the_poll, set_up, stop),
		cmocka_unit_test_setup_teardown(
			what_runs_left_to_be_sent_gets_a_drainer_and_more_seldom_while_a_service_is_away,
			set_up, stop),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	cut_proxy_stop(&proxy);
	db_close(db);
	settings_free(set);
	settings_free(cut_set);
	autofree char *remove = xasprintf("rm -rf %s", dir);
	return system(remove) == 0 ? failed : 1;
}
