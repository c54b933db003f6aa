/* Import resolution on a small tree of files. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "worker/check/imports.h"

static char tree[64];
static json_t *found, *package;

static void put(const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", tree, name);
	for (char *slash = path + strlen(tree) + 1; (slash = strchr(slash, '/')); slash++) {
		*slash = '\0';
		mkdir(path, 0700);
		*slash = '/';
	}
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(tree, "/tmp/air-imports-XXXXXX");
	assert_non_null(mkdtemp(tree));
	put("src/util.ts", "");
	put("src/view.tsx", "");
	put("src/data.json", "{}");
	put("src/lib/index.js", "");
	put("src/esm.mts", "");
	put("node_modules/installed/package.json", "{}");
	put("node_modules/@scope/pack/package.json", "{}");
	put("node_modules/@types/typed/index.d.ts", "");
	found = json_array();
	package = json_pack("{s:s, s:{s:s}}", "name", "self", "dependencies", "named", "^1");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	json_decref(found);
	json_decref(package);
	autofree char *command = xasprintf("rm -rf %s", tree);
	assert_int_equal(system(command), 0);
	return 0;
}

static size_t check(const char *file, const char *text)
{
	put(file, text);
	json_array_clear(found);
	imports_check("imports", tree, file, package, found);
	return json_array_size(found);
}

static const char *str(size_t i, const char *member)
{
	return json_string_value(json_object_get(json_array_get(found, i), member));
}

static void imports_that_lead_somewhere_are_fine(void **state)
{
	(void)state;
	static const char *const fine[] = {
		"import { a } from './util';",
		"import a from \"./util.ts\";",
		"import './util.js';",
		"import View from './view';",
		"import d from './data.json';",
		"import x from './data';",
		"import * as lib from './lib';",
		"export { a } from './util';",
		"export * from '../src/util';",
		"const a = require('./lib');",
		"await import('./esm.mjs');",
		"import type { T } from './util';",
		"import {\n  a,\n  b,\n} from './util';",
		"import fs from 'fs';",
		"import fs from 'node:fs/promises';",
		"import 'fs/promises';",
		"import i from 'installed';",
		"import i from 'installed/deep/file.js';",
		"import p from '@scope/pack/x';",
		"import n from 'named';",
		"import s from 'self/thing';",
		"import t from 'typed';",
		"import a from '@/components/a';",
		"import a from '#internal';",
		"import raw from './data.json?raw';",
		"import u from 'https://example.com/x.js';",
		"// import a from './gone';",
		"/* require('./gone') */",
		"const s = `import a from './gone'`;",
		"const t = \"import a from './gone'\";",
		"require(name);",
		"const re = /\\/\\/.*/; import a from './util';",
		"",
	};
	for (size_t i = 0; i < ARRAY_LEN(fine); i++)
		if (check("src/a.ts", fine[i]) != 0)
			fail_msg("%s: %s", fine[i], str(0, "message"));
}

static void imports_that_lead_nowhere_are_found_with_line_and_kind(void **state)
{
	(void)state;
	assert_int_equal(
		check("src/a.ts",
			"import { a } from './util';\n// x\nimport b from './gone';\n"
			"const c = require(\"gone-too\");\nimport d from '@scope/none/x';\n"),
		3);
	assert_string_equal(str(0, "message"), "'./gone' leads to no file");
	assert_string_equal(str(0, "category"), "import_resolution");
	assert_int_equal(json_integer_value(json_object_get(json_array_get(found, 0), "line")), 3);
	assert_string_equal(str(1, "category"), "missing_dependency");
	assert_non_null(strstr(str(2, "message"), "@scope/none"));
}

static void file_in_the_top_folder_is_resolved_from_there(void **state)
{
	(void)state;
	assert_int_equal(check("main.mjs", "import './src/util.ts'; import 'installed';"), 0);
	assert_int_equal(check("main.mjs", "import './util.ts';"), 1);
}

static void alias_of_tsconfig_is_not_judged(void **state)
{
	(void)state;
	assert_int_equal(check("src/a.ts", "import x from 'app/thing';"), 1);
	put("tsconfig.json", "{ \"compilerOptions\": { \"paths\": { \"app/*\": [\"src/*\"] } } }");
	assert_int_equal(check("src/a.ts", "import x from 'app/thing';"), 0);
}

static void link_to_a_file_outside_is_not_read(void **state)
{
	(void)state;
	autofree char *outside = xasprintf("%s-outside.js", tree),
		      *link = xasprintf("%s/link.js", tree);
	FILE *f = fopen(outside, "w");
	fputs("import './canary';", f);
	fclose(f);
	assert_int_equal(symlink(outside, link), 0);
	imports_check("imports", tree, "link.js", package, found);
	unlink(outside);
	assert_int_equal(json_array_size(found), 0);
}

static void only_script_files_are_read(void **state)
{
	(void)state;
	assert_true(imports_applies("a/b.tsx"));
	assert_true(imports_applies("x.cjs"));
	assert_false(imports_applies("README.md"));
	assert_false(imports_applies("data.json"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(imports_that_lead_somewhere_are_fine),
		T(imports_that_lead_nowhere_are_found_with_line_and_kind),
		T(file_in_the_top_folder_is_resolved_from_there),
		T(alias_of_tsconfig_is_not_judged),
		T(link_to_a_file_outside_is_not_read),
		T(only_script_files_are_read),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
