/*
 * /_control: what tests and the launcher tell the stand-in and ask it. README.md lists all.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/cache.h"
#include "tests/standin/fault.h"
#include "tests/standin/github.h"
#include "tests/standin/history.h"
#include "tests/standin/jira.h"
#include "tests/standin/script.h"
#include "tests/standin/service.h"
#include "tests/standin/world.h"

static void answer_err(struct req *q, err_t e)
{
	if (e)
		answer_json(q, 400, json_pack("{s:s}", "error", err_text(e)));
	else
		answer_json(q, 200, json_pack("{s:b}", "ok", 1));
}

static void get_health(struct req *q)
{
	answer_err(q, NULL);
}

/* ?service= &method= &path_contains= &since=N (greater than entry N) */
static void get_log(struct req *q)
{
	const char *service = req_query(q, "service"), *method = req_query(q, "method");
	const char *path = req_query(q, "path_contains");
	long since = req_query_int(q, "since", 0);
	json_t *list = json_array(), *entry;
	size_t i;
	json_array_foreach (request_log(), i, entry) {
		if ((service && strcmp(jstr(entry, "service", ""), service) != 0) ||
			(method && strcmp(jstr(entry, "method", ""), method) != 0) ||
			(path && !strstr(jstr(entry, "path", ""), path)) ||
			jint(entry, "n", 0) <= since)
			continue;
		json_array_append(list, entry);
	}
	answer_json(q, 200, list);
}

static void delete_log(struct req *q)
{
	request_log_clear();
	answer_err(q, NULL);
}

static void post_reset(struct req *q)
{
	request_log_clear();
	fault_clear(NULL);
	cache_clear();
	history_clear();
	err_t e = world_reset();
	e = e ? e : script_reset();
	answer_err(q, e ? e : jira_seed(config_get("jira", "issues")));
}

static void post_faults(struct req *q)
{
	answer_err(q, fault_add(q->json));
}

static void get_faults(struct req *q)
{
	answer_json(q, 200, json_incref(fault_list()));
}

static void delete_faults(struct req *q)
{
	fault_clear(req_query(q, "service"));
	answer_err(q, NULL);
}

static void post_script(struct req *q)
{
	answer_err(q, script_add(q->json));
}

static void get_script(struct req *q)
{
	answer_json(q, 200, json_incref(script_list()));
}

static void delete_script(struct req *q)
{
	answer_err(q, script_reset());
}

static void patch_config(struct req *q)
{
	if (json_is_object(q->json))
		config_merge(q->json);
	answer_err(q, json_is_object(q->json) ? NULL : err_new(ERR_BAD_INPUT, "no JSON object"));
}

static void post_clock(struct req *q)
{
	world_advance_ms(
		(int64_t)(json_number_value(json_object_get(q->json, "advance_s")) * 1000));
	answer_json(q, 200, json_pack("{s:I}", "now_ms", (json_int_t)world_now_ms()));
}

static const struct route routes[] = {
	{"GET", "/health", get_health},
	{"GET", "/log", get_log},
	{"DELETE", "/log", delete_log},
	{"POST", "/reset", post_reset},
	{"POST", "/faults", post_faults},
	{"GET", "/faults", get_faults},
	{"DELETE", "/faults", delete_faults},
	{"POST", "/script", post_script},
	{"GET", "/script", get_script},
	{"DELETE", "/script", delete_script},
	{"PATCH", "/config", patch_config},
	{"POST", "/clock", post_clock},
};

void control_answer(struct req *q)
{
	if (route_run(q, routes, ARRAY_LEN(routes)) || jira_control(q) || github_control(q))
		return;
	answer_json(q, 404, json_pack("{s:s}", "error", "no such control call; see README.md"));
}
