/* The ladder of str_replace: what is done, what is refused, and with which words. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"
#include "worker/agent/edit.h"

/* Expects the new content, or (result NULL) a part of the words. */
static void check(const char *content, const char *old_text, const char *new_text,
	const char *result, const char *said)
{
	AUTO(buf_release) struct buf out = BUF(10000), words = BUF(10000);
	const struct edit edit = {content, old_text, new_text};
	bool done = edit_replace(&edit, &out, &words);
	if (done != (result != NULL) || (said && !strstr(words.data, said)))
		fail_msg("%s: %s", done ? "done" : "refused", words.data);
	if (result)
		assert_string_equal(out.data, result);
}

static void a_text_that_occurs_once_is_replaced(void **state)
{
	(void)state;
	check("a\nb\nc\n", "b\n", "x\ny\n", "a\nx\ny\nc\n", "lines 2-3");
	check("one two", "two", "2", "one 2", "lines 1-1");
	check("a\nb\nc\n", "b\n", "", "a\nc\n", NULL);
}

static void a_text_that_occurs_twice_is_refused_with_its_places(void **state)
{
	(void)state;
	check("x = 1\ny\nx = 1\n", "x = 1", "x = 2", NULL, "occurs 2 times, at lines 1, 3;");
}

static void line_ends_of_the_file_are_kept(void **state)
{
	(void)state;
	check("a\r\nb\r\nc\r\n", "a\nb\n", "x\ny\n", "x\r\ny\r\nc\r\n", NULL);
	check("  a\r\n  b\r\nc\r\n", "a\nb", "x\ny", "  x\r\n  y\r\nc\r\n", "indentation");
}

static void an_indentation_that_is_off_alike_is_adapted(void **state)
{
	(void)state;
	check("if (a) {\n\t\tb();\n\n\t\tc();\n}\n", "b();\n\nc();\n", "d();\n\n\te();\n",
		"if (a) {\n\t\td();\n\n\t\t\te();\n}\n", "indentation");
	check("  a\n    b\n", "    a\n      b", "    x\n      y", "  x\n    y\n", "indentation");
	check("  a", "a", "b", "  b", "lines 1-1"); /* exact within the line */
	check("\ta {\n\t}", "a {\n}", "b {\n}", "\tb {\n\t}", "indentation");
}

static void an_indentation_that_is_off_unevenly_is_refused(void **state)
{
	(void)state;
	check("  a\n   b\n", "a\nb\n", "x\n", NULL, "does not occur");
	check("  a\n  b\n\ta\n\tb\n", "    a\n    b\n", "x\n", NULL, "does not occur"); /* twice */
	check("a\n  b\n", "  a\n    b\n", "x\n", NULL,
		"does not occur"); /* new text cannot lose two */
}

static void long_texts_of_like_lines_are_refused_in_time(void **state)
{
	(void)state;
	size_t n = 1 << 21, old_n = 20000;
	autofree char *content = xmalloc(n + 1), *old_text = xmalloc(old_n + 2);
	memset(content, '\n', n);
	memset(old_text, '\n', old_n);
	content[n] = '\0';
	strcpy(old_text + old_n, "x");
	clock_t began = clock();
	check(content, old_text, "y", NULL, "does not occur");
	assert_true(clock() - began < 20 * CLOCKS_PER_SEC);
}

static void failure_names_the_nearest_lines(void **state)
{
	(void)state;
	check("import a\n\nfunction add(x, y) {\n\treturn x + y;\n}\n",
		"function add(a, b) {\n\treturn x + y;\n}", "z", NULL,
		"did you mean these?\n3: function add(x, y) {\n4: \treturn x + y;\n5: }");
	check("const total = price * count;\n", "const total = price + count;", "z", NULL,
		"1: const total = price * count;");
	check("abc\n", "zzz", "y", NULL, "the old text does not occur in the file");
}

static void failure_says_when_the_new_text_is_there_already(void **state)
{
	(void)state;
	check("let b = 2;\n", "let a = 1;", "let b = 2;", NULL, "already present");
}

static void senseless_edits_are_refused(void **state)
{
	(void)state;
	check("a", "", "b", NULL, "use create");
	check("a", "a", "a", NULL, "the same");
	check("", "a", "b", NULL, "does not occur");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_text_that_occurs_once_is_replaced),
		cmocka_unit_test(a_text_that_occurs_twice_is_refused_with_its_places),
		cmocka_unit_test(line_ends_of_the_file_are_kept),
		cmocka_unit_test(an_indentation_that_is_off_alike_is_adapted),
		cmocka_unit_test(an_indentation_that_is_off_unevenly_is_refused),
		cmocka_unit_test(long_texts_of_like_lines_are_refused_in_time),
		cmocka_unit_test(failure_names_the_nearest_lines),
		cmocka_unit_test(failure_says_when_the_new_text_is_there_already),
		cmocka_unit_test(senseless_edits_are_refused),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
