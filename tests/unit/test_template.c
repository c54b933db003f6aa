/* Templates: where they are looked for, how their ending decides escaping, what a missing one says.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/template.h"

static char folder[] = "/tmp/airunner-template-XXXXXX";
static struct settings *set;

/* clang-format off */
static const struct { const char *path, *text; } files[] = {
	{"templates", NULL},
	{"templates/pages", NULL},
	{"templates/pages/a.html",   "<p>{{x}}</p>{{>near}}{{>far}}{{>far.md}}"},
	{"templates/pages/near.html", "[near {{x}}]"},
	{"templates/near.html",      "[wrong]"},
	{"templates/far.html",       "[far]"},
	{"templates/far.md",         "[md]"},
	{"templates/a.md",           "{{x}} {{>far}}"},
	{"templates/bare",           "{{x}}"},
	{"templates/lost.html",      "a{{>nowhere}}b"},
	{"templates/out.html",       "a{{>../secret}}b"},
	{"templates/broken.html",    "\n{{#x}}"},
	{"secret.html",              "secret"},
};
/* clang-format on */

static char *path_of(size_t i)
{
	return xasprintf("%s/%s", folder, files[i].path);
}

static int begin(void **state)
{
	(void)state;
	if (!mkdtemp(folder))
		return -1;
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		autofree char *path = path_of(i);
		AUTO(buf_release) struct buf b = BUF(1000);
		if (!files[i].text) {
			if (mkdir(path, 0700) < 0)
				return -1;
			continue;
		}
		buf_adds(&b, files[i].text);
		if (buf_write_file(&b, path, 0600))
			return -1;
	}
	autofree char *flag = xasprintf("AIRUNNER_SHARE_DIR=%s", folder);
	return settings_load(&(struct settings_options){.program = PROGRAM_HOOK,
				     .env_file = "",
				     .overrides = (const char *const[]){flag, NULL}},
		       &set)
		       ? -1
		       : 0;
}

static int end(void **state)
{
	(void)state;
	for (size_t i = ARRAY_LEN(files); i-- > 0;) {
		autofree char *path = path_of(i);
		if (remove(path) < 0)
			return -1;
	}
	template_clear();
	settings_free(set);
	return rmdir(folder);
}

static err_t render(const char *name, struct buf *out)
{
	json_t *data = json_pack("{s:s}", "x", "<&>");
	err_t e = template_render(set, name, data, out);
	json_decref(data);
	return e;
}

static void partials_are_found_beside_then_above(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf out = BUF(1000);
	assert_string_equal(err_text(render("pages/a.html", &out)), "");
	assert_string_equal(out.data, "<p>&lt;&amp;&gt;</p>[near &lt;&amp;&gt;][far][md]");
}

static void only_html_is_escaped(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf out = BUF(1000);
	assert_null(render("a.md", &out));
	assert_null(render("bare", &out));
	assert_string_equal(out.data, "<&> [md]<&>");
}

static void missing_and_broken_ones_are_named(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf out = BUF(1000);
	err_t e = render("pages/none.html", &out);
	assert_int_equal(err_code(e), ERR_CONFIG);
	autofree char *path = xasprintf(
		"template pages/none.html: %s/templates/pages/none.html: no such file", folder);
	assert_memory_equal(err_text(e), path, strlen(path));
	e = render("lost.html", &out);
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_string_equal(err_text(e), "template lost.html: no partial nowhere.html");
	e = render("broken.html", &out);
	assert_string_equal(err_text(e), "broken.html:2: unclosed section x");
}

static void partials_stay_inside_the_folder(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf out = BUF(1000);
	assert_int_equal(err_code(render("out.html", &out)), ERR_CONFIG);
	assert_null(strstr(out.data, "secret"));
}

static void files_are_read_once_until_cleared(void **state)
{
	(void)state;
	template_clear();
	AUTO(buf_release) struct buf out = BUF(1000), text = BUF(1000);
	autofree char *path = xasprintf("%s/templates/bare", folder);
	assert_null(render("bare", &out));
	buf_adds(&text, "new");
	assert_null(buf_write_file(&text, path, 0600));
	assert_null(render("bare", &out));
	template_clear();
	assert_null(render("bare", &out));
	assert_string_equal(out.data, "<&><&>new");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(partials_are_found_beside_then_above),
		cmocka_unit_test(only_html_is_escaped),
		cmocka_unit_test(missing_and_broken_ones_are_named),
		cmocka_unit_test(partials_stay_inside_the_folder),
		cmocka_unit_test(files_are_read_once_until_cleared),
	};
	return cmocka_run_group_tests(tests, begin, end);
}
