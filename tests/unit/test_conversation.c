/* worker/agent/conversation: an answer that was received survives a database that goes away. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/db_private.h"
#include "lib/mem.h"
#include "tests/unit/with_db.h"
#include "worker/agent/conversation.h"

static struct settings *set;
static struct db *db;
static struct llm llm = {.profile = {.model = "m"}};
static struct run_ctx ctx = {.run = {.id = 1, .fence = 4}};
static struct conversation conv;

static int begin(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM run_messages; DELETE FROM runs; "
			"INSERT INTO runs (id, issue_key, status, slot, running_line, line, fence) "
			"VALUES (1, 'A-1', 'running', 1, 'A-1', 'A-1', 4)");
	assert_null(db_open(set, &ctx.db));
	ctx.set = set;
	conv = (struct conversation){.conv = 1, .next_seq = 3};
	return 0;
}

static int end(void **state)
{
	(void)state;
	conversation_release(&conv);
	db_close(ctx.db);
	return 0;
}

static void kill_connection(void)
{
	autofree char *sql = xasprintf("KILL %lu", mysql_thread_id(ctx.db->conn));
	with_db_sql(db, sql);
}

static err_t answer(const char *text)
{
	AUTO(llm_answer_release)
	struct llm_answer a = {.message = BUF(1000),
		.text = BUF(1000),
		.cost_known = true,
		.cost_usd_micro = 7,
		.usage = {.is_known = true, .output = 5}};
	buf_adds(&a.message, text);
	return conversation_answer(&ctx, &llm, &conv, &a, true, 0);
}

static void an_answer_is_stored_though_the_connection_was_lost(void **state)
{
	(void)state;
	kill_connection();
	assert_null(answer("{}"));
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_messages WHERE seq = 3"), 1);
	assert_int_equal(with_db_number(db, "SELECT turns * 100 + cost_usd_micro FROM runs"), 107);
	assert_int_equal(conv.next_seq, 4);
}

/* What the server commits although its client hears nothing of it. */
static void an_answer_whose_lost_commit_was_one_is_counted_once(void **state)
{
	(void)state;
	assert_null(answer("{}"));
	conv.next_seq = 3;
	kill_connection();
	assert_null(answer("{}"));
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_messages"), 1);
	assert_int_equal(with_db_number(db, "SELECT turns * 100 + cost_usd_micro FROM runs"), 107);
}

static void an_answer_that_was_stored_before_is_no_new_one(void **state)
{
	(void)state;
	assert_null(answer("{}"));
	conv.next_seq = 3;
	assert_int_equal(err_code(answer("{}")), ERR_DB_DUPLICATE);
}

static void what_another_has_taken_meanwhile_gets_no_answer(void **state)
{
	(void)state;
	with_db_sql(db, "UPDATE runs SET fence = 5");
	kill_connection();
	assert_int_equal(err_code(answer("{}")), ERR_FENCE);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_messages"), 0);
}

int main(void)
{
	db = with_db_open(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			an_answer_is_stored_though_the_connection_was_lost, begin, end),
		cmocka_unit_test_setup_teardown(
			an_answer_whose_lost_commit_was_one_is_counted_once, begin, end),
		cmocka_unit_test_setup_teardown(
			an_answer_that_was_stored_before_is_no_new_one, begin, end),
		cmocka_unit_test_setup_teardown(
			what_another_has_taken_meanwhile_gets_no_answer, begin, end),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	db_close(db);
	settings_free(set);
	return failed;
}
