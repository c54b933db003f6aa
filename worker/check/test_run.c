/*
 * Runs the repository's tests as `npm test` does, with pretest and posttest, and reads what failed.
 * Called through test_check by the steps baseline and test.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/check/check.h"
#include "worker/check/finding.h"
#include "worker/check/package.h"
#include "worker/check/pattern.h"

static const struct {
	const char *script;
	enum setting timeout;
} scripts[] = {
	{"test:quick", S_AIRUNNER_QUICK_TEST_TIMEOUT_S},
	{"test", S_AIRUNNER_TEST_TIMEOUT_S},
};

/* npm names each script before it runs it: "> name@1.0.0 posttest". */
static struct pattern header = {"(?m)^> (?:\\S+@\\S* )?((?:pre|post)?test(?::quick)?)$"};

const char *test_script(const json_t *package, enum setting *ret_timeout)
{
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		if (!package_script(package, scripts[i].script))
			continue;
		*ret_timeout = scripts[i].timeout;
		return scripts[i].script;
	}
	return NULL;
}

const char *test_skip(const struct check_target *target)
{
	enum setting timeout;
	if (!target->package)
		return "no package.json";
	return test_script(target->package, &timeout) ? NULL : "no script test";
}

/* The last script that began is the one that failed: npm goes no further. */
static char *failed_phase(const struct check_outcome *outcome, size_t from, size_t *ret_begin)
{
	char *phase = NULL;
	*ret_begin = from;
	for (;;) {
		AUTO(match_release) struct match m = {0};
		if (!pattern_find(&header, outcome->log.data, outcome->log.len, from, &m))
			return phase;
		free(phase);
		phase = take(&m.groups[1]);
		*ret_begin = from = m.end;
	}
}

static bool is_side_phase(const char *phase)
{
	return phase && (strncmp(phase, "pre", 3) == 0 || strncmp(phase, "post", 4) == 0);
}

/* What failed, from the text of the phase that failed; its name is the code of what cannot be read.
 */
static void read_failure(const struct check_target *target, const char *phase, const char *text,
	size_t len, struct check_outcome *outcome)
{
	struct parse_input in = {"test", target->tree, text, len};
	size_t before = json_array_size(outcome->findings);
	if (!is_side_phase(phase)) {
		struct test_counts unused;
		parse_tests(&in, outcome->findings, &unused);
	}
	if (json_array_size(outcome->findings) == before)
		parse_any(&in, outcome->findings);
	if (json_array_size(outcome->findings) > before)
		return;
	autofree char *code = xasprintf("%s-failed", phase ? phase : "test");
	parse_tail(&in, code, outcome->findings);
}

/* @param ret_phase  the phase that failed, NULL when all passed; owned */
static err_t run_script(const struct check_target *target, const struct check *check,
	const char *script, bool alone, struct check_outcome *outcome, char **ret_phase)
{
	const char *const argv[] = {"npm", "run", script, alone ? "--ignore-scripts" : NULL, NULL};
	static const char *const env[] = {"CI=true", "NODE_ENV=test", NULL};
	struct check_command command = {.argv = argv, .env = env, .max_output = 8 << 20};
	size_t begin = outcome->log.len;
	int exit_code = 0;
	ERR_TRY(check_command(target, check, &command, outcome, &exit_code));
	struct parse_input in = {
		"test", target->tree, outcome->log.data + begin, outcome->log.len - begin};
	json_auto_t *unused = json_array();
	struct test_counts counts;
	parse_tests(&in, unused, &counts);
	if (counts.passed >= 0 && counts.failed < 0)
		counts.failed = 0;
	if (counts.passed >= 0 || counts.failed >= 0)
		outcome->counts = counts;
	*ret_phase = NULL;
	if (exit_code == 0 || outcome->timed_out)
		return NULL;
	size_t phase_begin;
	char *phase = failed_phase(outcome, begin, &phase_begin);
	read_failure(target, phase, outcome->log.data + phase_begin, outcome->log.len - phase_begin,
		outcome);
	*ret_phase = phase ? phase : xstrdup(script);
	return NULL;
}

err_t test_run(
	const struct check_target *target, const struct check *check, struct check_outcome *outcome)
{
	enum setting timeout;
	const char *script = test_script(target->package, &timeout);
	snprintf(outcome->command, sizeof outcome->command, "npm run %s", script);
	autofree char *phase = NULL;
	ERR_TRY(run_script(target, check, script, false, outcome, &phase));
	/* A pretest that cannot pass here (lint, network) must not hide the tests themselves. */
	if (!phase || strncmp(phase, "pre", 3) != 0)
		return NULL;
	autofree char *rest = NULL;
	return run_script(target, check, script, true, outcome, &rest);
}
