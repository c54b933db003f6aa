/* The search by JQL. Called by the reconciling poll. */
#include "worker/jira/search.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/jira/client.h"

#define PAGE 100
#define MAX_PAGES 50
#define NO_LEVEL -9 /* Jiras before hierarchyLevel */

static const char *str(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

static json_t *text_or_null(const char *s)
{
	return s ? text_json(s) : json_null();
}

static json_t *issue_out(const json_t *found)
{
	const json_t *fields = json_object_get(found, "fields");
	const json_t *type = json_object_get(fields, "issuetype");
	const json_t *level = json_object_get(type, "hierarchyLevel");
	const json_t *labels = json_object_get(fields, "labels");
	const char *key = str(found, "key"), *name = str(type, "name");
	const char *status = str(json_object_get(fields, "status"), "name");
	return json_pack("{s:o, s:o, s:o, s:o, s:b, s:i, s:o, s:o, s:o, s:{s:o}, s:o}", "id",
		text_or_null(str(found, "id")), "key", text_or_null(key), "project_key",
		text_jsonn(key ? key : "", key ? strcspn(key, "-") : 0), "type",
		text_json(name ? name : ""), "subtask",
		json_is_true(json_object_get(type, "subtask")), "hierarchy_level",
		json_is_integer(level) ? (int)json_integer_value(level) : NO_LEVEL, "status",
		text_json(status ? status : ""), "assignee",
		text_or_null(str(json_object_get(fields, "assignee"), "accountId")), "labels",
		json_is_array(labels) ? json_deep_copy(labels) : json_array(), "parent", "key",
		text_or_null(str(json_object_get(fields, "parent"), "key")), "updated",
		text_or_null(str(fields, "updated")));
}

err_t jira_search(struct jira *jira, const char *jql, json_t **ret_issues)
{
	json_auto_t *issues = json_array();
	json_auto_t *body =
		json_pack("{s:o, s:i, s:[s,s,s,s,s,s]}", "jql", text_json(jql), "maxResults", PAGE,
			"fields", "issuetype", "status", "assignee", "labels", "parent", "updated");
	jira->deadline_ms = 0;
	for (int page = 0; page < MAX_PAGES; page++) {
		json_auto_t *answer = NULL;
		ERR_TRY(jira_call(jira, "POST", "/search/jql", body, NULL, &answer));
		size_t i;
		json_t *found;
		json_array_foreach (json_object_get(answer, "issues"), i, found)
			if (str(found, "key"))
				json_array_append_new(issues, issue_out(found));
		json_t *next = json_object_get(answer, "nextPageToken");
		if (!json_is_string(next))
			break;
		json_object_set(body, "nextPageToken", next);
	}
	*ret_issues = json_incref(issues);
	return NULL;
}
