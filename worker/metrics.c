/*
 * The metrics of a run, from its row (tokens, cost, times) and its state (checks, tests, commit).
 * Called by the pipeline when a run is closed and by the reports to Jira.
 */
#include "worker/metrics.h"

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

static json_t *text_or_null(const char *s)
{
	return s ? text_json(s) : json_null();
}

static json_t *copy_or_null(const struct run_ctx *ctx, const char *path)
{
	json_t *value = run_state_get(ctx, path);
	return value ? json_incref(value) : json_null();
}

static bool is_true(const struct run_ctx *ctx, const char *path)
{
	return json_is_true(run_state_get(ctx, path));
}

static void set(json_t *object, const char *name, json_t *value)
{
	json_object_set_new(object, name, value);
}

static void set_i64(json_t *object, const char *name, int64_t value)
{
	json_object_set_new(object, name, json_integer((json_int_t)value));
}

/* What the run's row knows. */
static void from_row(json_t *m, json_t *metadata, const struct db_rows *row)
{
	set(m, "issue_type", text_or_null(db_rows_str(row, "issue_type")));
	set(m, "start_time", text_or_null(db_rows_str(row, "started_at")));
	set(m, "end_time", text_or_null(db_rows_str(row, "ended_at")));
	set(m, "duration_seconds", json_real(db_rows_double(row, "seconds")));
	set(m, "model_used", text_or_null(db_rows_str(row, "model")));
	set_i64(m, "total_input_tokens", db_rows_i64(row, "input_tokens"));
	set_i64(m, "total_output_tokens", db_rows_i64(row, "output_tokens"));
	set_i64(m, "thinking_tokens", db_rows_i64(row, "thinking_tokens"));
	set_i64(m, "cached_tokens", db_rows_i64(row, "cached_tokens"));
	set(m, "estimated_cost", json_real((double)db_rows_i64(row, "cost_usd_micro") / 1e6));
	set_i64(metadata, "attempt", db_rows_i64(row, "attempt"));
	set_i64(metadata, "crashes", db_rows_i64(row, "crashes"));
	set_i64(metadata, "turns", db_rows_i64(row, "turns"));
	set(metadata, "cost_known", json_boolean(db_rows_i64(row, "cost_known")));
	set(metadata, "branch", text_or_null(db_rows_str(row, "branch")));
	set(metadata, "pr_url", text_or_null(db_rows_str(row, "pr_url")));
}

/* What the steps found. */
static void from_state(json_t *m, json_t *metadata, const struct run_ctx *ctx)
{
	bool checked = run_state_get(ctx, "verify") != NULL;
	set_i64(m, "build_attempts", checked ? ctx->heal_round + 1 : 0);
	set_i64(m, "self_heal_attempts", ctx->heal_round);
	set(m, "pre_commit_passed", json_boolean(is_true(ctx, "verify.ok")));
	set(m, "tests_run", json_boolean(is_true(ctx, "test.ran")));
	set(m, "tests_passed", json_boolean(is_true(ctx, "test.ran") && is_true(ctx, "test.ok")));
	set_i64(m, "files_changed", run_state_i64(ctx, "commit.files_changed"));
	set_i64(m, "lines_added", run_state_i64(ctx, "commit.lines_added"));
	set_i64(m, "lines_removed", run_state_i64(ctx, "commit.lines_removed"));
	set(metadata, "rollback_tag", copy_or_null(ctx, "tag.name"));
	set_i64(metadata, "known_findings",
		run_state_i64(ctx, "verify.known") + run_state_i64(ctx, "test.known"));
	set(metadata, "tests",
		json_pack("{s:o, s:o, s:o}", "script", copy_or_null(ctx, "test.script"), "passed",
			copy_or_null(ctx, "test.passed"), "failed",
			copy_or_null(ctx, "test.failed")));
}

/* A run can have several models; each has its own tokens and cost. */
static json_t *models_of(const struct run_ctx *ctx)
{
	static const char *const figures[] = {
		"turns", "fresh", "written", "cached", "output", "thinking", "cost_usd_micro"};
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	json_t *list = json_array();
	err_t e = db_query(ctx->db, Q_RUN_MODELS, DB_ARGS(db_i64(ctx->run.id)), &rows);
	if (e)
		log_warning("models of run %lld: %s", (long long)ctx->run.id, err_text(e));
	while (!e && db_rows_next(rows)) {
		json_t *one = json_pack("{s:o}", "model", text_or_null(db_rows_str(rows, "model")));
		for (size_t i = 0; i < ARRAY_LEN(figures); i++)
			set_i64(one, figures[i], db_rows_i64(rows, figures[i]));
		set(one, "cost_known", json_boolean(db_rows_i64(rows, "cost_known")));
		json_array_append_new(list, one);
	}
	return list;
}

json_t *run_metrics_json(
	struct run_ctx *ctx, enum run_status status, const char *reason, const char *category)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	err_t e = db_query(ctx->db, Q_RUN_METRICS_ROW, DB_ARGS(db_i64(ctx->run.id)), &rows);
	if (e || !db_rows_next(rows)) {
		log_warning("metrics of run %lld cannot be read: %s", (long long)ctx->run.id,
			e ? err_text(e) : "no such row");
		return NULL;
	}
	bool success = status == RUN_COMPLETED;
	json_t *m = json_object(), *metadata = json_object();
	set_i64(m, "run_id", ctx->run.id);
	set(m, "issue_key", text_json(ctx->run.issue_key));
	set(m, "success", json_boolean(success));
	set(m, "status", text_json(run_status_name(status)));
	set(m, "error_category", text_or_null(success ? NULL : category));
	set(m, "error_message", text_or_null(success ? NULL : reason));
	from_row(m, metadata, rows);
	from_state(m, metadata, ctx);
	set(metadata, "models", models_of(ctx));
	set(m, "metadata", metadata);
	return m;
}
