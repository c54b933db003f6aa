/* What a run looks like to a person: words, times and links beside the API's members. */
#include <string.h>

#include "cgi/page.h"
#include "lib/mem.h"
#include "lib/run_names.h"
#include "lib/text.h"

static const char *const labels[RUN_STATUS__MAX] = {
	[RUN_QUEUED] = "Queued",
	[RUN_RUNNING] = "Running",
	[RUN_COMPLETED] = "Completed",
	[RUN_FAILED] = "Failed",
	[RUN_BLOCKED] = "Needs a person",
	[RUN_CANCELLED] = "Cancelled",
};

/* The stages that a run goes through in order; "failed" is an end, not a place on the way. */
static const struct {
	enum run_stage stage;
	const char *label;
} way[] = {
	{STAGE_CLAIMED, "claimed"},
	{STAGE_ANALYZING, "analyzing"},
	{STAGE_PLANNING, "planning"},
	{STAGE_EXECUTING, "executing"},
	{STAGE_VERIFYING, "verifying"},
	{STAGE_COMMITTING, "committing"},
};

static const char *text_of(const json_t *object, const char *member)
{
	const char *s = json_string_value(json_object_get(object, member));
	return s ? s : "";
}

static double number_of(const json_t *object, const char *member)
{
	return json_number_value(json_object_get(object, member));
}

/* Only addresses that a browser may follow become links. */
static json_t *link_or_null(const char *url)
{
	return text_starts(url, "https://") || text_starts(url, "http://") ? json_string(url)
									   : json_null();
}

static json_t *issue_link(struct app *app, const char *key)
{
	const char *base = settings_str(app->set, S_JIRA_BASE_URL);
	size_t n = strlen(base);
	while (n && base[n - 1] == '/')
		n--;
	if (!n || !strchr(key, '-'))
		return json_null();
	autofree char *url = xasprintf("%.*s/browse/%s", (int)n, base, key);
	return link_or_null(url);
}

/* "#12" for …/pull/12, else "pull request". */
static json_t *pull_request_label(const char *url)
{
	const char *last = strrchr(url, '/');
	long long number;
	if (last && text_to_i64(last + 1, &number))
		return json_sprintf("Pull request #%lld", number);
	return json_string("Pull request");
}

static json_t *stages_json(const char *stage)
{
	json_t *list = json_array();
	const char *state = "done";
	for (size_t i = 0; i < ARRAY_LEN(way); i++) {
		bool here = strcmp(stage, run_stage_name(way[i].stage)) == 0;
		json_array_append_new(
			list, json_pack("{s:s s:s s:b}", "label", way[i].label, "state",
				      here ? "current" : state, "current", here));
		if (here)
			state = "todo";
	}
	return list;
}

/* The newest of the run's events, from either shape (progress_events or events). */
static json_t *newest_event(const json_t *run)
{
	json_t *events = json_object_get(run, "progress_events");
	if (!events)
		events = json_object_get(run, "events");
	size_t n = json_array_size(events);
	return n ? json_array_get(events, n - 1) : NULL;
}

static void decorate_progress(const json_t *run, json_t *view, bool running)
{
	json_t *event = newest_event(run);
	if (!event)
		return;
	json_object_set_new(view, "progress",
		json_pack("{s:O s:O s:o}", "message", json_object_get(event, "message"), "stage",
			json_object_get(event, "stage"), "at",
			page_time(json_object_get(event, "timestamp"))));
	json_object_set_new(view, "has_stages", json_boolean(running));
	if (running)
		json_object_set_new(view, "stages", stages_json(text_of(event, "stage")));
}

/* The duration counts from the claim on; while the run runs, "since" lets the page count on. */
static void decorate_times(const json_t *run, json_t *view, bool running, int64_t now_s)
{
	static const char *const times[] = {
		"created_at", "started_at", "completed_at", "updated_at"};
	for (size_t i = 0; i < ARRAY_LEN(times); i++)
		json_object_set_new(view, times[i], page_time(json_object_get(run, times[i])));
	double from = number_of(run, "started_at");
	double to = running ? (double)now_s : number_of(run, "completed_at");
	if (from <= 0 || to <= 0)
		return;
	json_object_set_new(view, "duration", page_duration(to - from));
	if (running)
		json_object_set_new(view, "since", json_integer((json_int_t)from));
}

void page_decorate_run(struct app *app, json_t *run, int64_t now_s)
{
	enum run_status status = RUN_QUEUED;
	run_status_parse(text_of(run, "status"), &status);
	const char *url = text_of(run, "pr_url");
	json_t *view = json_pack("{s:s s:o s:o s:o s:o s:s}", "label", labels[status], "issue_url",
		issue_link(app, text_of(run, "issue_key")), "pr_url", link_or_null(url), "pr_label",
		pull_request_label(url), "cost", page_usd(number_of(run, "cost_usd")), "priority",
		run_priority_name((enum run_priority)number_of(run, "priority")));
	json_object_set_new(run, "view", view);
	json_object_set_new(view, "has_cost", json_boolean(number_of(run, "cost_usd") > 0));
	json_object_set_new(view, "queued", json_boolean(status == RUN_QUEUED));
	bool open = status == RUN_QUEUED || status == RUN_RUNNING;
	bool cancelling = open && json_is_true(json_object_get(run, "cancelling"));
	json_object_set_new(view, "cancelling", json_boolean(cancelling));
	json_object_set_new(view, "can_cancel", json_boolean(open && !cancelling));
	json_object_set_new(view, "can_retry", json_boolean(!open));
	json_object_set_new(view, "can_continue", json_boolean(!open && status != RUN_COMPLETED));
	json_object_set_new(
		view, "urgent", json_boolean(number_of(run, "priority") == PRIORITY_URGENT));
	json_object_set_new(view, "has_reason", json_boolean(*text_of(run, "reason") != '\0'));
	decorate_progress(run, view, status == RUN_RUNNING);
	decorate_times(run, view, status == RUN_RUNNING, now_s);
}
