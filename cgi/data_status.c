/* The runs of the last hours with their progress: /api/status and the status page. */
#include "cgi/data.h"

#include <time.h>

#include "lib/mem.h"

static json_t *event_json(const struct db_rows *rows, const char *const columns[5], bool with_meta)
{
	json_t *event = json_pack("{s:o s:o s:o s:o}", "message", data_text(rows, columns[0]),
		"stage", data_text(rows, columns[1]), "level", data_text(rows, columns[2]),
		"timestamp", data_time(rows, columns[3]));
	if (with_meta)
		json_object_set_new(event, "meta", data_meta(rows, columns[4], columns[1]));
	return event;
}

static err_t all_events(struct db *db, int64_t run_id, json_t *ret_events)
{
	static const char *const columns[] = {"message", "stage", "level", "at", "meta"};
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_STATUS_EVENTS, DB_ARGS(db_i64(run_id)), &rows));
	while (db_rows_next(rows))
		json_array_append_new(ret_events, event_json(rows, columns, true));
	return NULL;
}

static json_t *run_json(const struct db_rows *rows)
{
	json_t *run = json_pack("{s:o s:o s:o s:o s:o s:o s:o}", "run_id", data_int(rows, "id"),
		"issue_key", data_text(rows, "issue_key"), "status", data_text(rows, "status"),
		"locked_by", data_text(rows, "locked_by"), "locked_at",
		data_time(rows, "locked_at"), "created_at", data_time(rows, "created_at"),
		"completed_at", data_time(rows, "completed_at"));
	static const char *const texts[] = {
		"issue_type", "issue_summary", "repo_key", "branch", "pr_url", "reason"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		json_object_set_new(run, texts[i], data_text(rows, texts[i]));
	json_object_set_new(run, "priority", data_int(rows, "priority"));
	json_object_set_new(run, "started_at", data_time(rows, "started_at"));
	json_object_set_new(run, "turns", data_int(rows, "turns"));
	json_object_set_new(run, "cost_usd", data_usd(db_rows_i64(rows, "cost_usd_micro")));
	json_object_set_new(run, "cost_known", json_boolean(db_rows_i64(rows, "cost_known")));
	return run;
}

err_t data_status(struct db *db, bool detailed, int64_t hours, json_t **ret_json)
{
	static const char *const columns[] = {
		"event_message", "event_stage", "event_level", "event_at", "event_meta"};
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_STATUS_RUNS, DB_ARGS(db_i64(hours)), &rows));
	json_auto_t *runs = json_array();
	while (db_rows_next(rows)) {
		json_t *run = run_json(rows);
		json_t *events = json_array();
		json_array_append_new(runs, run);
		json_object_set_new(run, "progress_events", events);
		if (detailed)
			ERR_TRY(all_events(db, db_rows_i64(rows, "id"), events));
		else if (!db_rows_null(rows, "event_message"))
			json_array_append_new(events, event_json(rows, columns, false));
	}
	*ret_json = json_pack("{s:s s:O s:I}", "detail_level", detailed ? "detailed" : "summary",
		"runs", runs, "timestamp", (json_int_t)time(NULL));
	return NULL;
}
