/*
 * The table of checks and what they have in common. Called by the steps baseline and verify. Each
 * check is a few lines here, its reader is in parse.c; tests are in test_run.c.
 */
#include "worker/check/check.h"

#include <errno.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/check/finding.h"
#include "worker/check/imports.h"
#include "worker/check/package.h"
#include "worker/check/process.h"

#define LOG_MAX (16u << 20)
#define LINT_FILES_MAX 300

static const char *skip_json(const struct check_target *target)
{
	return tree_has(target->tree, "package.json") ? NULL : "no package.json";
}

static err_t run_json(
	const struct check_target *target, const struct check *check, struct check_outcome *outcome)
{
	AUTO(buf_release) struct buf text = BUF(LOG_MAX);
	json_error_t error = {.line = 1, .text = "it is no regular file"};
	json_t *package = NULL;
	if (tree_read(target->tree, "package.json", &text))
		package = json_loadb(text.data, text.len, JSON_REJECT_DUPLICATES, &error);
	if (package && !json_is_object(package))
		snprintf(error.text, sizeof error.text, "it is no JSON object");
	if (!json_is_object(package))
		finding_add(outcome->findings, target->tree,
			&(struct finding){.check = check->name,
				.file = "package.json",
				.line = error.line,
				.col = error.column,
				.code = "json",
				.message = error.text});
	json_decref(package);
	return NULL;
}

static err_t run_imports(
	const struct check_target *target, const struct check *check, struct check_outcome *outcome)
{
	size_t i;
	json_t *path;
	json_array_foreach (target->changed, i, path)
		if (imports_applies(json_string_value(path)))
			imports_check(check->name, target->tree, json_string_value(path),
				target->package, outcome->findings);
	return NULL;
}

/* A failure of which no finding could be read still is one. */
static void tell_exit(const struct check_target *target, const struct check *check, int exit_code,
	struct check_outcome *outcome)
{
	if (exit_code == 0 || json_array_size(outcome->findings) > 0)
		return;
	char code[32];
	snprintf(code, sizeof code, "exit-%d", exit_code);
	struct parse_input in = {check->name, target->tree, outcome->log.data, outcome->log.len};
	parse_tail(&in, code, outcome->findings);
}

static const char *skip_tsc(const struct check_target *target)
{
	if (!tree_has(target->tree, "tsconfig.json"))
		return "no tsconfig.json";
	return tree_has(target->tree, "node_modules/.bin/tsc") ? NULL
							       : "typescript is not installed";
}

/* A tsconfig that only names other projects is for tsc --build. */
static bool has_references(const char *tree)
{
	AUTO(buf_release) struct buf text = BUF(256 << 10);
	const char *files =
		tree_read(tree, "tsconfig.json", &text) ? strstr(text.data, "\"files\"") : NULL;
	const char *open = files ? strchr(files, '[') : NULL;
	return open && open[1 + strspn(open + 1, " \t\n")] == ']' &&
	       strstr(text.data, "\"references\"");
}

/* Since 4.0 tsc can keep what it knows between runs without writing its output. */
static bool can_remember(const char *tree)
{
	AUTO(buf_release) struct buf text = BUF(1 << 20);
	if (!tree_read(tree, "node_modules/typescript/package.json", &text))
		return false;
	json_auto_t *package = json_loadb(text.data, text.len, 0, NULL);
	const char *version = json_string_value(json_object_get(package, "version"));
	return version && atoi(version) >= 4;
}

static err_t run_tsc(
	const struct check_target *target, const struct check *check, struct check_outcome *outcome)
{
	bool build = has_references(target->tree), remember = !build && can_remember(target->tree);
	autofree char *memory = xasprintf("%s.tools", target->tree);
	autofree char *info = xasprintf("%s/tsbuildinfo", memory);
	if (remember && mkdir(memory, 0700) != 0 && errno != EEXIST)
		return err_errno("folder %s", memory);
	const char *const argv[] = {"node_modules/.bin/tsc", build ? "--build" : "--noEmit",
		"--pretty", "false", remember ? "--incremental" : NULL, "--tsBuildInfoFile", info,
		NULL};
	int exit_code = 0;
	ERR_TRY(check_command(target, check,
		&(struct check_command){.argv = argv, .write_dir = remember ? memory : NULL},
		outcome, &exit_code));
	struct parse_input in = {check->name, target->tree, outcome->log.data, outcome->log.len};
	parse_tsc(&in, outcome->findings);
	tell_exit(target, check, exit_code, outcome);
	return NULL;
}

static const char *skip_eslint(const struct check_target *target)
{
	static const char *const configs[] = {"eslint.config.js", "eslint.config.mjs",
		"eslint.config.cjs", "eslint.config.ts", ".eslintrc", ".eslintrc.js",
		".eslintrc.cjs", ".eslintrc.json", ".eslintrc.yml", ".eslintrc.yaml", NULL};
	if (!tree_has_any(target->tree, configs) &&
		!json_object_get(target->package, "eslintConfig"))
		return "no eslint configuration";
	if (!tree_has(target->tree, "node_modules/.bin/eslint"))
		return "eslint is not installed";
	size_t i;
	json_t *path;
	json_array_foreach (target->changed, i, path)
		if (imports_applies(json_string_value(path)) &&
			tree_has(target->tree, json_string_value(path)))
			return NULL;
	return "no changed file to lint";
}

static err_t run_eslint(
	const struct check_target *target, const struct check *check, struct check_outcome *outcome)
{
	AUTO(strv_release) struct strv argv = {0};
	static const char *const first[] = {"node_modules/.bin/eslint", "--format", "json", "--"};
	for (size_t i = 0; i < ARRAY_LEN(first); i++)
		strv_add(&argv, "%s", first[i]);
	size_t i;
	json_t *path;
	json_array_foreach (target->changed, i, path)
		if (argv.count < LINT_FILES_MAX && imports_applies(json_string_value(path)) &&
			tree_has(target->tree, json_string_value(path)))
			strv_add(&argv, "%s", json_string_value(path));
	int exit_code = 0;
	ERR_TRY(check_command(target, check,
		&(struct check_command){
			.argv = (const char *const *)argv.items, .max_output = LOG_MAX},
		outcome, &exit_code));
	struct parse_input in = {check->name, target->tree, outcome->log.data, outcome->log.len};
	/* 0 and 1 are results; 2 is trouble of eslint's own, its configuration for instance */
	if (exit_code == 0 || (exit_code == 1 && parse_eslint(&in, outcome->findings)))
		return NULL;
	tell_exit(target, check, exit_code, outcome);
	return NULL;
}

static const char *skip_build(const struct check_target *target)
{
	if (!target->package)
		return "no package.json";
	return package_script(target->package, "build") ? NULL : "no script build";
}

static err_t run_build(
	const struct check_target *target, const struct check *check, struct check_outcome *outcome)
{
	static const char *const argv[] = {"npm", "run", "--silent", "build", NULL};
	int exit_code = 0;
	ERR_TRY(check_command(
		target, check, &(struct check_command){.argv = argv}, outcome, &exit_code));
	struct parse_input in = {check->name, target->tree, outcome->log.data, outcome->log.len};
	if (exit_code != 0)
		parse_any(&in, outcome->findings);
	tell_exit(target, check, exit_code, outcome);
	return NULL;
}

/* clang-format off */
const struct check checks[] = {
	/* name, label, scope, time limit and its setting, only when clean, when not, how */
	{"package_json", "package.json", SCOPE_TREE, S__MAX, NULL, false, skip_json, run_json},
	{"imports", "imports", SCOPE_CHANGED, S__MAX, NULL, false, skip_json, run_imports},
	{"tsc", "tsc", SCOPE_TREE, S_AIRUNNER_TSC_TIMEOUT_S, "AIRUNNER_TSC_TIMEOUT_S", false,
		skip_tsc, run_tsc},
	{"eslint", "eslint", SCOPE_CHANGED, S_AIRUNNER_ESLINT_TIMEOUT_S,
		"AIRUNNER_ESLINT_TIMEOUT_S", false, skip_eslint, run_eslint},
	{"build", "build", SCOPE_TREE, S_AIRUNNER_BUILD_TIMEOUT_S, "AIRUNNER_BUILD_TIMEOUT_S", true,
		skip_build, run_build},
};
const size_t check_count = ARRAY_LEN(checks);

/* Of test:quick the limit is AIRUNNER_QUICK_TEST_TIMEOUT_S, see test_script(). */
const struct check test_check = {
	"test", "tests", SCOPE_TREE, S_AIRUNNER_TEST_TIMEOUT_S,
	"AIRUNNER_TEST_TIMEOUT_S (AIRUNNER_QUICK_TEST_TIMEOUT_S)", true, test_skip, test_run};
/* clang-format on */

static void tell_limit(const struct check_target *target, const struct check *check,
	const struct sandbox_result *result, struct check_outcome *outcome)
{
	autofree char *message =
		result->timed_out
			? xasprintf("%s did not end within %s", check->label, result->limit)
			: xasprintf("%s was ended after %s", check->label, result->limit);
	finding_add(outcome->findings, target->tree,
		&(struct finding){.check = check->name,
			.code = result->timed_out ? "timeout" : "limit",
			.message = message});
	outcome->timed_out |= result->timed_out;
}

err_t check_command(const struct check_target *target, const struct check *check,
	const struct check_command *command, struct check_outcome *outcome, int *ret_exit)
{
	enum setting timeout = check->timeout;
	if (check == &test_check)
		test_script(target->package, &timeout);
	struct sandbox_command run = {.argv = command->argv,
		.env = command->env,
		.timeout_ms = settings_int(target->set, timeout) * 1000,
		.max_output = command->max_output,
		.write_dir = command->write_dir,
		.alive = target->alive,
		.alive_arg = target->alive_arg};
	AUTO(sandbox_result_release) struct sandbox_result result;
	ERR_TRY(sandbox_run(target->sandbox, &run, &result));
	text_clean(&outcome->log, result.output.data, result.output.len);
	if (*result.limit)
		tell_limit(target, check, &result, outcome);
	*ret_exit = result.exit_code;
	return NULL;
}

err_t check_run(const struct check *check, const struct check_target *target,
	struct check_outcome *ret_outcome)
{
	*ret_outcome = (struct check_outcome){
		.findings = json_array(), .log = BUF(LOG_MAX), .counts = {-1, -1, -1}};
	ret_outcome->skipped = check->skip(target);
	if (ret_outcome->skipped)
		return NULL;
	int64_t began_ms = process_now_ms();
	err_t e = check->run(target, check, ret_outcome);
	ret_outcome->ran = !e;
	ret_outcome->ms = process_now_ms() - began_ms;
	return e;
}

void check_outcome_release(struct check_outcome *outcome)
{
	json_decref(outcome->findings);
	outcome->findings = NULL;
	buf_release(&outcome->log);
}
