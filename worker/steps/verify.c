/*
 * Step verify: fixes the tree as it is (snapshot) and runs the checks on it. What checks change in
 * files of the tree is put back: the commit is made of this very tree.
 */
#include <string.h>

#include "lib/mem.h"
#include "worker/check/baseline.h"
#include "worker/check/check.h"
#include "worker/check/package.h"
#include "worker/check/verdict.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"

/* Lock files that we made ourselves, in a repository that has none, are not part of the change. */
static const char *const made_by_us[] = {"package-lock.json", "npm-shrinkwrap.json", NULL};

/* Paths that the change adds or modifies. */
static err_t changed_paths(struct run_ctx *ctx, const char *tree, json_t **ret_paths)
{
	json_auto_t *all = NULL;
	ERR_TRY(store_changed_paths(
		work_tree_store(ctx->tree), run_state_str(ctx, "checkout.base_tree"), tree, &all));
	json_t *paths = json_array();
	size_t i;
	json_t *one;
	json_array_foreach (all, i, one) {
		const char *status = json_string_value(json_object_get(one, "status"));
		if (!status || strcmp(status, "deleted") != 0)
			json_array_append(paths, json_object_get(one, "path"));
	}
	*ret_paths = paths;
	return NULL;
}

/* The outcome in the words of run.h. */
static json_t *summary(const struct check *check, const struct check_outcome *outcome, bool ok)
{
	return json_pack("{s:s, s:b, s:I, s:s*}", "name", check->name, "ok", ok, "ms",
		(json_int_t)outcome->ms, "skipped_reason", outcome->skipped);
}

static json_t *left_out(const struct check *check)
{
	return json_pack("{s:s, s:b, s:i, s:s}", "name", check->name, "ok", false, "ms", 0,
		"skipped_reason", "earlier checks failed");
}

static err_t run_checks(struct run_ctx *ctx, const json_t *changed, const char *tree, json_t *list,
	struct verdict *verdict)
{
	json_auto_t *package = package_load(work_tree_path(ctx->tree));
	struct check_target target = check_target_of(ctx, package, changed);
	for (size_t i = 0; i < check_count; i++) {
		AUTO(check_outcome_release) struct check_outcome outcome = {.log = BUF(0)};
		int before = verdict->fresh;
		if (checks[i].only_when_clean && before > 0) {
			json_array_append_new(list, left_out(&checks[i]));
			continue;
		}
		ERR_TRY(check_run(&checks[i], &target, &outcome));
		ERR_TRY(verdict_add(ctx, &checks[i], &outcome, changed, tree, verdict));
		json_array_append_new(
			list, summary(&checks[i], &outcome, verdict->fresh == before));
	}
	return work_tree_restore(ctx->tree, tree);
}

/* New dependencies are installed before anything is checked; their refusal is a finding. */
static err_t install(struct run_ctx *ctx, struct verdict *verdict)
{
	if (!tree_has(work_tree_path(ctx->tree), "package.json"))
		return NULL;
	json_auto_t *findings = NULL;
	ERR_TRY(baseline_dependencies(ctx, true, &findings));
	return verdict_add_new(ctx, findings, verdict);
}

static err_t tell(struct run_ctx *ctx, const json_t *list, const struct verdict *verdict)
{
	AUTO(buf_release) struct buf names = BUF(1000);
	size_t i;
	json_t *one;
	json_array_foreach (list, i, one)
		if (!json_object_get(one, "skipped_reason"))
			buf_addf(&names, "%s%s", names.len ? ", " : "",
				json_string_value(json_object_get(one, "name")));
	json_t *meta = json_pack("{s:i, s:i}", "findings", verdict->fresh, "known", verdict->known);
	if (verdict->fresh == 0)
		return journal_event(ctx, EVENT_PROGRESS, meta, "Checks passed: %s",
			names.len ? names.data : "none applies");
	return journal_event(ctx, EVENT_PROGRESS, meta, "Checks failed: %d new finding%s (ran: %s)",
		verdict->fresh, verdict->fresh == 1 ? "" : "s", names.len ? names.data : "none");
}

err_t step_verify(struct run_ctx *ctx, enum step_next *ret_next)
{
	AUTO(verdict_release) struct verdict verdict = {.findings = json_array()};
	json_object_del(ctx->state, "test"); /* an earlier round's */
	json_auto_t *list = json_array();
	char tree[OID_HEX + 1];
	bool has_lock = json_is_true(run_state_get(ctx, "baseline.has_lock"));
	ERR_TRY(install(ctx, &verdict));
	ERR_TRY(work_tree_snapshot(ctx->tree, has_lock ? NULL : made_by_us, tree));
	ERR_TRY(work_tree_restore(ctx->tree, tree));
	ERR_TRY(work_tree_drop_ignored(ctx->tree, false));
	json_auto_t *changed = NULL;
	ERR_TRY(changed_paths(ctx, tree, &changed));
	if (verdict.fresh == 0)
		ERR_TRY(run_checks(ctx, changed, tree, list, &verdict));
	bool ok = verdict.fresh == 0;
	ERR_TRY(tell(ctx, list, &verdict));
	run_state_set(ctx, "verify",
		json_pack("{s:s, s:b, s:O, s:O, s:i}", "tree", tree, "ok", ok, "checks", list,
			"findings", verdict.findings, "known", verdict.known));
	*ret_next = ok ? STEP_NEXT : STEP_HEAL;
	return NULL;
}
