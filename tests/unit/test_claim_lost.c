/* The connection dies at a claim's or an end's commit: what was done is read again, never guessed.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/cut_proxy.h"
#include "tests/unit/with_db.h"
#include "worker/claim.h"

static struct settings *set, *cut_set;
static struct db *db; /* straight to the server */
static struct cut_proxy proxy;
static char dir[] = "/tmp/airunner-lost-XXXXXX";

static int one_queued_run(void **state)
{
	(void)state;
	with_db_sql(db,
		"DELETE FROM run_steps; DELETE FROM run_events; DELETE FROM deliveries; DELETE "
		"FROM runs; DELETE FROM repo_projects; DELETE FROM repos WHERE id <> 0; INSERT "
		"INTO repos (id, address) VALUES (1, 'a'); INSERT INTO repo_projects (project_key, "
		"repo_id) VALUES ('A', 1); CALL intake(REPEAT('0', 64), 1, 'A-1', 'A', 'test', 3)");
	return 0;
}

/* A connection of its own: it prepares its statements anew, which the proxy looks for. */
static struct db *open_cut(const char *statement, enum cut_when when)
{
	struct db *cut = NULL;
	assert_null(db_open(cut_set, &cut));
	cut_proxy_at(&proxy, statement, when);
	return cut;
}

static long long count(const char *condition)
{
	autofree char *sql = xasprintf("SELECT COUNT(*) FROM runs WHERE %s", condition);
	return with_db_number(db, sql);
}

/* What the daemon asks (worker/daemon_queue.c): runs of this process that it does not know of. */
static bool is_found_as_ours(struct db *asked, struct run *ret_run)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	assert_null(db_query(
		asked, Q_RUNS_OF_WORKER, DB_ARGS(db_i64(run_claim_mark()), db_str("w")), &rows));
	if (!db_rows_next(rows))
		return false;
	*ret_run = (struct run){.id = db_rows_i64(rows, "id"),
		.fence = db_rows_i64(rows, "fence"),
		.repo_id = db_rows_i64(rows, "repo_id")};
	return db_rows_i64(rows, "same_process") == 1;
}

static void a_claim_whose_answer_is_lost_is_unsure_and_found_again(void **state)
{
	(void)state;
	struct run run AUTO(run_release) = {0}, found = {0};
	struct db *cut AUTO(db_closep) = open_cut("CALL queue_claim", CUT_AFTER);
	assert_int_equal(err_code(run_claim(cut, set, "w", &run)), ERR_DB_UNSURE);
	assert_int_equal(run.id, 0);
	assert_int_equal(count("status = 'running'"), 1);
	assert_null(db_reconnect(cut));
	assert_true(is_found_as_ours(cut, &found));
	assert_null(run_requeue(cut, &found, 0));
	assert_null(run_claim(cut, set, "w", &run));
	assert_int_equal(run.id, found.id);
	assert_int_equal(run.fence, 2);
	assert_int_equal(run.crashes, 0);
}

static void a_claim_that_never_arrived_is_unsure_and_the_run_still_queued(void **state)
{
	(void)state;
	struct run run AUTO(run_release) = {0}, found = {0};
	struct db *cut AUTO(db_closep) = open_cut("CALL queue_claim", CUT_BEFORE);
	assert_int_equal(err_code(run_claim(cut, set, "w", &run)), ERR_DB_UNSURE);
	assert_int_equal(count("status = 'queued'"), 1);
	assert_null(db_reconnect(cut));
	assert_false(is_found_as_ours(cut, &found));
	assert_null(run_claim(cut, set, "w", &run));
	assert_int_equal(run.fence, 1);
}

static void a_claim_of_another_process_of_the_same_name_is_not_taken_for_ours(void **state)
{
	(void)state;
	struct run run AUTO(run_release) = {0}, found = {0};
	assert_null(run_claim(db, set, "w", &run));
	with_db_sql(db, "UPDATE runs SET claimed_as = claimed_as + 1");
	assert_false(is_found_as_ours(db, &found));
}

static void an_end_whose_answer_is_lost_is_made_once(void **state)
{
	(void)state;
	struct run run AUTO(run_release) = {0};
	assert_null(run_claim(db, set, "w", &run));
	struct db *cut AUTO(db_closep) = open_cut("CALL queue_close", CUT_AFTER);
	assert_null(run_close(cut, &run, RUN_COMPLETED, "done", NULL, NULL));
	assert_int_equal(proxy.order->when, CUT_NEVER);
	assert_int_equal(count("status = 'completed' AND reason = 'done'"), 1);
	assert_int_equal(with_db_number(db, "SELECT running FROM repos WHERE id = 1"), 0);
	assert_int_equal(
		err_code(run_close(cut, &run, RUN_COMPLETED, "done", NULL, NULL)), ERR_FENCE);
}

static void an_end_that_never_arrived_is_made_again(void **state)
{
	(void)state;
	struct run run AUTO(run_release) = {0};
	assert_null(run_claim(db, set, "w", &run));
	struct db *cut AUTO(db_closep) = open_cut("CALL queue_close", CUT_BEFORE);
	assert_null(run_close(cut, &run, RUN_FAILED, "why", "tests", NULL));
	assert_int_equal(proxy.order->when, CUT_NEVER);
	assert_int_equal(count("status = 'failed' AND error_category = 'tests'"), 1);
}

static void a_requeue_whose_answer_is_lost_is_made_once(void **state)
{
	(void)state;
	struct run run AUTO(run_release) = {0};
	assert_null(run_claim(db, set, "w", &run));
	struct db *cut AUTO(db_closep) = open_cut("CALL queue_requeue", CUT_AFTER);
	assert_null(run_requeue(cut, &run, 0));
	assert_int_equal(proxy.order->when, CUT_NEVER);
	assert_int_equal(count("status = 'queued' AND fence = 1"), 1);
	assert_int_equal(with_db_number(db, "SELECT running FROM repos WHERE id = 1"), 0);
	assert_int_equal(with_db_number(db, "SELECT ready FROM repos WHERE id = 1"), 1);
}

/* Exactly in the commit: another connection holds commits back until this one is killed. */
static void a_claim_killed_in_its_commit_is_either_made_or_not(void **state)
{
	(void)state;
	static const char waits[] = "SELECT IFNULL(MAX(id), 0) FROM information_schema.processlist "
				    "WHERE db = DATABASE() AND state LIKE '%backup lock%'";
	with_db_sql(db, "BACKUP STAGE START; BACKUP STAGE BLOCK_COMMIT");
	pid_t pid = fork();
	if (pid == 0) {
		struct run run = {0};
		struct db *mine = NULL;
		if (db_open(set, &mine))
			_exit(99);
		_exit((int)err_code(run_claim(mine, set, "killed", &run)));
	}
	long long id = 0;
	for (int i = 0; i < 200 && id == 0; i++) {
		usleep(20000);
		id = with_db_number(db, waits);
	}
	assert_true(id > 0);
	autofree char *kill_it = xasprintf("KILL %lld", id);
	with_db_sql(db, kill_it);
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	with_db_sql(db, "BACKUP STAGE END");
	assert_int_equal(WEXITSTATUS(status), ERR_DB_UNSURE);
	usleep(100000); /* the server may still be at it */
	assert_int_equal(count("(status = 'running' AND locked_by = 'killed' AND fence = 1) OR "
			       "(status = 'queued' AND fence = 0)"),
		1);
	assert_int_equal(count("status = 'running'"),
		with_db_number(db, "SELECT running FROM repos WHERE id = 1"));
}

int main(void)
{
	assert_non_null(mkdtemp(dir));
	db = with_db_open(&set);
	cut_proxy_start(&proxy, dir, getenv("AIRUNNER_TEST_DB_SOCKET"));
	autofree char *socket = xasprintf("AIRUNNER_DB_SOCKET=%s", proxy.socket);
	const char *const overrides[] = {socket, NULL};
	cut_set = with_db_settings(overrides);
#define ONE_RUN(test) cmocka_unit_test_setup(test, one_queued_run)
	const struct CMUnitTest tests[] = {
		ONE_RUN(a_claim_whose_answer_is_lost_is_unsure_and_found_again),
		ONE_RUN(a_claim_that_never_arrived_is_unsure_and_the_run_still_queued),
		ONE_RUN(a_claim_of_another_process_of_the_same_name_is_not_taken_for_ours),
		ONE_RUN(an_end_whose_answer_is_lost_is_made_once),
		ONE_RUN(an_end_that_never_arrived_is_made_again),
		ONE_RUN(a_requeue_whose_answer_is_lost_is_made_once),
		ONE_RUN(a_claim_killed_in_its_commit_is_either_made_or_not),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	cut_proxy_stop(&proxy);
	db_close(db);
	settings_free(set);
	settings_free(cut_set);
	rmdir(dir);
	return failed;
}
