/* The status page and its regions, which app.js fetches again each second. */
#include <string.h>

#include "cgi/data.h"
#include "cgi/page.h"
#include "lib/mem.h"
#include "lib/text.h"

#define RUN_HOURS (7 * 24)
#define METRIC_HOURS 24

/* {"A":1,"B":0} as [{"name":"A","count":1,"some":true},…], which a template can walk. */
static json_t *pairs(const json_t *object)
{
	json_t *list = json_array();
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)object, name, value)
		json_array_append_new(list, json_pack("{s:s s:O s:b}", "name", name, "count", value,
						    "some", json_integer_value(value) > 0));
	return list;
}

/* {"by_repo":{"A":1},"running_by_repo":{"B":1}} as rows repository, running, waiting. */
static json_t *repo_rows(const json_t *queue)
{
	json_auto_t *rows = json_object();
	static const char *const sources[][2] = {
		{"by_repo", "waiting"}, {"running_by_repo", "running"}};
	for (size_t i = 0; i < ARRAY_LEN(sources); i++) {
		const char *name;
		json_t *value;
		json_object_foreach (json_object_get(queue, sources[i][0]), name, value) {
			json_t *row = json_object_get(rows, name);
			if (!row) {
				row = json_pack(
					"{s:s s:i s:i}", "name", name, "waiting", 0, "running", 0);
				json_object_set_new(rows, name, row);
			}
			json_object_set(row, sources[i][1], value);
		}
	}
	json_t *list = json_array();
	const char *name;
	json_t *row;
	json_object_foreach (rows, name, row)
		json_array_append(list, row);
	return list;
}

static json_t *metrics_view(const json_t *metrics)
{
	json_int_t attention = json_integer_value(json_object_get(metrics, "failed")) +
			       json_integer_value(json_object_get(metrics, "blocked"));
	json_int_t ended = attention + json_integer_value(json_object_get(metrics, "completed"));
	const json_t *errors = json_object_get(metrics, "error_categories");
	return json_pack("{s:o s:o s:o s:I s:b s:o s:b}", "cost",
		page_usd(json_number_value(json_object_get(metrics, "total_cost_usd"))), "duration",
		page_duration(json_number_value(json_object_get(metrics, "avg_duration_seconds"))),
		"tokens", page_count(json_number_value(json_object_get(metrics, "total_tokens"))),
		"attention", attention, "has_ended", ended > 0, "errors", pairs(errors),
		"has_errors", json_object_size(errors) > 0);
}

static json_t *workers_view(json_t *workers)
{
	size_t i;
	json_t *worker;
	json_array_foreach (workers, i, worker)
		json_object_set_new(worker, "seen", page_time(json_object_get(worker, "seen_at")));
	return workers;
}

json_t *page_status_data(
	struct app *app, json_t *status, json_t *metrics, json_t *queue, json_t *workers)
{
	size_t i;
	json_t *run, *runs = json_object_get(status, "runs");
	json_t *now = json_object_get(status, "timestamp");
	json_array_foreach (runs, i, run)
		page_decorate_run(app, run, json_integer_value(now));
	json_object_set_new(metrics, "view", metrics_view(metrics));
	json_t *repos = repo_rows(queue);
	json_object_set_new(queue, "view",
		json_pack("{s:o s:o s:b}", "priorities",
			pairs(json_object_get(queue, "by_priority")), "repos", repos, "has_repos",
			json_array_size(repos) > 0));
	return json_pack("{s:s s:s s:O s:O s:O s:O s:b s:b}", "title", "Status", "poll",
		"/status?fragment=1", "status", status, "metrics", metrics, "queue", queue,
		"workers", workers_view(workers), "has_runs", json_array_size(runs) > 0,
		"has_workers", json_array_size(workers) > 0);
}

static err_t read_data(struct app *app, struct db *db, json_t **ret_data)
{
	json_auto_t *status = NULL, *metrics = NULL, *queue = NULL, *workers = NULL;
	ERR_TRY(data_status(db, false, RUN_HOURS, &status));
	ERR_TRY(data_metrics(db, METRIC_HOURS, &metrics));
	ERR_TRY(data_queue(db, &queue));
	ERR_TRY(data_workers(db, &workers));
	*ret_data = page_status_data(app, status, metrics, queue, workers);
	return NULL;
}

err_t page_home(struct app *app, struct request *req, struct response *res)
{
	(void)app, (void)req;
	response_redirect(res, "/status");
	return NULL;
}

err_t page_status(struct app *app, struct request *req, struct response *res)
{
	AUTO(buf_release) struct buf fragment = BUF(8);
	bool unchanged = false;
	json_t *data = NULL;
	struct db *db;
	ERR_TRY(page_unchanged(app, req, res, &unchanged));
	if (unchanged)
		return NULL;
	ERR_TRY(app_db(app, &db));
	ERR_TRY(read_data(app, db, &data));
	bool part = request_form_value(req->query, "fragment", &fragment);
	return page_render(app, req, res, part ? "status_regions.html" : "status.html", data);
}
