/*
 * Installation of dependencies with the real npm, of packages that lie in the repository itself, so
 * that no registry is needed.
 */
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
#include "worker/check/deps.h"
#include "worker/check/package.h"

static char dir[64], tree[80];
static struct settings *set;
static struct sandbox *sandbox;
static struct deps_result result;

static void put(const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", tree, name);
	char *slash = strrchr(path, '/');
	*slash = '\0';
	mkdir(path, 0700);
	*slash = '/';
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int set_up(void **state)
{
	(void)state;
	strcpy(dir, "/tmp/air-deps-XXXXXX");
	assert_non_null(mkdtemp(dir));
	snprintf(tree, sizeof tree, "%s/tree-0", dir);
	assert_int_equal(mkdir(tree, 0700), 0);
	struct settings_options options = {
		.program = PROGRAM_WORKER, .default_db_user = "air_worker"};
	assert_null(settings_load(&options, &set));
	assert_null(sandbox_open(set, tree, &sandbox));
	/* No "prepare" here: Debian's npm 9.2 runs that of a folder whatever --ignore-scripts says
	 * (2026-11-22); then only the sandbox holds it. */
	put("one/package.json", "{\"name\":\"one\",\"version\":\"1.0.0\",\"scripts\":{"
				"\"postinstall\":\"touch ran\","
				"\"install\":\"touch ran\"}}");
	put("two/package.json", "{\"name\":\"two\",\"version\":\"1.0.0\"}");
	put("package.json",
		"{\"name\":\"p\",\"version\":\"1.0.0\",\"dependencies\":{\"one\":\"file:./one\"},"
		"\"scripts\":{\"postinstall\":\"touch ran\",\"prepare\":\"touch ran\"}}");
	return 0;
}

static int tear_down(void **state)
{
	(void)state;
	deps_result_release(&result);
	sandbox_close(sandbox);
	settings_free(set);
	autofree char *command = xasprintf("rm -rf %s", dir);
	assert_int_equal(system(command), 0);
	return 0;
}

static void install(bool sync_lock)
{
	deps_result_release(&result);
	char version[32];
	assert_null(deps_node_version(sandbox, version));
	struct deps_request request = {.set = set,
		.sandbox = sandbox,
		.tree = tree,
		.node_version = version,
		.sync_lock = sync_lock};
	err_t e = deps_install(&request, &result);
	if (e)
		fail_msg("%s", err_text(e));
}

static size_t refusals(void)
{
	return json_array_size(result.findings);
}

static void without_a_lock_file_none_is_left_behind_and_no_script_runs(void **state)
{
	(void)state;
	install(false);
	assert_true(result.ran);
	assert_int_equal(refusals(), 0);
	assert_string_equal(result.command, "npm install");
	assert_true(tree_has(tree, "node_modules/one/package.json"));
	assert_false(tree_has(tree, "package-lock.json"));
	assert_false(tree_has(tree, "ran"));
	assert_false(tree_has(tree, "one/ran"));
}

static void second_installation_is_left_out_until_something_changes(void **state)
{
	(void)state;
	install(false);
	install(false);
	assert_false(result.ran);
	put("package.json", "{\"name\":\"p\",\"version\":\"1.0.0\",\"description\":\"other\","
			    "\"dependencies\":{\"one\":\"file:./one\"}}");
	install(false);
	assert_false(result.ran);
	put("package.json",
		"{\"name\":\"p\",\"version\":\"1.0.0\",\"dependencies\":{\"two\":\"file:./two\"}}");
	install(false);
	assert_true(result.ran);
	assert_true(tree_has(tree, "node_modules/two/package.json"));
}

/* Else a model that puts its own compiler there would be told that all is well. */
static void what_a_command_changed_in_node_modules_is_installed_anew(void **state)
{
	(void)state;
	install(false);
	put("node_modules/.bin/tsc", "exit 0");
	install(false);
	assert_true(result.ran);
	assert_false(tree_has(tree, "node_modules/.bin/tsc"));
	install(false);
	assert_false(result.ran);
	/* npm links a folder (10 on) or copies it (9) */
	autofree char *touch = xasprintf("touch -h -d 2001-01-01 %s/node_modules/one "
					 "%s/node_modules/one/package.json",
		tree, tree);
	assert_int_equal(system(touch), 0);
	install(false);
	assert_true(result.ran);
}

static void caches_in_node_modules_are_dropped_and_cost_no_installation(void **state)
{
	(void)state;
	install(false);
	put("node_modules/.cache/x", "1");
	put("node_modules/.tmp/tsconfig.tsbuildinfo", "1");
	install(false);
	assert_false(result.ran);
	assert_false(tree_has(tree, "node_modules/.cache"));
	assert_false(tree_has(tree, "node_modules/.tmp"));
}

static void with_a_lock_file_npm_ci_installs_by_it(void **state)
{
	(void)state;
	put("package-lock.json", "{\"name\":\"p\",\"version\":\"1.0.0\",\"lockfileVersion\":3,"
				 "\"requires\":true,\"packages\":{"
				 "\"\":{\"name\":\"p\",\"version\":\"1.0.0\",\"dependencies\":{"
				 "\"one\":\"file:./one\"}},"
				 "\"node_modules/one\":{\"resolved\":\"one\",\"link\":true},"
				 "\"one\":{\"version\":\"1.0.0\",\"hasInstallScript\":true}}}");
	install(false);
	assert_string_equal(result.command, "npm ci");
	assert_int_equal(refusals(), 0);
	assert_true(tree_has(tree, "node_modules/one/package.json"));
	assert_false(tree_has(tree, "one/ran"));

	/* the change adds a package: its lock file is brought up to it */
	put("package.json", "{\"name\":\"p\",\"version\":\"1.0.0\",\"dependencies\":{\"one\":"
			    "\"file:./one\",\"two\":\"file:./two\"}}");
	install(true);
	assert_int_equal(refusals(), 0);
	assert_true(tree_has(tree, "node_modules/two/package.json"));
	AUTO(buf_release) struct buf lock = BUF(1 << 20);
	assert_true(tree_read(tree, "package-lock.json", &lock));
	assert_non_null(strstr(lock.data, "node_modules/two"));
}

static void lock_file_that_lags_on_the_base_stays_as_it_is(void **state)
{
	(void)state;
	static const char old[] = "{\"name\":\"p\",\"version\":\"1.0.0\",\"lockfileVersion\":3,"
				  "\"packages\":{\"\":{\"name\":\"p\"}}}";
	put("package-lock.json", old);
	install(false);
	assert_int_equal(refusals(), 0);
	assert_string_equal(result.command, "npm install");
	assert_true(tree_has(tree, "node_modules/one/package.json"));
	AUTO(buf_release) struct buf lock = BUF(1 << 20);
	assert_true(tree_read(tree, "package-lock.json", &lock));
	assert_string_equal(lock.data, old);
}

static void refusal_is_a_finding_in_npms_words(void **state)
{
	(void)state;
	put(".npmrc", "engine-strict=true\n");
	put("one/package.json",
		"{\"name\":\"one\",\"version\":\"1.0.0\",\"engines\":{\"node\":\">=99\"}}");
	install(false);
	assert_int_equal(refusals(), 1);
	const json_t *finding = json_array_get(result.findings, 0);
	assert_string_equal(json_string_value(json_object_get(finding, "file")), "package.json");
	assert_non_null(strstr(
		json_string_value(json_object_get(finding, "message")), "npm install ended with"));
	assert_string_equal(json_string_value(json_object_get(finding, "code")), "EBADENGINE");
	install(false); /* a failed installation is tried again */
	assert_true(result.ran);
}

static void registry_out_of_reach_is_a_network_error(void **state)
{
	(void)state;
	put(".npmrc", "registry=http://127.0.0.1:9/\nfetch-retries=0\n");
	put("package.json", "{\"name\":\"p\",\"version\":\"1.0.0\",\"dependencies\":{\"air-no-"
			    "such\":\"1.0.0\"}}");
	struct deps_request request = {
		.set = set, .sandbox = sandbox, .tree = tree, .node_version = "v1"};
	err_t e = deps_install(&request, &result);
	assert_int_equal(err_code(e), ERR_NETWORK);
	assert_non_null(strstr(err_text(e), "ECONNREFUSED"));
}

static void nothing_is_installed_without_dependencies(void **state)
{
	(void)state;
	put("package.json", "{\"name\":\"p\",\"version\":\"1.0.0\"}");
	install(false);
	assert_false(result.ran);
	assert_false(tree_has(tree, "node_modules"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(without_a_lock_file_none_is_left_behind_and_no_script_runs),
		T(second_installation_is_left_out_until_something_changes),
		T(what_a_command_changed_in_node_modules_is_installed_anew),
		T(caches_in_node_modules_are_dropped_and_cost_no_installation),
		T(with_a_lock_file_npm_ci_installs_by_it),
		T(lock_file_that_lags_on_the_base_stays_as_it_is),
		T(refusal_is_a_finding_in_npms_words),
		T(registry_out_of_reach_is_a_network_error),
		T(nothing_is_installed_without_dependencies),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
