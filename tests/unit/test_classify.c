/* The table of categories, row by row. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "worker/check/check.h"

static const struct {
	const char *code, *message, *category;
} cases[] = {
	{"TS2305", "Module '\"./a\"' has no exported member 'b'.", "missing_export"},
	{"TS2724", "'\"./a\"' has no exported member named 'b'. Did you mean 'c'?",
		"missing_export"},
	{"TS2304", "Cannot find name 'total'.", "undefined_variable"},
	{"TS2552", "Cannot find name 'totl'. Did you mean 'total'?", "undefined_variable"},
	{"TS2307", "Cannot find module './x' or its corresponding type declarations.",
		"import_resolution"},
	{"TS2322", "Type 'string' is not assignable to type 'number'.", "type_error"},
	{"TS2345", "Argument of type 'string' is not assignable to parameter", "type_error"},
	{"TS2339", "Property 'x' does not exist on type 'Y'.", "type_error"},
	{"TS7006", "Parameter 'x' implicitly has an 'any' type.", "type_error"},
	{"TS18048", "'x' is possibly 'undefined'.", "type_error"},
	{"TS7016", "Could not find a declaration file for module 'x'.", "missing_dependency"},
	{"TS1005", "';' expected.", "syntax_error"},
	{"TS17008", "JSX element 'div' has no corresponding closing tag.", "syntax_error"},
	{"TS5023", "Unknown compiler option 'x'.", "unknown"},
	{"parse-error", "Parsing error: Unexpected token }", "syntax_error"},
	{"no-undef", "'x' is not defined.", "undefined_variable"},
	{"react-hooks/rules-of-hooks", "…", "react_hook_error"},
	{"import/no-unresolved", "Unable to resolve path to module './x'.", "import_resolution"},
	{"no-console", "Unexpected console statement.", "unknown"},
	{"", "'x' is not exported from './y'.", "missing_export"},
	{"", "SyntaxError: The requested module './a.js' does not provide an export named 'b'",
		"missing_export"},
	{"", "Unknown at rule @tailwindd", "tailwind_invalid_class"},
	{"", "The `text-blu` class does not exist.", "tailwind_invalid_class"},
	{"", "@apply text-x:\n'text-x' does not exist", "tailwind_invalid_class"},
	{"", "Module not found: Can't resolve './x'", "import_resolution"},
	{"", "Error: Cannot find module './lib/x'", "import_resolution"},
	{"", "React Hook \"useState\" is called conditionally.", "react_hook_error"},
	{"", "React Hook \"useX\" cannot be called inside a callback.", "react_hook_error"},
	{"", "ReferenceError: foo is not defined", "undefined_variable"},
	{"", "Error [ERR_MODULE_NOT_FOUND]: Cannot find package 'zod' imported from /a",
		"missing_dependency"},
	{"", "sh: 1: tape: not found", "missing_dependency"},
	{"", "Could not resolve dependency: peer react@18", "missing_dependency"},
	{"", "SyntaxError: Unexpected token 'export'", "syntax_error"},
	{"", "Expected \")\" but found \"}\"", "syntax_error"},
	{"", "TypeError: a.b is not a function", "type_error"},
	{"test-failed", "equal\n  expected: 1\n  actual: 2", "unknown"},
	{NULL, NULL, "unknown"},
};

static void each_error_has_its_category(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *got = error_category_name(classify(cases[i].code, cases[i].message));
		if (strcmp(got, cases[i].category) != 0)
			fail_msg("%s: %s instead of %s", cases[i].message, got, cases[i].category);
	}
}

static void code_counts_before_words(void **state)
{
	(void)state;
	/* The words are those of missing_export in the Python system's list. */
	assert_int_equal(classify("TS2304", "Cannot find name 'x'; it has no exported member"),
		CATEGORY_UNDEFINED_VARIABLE);
}

static void each_category_has_a_hint(void **state)
{
	(void)state;
	for (int i = 0; i < CATEGORY__MAX; i++) {
		autofree char *path = xasprintf("templates/hints/%s.md", error_category_name(i));
		assert_int_equal(access(path, R_OK), 0);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_error_has_its_category),
		cmocka_unit_test(code_counts_before_words),
		cmocka_unit_test(each_category_has_a_hint),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
