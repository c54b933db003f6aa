/*
 * What models cost: a run's budgets and models (/api/runs/{id}), the day's (/api/metrics/summary).
 * Estimated is the part of spent that is not known exactly, reserved what calls under way may still
 * cost; a cap is that of the scope's last call, null where there is none.
 */
#include "cgi/data.h"

#include <string.h>

#include "lib/mem.h"

static json_t *budget_json(const struct db_rows *row)
{
	int64_t cap = db_rows_i64(row, "cap");
	return json_pack("{s:o s:o s:o s:o}", "spent_usd",
		data_usd(db_rows_i64(row, "spent_usd_micro")), "estimated_usd",
		data_usd(db_rows_i64(row, "estimated_usd_micro")), "reserved_usd",
		data_usd(db_rows_i64(row, "reserved_usd_micro")), "cap_usd",
		cap ? data_usd(cap) : json_null());
}

static err_t models_json(struct db *db, int64_t run_id, json_t *ret_models)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_MONEY_BY_MODEL, DB_ARGS(db_i64(run_id)), &rows));
	while (db_rows_next(rows))
		json_array_append_new(ret_models,
			json_pack("{s:o s:o s:o s:o}", "model", data_text(rows, "model"), "calls",
				data_int(rows, "calls"), "cost_usd",
				db_rows_null(rows, "cost_usd_micro")
					? json_null()
					: data_usd(db_rows_i64(rows, "cost_usd_micro")),
				"estimated_usd",
				data_usd(db_rows_i64(rows, "estimated_usd_micro"))));
	return NULL;
}

err_t data_run_money(struct db *db, int64_t run_id, json_t **ret_json)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	json_t *models = json_array();
	json_auto_t *money = json_pack("{s:o}", "models", models);
	ERR_TRY(db_query(db, Q_MONEY_OF_RUN,
		DB_ARGS(db_i64(run_id), db_i64(run_id), db_i64(run_id), db_i64(run_id)), &rows));
	while (db_rows_next(rows))
		json_object_set_new(money, db_rows_str(rows, "scope"), budget_json(rows));
	ERR_TRY(models_json(db, run_id, models));
	*ret_json = json_incref(money);
	return NULL;
}

err_t data_day_money(struct db *db, json_t **ret_json)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	json_t *repos = json_array();
	json_auto_t *money = json_pack("{s:n s:o}", "all", "repos", repos);
	ERR_TRY(db_query(db, Q_MONEY_OF_DAY, DB_NO_ARGS, &rows));
	while (db_rows_next(rows)) {
		json_t *budget = budget_json(rows);
		if (strcmp(db_rows_str(rows, "scope"), "day") == 0) {
			json_object_set_new(budget, "day", data_text(rows, "day"));
			json_object_set_new(money, "all", budget);
			continue;
		}
		json_object_set_new(budget, "repo", data_text(rows, "address"));
		json_array_append_new(repos, budget);
	}
	*ret_json = json_incref(money);
	return NULL;
}
