/*
 * The steps baseline, verify and test on a real repository, sandbox and database; tsc and eslint
 * are small shell scripts that complain about words (BAD, HANG, WRITE) in the sources.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "tests/unit/git_sample.h"
#include "tests/unit/with_db.h"
#include "worker/check/process.h"
#include "worker/check/sandbox.h"
#include "worker/pipeline.h"

#define PACKAGE(scripts) "{\"name\":\"p\",\"version\":\"1.0.0\",\"scripts\":{" scripts "}}\n"

static const char tsc[] = "#!/bin/sh\n"
			  "grep -rq HANG src && sleep 60\n"
			  "grep -rq WRITE src && echo made >>src/a.ts && echo made >made.txt\n"
			  "grep -rn BAD src | sed 's/^\\([^:]*\\):\\([0-9]*\\):.*/\\1(\\2,1): "
			  "error TS2322: Not assignable./'\n"
			  "! grep -rq BAD src\n";
static const char eslint[] =
	"#!/bin/sh\nwhile [ \"$1\" != -- ]; do shift; done; shift; sep=; fail=0; printf '['\n"
	"for f; do grep -q UNDEF \"$f\" || continue; fail=1; printf "
	"'%s{\"filePath\":\"%s/%s\",\"messages\":[{\"ruleId\":"
	"\"no-undef\",\"severity\":2,\"message\":\"x is not defined\",\"line\":1,\"column\":1}]}' "
	"\"$sep\" "
	"\"$PWD\" \"$f\"; sep=,; done; echo ']'; exit $fail\n";

static struct git_sample sample;
static struct settings *set;
static struct db *db;
static struct store *the_store;
static struct run_ctx ctx;

static void tool(const char *name, const char *text)
{
	autofree char *path = xasprintf("node_modules/.bin/%s", name);
	sample_write(work_tree_path(ctx.tree), path, text);
	autofree char *full = xasprintf("%s/%s", work_tree_path(ctx.tree), path);
	assert_int_equal(chmod(full, 0755), 0);
}

/* A run on a base commit of these files, as the steps before leave it. */
static void begin(const struct sample_file *files)
{
	char head[OID_HEX + 1], tree[OID_HEX + 1];
	sample_commit(&sample, "work", files, NULL, head);
	no_error(store_fetch(the_store));
	no_error(store_commit_tree(the_store, head, tree));
	no_error(work_tree_open(the_store, 0, head, &ctx.tree));
	tool("tsc", tsc);
	tool("eslint", eslint);
	run_state_set(
		&ctx, "checkout", json_pack("{s:s, s:s}", "base_commit", head, "base_tree", tree));
}

static int set_up(void **state)
{
	(void)state;
	setenv("AIRUNNER_SHARE_DIR", ".", 1);
	setenv("AIRUNNER_TSC_TIMEOUT_S", "2", 1);
	sample_make(&sample);
	db = with_db_open(&set);
	with_db_sql(db,
		"DELETE FROM artifacts; DELETE FROM run_events; DELETE FROM run_steps; DELETE FROM "
		"baselines; "
		"DELETE FROM outbox; DELETE FROM run_messages; DELETE FROM runs; DELETE FROM "
		"repo_projects; "
		"DELETE FROM repos WHERE id <> 0; INSERT INTO repos (id, address) VALUES (1, 'a'); "
		"INSERT INTO runs (id, issue_key, repo_id, line, status, fence, slot, "
		"running_line) "
		"VALUES (1, 'A-1', 1, 'A-1', 'running', 7, 0, 'A-1')");
	no_error(store_open(set, &sample.repo, &the_store));
	ctx = (struct run_ctx){.set = set,
		.db = db,
		.run = {.id = 1, .repo_id = 1, .fence = 7},
		.repo = &sample.repo,
		.state = json_object(),
		.step = "verify",
		.stage = STAGE_VERIFYING,
		.started_ms = process_now_ms()};
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	sandbox_close(ctx.sandbox);
	work_tree_close(ctx.tree);
	store_close(the_store);
	json_decref(ctx.state);
	db_close(db);
	settings_free(set);
	sample_remove(&sample);
	template_clear();
	return 0;
}

static void edit(const char *path, const char *text)
{
	sample_write(work_tree_path(ctx.tree), path, text);
}

static enum step_next step(step_fn fn)
{
	enum step_next next = STEP_NEXT;
	no_error(fn(&ctx, &next));
	return next;
}

static const char *finding(const char *step_name, const char *member)
{
	autofree char *path = xasprintf("%s.findings", step_name);
	const char *s = json_string_value(
		json_object_get(json_array_get(run_state_get(&ctx, path), 0), member));
	return s ? s : "(none)";
}

static long long number(const char *sql)
{
	return with_db_number(db, sql);
}

static void new_finding_heals_with_category_and_hint_in_its_event(void **state)
{
	(void)state;
	begin((struct sample_file[]){
		{"package.json", PACKAGE("")}, {"src/a.ts", "ok\n"}, {"tsconfig.json", "{}"}, {0}});
	step(step_baseline);
	edit("src/a.ts", "ok\nBAD\n");
	assert_int_equal(step(step_verify), STEP_HEAL);
	assert_string_equal(finding("verify", "file"), "src/a.ts");
	assert_string_equal(finding("verify", "code"), "TS2322");
	assert_string_equal(finding("verify", "category"), "type_error");
	assert_non_null(strstr(finding("verify", "hint"), "types"));
	assert_int_equal(number("SELECT COUNT(*) FROM run_events WHERE level = 'error' AND "
				"JSON_VALUE(meta, '$.category') = 'type_error' AND "
				"JSON_VALUE(meta, '$.hint') <> ''"),
		1);
	assert_int_equal(number("SELECT COUNT(*) FROM artifacts WHERE kind = 'check_log' AND name "
				"= 'tsc-0'"),
		1);
	edit("src/a.ts", "ok\nhealed\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_true(json_is_true(run_state_get(&ctx, "verify.ok")));
	assert_int_equal(json_array_size(run_state_get(&ctx, "verify.findings")), 0);
}

static void finding_of_the_base_is_known_and_does_not_fail(void **state)
{
	(void)state;
	begin((struct sample_file[]){{"package.json", PACKAGE("")}, {"src/a.ts", "BAD\n"},
		{"tsconfig.json", "{}"}, {0}});
	step(step_baseline);
	edit("src/a.ts", "new line\nBAD\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(run_state_i64(&ctx, "verify.known"), 1);
	assert_int_equal(
		number("SELECT COUNT(*) FROM run_events WHERE message LIKE '%found before%'"), 1);
	edit("src/b.ts", "BAD\n");
	assert_int_equal(step(step_verify), STEP_HEAL);
	assert_string_equal(finding("verify", "file"), "src/b.ts");
	assert_int_equal(run_state_i64(&ctx, "verify.known"), 1);
	assert_int_equal(number("SELECT COUNT(*) FROM run_events WHERE message LIKE '%found "
				"before%src/a.ts:2%'"),
		2);
}

static void base_is_checked_once_and_its_result_kept(void **state)
{
	(void)state;
	begin((struct sample_file[]){
		{"package.json", PACKAGE("")}, {"src/a.ts", "ok\n"}, {"tsconfig.json", "{}"}, {0}});
	step(step_baseline);
	assert_int_equal(number("SELECT COUNT(*) FROM baselines WHERE check_name = 'tsc'"), 1);
	/* A result that only the table can give. */
	with_db_sql(db, "UPDATE baselines SET result = REPLACE(result, '\"findings\":[]', "
			"'\"findings\":[{\"key\":\"src/a.ts|TS2322|Not assignable.\"}]') "
			"WHERE check_name = 'tsc'");
	step(step_baseline);
	edit("src/a.ts", "BAD\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(run_state_i64(&ctx, "verify.known"), 1);
}

static void check_that_hangs_ends_the_run_with_the_figure(void **state)
{
	(void)state;
	begin((struct sample_file[]){
		{"package.json", PACKAGE("")}, {"src/a.ts", "ok\n"}, {"tsconfig.json", "{}"}, {0}});
	step(step_baseline);
	edit("src/a.ts", "HANG\n");
	enum step_next next;
	err_t e = step_verify(&ctx, &next);
	assert_int_equal(err_code(e), ERR_TIMEOUT);
	assert_non_null(strstr(err_text(e), "tsc did not end within 2 s"));
	assert_non_null(strstr(err_text(e), "AIRUNNER_TSC_TIMEOUT_S"));
}

static void check_that_hangs_on_the_base_too_is_known(void **state)
{
	(void)state;
	begin((struct sample_file[]){{"package.json", PACKAGE("")}, {"src/a.ts", "HANG\n"},
		{"tsconfig.json", "{}"}, {0}});
	step(step_baseline);
	edit("src/b.ts", "ok\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(run_state_i64(&ctx, "verify.known"), 1);
	assert_int_equal(number("SELECT COUNT(*) FROM baselines WHERE check_name = 'tsc'"), 0);
}

static void what_checks_change_in_files_is_put_back(void **state)
{
	(void)state;
	begin((struct sample_file[]){
		{"package.json", PACKAGE("")}, {"src/a.ts", "ok\n"}, {"tsconfig.json", "{}"}, {0}});
	step(step_baseline);
	edit("src/a.ts", "WRITE\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	autofree char *text = sample_read(work_tree_path(ctx.tree), "src/a.ts");
	assert_string_equal(text, "WRITE\n");
	assert_false(sample_exists(work_tree_path(ctx.tree), "made.txt"));
	char tree[OID_HEX + 1];
	no_error(work_tree_snapshot(ctx.tree, NULL, tree));
	assert_string_equal(tree, run_state_str(&ctx, "verify.tree"));
}

static void eslint_looks_at_changed_files_and_knows_those_of_the_base(void **state)
{
	(void)state;
	begin((struct sample_file[]){{"eslint.config.js", ""}, {"package.json", PACKAGE("")},
		{"src/a.ts", "UNDEF\n"}, {"src/b.ts", "ok\n"}, {"src/c.ts", "UNDEF\n"}, {0}});
	step(step_baseline);
	edit("src/a.ts", "UNDEF\nmore\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(
		run_state_i64(&ctx, "verify.known"), 1); /* of a.ts; c.ts is not looked at */
	edit("src/b.ts", "UNDEF\n");
	assert_int_equal(step(step_verify), STEP_HEAL);
	assert_string_equal(finding("verify", "file"), "src/b.ts");
	assert_string_equal(finding("verify", "category"), "undefined_variable");
	autofree char *text = sample_read(work_tree_path(ctx.tree), "src/b.ts");
	assert_string_equal(text, "UNDEF\n"); /* the look at the base is undone */
}

static void removed_check_is_a_finding(void **state)
{
	(void)state;
	begin((struct sample_file[]){{"package.json", PACKAGE("\"test\": \"true\"")},
		{"src/a.ts", "ok\n"}, {"tsconfig.json", "{}"}, {0}});
	step(step_baseline);
	edit("package.json", PACKAGE(""));
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(step(step_test), STEP_HEAL);
	assert_string_equal(finding("test", "code"), "check-removed");
}

static void broken_package_json_is_found_with_its_line(void **state)
{
	(void)state;
	begin((struct sample_file[]){{"package.json", PACKAGE("")}, {0}});
	step(step_baseline);
	edit("package.json", "{\n\"name\": \"p\",\n}\n");
	assert_int_equal(step(step_verify), STEP_HEAL);
	assert_string_equal(finding("verify", "check"), "package_json");
	assert_string_equal(finding("verify", "category"), "syntax_error");
	assert_int_equal(
		json_integer_value(json_object_get(
			json_array_get(run_state_get(&ctx, "verify.findings"), 0), "line")),
		3);
}

static const char tests[] = "#!/bin/sh\ncat out.tap; ! grep -q '^not ok' out.tap\n";

static void failing_test_heals_unless_the_base_fails_alike(void **state)
{
	(void)state;
	begin((struct sample_file[]){
		{"out.tap", "not ok 1 - old\nok 2 - fine\n# tests 2\n# pass 1\n# fail 1\n"},
		{"package.json", PACKAGE("\"test\": \"sh tests.sh\"")}, {"tests.sh", tests}, {0}});
	step(step_baseline);
	edit("new.txt", "x");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(step(step_test), STEP_NEXT);
	assert_int_equal(run_state_i64(&ctx, "test.known"), 1);
	assert_int_equal(run_state_i64(&ctx, "test.passed"), 1);
	assert_int_equal(run_state_i64(&ctx, "test.failed"), 1);
	edit("out.tap", "not ok 1 - old\nnot ok 2 - fine\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(step(step_test), STEP_HEAL);
	assert_non_null(strstr(finding("test", "message"), "fine"));
	assert_int_equal(json_array_size(run_state_get(&ctx, "test.findings")), 1);
}

static void posttest_that_needs_the_network_is_known(void **state)
{
	(void)state;
	begin((struct sample_file[]){{"out.tap", "ok 1 - a\n# tests 1\n# pass 1\n"},
		{"package.json",
			PACKAGE("\"test\": \"sh tests.sh\", \"posttest\": "
				"\"date; echo connect ENETUNREACH 192.0.2.1:443 >&2; exit 1\"")},
		{"tests.sh", tests}, {0}});
	step(step_baseline);
	edit("new.txt", "x");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(step(step_test), STEP_NEXT);
	assert_int_equal(run_state_i64(&ctx, "test.known"), 1);
	edit("out.tap", "not ok 1 - a\n# tests 1\n# fail 1\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(step(step_test), STEP_HEAL);
}

static void pretest_that_fails_on_the_base_hides_no_test(void **state)
{
	(void)state;
	begin((struct sample_file[]){{"out.tap", "ok 1 - a\n"},
		{"package.json", PACKAGE("\"test\": \"sh tests.sh\", \"pretest\": \"echo no "
					 "linter; exit 1\"")},
		{"tests.sh", tests}, {0}});
	step(step_baseline);
	edit("out.tap", "not ok 1 - a\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(step(step_test), STEP_HEAL);
	assert_int_equal(run_state_i64(&ctx, "test.known"), 1);
	assert_int_equal(json_array_size(run_state_get(&ctx, "test.findings")), 1);
}

static void quick_tests_go_before_full_ones_and_none_are_skipped(void **state)
{
	(void)state;
	begin((struct sample_file[]){
		{"package.json", PACKAGE("\"test\": \"exit 1\", \"test:quick\": \"test $CI = true "
					 "&& test $NODE_ENV = test\"")},
		{0}});
	step(step_baseline);
	edit("new.txt", "x");
	step(step_verify);
	assert_int_equal(step(step_test), STEP_NEXT);
	assert_string_equal(run_state_str(&ctx, "test.script"), "test:quick");
	assert_true(json_is_true(run_state_get(&ctx, "test.ran")));
}

static void repository_without_package_json_is_not_checked(void **state)
{
	(void)state;
	begin((struct sample_file[]){{"README.md", "x\n"}, {0}});
	step(step_baseline);
	edit("README.md", "y\n");
	assert_int_equal(step(step_verify), STEP_NEXT);
	assert_int_equal(step(step_test), STEP_NEXT);
	assert_false(json_is_true(run_state_get(&ctx, "test.ran")));
}

static void lost_fence_stops_the_step(void **state)
{
	(void)state;
	begin((struct sample_file[]){
		{"package.json", PACKAGE("")}, {"src/a.ts", "ok\n"}, {"tsconfig.json", "{}"}, {0}});
	with_db_sql(db, "UPDATE runs SET fence = 8 WHERE id = 1");
	enum step_next next;
	assert_int_equal(err_code(step_baseline(&ctx, &next)), ERR_FENCE);
	assert_int_equal(number("SELECT COUNT(*) FROM baselines"), 0);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest all[] = {
		T(new_finding_heals_with_category_and_hint_in_its_event),
		T(finding_of_the_base_is_known_and_does_not_fail),
		T(base_is_checked_once_and_its_result_kept),
		T(check_that_hangs_ends_the_run_with_the_figure),
		T(check_that_hangs_on_the_base_too_is_known),
		T(what_checks_change_in_files_is_put_back),
		T(eslint_looks_at_changed_files_and_knows_those_of_the_base),
		T(removed_check_is_a_finding),
		T(broken_package_json_is_found_with_its_line),
		T(failing_test_heals_unless_the_base_fails_alike),
		T(posttest_that_needs_the_network_is_known),
		T(pretest_that_fails_on_the_base_hides_no_test),
		T(quick_tests_go_before_full_ones_and_none_are_skipped),
		T(repository_without_package_json_is_not_checked),
		T(lost_fence_stops_the_step),
	};
	return cmocka_run_group_tests(all, NULL, NULL);
}
