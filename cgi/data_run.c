/* One run with its events and steps: /api/runs/{id} and its page. */
#include "cgi/data.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/run_names.h"

static const struct {
	const char *member;
	json_t *(*make)(const struct db_rows *rows, const char *column);
	const char *column;
} members[] = {
	{"run_id", data_int, "id"},
	{"issue_key", data_text, "issue_key"},
	{"status", data_text, "status"},
	{"branch", data_text, "branch"},
	{"pr_url", data_text, "pr_url"},
	{"created_at", data_time, "created_at"},
	{"updated_at", data_time, "updated_at"},
	{"locked_by", data_text, "locked_by"},
	{"locked_at", data_time, "locked_at"},
	{"priority", data_int, "priority"},
	{"repo_key", data_text, "repo_key"},
	{"metrics", data_json, "metrics"},
	/* beyond the Python system */
	{"kind", data_text, "kind"},
	{"issue_type", data_text, "issue_type"},
	{"issue_summary", data_text, "issue_summary"},
	{"line", data_text, "line"},
	{"attempt", data_int, "attempt"},
	{"started_at", data_time, "started_at"},
	{"completed_at", data_time, "completed_at"},
	{"reason", data_text, "reason"},
	{"error_category", data_text, "error_category"},
	{"model", data_text, "model"},
	{"turns", data_int, "turns"},
};

static json_t *run_json(const struct db_rows *rows)
{
	json_t *run = json_object();
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		json_object_set_new(
			run, members[i].member, members[i].make(rows, members[i].column));
	const char *status = db_rows_str(rows, "status");
	bool in_trouble = strcmp(status, run_status_name(RUN_FAILED)) == 0 ||
			  strcmp(status, run_status_name(RUN_BLOCKED)) == 0;
	json_object_set_new(
		run, "last_error", in_trouble ? data_text(rows, "reason") : json_null());
	json_object_set_new(run, "cost_usd", data_usd(db_rows_i64(rows, "cost_usd_micro")));
	json_object_set_new(run, "cost_known", json_boolean(db_rows_i64(rows, "cost_known")));
	json_object_set_new(run, "cancelling", json_boolean(db_rows_i64(rows, "cancelled")));
	return run;
}

static err_t events_json(struct db *db, int64_t id, json_t *ret_events)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_RUN_EVENTS_ALL, DB_ARGS(db_i64(id)), &rows));
	while (db_rows_next(rows))
		json_array_append_new(ret_events,
			json_pack("{s:o s:o s:o s:o s:o}", "level", data_text(rows, "level"),
				"stage", data_text(rows, "stage"), "message",
				data_text(rows, "message"), "meta",
				data_meta(rows, "meta", "stage"), "timestamp",
				data_time(rows, "at")));
	return NULL;
}

static err_t steps_json(struct db *db, int64_t id, json_t *ret_steps)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_RUN_STEPS_ALL, DB_ARGS(db_i64(id)), &rows));
	while (db_rows_next(rows))
		json_array_append_new(ret_steps,
			json_pack("{s:o s:o s:o s:o s:o s:o s:o}", "step", data_text(rows, "step"),
				"attempt", data_int(rows, "attempt"), "round",
				data_int(rows, "round"), "began_at", data_time(rows, "began_at"),
				"ended_at", data_time(rows, "ended_at"), "outcome",
				data_text(rows, "outcome"), "duration_ms",
				data_int(rows, "duration_ms")));
	return NULL;
}

err_t data_run(struct db *db, int64_t id, json_t **ret_json)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_RUN_FULL, DB_ARGS(db_i64(id)), &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_NOT_FOUND, "there is no run %lld", (long long)id);
	json_auto_t *run = run_json(rows);
	json_t *events = json_array(), *steps = json_array(), *money = NULL;
	json_object_set_new(run, "events", events);
	json_object_set_new(run, "steps", steps);
	ERR_TRY(events_json(db, id, events));
	ERR_TRY(steps_json(db, id, steps));
	ERR_TRY(data_run_money(db, id, &money));
	json_object_set_new(run, "money", money);
	*ret_json = json_incref(run);
	return NULL;
}
