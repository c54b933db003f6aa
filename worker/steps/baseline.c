/*
 * Step baseline: dependencies of the base commit, and what checks and tests say of it. Checks of
 * changed files are not run here: which files change is not known yet; verify runs them on the base
 * when it needs to (worker/check/baseline.c).
 */
#include "lib/mem.h"
#include "worker/check/baseline.h"
#include "worker/check/check.h"
#include "worker/check/package.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"
#include "worker/steps/reopen.h"

/* Why npm refused on the base is the repository's matter: no model is asked. */
static err_t refuse_uninstallable(const json_t *findings)
{
	const char *message =
		json_string_value(json_object_get(json_array_get(findings, 0), "message"));
	if (!message)
		return NULL;
	return err_new(ERR_BAD_INPUT,
		"the dependencies of the base commit cannot be installed: %s. Put package.json and "
		"its "
		"lock file in order on the base branch, then retry the run",
		message);
}

static err_t note_one(struct run_ctx *ctx, const struct check *check, json_t *list)
{
	json_auto_t *result = NULL;
	ERR_TRY(baseline_result(ctx, check, NULL, NULL, &result));
	size_t count = json_array_size(json_object_get(result, "findings"));
	json_t *skipped = json_object_get(result, "skipped");
	json_array_append_new(list, json_pack("{s:s, s:O, s:O*, s:i}", "name", check->name, "ran",
					    json_object_get(result, "ran"), "skipped_reason",
					    skipped, "findings", (int)count));
	if (count == 0)
		return NULL;
	return journal_event(ctx, EVENT_INFO,
		json_pack("{s:s, s:i}", "check", check->name, "findings", (int)count),
		"Before the change: %s has %zu finding%s", check->label, count,
		count == 1 ? "" : "s");
}

static void note_key(struct run_ctx *ctx, const json_t *package)
{
	char key[65];
	package_key(work_tree_path(ctx->tree), package, run_state_str(ctx, "baseline.node"), key);
	json_t *state = run_state_get(ctx, "baseline");
	json_object_set_new(state, "dependencies", json_string(key));
	json_object_set_new(
		state, "has_lock", json_boolean(package_lock(work_tree_path(ctx->tree)) != NULL));
}

err_t baseline_reopen(struct run_ctx *ctx)
{
	json_auto_t *package = package_load(work_tree_path(ctx->tree));
	json_auto_t *findings = NULL;
	return package ? baseline_dependencies(ctx, false, &findings) : NULL;
}

err_t step_baseline(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	if (!ctx->sandbox)
		ERR_TRY(sandbox_open(ctx->set, work_tree_path(ctx->tree), &ctx->sandbox));
	json_t *list = json_array();
	run_state_set(ctx, "baseline", json_pack("{s:o}", "checks", list));
	json_auto_t *package = package_load(work_tree_path(ctx->tree));
	if (!package)
		return journal_event(ctx, EVENT_INFO, NULL,
			"The repository has no package.json: only what the change adds is checked");
	json_auto_t *findings = NULL;
	ERR_TRY(baseline_dependencies(ctx, false, &findings));
	ERR_TRY(refuse_uninstallable(findings));
	note_key(ctx, package);
	ERR_TRY(work_tree_restore(ctx->tree, run_state_str(ctx, "checkout.base_tree")));
	for (size_t i = 0; i < check_count; i++)
		if (checks[i].scope == SCOPE_TREE)
			ERR_TRY(note_one(ctx, &checks[i], list));
	return note_one(ctx, &test_check, list);
}
