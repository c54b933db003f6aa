/* Which paths never become part of a commit. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "worker/git/path_rule.h"

static void names_of_gits_own_and_crooked_ones_are_refused(void **state)
{
	(void)state;
	static const char *const refused[] = {".git", ".git/config", ".GIT/config", "a/.Git",
		"a/.git/b", "git~1", "GIT~1/config", ".git./x", ".git /x", ".git . .",
		".git::$INDEX_ALLOCATION/config", ".git\xe2\x80\x8c/config",
		".g\xe2\x81\xaait/config", "../a", "a/../b", "./a", "/a", "a//b", "a/", "",
		"a\\..\\b", "a\nb", "a\x7f"};
	for (size_t i = 0; i < ARRAY_LEN(refused); i++)
		if (!path_is_refused(refused[i]))
			fail_msg("%s", refused[i]);
}

static void ordinary_names_are_taken(void **state)
{
	(void)state;
	static const char *const taken[] = {".gitignore", ".gitattributes",
		".github/workflows/ci.yml", ".git.yml", "git", "a.git", "git~10", "src/app.ts",
		"...", "..a", "\xc3\xa4.ts", "a b.ts"};
	for (size_t i = 0; i < ARRAY_LEN(taken); i++)
		if (path_is_refused(taken[i]))
			fail_msg("%s", taken[i]);
}

static void parts_are_whole_names(void **state)
{
	(void)state;
	assert_true(path_has_part("node_modules/a", "node_modules"));
	assert_true(path_has_part("p/node_modules/a", "node_modules"));
	assert_true(path_has_part("p/node_modules", "node_modules"));
	assert_false(path_has_part("p/my_node_modules/a", "node_modules"));
	assert_false(path_has_part("p/node_modules2", "node_modules"));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(names_of_gits_own_and_crooked_ones_are_refused),
		cmocka_unit_test(ordinary_names_are_taken),
		cmocka_unit_test(parts_are_whole_names),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
