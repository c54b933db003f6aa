/* airunner-api: the REST interface. What the answers hold is in the data_*.c files. */
#include <string.h>

#include "cgi/app.h"
#include "cgi/control.h"
#include "cgi/data.h"
#include "lib/mem.h"

#define HOURS_MAX 8784 /* a leap year */

static err_t get_health(struct app *app, struct request *req, struct response *res);
static err_t get_health_detailed(struct app *app, struct request *req, struct response *res);
static err_t get_status(struct app *app, struct request *req, struct response *res);
static err_t get_metrics(struct app *app, struct request *req, struct response *res);
static err_t get_queue(struct app *app, struct request *req, struct response *res);
static err_t get_run(struct app *app, struct request *req, struct response *res);

/* clang-format off */
static const struct route routes[] = {
	{METHOD_GET,   "/health",               ROLE_NONE,     get_health},
	{METHOD_GET,   "/api/health/detailed",  ROLE_VIEWER,   get_health_detailed},
	{METHOD_GET,   "/api/status",           ROLE_VIEWER,   get_status},
	{METHOD_GET,   "/api/metrics/summary",  ROLE_VIEWER,   get_metrics},
	{METHOD_GET,   "/api/queue/stats",      ROLE_VIEWER,   get_queue},
	{METHOD_GET,   "/api/runs/{id}",        ROLE_VIEWER,   get_run},
	{METHOD_PATCH, "/api/runs/{id}",        ROLE_OPERATOR, control_reorder},
	{METHOD_POST,  "/api/runs/{id}/cancel", ROLE_OPERATOR, control_cancel},
	{METHOD_POST,  "/api/runs/{id}/retry",  ROLE_OPERATOR, control_retry},
	{0},
};
/* clang-format on */

static err_t get_health(struct app *app, struct request *req, struct response *res)
{
	(void)app, (void)req;
	return response_json(res, json_pack("{s:s}", "status", "ok"));
}

/* The answer to a database that is away is a report, with the status that monitors look at. */
static err_t get_health_detailed(struct app *app, struct request *req, struct response *res)
{
	(void)req;
	struct db *db = NULL;
	json_t *json = NULL;
	err_t away = app_db(app, &db);
	ERR_TRY(data_health(away ? NULL : db, app->started_s, &json));
	if (strcmp(json_string_value(json_object_get(json, "status")), "error") == 0) {
		res->status = 503;
		response_header(res, "Retry-After", "5");
	}
	return response_json(res, json);
}

static err_t get_status(struct app *app, struct request *req, struct response *res)
{
	AUTO(buf_release) struct buf detail = BUF(32);
	int64_t hours;
	struct db *db;
	json_t *json;
	if (!request_form_value(req->query, "detail", &detail))
		buf_adds(&detail, "summary");
	bool detailed = strcmp(detail.data, "detailed") == 0;
	if (!detailed && strcmp(detail.data, "summary") != 0)
		return err_new(ERR_BAD_INPUT, "detail must be summary or detailed");
	ERR_TRY(request_query_int(req, "hours", STATUS_HOURS, 1, HOURS_MAX, &hours));
	ERR_TRY(app_db(app, &db));
	ERR_TRY(data_status(db, detailed, hours, &json));
	return response_json(res, json);
}

static err_t get_metrics(struct app *app, struct request *req, struct response *res)
{
	int64_t hours;
	struct db *db;
	json_t *json;
	ERR_TRY(request_query_int(req, "hours", 24, 1, HOURS_MAX, &hours));
	ERR_TRY(app_db(app, &db));
	ERR_TRY(data_metrics(db, hours, &json));
	return response_json(res, json);
}

static err_t get_queue(struct app *app, struct request *req, struct response *res)
{
	(void)req;
	struct db *db;
	json_t *json;
	ERR_TRY(app_db(app, &db));
	ERR_TRY(data_queue(db, &json));
	return response_json(res, json);
}

static err_t get_run(struct app *app, struct request *req, struct response *res)
{
	struct db *db;
	json_t *json;
	ERR_TRY(app_db(app, &db));
	ERR_TRY(data_run(db, req->ids[0], &json));
	return response_json(res, json);
}

int main(int argc, char **argv)
{
	static const struct app_spec spec = {.name = "airunner-api",
		.program = PROGRAM_PAGES,
		.db_user = "air_api",
		.routes = routes,
		.csrf = true};
	return app_main(&spec, argc, argv);
}
