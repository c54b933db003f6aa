/* Sums over the runs of the last hours: /api/metrics/summary and the status page's cards. */
#include "cgi/data.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/run_names.h"

struct sums {
	int64_t runs[RUN_STATUS__MAX];
	int64_t total, cost_usd_micro, tokens, cached_tokens, input_tokens, timed, healed;
	double duration_s, heals;
};

static err_t read_sums(struct db *db, int64_t hours, struct sums *ret)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_METRICS_BY_STATUS, DB_ARGS(db_i64(hours)), &rows));
	while (db_rows_next(rows)) {
		enum run_status status;
		if (!run_status_parse(db_rows_str(rows, "status"), &status))
			continue;
		ret->runs[status] = db_rows_i64(rows, "runs");
		ret->total += ret->runs[status];
		ret->cost_usd_micro += db_rows_i64(rows, "cost_usd_micro");
		ret->tokens += db_rows_i64(rows, "tokens");
		ret->cached_tokens += db_rows_i64(rows, "cached_tokens");
		ret->input_tokens += db_rows_i64(rows, "input_tokens");
		ret->heals += db_rows_double(rows, "heals");
		ret->healed += db_rows_i64(rows, "healed");
		if (status == RUN_QUEUED || status == RUN_RUNNING)
			continue;
		ret->timed += db_rows_i64(rows, "timed");
		ret->duration_s += db_rows_double(rows, "duration_s");
	}
	return NULL;
}

static double ratio(double part, double whole)
{
	return whole > 0 ? part / whole : 0;
}

err_t data_metrics(struct db *db, int64_t hours, json_t **ret_json)
{
	struct sums sums = {0};
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(read_sums(db, hours, &sums));
	ERR_TRY(db_query(db, Q_METRICS_ERRORS, DB_ARGS(db_i64(hours)), &rows));
	json_t *money = NULL;
	ERR_TRY(data_day_money(db, &money));
	json_t *categories = json_object();
	while (db_rows_next(rows))
		json_object_set_new(
			categories, db_rows_str(rows, "error_category"), data_int(rows, "runs"));
	int64_t ended = sums.runs[RUN_COMPLETED] + sums.runs[RUN_FAILED] + sums.runs[RUN_BLOCKED];
	*ret_json = json_pack("{s:I s:I s:I s:I s:I s:I s:f s:o s:f s:I s:o s:f s:f s:o}",
		"period_hours", (json_int_t)hours, "total_runs", (json_int_t)sums.total,
		"completed", (json_int_t)sums.runs[RUN_COMPLETED], "failed",
		(json_int_t)sums.runs[RUN_FAILED], "blocked", (json_int_t)sums.runs[RUN_BLOCKED],
		"cancelled", (json_int_t)sums.runs[RUN_CANCELLED], "success_rate",
		data_round(100 * ratio((double)sums.runs[RUN_COMPLETED], (double)ended), 1),
		"total_cost_usd", data_usd(sums.cost_usd_micro), "avg_duration_seconds",
		data_round(ratio(sums.duration_s, (double)sums.timed), 1), "total_tokens",
		(json_int_t)sums.tokens, "error_categories", categories, "avg_self_heal_attempts",
		data_round(ratio(sums.heals, (double)sums.healed), 2), "cached_share",
		data_round(100 * ratio((double)sums.cached_tokens, (double)sums.input_tokens), 1),
		"money_today", money);
	return NULL;
}
