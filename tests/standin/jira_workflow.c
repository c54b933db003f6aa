/* Statuses and transitions. Called by jira.c and the control API. */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "tests/standin/jira.h"
#include "tests/standin/world.h"

/* clang-format off */
static const struct status statuses[] = {
	{"10010", "Backlog",                  "new",           "11", "Put back on the shelf"},
	{"10011", "Plan Review",              "indeterminate", "21", "Ask for a look at the plan"},
	{"10012", "Selected for Development", "new",           "31", "Pick"},
	{"3",     "In Progress",              "indeterminate", "41", "Start work"},
	{"10013", "In Testing",               "indeterminate", "51", "Hand over for testing"},
	{"10014", "Done",                     "done",          "61", "Close"},
	{"10015", "Blocked",                  "indeterminate", "71", "Stop, something is in the way"},
};
/* clang-format on */

/* Other names for them, by configuration: "status_names": {"Backlog": "Rückstand"}. */
static const struct status *named(const struct status *s)
{
	static _Thread_local struct status copy;
	copy = *s;
	copy.name = jstr(config_get("jira", "status_names"), s->name, s->name);
	return &copy;
}

const struct status *status_find(const char *name_or_id)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		const struct status *s = named(&statuses[i]);
		if (text_ieq(s->name, name_or_id) || strcmp(s->id, name_or_id) == 0)
			return s;
	}
	return NULL;
}

/* "workflow": {"In Progress": ["In Testing"]}; a status that is not named there leads anywhere. */
static bool offered(const json_t *issue, const char *to)
{
	const json_t *allowed =
		json_object_get(config_get("jira", "workflow"), jstr(issue, "status", ""));
	if (!allowed)
		return true;
	size_t i;
	json_t *name;
	json_array_foreach (allowed, i, name) {
		if (text_ieq(json_string_value(name), to))
			return true;
	}
	return false;
}

json_t *view_transitions(const json_t *issue)
{
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		const struct status *s = named(&statuses[i]);
		if (!offered(issue, s->name))
			continue;
		json_array_append_new(list,
			json_pack("{s:s, s:s, s:o, s:b, s:b, s:b, s:b, s:b, s:b}", "id",
				s->transition_id, "name", s->transition, "to", view_status(s->name),
				"hasScreen", 0, "isGlobal", 1, "isInitial", 0, "isAvailable", 1,
				"isConditional", 0, "isLooped", 0));
	}
	return list;
}

void issue_set_status(json_t *issue, const char *name, const char *actor)
{
	const struct status *s = status_find(jstr(issue, "status", ""));
	autofree char *from_id = xstrdup(s ? s->id : "");
	autofree char *from = xstrdup(jstr(issue, "status", ""));
	s = status_find(name);
	if (!s)
		return;
	json_object_set_new(issue, "status", json_string(s->name));
	issue_changed(issue, actor, "status", from_id, from, s->id, s->name);
}

bool issue_transition(json_t *issue, const char *transition_id, const char *actor)
{
	for (size_t i = 0; i < ARRAY_LEN(statuses); i++) {
		if (strcmp(statuses[i].transition_id, transition_id) != 0)
			continue;
		autofree char *to = xstrdup(named(&statuses[i])->name);
		if (!offered(issue, to))
			return false;
		issue_set_status(issue, to, actor);
		return true;
	}
	return false;
}

void issue_set_assignee(json_t *issue, const char *account_id, const char *actor)
{
	autofree char *from = xstrdup(jstr(issue, "assignee", NULL));
	json_t *from_user = view_user(from), *to_user = view_user(account_id);
	json_object_set_new(issue, "assignee", account_id ? json_string(account_id) : json_null());
	issue_changed(issue, actor, "assignee", from, jstr(from_user, "displayName", NULL),
		account_id, jstr(to_user, "displayName", NULL));
	json_decref(from_user);
	json_decref(to_user);
}
