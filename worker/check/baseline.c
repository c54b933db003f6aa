/* Results of the base tree, kept and made. Called by the steps baseline, verify and test. */
#include "worker/check/baseline.h"

#include <string.h>

#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "worker/check/deps.h"
#include "worker/check/package.h"
#include "worker/git/store.h"
#include "worker/journal.h"

#define FORMAT "1" /* of the results kept: another one is never read */
#define KEY_MAX (4u << 20)

err_t check_alive(void *ctx)
{
	return run_alive_callback(ctx);
}

struct check_target check_target_of(
	struct run_ctx *ctx, const json_t *package, const json_t *changed)
{
	return (struct check_target){.set = ctx->set,
		.sandbox = ctx->sandbox,
		.tree = work_tree_path(ctx->tree),
		.package = package,
		.changed = changed,
		.alive = check_alive,
		.alive_arg = ctx};
}

/* What decides a result beside the tree: format, node, the run's limits are not among them. */
static void make_key(
	struct run_ctx *ctx, const struct check *check, const json_t *changed, char ret_hex[65])
{
	AUTO(buf_release) struct buf all = BUF(KEY_MAX);
	const char *node = run_state_str(ctx, "baseline.node");
	const char *deps = run_state_str(ctx, "baseline.dependencies");
	buf_addf(&all, "%s\n%s\n%s\n%s\n", FORMAT, AIRUNNER_VERSION, node ? node : "",
		deps ? deps : "");
	size_t i;
	json_t *path;
	if (check->scope == SCOPE_CHANGED)
		json_array_foreach (changed, i, path)
			buf_addf(&all, "%s\n", json_string_value(path));
	crypto_sha256_hex(all.data, all.len, ret_hex);
}

static err_t load(struct run_ctx *ctx, const struct check *check, const char *tree, const char *key,
	json_t **ret_result)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(ctx->db, Q_BASELINE_GET,
		DB_ARGS(db_i64(ctx->run.repo_id), db_str(tree), db_str(check->name), db_str(key)),
		&rows));
	*ret_result = db_rows_next(rows) ? json_loads(db_rows_str(rows, "result"), 0, NULL) : NULL;
	return NULL;
}

static err_t store(struct run_ctx *ctx, const struct check *check, const char *tree,
	const char *key, const json_t *result)
{
	autofree char *text = json_dumps(result, JSON_COMPACT);
	return db_exec_fenced(ctx->db, Q_BASELINE_PUT,
		DB_ARGS(db_str(tree), db_str(check->name), db_str(key), db_str(text),
			db_i64(ctx->run.id), db_i64(ctx->run.fence)));
}

static json_t *to_json(const struct check_outcome *o)
{
	json_t *result = json_pack("{s:b, s:s*, s:b, s:I, s:O}", "ran", o->ran, "skipped",
		o->skipped, "timed_out", o->timed_out, "ms", (json_int_t)o->ms, "findings",
		o->findings);
	if (o->counts.passed >= 0)
		json_object_set_new(result, "passed", json_integer(o->counts.passed));
	if (o->counts.failed >= 0)
		json_object_set_new(result, "failed", json_integer(o->counts.failed));
	return result;
}

/* The files a check of changed files can look at in the base. */
static err_t run_on_base(
	struct run_ctx *ctx, const struct check *check, const json_t *changed, json_t **ret_result)
{
	json_auto_t *package = package_load(work_tree_path(ctx->tree));
	struct check_target target = check_target_of(ctx, package, changed);
	AUTO(check_outcome_release) struct check_outcome outcome;
	ERR_TRY(check_run(check, &target, &outcome));
	autofree char *name = xasprintf("base-%s", check->name);
	if (outcome.log.len > 0)
		ERR_TRY(journal_artifact(
			ctx, "check_log", name, outcome.log.data, outcome.log.len));
	*ret_result = to_json(&outcome);
	return NULL;
}

static json_t *remembered(struct run_ctx *ctx)
{
	json_t *state = run_state_get(ctx, "baseline");
	json_t *list = json_object_get(state, "timed_out");
	if (state && !list) {
		list = json_object();
		json_object_set_new(state, "timed_out", list);
	}
	return list;
}

err_t baseline_result(struct run_ctx *ctx, const struct check *check, const json_t *changed,
	const char *back_to, json_t **ret_result)
{
	const char *base = run_state_str(ctx, "checkout.base_tree");
	if (!base)
		return err_new(ERR_INTERNAL, "no base tree: the step checkout did not run");
	char key[65];
	make_key(ctx, check, changed, key);
	json_t *known = json_object_get(remembered(ctx), check->name);
	if (known) {
		*ret_result = json_incref(known);
		return NULL;
	}
	json_auto_t *result = NULL;
	ERR_TRY(load(ctx, check, base, key, &result));
	if (result) {
		*ret_result = take(&result);
		return NULL;
	}
	ERR_TRY(work_tree_restore(ctx->tree, base));
	ERR_TRY(run_on_base(ctx, check, changed, &result));
	ERR_TRY(work_tree_restore(ctx->tree, back_to ? back_to : base));
	if (json_is_true(json_object_get(result, "timed_out")))
		json_object_set(remembered(ctx), check->name, result);
	else
		ERR_TRY(store(ctx, check, base, key, result));
	*ret_result = take(&result);
	return NULL;
}

static err_t note_node(struct run_ctx *ctx)
{
	json_t *state = run_state_get(ctx, "baseline");
	if (json_object_get(state, "node"))
		return NULL;
	char version[32];
	ERR_TRY(deps_node_version(ctx->sandbox, version));
	json_object_set_new(state, "node", json_string(version));
	return NULL;
}

static err_t drop_modules(void *tree)
{
	return work_tree_drop_ignored(tree, true);
}

err_t baseline_dependencies(struct run_ctx *ctx, bool sync_lock, json_t **ret_findings)
{
	ERR_TRY(note_node(ctx));
	struct deps_request request = {.set = ctx->set,
		.sandbox = ctx->sandbox,
		.tree = work_tree_path(ctx->tree),
		.node_version = run_state_str(ctx, "baseline.node"),
		.sync_lock = sync_lock,
		.alive = check_alive,
		.alive_arg = ctx,
		.clear = drop_modules,
		.clear_arg = ctx->tree};
	AUTO(deps_result_release) struct deps_result result;
	err_t e = deps_install(&request, &result);
	if (result.log.len > 0) {
		err_t kept = journal_artifact(
			ctx, "check_log", "dependencies", result.log.data, result.log.len);
		e = e ? e : kept;
	}
	if (e)
		return e;
	if (result.ran && json_array_size(result.findings) == 0)
		ERR_TRY(journal_event(ctx, EVENT_INFO,
			json_pack("{s:s, s:I}", "command", result.command, "ms",
				(json_int_t)result.ms),
			"Dependencies installed by %s in %.1f s", result.command,
			(double)result.ms / 1000));
	*ret_findings = json_incref(result.findings);
	return NULL;
}
