/* The check-list of sub-tasks in a pull request's body. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "worker/steps/checklist.h"

static void expect(
	const char *body, const char *key, const char *summary, bool is_done, const char *wanted)
{
	AUTO(buf_release) struct buf out = BUF(4096);
	checklist_set(&out, body, key, summary, is_done);
	assert_string_equal(out.data, wanted);
}

static void line_is_changed_where_it_stands(void **state)
{
	(void)state;
	expect("Text\n- [ ] A-1: one\n- [ ] A-11: other\nEnd", "A-1", "one", true,
		"Text\n- [x] A-1: one\n- [ ] A-11: other\nEnd");
	expect("- [x] A-1: one\n", "A-1", "one", true, "- [x] A-1: one\n");
	expect("* [X] A-1: old words\r\nEnd", "A-1", "one", false, "- [ ] A-1: one\nEnd");
}

static void new_line_joins_the_list(void **state)
{
	(void)state;
	expect("Text\n- [x] A-1: one\n\nEnd\n", "A-2", "two", false,
		"Text\n- [x] A-1: one\n- [ ] A-2: two\n\nEnd\n");
	expect("- [x] A-1: one", "A-2", "two", true, "- [x] A-1: one\n- [x] A-2: two\n");
}

static void body_without_list_gets_one_at_its_end(void **state)
{
	(void)state;
	expect("Written by a person", "A-1", "one", true,
		"Written by a person\n\n- [x] A-1: one\n");
	expect("", "A-1", "one\nwith a line", true, "- [x] A-1: one with a line\n");
	expect("- no item\n-[ ] none\n- [", "A-1", "o", true,
		"- no item\n-[ ] none\n- [\n\n- [x] A-1: o\n");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(line_is_changed_where_it_stands),
		cmocka_unit_test(new_line_joins_the_list),
		cmocka_unit_test(body_without_list_gets_one_at_its_end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
