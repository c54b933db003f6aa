/* What is done with which issue (DESIGN 5), and which priority its labels mean (DESIGN 4.2). */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "worker/steps/fetch_priority.h"
#include "worker/steps/route.h"

static struct settings *set;

static int setup(void **state)
{
	(void)state;
	static const char *const overrides[] = {
		"JIRA_AI_ACCOUNT_ID=ai-1", "JIRA_STATUS_IN_PROGRESS=Doing", NULL};
	return settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
				     .env_file = "/dev/null",
				     .overrides = overrides,
				     .default_db_user = "air_worker"},
		       &set)
		       ? -1
		       : 0;
}

static int teardown(void **state)
{
	(void)state;
	settings_free(set);
	return 0;
}

static const struct {
	const char *type;
	int level;
	const char *status, *assignee, *label, *parent;
	const char *branch; /* NULL: nothing is done */
	const char *word;   /* of the reason then */
} cases[] = {
	{"Sub-task", -1, "Doing", "ai-1", "", "MW-1", "story/mw-1", NULL},
	{"Unteraufgabe", -1, "doing", "ai-1", "", "MW-1", "story/mw-1", NULL},
	{"Sub-task", -1, "Doing", "ai-1", "Independent-PR", "MW-1", "ai/mw-3", NULL},
	{"Sub-task", -1, "Selected for Development", "ai-1", "", "MW-1", NULL, "no order"},
	{"Sub-task", -1, "Selected for Development", "ai-1", "independent-pr", "MW-1", "ai/mw-3",
		NULL},
	{"Sub-task", -1, "Doing", "ai-1", "", NULL, NULL, "without a parent"},
	{"Sub-task", -1, "Doing", "u-2", "", "MW-1", NULL, "someone else"},
	{"Sub-task", -1, "Doing", NULL, "", "MW-1", NULL, "nobody"},
	{"Sub-task", -1, "Done", "ai-1", "", "MW-1", NULL, "no order"},
	{"Task", 0, "Doing", "ai-1", "", NULL, "ai/mw-3", NULL},
	{"Bug", 0, "Selected for Development", "ai-1", "", NULL, "ai/mw-3", NULL},
	{"Improvement", 0, "Doing", "ai-1", "", "MW-1", "ai/mw-3", NULL},
	{"Task", 0, "Backlog", "ai-1", "", NULL, NULL, "no order"},
	{"Task", 0, "Blocked", "ai-1", "", NULL, NULL, "no order"},
	{"Task", 0, "In Progress", "ai-1", "", NULL, NULL, "no order"},
	{"Story", 0, "Doing", "ai-1", "", NULL, NULL, "later version"},
	{"Story", 0, "Selected for Development", "ai-1", "", NULL, NULL, "later version"},
	{"Story", 0, "Backlog", "ai-1", "", NULL, NULL, "no order"},
	{"Epic", 1, "Backlog", "ai-1", "", NULL, NULL,
		"planning an Epic comes with a later version"},
	{"Epos", 1, "Plan Review", "ai-1", "", NULL, NULL, "later version"},
	{"Initiative", 2, "Doing", "ai-1", "", NULL, NULL, "no order"},
	{"Epic", 1, "Backlog", "u-2", "", NULL, NULL, "someone else"},
};

static void every_row_of_the_design_is_routed(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		json_auto_t *issue = json_pack("{s:s, s:s, s:i, s:b, s:s, s:s?, s:[s]}", "key",
			"MW-3", "type", cases[i].type, "hierarchy_level", cases[i].level, "subtask",
			cases[i].level == -1, "status", cases[i].status, "assignee",
			cases[i].assignee, "labels", cases[i].label);
		json_object_set_new(issue, "parent",
			cases[i].parent ? json_pack("{s:s}", "key", cases[i].parent) : json_null());
		struct route route;
		route_decide(set, issue, &route);
		autofree char *branch = route_branch(issue, route.action);
		if (cases[i].branch) {
			if (!branch)
				fail_msg("case %zu: %s", i, route.reason);
			assert_string_equal(branch, cases[i].branch);
		} else {
			if (branch || !strstr(route.reason, cases[i].word))
				fail_msg("case %zu: branch %s, reason %s", i,
					branch ? branch : "none", route.reason);
		}
	}
}

static void level_that_jira_does_not_send_is_read_from_the_name(void **state)
{
	(void)state;
	json_auto_t *issue = json_pack("{s:s, s:s, s:i, s:b, s:s, s:s}", "key", "MW-3", "type",
		"Epic", "hierarchy_level", -9, "subtask", 0, "status", "Doing", "assignee", "ai-1");
	struct route route;
	route_decide(set, issue, &route);
	assert_int_equal(route.action, ROUTE_NONE);
}

static const struct {
	const char *labels[4];
	int priority;
} labels_cases[] = {
	{{"urgent"}, 1},
	{{"P0"}, 1},
	{{"Critical"}, 1},
	{{"high"}, 2},
	{{"p1"}, 2},
	{{"important"}, 2},
	{{"low"}, 4},
	{{"p3"}, 4},
	{{"CleanUp"}, 4},
	{{"priority:high"}, 2},
	{{"Priority-Urgent"}, 1},
	{{"low", "p1", "x"}, 2},
	{{"p2"}, 0},
	{{"highly"}, 0},
	{{""}, 0},
	{{NULL}, 0},
};

static void labels_name_the_priority(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(labels_cases); i++) {
		json_auto_t *labels = json_array();
		for (size_t k = 0; labels_cases[i].labels[k]; k++)
			json_array_append_new(labels, json_string(labels_cases[i].labels[k]));
		assert_int_equal(priority_of_labels(labels), labels_cases[i].priority);
	}
	assert_int_equal(priority_of_labels(NULL), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_row_of_the_design_is_routed),
		cmocka_unit_test(level_that_jira_does_not_send_is_read_from_the_name),
		cmocka_unit_test(labels_name_the_priority),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
