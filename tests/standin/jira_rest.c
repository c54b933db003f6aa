/* An issue's other routes: itself, transitions, assignee, properties, remote links. */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "tests/standin/jira.h"
#include "tests/standin/jira_routes.h"
#include "tests/standin/world.h"

void jira_get_issue(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	if (issue)
		answer_json(q, 200,
			view_issue(issue, req_query(q, "fields"), req_query(q, "expand"), false));
}

/* REST's fields as the plain description that issue_create() takes. */
static json_t *plain_of(const json_t *fields, const struct issue_type *type)
{
	json_t *plain = json_pack("{s:s, s:s, s:O?, s:O?}", "type", type->name, "project",
		jstr(json_object_get(fields, "project"), "key", "DEMO"), "summary",
		json_object_get(fields, "summary"), "labels", json_object_get(fields, "labels"));
	const char *named[][3] = {{"parent", "key", "parent"}, {"priority", "name", "priority"},
		{"assignee", "accountId", "assignee"}};
	for (size_t i = 0; i < ARRAY_LEN(named); i++) {
		const char *value = jstr(json_object_get(fields, named[i][0]), named[i][1], NULL);
		if (value)
			json_object_set_new(plain, named[i][2], json_string(value));
	}
	if (json_object_get(fields, "description"))
		json_object_set(plain, "description", json_object_get(fields, "description"));
	return plain;
}

/* Answers 400 when Jira would. */
static const struct issue_type *check_new(struct req *q, const json_t *fields)
{
	const json_t *t = json_object_get(fields, "issuetype");
	const struct issue_type *type = issue_type_find(jstr(t, "id", jstr(t, "name", "")));
	const char *summary = jstr(fields, "summary", "");
	const char *parent = jstr(json_object_get(fields, "parent"), "key", NULL);
	const json_t *description = json_object_get(fields, "description");
	if (!type)
		jira_field_error(q, 400, "issuetype", "Specify a valid issue type");
	else if (!*summary)
		jira_field_error(q, 400, "summary", "You must specify a summary of the issue.");
	else if (strlen(summary) > 255)
		jira_field_error(q, 400, "summary", "Summary can't exceed 255 characters.");
	else if (type->subtask && !parent)
		jira_field_error(q, 400, "parent",
			"Issue type is a sub-task but parent issue key or id not specified.");
	else if (parent && !issue_find(parent))
		jira_field_error(q, 400, "parent", "Could not find issue by id or key.");
	else if (!description || jira_check_adf(q, "description", description))
		return type;
	return NULL;
}

void jira_post_issue(struct req *q)
{
	const json_t *fields = json_object_get(q->json, "fields");
	const struct issue_type *type = check_new(q, fields);
	if (!type)
		return;
	json_t *plain = plain_of(fields, type), *issue;
	err_t e = issue_create(plain, ai_account(), &issue);
	json_decref(plain);
	if (e) {
		jira_error(q, 400, err_text(e));
		return;
	}
	event_created(q, issue, ai_account());
	json_t *view = view_issue(issue, "summary", NULL, false);
	json_object_del(view, "fields");
	json_object_del(view, "expand");
	answer_json(q, 201, view);
}

void jira_put_issue(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	const json_t *fields = json_object_get(q->json, "fields");
	const json_t *description = json_object_get(fields, "description");
	if (!issue || (description && !jira_check_adf(q, "description", description)))
		return;
	static const char *const copied[] = {"summary", "labels", "description"};
	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		json_t *value = json_object_get(fields, copied[i]);
		if (!value)
			continue;
		json_object_set_new(issue, copied[i], json_deep_copy(value));
		issue_changed(issue, ai_account(), copied[i], NULL, NULL, NULL, NULL);
		event_issue(q, issue, ai_account(), copied[i]);
	}
	answer_empty(q, 204);
}

void jira_get_changelog(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	if (!issue)
		return;
	json_t *newest_first = view_changelog(issue), *values = json_array(), *change;
	size_t i;
	json_array_foreach (newest_first, i, change)
		json_array_insert(values, 0, change);
	json_decref(newest_first);
	json_int_t n = (json_int_t)json_array_size(values);
	answer_json(q, 200,
		json_pack("{s:i, s:i, s:I, s:b, s:o}", "startAt", 0, "maxResults", 100, "total", n,
			"isLast", 1, "values", values));
}

void jira_get_transitions(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	if (issue)
		answer_json(q, 200,
			json_pack("{s:s, s:o}", "expand", "transitions", "transitions",
				view_transitions(issue)));
}

void jira_post_transition(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	if (!issue)
		return;
	const json_t *id = json_object_get(json_object_get(q->json, "transition"), "id");
	autofree char *text = json_is_integer(id)
				      ? xasprintf("%lld", (long long)json_integer_value(id))
				      : xstrdup(json_is_string(id) ? json_string_value(id) : "");
	if (!*text) {
		jira_error(q, 400, "Missing 'transition' identifier");
	} else if (!issue_transition(issue, text, ai_account())) {
		autofree char *message =
			xasprintf("Transition id '%s' is not valid for this issue.", text);
		jira_error(q, 400, message);
	} else {
		event_issue(q, issue, ai_account(), "status");
		answer_empty(q, 204);
	}
}

static bool known_user(const char *id)
{
	return strcmp(id, ai_account()) == 0 ||
	       strcmp(id, config_str("jira", "human_account", "human")) == 0 ||
	       json_object_get(config_get("jira", "users"), id);
}

void jira_put_assignee(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	const json_t *id = json_object_get(q->json, "accountId");
	if (!issue)
		return;
	if (!id || (json_is_string(id) && !known_user(json_string_value(id)))) {
		autofree char *message = xasprintf("User '%s' does not exist.",
			json_is_string(id) ? json_string_value(id) : "");
		jira_field_error(q, id ? 404 : 400, "assignee", message);
		return;
	}
	issue_set_assignee(issue, json_string_value(id), ai_account());
	event_issue(q, issue, ai_account(), "assignee");
	answer_empty(q, 204);
}

void jira_get_property(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	if (!issue)
		return;
	json_t *value = json_object_get(json_object_get(issue, "properties"), q->param[1]);
	if (!value)
		jira_error(q, 404, "The property was not found.");
	else
		answer_json(q, 200, json_pack("{s:s, s:O}", "key", q->param[1], "value", value));
}

void jira_put_property(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	if (!issue)
		return;
	json_t *properties = json_object_get(issue, "properties");
	bool known = json_object_get(properties, q->param[1]) != NULL;
	if (!q->json) {
		jira_error(q, 400, "Property value is no valid JSON.");
		return;
	}
	json_object_set(properties, q->param[1], q->json);
	answer_json(q, known ? 200 : 201, json_pack("{s:s}", "key", q->param[1]));
}

void jira_delete_property(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	if (!issue)
		return;
	if (json_object_del(json_object_get(issue, "properties"), q->param[1]) == 0)
		answer_empty(q, 204);
	else
		jira_error(q, 404, "The property was not found.");
}

void jira_get_remote_links(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	if (issue)
		answer_json(q, 200, json_incref(json_object_get(issue, "remote_links")));
}

void jira_post_remote_link(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	const json_t *object = json_object_get(q->json, "object");
	if (!issue)
		return;
	if (!jstr(object, "url", NULL) || !jstr(object, "title", NULL)) {
		jira_field_error(q, 400, "object", "'url' and 'title' are required.");
		return;
	}
	json_t *links = json_object_get(issue, "remote_links"), *link;
	size_t i;
	json_array_foreach (links, i, link) {
		const char *global = jstr(link, "globalId", "");
		if (!*global || !text_ieq(global, jstr(q->json, "globalId", "")))
			continue;
		json_object_update(link, q->json);
		answer_json(q, 200,
			json_pack("{s:O, s:s}", "id", json_object_get(link, "id"), "self", ""));
		return;
	}
	link = json_deep_copy(q->json);
	json_object_set_new(link, "id", json_integer(10000 + (json_int_t)json_array_size(links)));
	json_array_append_new(links, link);
	answer_json(q, 201, json_pack("{s:O, s:s}", "id", json_object_get(link, "id"), "self", ""));
}
