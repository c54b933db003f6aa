/* No step of the queue reads more rows when more are queued: neither in the smart nor in plain
 * order. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/with_db.h"

static struct settings *set;
static struct db *db;

static void sql(const char *text)
{
	with_db_sql(db, text);
}

static long long rows_read(const char *call)
{
	sql("FLUSH STATUS");
	sql(call);
	return with_db_number(db,
		"SELECT SUM(variable_value) FROM information_schema.session_status "
		"WHERE variable_name LIKE 'Handler\\_read\\_%'");
}

static void fill(int rows)
{
	autofree char *text = xasprintf(
		"DELETE FROM deliveries; DELETE FROM runs; DELETE FROM repo_projects; DELETE FROM "
		"repos WHERE id <> 0; INSERT INTO repos (id, address) VALUES (1, 'a'), (2, 'b'); "
		"INSERT INTO repo_projects (project_key, repo_id) VALUES ('A', 1); "
		"INSERT INTO runs (issue_key, queued_issue, line, repo_id, project_key, priority) "
		"SELECT CONCAT('A-', seq), CONCAT('A-', seq), CONCAT('A-', seq), 1, 'A', "
		"1 + seq MOD 4 FROM seq_1_to_%d; ANALYZE TABLE runs; CALL refresh_head(1)",
		rows);
	sql(text);
}

static const char *const calls[] = {"CALL queue_claim('w', 1, 60, 0, NULL)",
	"CALL queue_requeue(1, 0, (SELECT id FROM runs WHERE running_line IS NOT NULL), 1)",
	"CALL queue_look()", "CALL queue_claim('w', 1, 60, 1, NULL)",
	"CALL queue_close(1, 'completed', NULL, NULL, NULL, (SELECT id FROM runs WHERE "
	"running_line IS NOT NULL), (SELECT fence FROM runs WHERE running_line IS NOT NULL))",
	"CALL intake(REPEAT('x', 64), 1, 'A-9999999', 'A', 'test', 3)"};

static void read_counts(int rows, int is_plain, long long *ret)
{
	fill(rows);
	if (is_plain)
		sql("UPDATE repos SET plain_order = 1");
	for (size_t i = 0; i < ARRAY_LEN(calls); i++)
		ret[i] = rows_read(calls[i]);
}

static void nothing_reads_more_rows_when_more_are_queued(void **state)
{
	(void)state;
	for (int is_plain = 0; is_plain <= 1; is_plain++) {
		long long few[ARRAY_LEN(calls)], many[ARRAY_LEN(calls)];
		read_counts(40, is_plain, few);
		read_counts(20000, is_plain, many);
		for (size_t i = 0; i < ARRAY_LEN(calls); i++) {
			if (many[i] > few[i] + 4)
				fail_msg("%s (plain: %d) read %lld rows of 40, %lld of 20000",
					calls[i], is_plain, few[i], many[i]);
		}
	}
}

int main(void)
{
	db = with_db_open(&set);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(nothing_reads_more_rows_when_more_are_queued),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	db_close(db);
	settings_free(set);
	return failed;
}
