/*
 * Cancel, retry, priority and position of runs. Called by airunner-api for operators. The rows are
 * changed by procedures of sql/migrate/002_control.sql; here is what they are asked and answered.
 */
#include "cgi/control.h"

#include <string.h>
#include <strings.h>

#include "cgi/poke.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/run_names.h"

#define POSITION_MAX 1000000000

/* An object with these members only; an empty body is an empty object. */
static err_t read_body(
	const struct request *req, const char *const *members, size_t count, json_t **ret_body)
{
	const char *name;
	json_t *value;
	json_auto_t *body = req->body.len ? json_loadb(req->body.data, req->body.len,
						    JSON_REJECT_DUPLICATES, NULL)
					  : json_object();
	if (!json_is_object(body))
		return err_new(ERR_BAD_INPUT, "the body must be a JSON object");
	json_object_foreach (body, name, value) {
		size_t i = 0;
		while (i < count && strcmp(members[i], name) != 0)
			i++;
		if (i == count)
			return err_new(ERR_BAD_INPUT, "the body may have %s%s%s only", members[0],
				count > 1 ? " and " : "", count > 1 ? members[1] : "");
	}
	*ret_body = json_incref(body);
	return NULL;
}

/* The one row that a procedure answers; was is NULL for a run that does not exist. */
static err_t call(struct app *app, const struct request *req, enum query q,
	const struct db_arg *args, struct db_rows **ret_rows)
{
	struct db *db;
	ERR_TRY(app_db(app, &db));
	ERR_TRY(db_query(db, q, args, ret_rows));
	if (!db_rows_next(*ret_rows))
		return err_new(ERR_DB, "the procedure gave no row");
	if (db_rows_null(*ret_rows, "was"))
		return err_new(ERR_NOT_FOUND, "there is no run %lld", (long long)req->ids[0]);
	return NULL;
}

static bool was(const struct db_rows *rows, enum run_status status)
{
	return strcmp(db_rows_str(rows, "was"), run_status_name(status)) == 0;
}

static void acted(struct app *app, const struct request *req, const char *what)
{
	log_info("%s: %s run %lld", req->who.data, what, (long long)req->ids[0]);
	poke_worker(app->set, req->ids[0]);
}

err_t control_cancel(struct app *app, struct request *req, struct response *res)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	long long id = req->ids[0];
	ERR_TRY(call(app, req, Q_RUN_CANCEL, DB_ARGS(db_i64(id), db_str(req->who.data)), &rows));
	bool running = was(rows, RUN_RUNNING);
	if (!running && !was(rows, RUN_QUEUED))
		return err_new(ERR_CONFLICT,
			"run %lld is %s: only queued and running runs can be cancelled", id,
			db_rows_str(rows, "was"));
	acted(app, req, "cancels");
	return response_json(res,
		json_pack("{s:b s:o s:s}", "ok", 1, "message",
			json_sprintf(
				running ? "Run %lld is being cancelled" : "Run %lld cancelled", id),
			"status", run_status_name(running ? RUN_RUNNING : RUN_CANCELLED)));
}

static err_t read_mode(const struct request *req, bool *ret_start_over)
{
	static const char *const members[] = {"mode"};
	json_auto_t *body = NULL;
	ERR_TRY(read_body(req, members, ARRAY_LEN(members), &body));
	const json_t *given = json_object_get(body, "mode");
	const char *mode = given ? json_string_value(given) : "restart";
	*ret_start_over = mode && strcmp(mode, "restart") == 0;
	if (!*ret_start_over && (!mode || strcmp(mode, "continue") != 0))
		return err_new(ERR_BAD_INPUT, "mode must be restart or continue");
	return NULL;
}

err_t control_retry(struct app *app, struct request *req, struct response *res)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	long long id = req->ids[0];
	bool start_over;
	ERR_TRY(read_mode(req, &start_over));
	err_t e = call(app, req, Q_RUN_RETRY,
		DB_ARGS(db_i64(id), db_i64(start_over), db_str(req->who.data)), &rows);
	if (err_code(e) == ERR_DB_DUPLICATE) /* a webhook was quicker by a hair */
		return err_new(ERR_CONFLICT, "another run of the issue was queued just now");
	ERR_TRY(e);
	if (was(rows, RUN_QUEUED) || was(rows, RUN_RUNNING))
		return err_new(ERR_CONFLICT, "run %lld is %s: only ended runs can be retried", id,
			db_rows_str(rows, "was"));
	if (!db_rows_null(rows, "other"))
		return err_new(ERR_CONFLICT,
			"run %lld of the same issue is queued already: it goes on instead",
			(long long)db_rows_i64(rows, "other"));
	acted(app, req, "retries");
	return response_json(res, json_pack("{s:b s:o s:s s:I}", "ok", 1, "message",
					  json_sprintf("Run %lld queued for retry", id), "mode",
					  start_over ? "restart" : "continue", "attempt",
					  (json_int_t)db_rows_i64(rows, "attempt")));
}

/* 1 to 4, or URGENT, HIGH, NORMAL, LOW in any case. */
static err_t read_priority(const json_t *value, struct db_arg *ret_arg)
{
	const char *name = json_string_value(value);
	for (int p = PRIORITY_URGENT; p < PRIORITY__MAX; p++) {
		if ((json_is_integer(value) && json_integer_value(value) == p) ||
			(name && strcasecmp(name, run_priority_name((enum run_priority)p)) == 0)) {
			*ret_arg = db_i64(p);
			return NULL;
		}
	}
	return err_new(
		ERR_BAD_INPUT, "priority must be 1 (urgent), 2 (high), 3 (normal) or 4 (low)");
}

static err_t read_position(const json_t *value, struct db_arg *ret_arg)
{
	json_int_t n = json_integer_value(value);
	if (!json_is_integer(value) || n < -POSITION_MAX || n > POSITION_MAX)
		return err_new(ERR_BAD_INPUT, "position must be a whole number; less comes first");
	*ret_arg = db_i64(n);
	return NULL;
}

err_t control_reorder(struct app *app, struct request *req, struct response *res)
{
	static const char *const members[] = {"priority", "position"};
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	struct db_arg priority = db_null(), position = db_null();
	json_auto_t *body = NULL;
	ERR_TRY(read_body(req, members, ARRAY_LEN(members), &body));
	const json_t *new_priority = json_object_get(body, "priority");
	const json_t *new_position = json_object_get(body, "position");
	if (!new_priority && !new_position)
		return err_new(ERR_BAD_INPUT, "the body must have priority, position or both");
	if (new_priority)
		ERR_TRY(read_priority(new_priority, &priority));
	if (new_position)
		ERR_TRY(read_position(new_position, &position));
	ERR_TRY(call(app, req, Q_RUN_REORDER,
		DB_ARGS(db_i64(req->ids[0]), priority, position, db_str(req->who.data)), &rows));
	if (!was(rows, RUN_QUEUED))
		return err_new(ERR_CONFLICT, "run %lld is %s: only a queued run has a place",
			(long long)req->ids[0], db_rows_str(rows, "was"));
	acted(app, req, "reorders");
	return response_json(
		res, json_pack("{s:b s:o s:I s:I}", "ok", 1, "message",
			     json_sprintf("Run %lld has its new place", (long long)req->ids[0]),
			     "priority", (json_int_t)db_rows_i64(rows, "priority"), "position",
			     (json_int_t)db_rows_i64(rows, "position")));
}
