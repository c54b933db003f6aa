/* One run's page. */
#include <string.h>
#include <time.h>

#include "cgi/data.h"
#include "cgi/page.h"
#include "lib/mem.h"

static void decorate_events(json_t *run)
{
	size_t i;
	json_t *event, *step;
	json_array_foreach (json_object_get(run, "events"), i, event)
		json_object_set_new(event, "at", page_time(json_object_get(event, "timestamp")));
	json_array_foreach (json_object_get(run, "steps"), i, step) {
		json_t *duration_ms = json_object_get(step, "duration_ms");
		const char *outcome = json_string_value(json_object_get(step, "outcome"));
		bool good = outcome && (strcmp(outcome, "ok") == 0 || strcmp(outcome, "end") == 0);
		json_object_set_new(step, "began", page_time(json_object_get(step, "began_at")));
		json_object_set_new(step, "state",
			json_string(!outcome ? "running"
				    : good   ? "completed"
					     : "failed"));
		json_object_set_new(step, "healed",
			json_boolean(json_integer_value(json_object_get(step, "round")) > 0));
		if (json_is_integer(duration_ms))
			json_object_set_new(step, "took",
				json_integer_value(duration_ms) < 1000
					? json_sprintf(
						  "%d ms", (int)json_integer_value(duration_ms))
					: page_duration(
						  (double)json_integer_value(duration_ms) / 1000));
	}
}

/* What its calls under way may still cost, and its limit. */
static void decorate_money(json_t *run)
{
	const json_t *budget = json_object_get(json_object_get(run, "money"), "run");
	json_t *view = json_object_get(run, "view");
	double reserved = json_number_value(json_object_get(budget, "reserved_usd"));
	double estimated = json_number_value(json_object_get(budget, "estimated_usd"));
	double cap = json_number_value(json_object_get(budget, "cap_usd"));
	if (reserved > 0)
		json_object_set_new(view, "reserved", page_usd(reserved));
	if (estimated > 0)
		json_object_set_new(view, "estimated", page_usd(estimated));
	if (cap > 0)
		json_object_set_new(view, "cap", page_usd(cap));
}

/* The run's metrics as rows of name and value; nested members are left to the API. */
static json_t *metric_rows(const json_t *metrics)
{
	json_t *rows = json_array();
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)metrics, name, value) {
		autofree char *label = xstrdup(name);
		for (char *p = label; *p; p++)
			*p = *p == '_' ? ' ' : *p;
		if (json_is_boolean(value))
			json_array_append_new(rows, json_pack("{s:s s:s}", "name", label, "value",
							    json_is_true(value) ? "yes" : "no"));
		else if (json_is_number(value) || json_is_string(value))
			json_array_append_new(
				rows, json_pack("{s:s s:O}", "name", label, "value", value));
	}
	return rows;
}

err_t page_run(struct app *app, struct request *req, struct response *res)
{
	AUTO(buf_release) struct buf fragment = BUF(8);
	bool unchanged = false;
	json_t *run = NULL;
	struct db *db;
	ERR_TRY(page_unchanged(app, req, res, &unchanged));
	if (unchanged)
		return NULL;
	ERR_TRY(app_db(app, &db));
	ERR_TRY(data_run(db, req->ids[0], &run));
	page_decorate_run(app, run, time(NULL));
	decorate_events(run);
	decorate_money(run);
	json_t *metrics = metric_rows(json_object_get(run, "metrics"));
	json_t *data = json_pack("{s:o s:o s:o s:o s:b s:b s:b}", "title",
		json_sprintf("Run %lld", (long long)req->ids[0]), "poll",
		json_sprintf("/runs/%lld?fragment=1", (long long)req->ids[0]), "run", run,
		"metrics_rows", metrics, "has_metrics", json_array_size(metrics) > 0, "has_steps",
		json_array_size(json_object_get(run, "steps")) > 0, "has_events",
		json_array_size(json_object_get(run, "events")) > 0);
	bool part = request_form_value(req->query, "fragment", &fragment);
	return page_render(app, req, res, part ? "run_regions.html" : "run.html", data);
}
