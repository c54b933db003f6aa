/* Issues and their comments: making, finding, recording changes. */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "tests/standin/jira.h"
#include "tests/standin/world.h"

const struct issue_type issue_types[] = {
	{"10000", "Epic", false, 1},
	{"10001", "Story", false, 0},
	{"10002", "Task", false, 0},
	{"10003", "Sub-task", true, -1},
	{"10004", "Bug", false, 0},
};
const size_t issue_types_count = ARRAY_LEN(issue_types);

const struct issue_type *issue_type_find(const char *name_or_id)
{
	for (size_t i = 0; i < issue_types_count; i++) {
		const struct issue_type *t = &issue_types[i];
		if (text_ieq(t->name, name_or_id) || strcmp(t->id, name_or_id) == 0)
			return t;
	}
	return NULL;
}

json_t *issue_all(void)
{
	json_t *jira = world_part("jira");
	if (!json_object_get(jira, "issues"))
		json_object_set_new(jira, "issues", json_object());
	return json_object_get(jira, "issues");
}

/* The next number of a counter in the state. */
static int64_t next(const char *counter, int64_t first)
{
	json_t *jira = world_part("jira");
	int64_t n = jint(jira, counter, first);
	json_object_set_new(jira, counter, json_integer(n + 1));
	return n;
}

json_t *issue_find_even_hidden(const char *key_or_id)
{
	const char *id;
	json_t *issue;
	json_object_foreach (issue_all(), id, issue) {
		if (text_ieq(jstr(issue, "key", ""), key_or_id) || strcmp(id, key_or_id) == 0)
			return issue;
	}
	return NULL;
}

json_t *issue_find(const char *key_or_id)
{
	json_t *issue = issue_find_even_hidden(key_or_id);
	return json_is_true(json_object_get(issue, "hidden")) ? NULL : issue;
}

void issue_changed(json_t *issue, const char *actor, const char *field, const char *from,
	const char *from_text, const char *to, const char *to_text)
{
	int64_t now = world_now_ms();
	json_object_set_new(issue, "updated_ms", json_integer(now));
	json_t *item = json_pack("{s:s, s:s, s:s, s:s?, s:s?, s:s?, s:s?}", "field", field,
		"fieldtype", "jira", "fieldId", field, "from", from, "fromString", from_text, "to",
		to, "toString", to_text);
	autofree char *id = xasprintf("%lld", (long long)next("next_change", 10200));
	json_array_append_new(json_object_get(issue, "changelog"),
		json_pack("{s:s, s:s, s:I, s:[o]}", "id", id, "author", actor, "created_ms",
			(json_int_t)now, "items", item));
	json_array_append_new(json_object_get(issue, "history"),
		json_pack("{s:I, s:s, s:s, s:s?, s:s?}", "at_ms", (json_int_t)now, "actor", actor,
			"what", field, "from", from_text, "to", to_text));
}

json_t *comment_add(json_t *issue, const char *author, json_t *body)
{
	int64_t now = world_now_ms();
	autofree char *id = xasprintf("%lld", (long long)next("next_comment", 10100));
	autofree char *text = adf_text(body);
	json_t *comment = json_pack("{s:s, s:s, s:s, s:o, s:I, s:I}", "id", id, "author", author,
		"updateAuthor", author, "body", body, "created_ms", (json_int_t)now, "updated_ms",
		(json_int_t)now);
	json_array_append_new(json_object_get(issue, "comments"), comment);
	json_object_set_new(issue, "updated_ms", json_integer(now));
	json_array_append_new(json_object_get(issue, "history"),
		json_pack("{s:I, s:s, s:s, s:s, s:s}", "at_ms", (json_int_t)now, "actor", author,
			"what", "comment", "id", id, "text", text));
	return comment;
}

static json_t *document_of(const json_t *given)
{
	if (json_is_string(given))
		return adf_from_text(json_string_value(given));
	return json_is_object(given) ? json_deep_copy(given) : json_null();
}

static char *new_key(const json_t *plain)
{
	const char *key = jstr(plain, "key", NULL);
	if (key)
		return xstrdup(key);
	const char *project = jstr(plain, "project", "DEMO");
	for (int n = 1;; n++) {
		char *made = xasprintf("%s-%d", project, n);
		if (!issue_find_even_hidden(made))
			return made;
		free(made);
	}
}

static void add_comments(json_t *issue, const json_t *comments)
{
	size_t i;
	json_t *c;
	json_array_foreach (comments, i, c) {
		const json_t *body = json_is_string(c) ? c : json_object_get(c, "body");
		const char *author =
			jstr(c, "author", config_str("jira", "human_account", "human"));
		comment_add(issue, author, document_of(body));
	}
}

static json_t *or_string(const json_t *plain, const char *name, const char *otherwise)
{
	const json_t *v = json_object_get(plain, name);
	if (v)
		return json_incref((json_t *)v);
	return otherwise ? json_string(otherwise) : json_null();
}

err_t issue_create(const json_t *plain, const char *actor, json_t **ret_issue)
{
	const struct issue_type *type = issue_type_find(jstr(plain, "type", "Task"));
	const struct status *status = status_find(jstr(plain, "status", "Backlog"));
	if (!type || !status)
		return err_new(ERR_BAD_INPUT, "unknown %s", type ? "status" : "issue type");
	autofree char *key = new_key(plain);
	if (issue_find_even_hidden(key))
		return err_new(ERR_BAD_INPUT, "%s exists already", key);
	autofree char *id = xasprintf("%lld", (long long)next("next_issue", 10001));
	json_t *labels = json_object_get(plain, "labels");
	int64_t now = world_now_ms();
	json_t *issue = json_pack("{s:s, s:s, s:s, s:s, s:o, s:O?, s:o, s:o, s:o, s:o, s:s}", "id",
		id, "key", key, "type", type->name, "status", status->name, "assignee",
		or_string(plain, "assignee", NULL), "labels", labels, "priority",
		or_string(plain, "priority", "Medium"), "summary",
		or_string(plain, "summary", "Without a summary"), "description",
		document_of(json_object_get(plain, "description")), "parent",
		or_string(plain, "parent", NULL), "reporter", actor);
	if (!labels)
		json_object_set_new(issue, "labels", json_array());
	const char *lists[] = {"comments", "remote_links", "history", "changelog"};
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		json_object_set_new(issue, lists[i], json_array());
	json_object_set_new(issue, "properties", json_object());
	json_object_set_new(issue, "created_ms", json_integer(now));
	json_object_set_new(issue, "updated_ms", json_integer(now));
	if (json_object_get(plain, "hidden"))
		json_object_set(issue, "hidden", json_object_get(plain, "hidden"));
	json_object_set_new(issue_all(), id, issue);
	add_comments(issue, json_object_get(plain, "comments"));
	*ret_issue = issue;
	return NULL;
}

err_t jira_seed(const json_t *issues)
{
	size_t i;
	json_t *plain, *made;
	json_array_foreach (issues, i, plain) {
		const char *key = jstr(plain, "key", NULL);
		if (key && issue_find_even_hidden(key))
			continue;
		ERR_TRY(issue_create(plain, config_str("jira", "human_account", "human"), &made));
	}
	return NULL;
}
