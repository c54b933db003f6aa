/*
 * What REST v3 shows of issues, comments and users; with text=true descriptions and comments are
 * strings, as in webhook bodies (REST v2 shape). Shapes: specs/jira-platform-v3.trimmed.json.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "tests/standin/jira.h"
#include "tests/standin/world.h"

/* A REST address; the site's own when the configuration names none. */
static json_t *self(const char *path, const char *id)
{
	const char *site = config_str("jira", "site_url", NULL);
	autofree char *url = xasprintf(
		"%s%s/rest/api/3/%s%s", site ? site : world_url(), site ? "" : "/jira", path, id);
	return json_string(url);
}

const char *ai_account(void)
{
	return config_str("jira", "ai_account", "ai");
}

static const char *display_name(const char *id)
{
	const char *named = jstr(config_get("jira", "users"), id, NULL);
	if (named)
		return named;
	if (strcmp(id, ai_account()) == 0)
		return "AI Runner";
	return strcmp(id, config_str("jira", "human_account", "human")) == 0 ? "Petra Person"
									     : "Other Person";
}

json_t *view_user(const char *id)
{
	if (!id)
		return json_null();
	return json_pack("{s:o, s:s, s:s, s:b, s:s, s:s, s:{s:s}}", "self",
		self("user?accountId=", id), "accountId", id, "displayName", display_name(id),
		"active", 1, "timeZone", "Europe/Berlin", "accountType", "atlassian", "avatarUrls",
		"48x48", "https://avatar.example.com/48");
}

json_t *view_status(const char *name)
{
	static const struct category {
		const char *key, *name, *color;
		int id;
	} categories[] = {
		{"new", "To Do", "blue-gray", 2},
		{"indeterminate", "In Progress", "yellow", 4},
		{"done", "Done", "green", 3},
	};
	const struct status *s = status_find(name);
	if (!s)
		return json_null();
	const struct category *c = categories;
	while (strcmp(c->key, s->category) != 0)
		c++;
	autofree char *number = xasprintf("%d", c->id);
	return json_pack("{s:o, s:s, s:s, s:s, s:s, s:{s:o, s:i, s:s, s:s, s:s}}", "self",
		self("status/", s->id), "description", "", "iconUrl", "", "name", s->name, "id",
		s->id, "statusCategory", "self", self("statuscategory/", number), "id", c->id,
		"key", c->key, "colorName", c->color, "name", c->name);
}

json_t *view_type(const struct issue_type *t)
{
	return json_pack("{s:o, s:s, s:s, s:s, s:s, s:b, s:i}", "self", self("issuetype/", t->id),
		"id", t->id, "description", "", "iconUrl", "", "name", t->name, "subtask",
		t->subtask, "hierarchyLevel", t->level);
}

json_t *view_priority(const char *name)
{
	static const char *const names[] = {"Highest", "High", "Medium", "Low", "Lowest"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		if (!text_ieq(names[i], name))
			continue;
		autofree char *id = xasprintf("%zu", i + 1);
		return json_pack("{s:o, s:s, s:s, s:s}", "self", self("priority/", id), "iconUrl",
			"", "name", names[i], "id", id);
	}
	return json_null();
}

static json_t *document(const json_t *adf, bool text)
{
	if (!text || json_is_null(adf))
		return json_deep_copy(adf);
	autofree char *plain = adf_text(adf);
	return json_string(plain);
}

static json_t *when(const json_t *o, const char *name)
{
	autofree char *text = time_jira(jint(o, name, 0));
	return json_string(text);
}

json_t *view_comment(const json_t *issue, const json_t *c, bool text)
{
	autofree char *path = xasprintf("%s/comment/%s", jstr(issue, "id", ""), jstr(c, "id", ""));
	json_t *view =
		json_pack("{s:o, s:s, s:o, s:o, s:o, s:o, s:o, s:b}", "self", self("issue/", path),
			"id", jstr(c, "id", ""), "author", view_user(jstr(c, "author", "")), "body",
			document(json_object_get(c, "body"), text), "updateAuthor",
			view_user(jstr(c, "updateAuthor", "")), "created", when(c, "created_ms"),
			"updated", when(c, "updated_ms"), "jsdPublic", 1);
	json_t *properties = json_object_get(c, "properties");
	if (properties)
		json_object_set(view, "properties", properties);
	return view;
}

static json_t *view_project(const json_t *issue)
{
	const char *key = jstr(issue, "key", "");
	autofree char *project = xstrndup(key, strcspn(key, "-"));
	return json_pack("{s:o, s:s, s:s, s:s, s:s, s:b}", "self", self("project/", "10000"), "id",
		"10000", "key", project, "name", project, "projectTypeKey", "software",
		"simplified", 0);
}

/* A parent or sub-task as it appears inside another issue. */
static json_t *view_brief(const json_t *issue)
{
	const struct issue_type *type = issue_type_find(jstr(issue, "type", ""));
	return json_pack("{s:s, s:s, s:o, s:{s:s, s:o, s:o, s:o}}", "id", jstr(issue, "id", ""),
		"key", jstr(issue, "key", ""), "self", self("issue/", jstr(issue, "id", "")),
		"fields", "summary", jstr(issue, "summary", ""), "status",
		view_status(jstr(issue, "status", "")), "priority",
		view_priority(jstr(issue, "priority", "")), "issuetype", view_type(type));
}

static json_t *view_children(const json_t *parent)
{
	json_t *list = json_array(), *issue;
	const char *id;
	json_object_foreach (issue_all(), id, issue) {
		const struct issue_type *type = issue_type_find(jstr(issue, "type", ""));
		if (type->subtask && text_ieq(jstr(issue, "parent", NULL), jstr(parent, "key", "")))
			json_array_append_new(list, view_brief(issue));
	}
	return list;
}

static json_t *view_comments(const json_t *issue, bool text)
{
	json_t *comments = json_object_get(issue, "comments"), *list = json_array(), *c;
	size_t i;
	json_array_foreach (comments, i, c)
		json_array_append_new(list, view_comment(issue, c, text));
	autofree char *path = xasprintf("%s/comment", jstr(issue, "id", ""));
	json_int_t n = (json_int_t)json_array_size(comments);
	return json_pack("{s:o, s:o, s:I, s:I, s:i}", "comments", list, "self",
		self("issue/", path), "maxResults", n, "total", n, "startAt", 0);
}

json_t *view_changelog(const json_t *issue)
{
	json_t *list = json_array(), *change;
	size_t i;
	json_array_foreach (json_object_get(issue, "changelog"), i, change)
		json_array_insert_new(list, 0, /* newest first, as in an issue's expand */
			json_pack("{s:s, s:o, s:o, s:O}", "id", jstr(change, "id", ""), "author",
				view_user(jstr(change, "author", "")), "created",
				when(change, "created_ms"), "items",
				json_object_get(change, "items")));
	return list;
}

static bool wants(const char *list, const char *name)
{
	size_t n = strlen(name);
	for (const char *at = list; at && *at; at += strcspn(at, ","), at += *at == ',') {
		size_t len = strcspn(at, ",");
		if ((len == n && strncmp(at, name, n) == 0) ||
			(len == 4 && !strncmp(at, "*all", 4)))
			return true;
	}
	return false;
}

static json_t *all_fields(const json_t *issue, bool text)
{
	const struct issue_type *type = issue_type_find(jstr(issue, "type", ""));
	const struct status *s = status_find(jstr(issue, "status", ""));
	bool done = s && strcmp(s->category, "done") == 0;
	json_t *fields = json_pack("{s:s, s:o, s:o, s:o, s:o, s:O, s:o, s:o, s:o, s:o, s:o, s:o}",
		"summary", jstr(issue, "summary", ""), "issuetype", view_type(type), "project",
		view_project(issue), "status", view_status(jstr(issue, "status", "")), "priority",
		view_priority(jstr(issue, "priority", "")), "labels",
		json_object_get(issue, "labels"), "assignee",
		view_user(jstr(issue, "assignee", NULL)), "reporter",
		view_user(jstr(issue, "reporter", NULL)), "creator",
		view_user(jstr(issue, "reporter", NULL)), "description",
		document(json_object_get(issue, "description"), text), "subtasks",
		view_children(issue), "resolution",
		done ? json_pack("{s:s, s:s}", "id", "10000", "name", "Done") : json_null());
	json_object_set_new(fields, "comment", view_comments(issue, text));
	json_object_set_new(fields, "created", when(issue, "created_ms"));
	json_object_set_new(fields, "updated", when(issue, "updated_ms"));
	json_object_set_new(fields, "issuelinks", json_array());
	json_object_set_new(fields, "components", json_array());
	json_t *parent = issue_find(jstr(issue, "parent", ""));
	if (parent)
		json_object_set_new(fields, "parent", view_brief(parent));
	return fields;
}

static void keep_wanted(json_t *fields, const char *list)
{
	const char *name;
	json_t *value;
	void *next;
	json_object_foreach_safe(fields, next, name, value)
	{
		if (!wants(list, name))
			json_object_del(fields, name);
	}
}

json_t *view_issue(const json_t *issue, const char *list, const char *expand, bool text)
{
	json_t *fields = all_fields(issue, text);
	if (list && *list && !strstr(list, "*navigable"))
		keep_wanted(fields, list);
	json_t *view = json_pack("{s:s, s:s, s:o, s:s, s:o}", "expand",
		"renderedFields,names,schema,operations,editmeta,changelog,transitions", "id",
		jstr(issue, "id", ""), "self", self("issue/", jstr(issue, "id", "")), "key",
		jstr(issue, "key", ""), "fields", fields);
	if (wants(expand, "changelog")) {
		json_t *all = view_changelog(issue);
		json_int_t n = (json_int_t)json_array_size(all);
		json_object_set_new(view, "changelog",
			json_pack("{s:i, s:I, s:I, s:o}", "startAt", 0, "maxResults", n, "total", n,
				"histories", all));
	}
	if (wants(expand, "transitions"))
		json_object_set_new(view, "transitions", view_transitions(issue));
	return view;
}
