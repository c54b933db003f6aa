/*
 * Step test: the repository's own tests on the verified tree, quick ones if it has such a script.
 * Failures that the base commit has too are told and not counted.
 */
#include "lib/mem.h"
#include "worker/check/baseline.h"
#include "worker/check/check.h"
#include "worker/check/package.h"
#include "worker/check/verdict.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"

static err_t tell(struct run_ctx *ctx, const struct check_outcome *outcome, const char *script,
	const struct verdict *verdict)
{
	if (!outcome->ran)
		return journal_event(
			ctx, EVENT_PROGRESS, NULL, "Tests skipped: %s", outcome->skipped);
	autofree char *numbers =
		outcome->counts.passed >= 0
			? xasprintf(": %d passed, %d failed", outcome->counts.passed,
				  outcome->counts.failed > 0 ? outcome->counts.failed : 0)
			: xstrdup("");
	return journal_event(ctx, EVENT_PROGRESS,
		json_pack("{s:s, s:i, s:i, s:I}", "script", script, "findings", verdict->fresh,
			"known", verdict->known, "ms", (json_int_t)outcome->ms),
		"Tests %s (npm run %s)%s", verdict->fresh == 0 ? "passed" : "failed", script,
		numbers);
}

static json_t *number(int n)
{
	return n >= 0 ? json_integer(n) : json_null();
}

err_t step_test(struct run_ctx *ctx, enum step_next *ret_next)
{
	AUTO(verdict_release) struct verdict verdict = {.findings = json_array()};
	json_auto_t *package = package_load(work_tree_path(ctx->tree));
	const char *tree = run_state_str(ctx, "verify.tree");
	struct check_target target = check_target_of(ctx, package, NULL);
	AUTO(check_outcome_release) struct check_outcome outcome;
	ERR_TRY(check_run(&test_check, &target, &outcome));
	ERR_TRY(verdict_add(ctx, &test_check, &outcome, NULL, tree, &verdict));
	ERR_TRY(work_tree_restore(ctx->tree, tree));
	enum setting timeout;
	const char *script = package ? test_script(package, &timeout) : NULL;
	ERR_TRY(tell(ctx, &outcome, script, &verdict));
	bool ok = verdict.fresh == 0;
	run_state_set(ctx, "test",
		json_pack("{s:s, s:b, s:b, s:s?, s:o, s:o, s:O, s:i}", "tree", tree, "ok", ok,
			"ran", outcome.ran, "script", script, "passed",
			number(outcome.counts.passed), "failed", number(outcome.counts.failed),
			"findings", verdict.findings, "known", verdict.known));
	*ret_next = ok ? STEP_NEXT : STEP_HEAL;
	return NULL;
}
