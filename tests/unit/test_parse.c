/*
 * Readers of tool output, on output that the real tools printed (tests/unit/data), and the telling
 * apart of new findings from known ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "worker/check/finding.h"
#include "worker/check/parse.h"

static struct buf text;
static json_t *found;

static int set_up(void **state)
{
	(void)state;
	text = BUF(1 << 20);
	found = json_array();
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	buf_release(&text);
	json_decref(found);
	return 0;
}

static struct parse_input load(const char *name)
{
	autofree char *path = xasprintf("tests/unit/data/%s", name);
	assert_null(buf_read_file(&text, path));
	return (struct parse_input){"c", "/tree", text.data, text.len};
}

static struct parse_input words(const char *s)
{
	return (struct parse_input){"c", "/tree", s, strlen(s)};
}

static const char *str(size_t i, const char *member)
{
	const char *s = json_string_value(json_object_get(json_array_get(found, i), member));
	return s ? s : "(none)";
}

static int line_of(size_t i)
{
	return (int)json_integer_value(json_object_get(json_array_get(found, i), "line"));
}

static void tsc_errors_have_file_line_code_and_category(void **state)
{
	(void)state;
	struct parse_input in = load("tsc.txt");
	parse_tsc(&in, found);
	assert_int_equal(json_array_size(found), 3);
	assert_string_equal(str(0, "file"), "bad.ts");
	assert_int_equal(line_of(0), 1);
	assert_string_equal(str(0, "code"), "TS2305");
	assert_string_equal(str(0, "category"), "missing_export");
	assert_string_equal(
		str(0, "message"), "Module '\"./other\"' has no exported member 'nope'.");
	assert_int_equal(line_of(2), 4);
}

static void tsc_message_goes_on_in_indented_lines_and_may_have_no_file(void **state)
{
	(void)state;
	struct parse_input in =
		words("a b/c.tsx(3,1): error TS2322: Type 'A'.\n  Types of 'x'.\n    No.\n"
		      "error TS18003: No inputs were found.\nFound 2 errors.\n");
	parse_tsc(&in, found);
	assert_int_equal(json_array_size(found), 2);
	assert_string_equal(str(0, "file"), "a b/c.tsx");
	assert_string_equal(str(0, "message"), "Type 'A'.\n  Types of 'x'.\n    No.");
	assert_string_equal(str(1, "file"), "(none)");
	assert_string_equal(str(1, "code"), "TS18003");
}

static void eslint_errors_count_and_warnings_do_not(void **state)
{
	(void)state;
	struct parse_input in = load("eslint.json");
	assert_true(parse_eslint(&in, found));
	assert_int_equal(json_array_size(found), 2);
	assert_string_equal(str(0, "file"), "l.js");
	assert_string_equal(str(0, "code"), "no-undef");
	assert_string_equal(str(1, "code"), "parse-error");
	assert_string_equal(str(1, "category"), "syntax_error");
	struct parse_input broken = words("Oops! Something went wrong! [1");
	assert_false(parse_eslint(&broken, found));
}

static void builds_of_several_tools_are_read(void **state)
{
	(void)state;
	struct parse_input in =
		words("src/a.ts(1,2): error TS2304: Cannot find name 'x'.\n"
		      "src/b.c:3:4: error: stray token\n"
		      "./src/page.tsx:7:9\nType error: Property 'y' does not exist on type 'Z'.\n\n"
		      "./src/app.tsx\nModule not found: Can't resolve './gone'\n"
		      "/tree/src/d.js\n  10:5  error  'q' is not defined  no-undef\n"
		      "/tree/build.js:12\n    boom();\n    ^\n\nReferenceError: boom is not "
		      "defined\n    at Object.<anonymous> (/tree/build.js:12:5)\n");
	parse_any(&in, found);
	static const struct {
		const char *file;
		int line;
		const char *category;
	} want[] = {
		{"src/a.ts", 1, "undefined_variable"},
		{"src/b.c", 3, "unknown"},
		{"src/page.tsx", 7, "type_error"},
		{"src/app.tsx", 0, "import_resolution"},
		{"src/d.js", 10, "undefined_variable"},
		{"build.js", 12, "undefined_variable"},
	};
	assert_int_equal(json_array_size(found), ARRAY_LEN(want));
	for (size_t i = 0; i < ARRAY_LEN(want); i++) {
		assert_string_equal(str(i, "file"), want[i].file);
		assert_int_equal(line_of(i), want[i].line);
		assert_string_equal(str(i, "category"), want[i].category);
	}
}

static void unreadable_output_becomes_one_finding_of_its_last_lines(void **state)
{
	(void)state;
	for (int i = 0; i < 100; i++)
		buf_addf(&text, "line %d\n", i);
	struct parse_input in = {"c", "/tree", text.data, text.len};
	parse_tail(&in, "exit-1", found);
	assert_null(strstr(str(0, "message"), "line 74\n"));
	assert_non_null(strstr(str(0, "message"), "line 75\n"));
	assert_non_null(strstr(str(0, "message"), "line 99"));
	struct parse_input none = words("");
	parse_tail(&none, "exit-1", found);
	assert_string_equal(str(1, "message"), "it failed and printed nothing");
}

static void failing_tests_of_each_runner_are_named_and_counted(void **state)
{
	(void)state;
	static const struct {
		const char *data;
		int run, passed, failed;
		const char *keys[2];
		const char *file;
		int line;
	} cases[] = {
		{"tests_tape.txt", 14, 13, 1, {"not equal"}, "test/cmp.js", 13},
		{"tests_node_tap.txt", 4, 1, 2, {"adds", "throws"}, "n/a.test.mjs", 2},
		{"tests_node_spec.txt", 4, 1, 2, {"adds", "throws"}, "n/a.test.mjs", 2},
		{"tests_jest.txt", 3, 1, 2, {"sums › adds", "throws"}, "j/a.test.js", 1},
		{"tests_vitest.txt", 3, 1, 2,
			{"v/a.spec.mjs > sums > adds", "v/a.spec.mjs > throws"}, "v/a.spec.mjs", 2},
		{"tests_mocha.txt", 3, 1, 2, {"throws:", "sums adds:"}, "m/a.js", 3},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_array_clear(found);
		buf_reset(&text);
		struct parse_input in = load(cases[i].data);
		struct test_counts counts;
		parse_tests(&in, found, &counts);
		assert_int_equal(counts.run, cases[i].run);
		assert_int_equal(counts.passed, cases[i].passed);
		assert_int_equal(counts.failed, cases[i].failed);
		assert_int_equal(json_array_size(found), cases[i].failed);
		for (int k = 0; k < cases[i].failed; k++)
			assert_int_equal(strncmp(str(k, "message"), cases[i].keys[k],
						 strlen(cases[i].keys[k])),
				0);
		assert_string_equal(str(0, "file"), cases[i].file);
		assert_int_equal(line_of(0), cases[i].line);
		assert_null(strstr(str(0, "message"), "/tree"));
	}
}

static void message_of_a_failing_test_tells_expected_and_actual(void **state)
{
	(void)state;
	struct parse_input in = load("tests_tape.txt");
	struct test_counts counts;
	parse_tests(&in, found, &counts);
	assert_non_null(strstr(str(0, "message"), "expected: false"));
	assert_non_null(strstr(str(0, "message"), "actual:   true"));
}

static void output_of_no_runner_gives_no_counts(void **state)
{
	(void)state;
	struct parse_input in = words("hello\nFAIL\n✖ x\n  1) y\n");
	struct test_counts counts;
	parse_tests(&in, found, &counts);
	assert_int_equal(counts.run, -1);
	assert_int_equal(json_array_size(found), 0);
}

static void add(json_t *to, const char *file, int line, const char *message)
{
	finding_add(to, "/tree",
		&(struct finding){.check = "tsc",
			.file = file,
			.line = line,
			.code = "TS1",
			.message = message});
}

static void findings_of_the_base_are_known_wherever_their_line_moved(void **state)
{
	(void)state;
	json_auto_t *base = json_array();
	add(base, "/tree/a.ts", 3, "'x' is bad in 12 ms");
	add(found, "/tree/a.ts", 30, "'x' is bad in 7 ms");
	add(found, "a.ts", 31, "'y' is bad in 7 ms");
	add(found, "b.ts", 3, "'x' is bad in 12 ms");
	json_auto_t *fresh = NULL, *known = NULL;
	findings_split(found, base, &fresh, &known);
	assert_int_equal(json_array_size(known), 1);
	assert_int_equal(json_array_size(fresh), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(fresh, 0), "message")),
		"'y' is bad in 7 ms");
}

static void second_finding_of_a_kind_that_the_base_has_once_is_new(void **state)
{
	(void)state;
	json_auto_t *base = json_array();
	add(base, "a.ts", 3, "bad");
	add(found, "a.ts", 3, "bad");
	add(found, "a.ts", 9, "bad");
	json_auto_t *fresh = NULL, *known = NULL;
	findings_split(found, base, &fresh, &known);
	assert_int_equal(json_array_size(known), 1);
	assert_int_equal(json_array_size(fresh), 1);
	json_auto_t *all = NULL, *none = NULL;
	findings_split(found, NULL, &all, &none);
	assert_int_equal(json_array_size(none), 0);
	assert_int_equal(json_array_size(all), 2);
}

static void any_bytes_become_valid_findings(void **state)
{
	(void)state;
	static const char raw[] = "a\xff.ts(1,1): error TS1: \x1b[31mbr\xc3oken\n";
	struct parse_input in = {"c", "/tree", raw, sizeof raw - 1};
	parse_tsc(&in, found);
	assert_int_equal(json_array_size(found), 1);
	autofree char *json = json_dumps(found, 0);
	assert_non_null(json);
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(tsc_errors_have_file_line_code_and_category),
		T(tsc_message_goes_on_in_indented_lines_and_may_have_no_file),
		T(eslint_errors_count_and_warnings_do_not),
		T(builds_of_several_tools_are_read),
		T(unreadable_output_becomes_one_finding_of_its_last_lines),
		T(failing_tests_of_each_runner_are_named_and_counted),
		T(message_of_a_failing_test_tells_expected_and_actual),
		T(output_of_no_runner_gives_no_counts),
		T(findings_of_the_base_are_known_wherever_their_line_moved),
		T(second_finding_of_a_kind_that_the_base_has_once_is_new),
		T(any_bytes_become_valid_findings),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
