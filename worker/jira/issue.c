/*
 * Reading: an issue with its parent and comments, in the shape of state.fetch.issue, and how an
 * issue stands. Called by the fetch step and the guard before publishing.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/jira/adf.h"
#include "worker/jira/client.h"

#define PAGE 100
#define MAX_PAGES 50
#define TEXT_MAX (256 << 10)
#define NO_LEVEL -9 /* Jiras before hierarchyLevel */

static const char *str(const json_t *object, const char *member)
{
	return json_string_value(json_object_get(object, member));
}

/* A cleaned JSON string, or null. */
static json_t *text_or_null(const char *s)
{
	return s ? text_json(s) : json_null();
}

static json_t *document_text(const json_t *adf)
{
	AUTO(buf_release) struct buf text = BUF(TEXT_MAX);
	adf_to_text(adf, &text);
	return text_jsonn(text.data, text.len);
}

/* ---- comments ---- */

char *jira_comment_text(const json_t *comment)
{
	AUTO(buf_release) struct buf text = BUF(TEXT_MAX);
	adf_to_text(json_object_get(comment, "body"), &text);
	return buf_take(&text);
}

bool jira_comment_own(const struct jira *jira, const json_t *comment)
{
	const char *author = str(json_object_get(comment, "author"), "accountId");
	return author && *jira->ai_account && strcmp(author, jira->ai_account) == 0;
}

err_t jira_comments(struct jira *jira, const char *key, json_t *comments)
{
	for (int page = 0; page < MAX_PAGES; page++) {
		autofree char *rest = xasprintf("/comment?orderBy=created&startAt=%d&maxResults=%d",
			(int)json_array_size(comments), PAGE);
		autofree char *path = jira_issue_path(key, rest);
		json_auto_t *answer = NULL;
		ERR_TRY(jira_call(jira, "GET", path, NULL, NULL, &answer));
		json_t *some = json_object_get(answer, "comments");
		json_array_extend(comments, some);
		json_int_t total = json_integer_value(json_object_get(answer, "total"));
		if (json_array_size(some) == 0 || (json_int_t)json_array_size(comments) >= total)
			return NULL;
	}
	return NULL;
}

static json_t *comments_out(const struct jira *jira, const json_t *comments)
{
	json_t *out = json_array();
	size_t i;
	json_t *c;
	json_array_foreach (comments, i, c) {
		const json_t *author = json_object_get(c, "author");
		const char *name = str(author, "displayName");
		autofree char *body = jira_comment_text(c);
		json_array_append_new(
			out, json_pack("{s:o, s:o, s:o, s:o, s:o, s:b}", "id",
				     text_or_null(str(c, "id")), "author",
				     text_json(name ? name : "unknown"), "account_id",
				     text_or_null(str(author, "accountId")), "body",
				     text_json(body), "created", text_or_null(str(c, "created")),
				     "own", jira_comment_own(jira, c)));
	}
	return out;
}

/* ---- the issue ---- */

/* query: what follows "fields=" */
static err_t get_issue(struct jira *jira, const char *key, const char *query, json_t **ret_answer)
{
	autofree char *rest = xasprintf("?fields=%s", query);
	autofree char *path = jira_issue_path(key, rest);
	json_auto_t *answer = NULL;
	err_t e = jira_call(jira, "GET", path, NULL, NULL, &answer);
	if (err_code(e) == ERR_NOT_FOUND)
		return err_new(ERR_NOT_FOUND,
			"issue %s does not exist, or the AI account may not see it", key);
	ERR_TRY(e);
	if (!str(answer, "key") || !json_is_object(json_object_get(answer, "fields")))
		return err_new(ERR_BAD_INPUT, "jira's answer for %s has no key or fields", key);
	*ret_answer = take(&answer);
	return NULL;
}

/* A parent that we may not read is known by its stub only. */
static err_t parent_out(struct jira *jira, const json_t *stub, json_t **ret_parent)
{
	const char *key = str(stub, "key");
	if (!key) {
		*ret_parent = json_null();
		return NULL;
	}
	json_auto_t *answer = NULL;
	err_t e = get_issue(jira, key, "summary,description,issuetype", &answer);
	if (e && err_code(e) != ERR_NOT_FOUND && err_code(e) != ERR_FORBIDDEN)
		return e;
	const json_t *fields = json_object_get(answer ? answer : stub, "fields");
	const char *summary = str(fields, "summary");
	*ret_parent = json_pack("{s:o, s:o, s:o, s:o}", "key", text_json(key), "summary",
		text_json(summary ? summary : ""), "description",
		document_text(json_object_get(fields, "description")), "type",
		text_or_null(str(json_object_get(fields, "issuetype"), "name")));
	return NULL;
}

static json_t *labels_out(const json_t *labels)
{
	json_t *out = json_array();
	size_t i;
	json_t *label;
	json_array_foreach (labels, i, label)
		if (json_is_string(label))
			json_array_append_new(out, text_json(json_string_value(label)));
	return out;
}

/* The project is the part of the key before the dash when the field is missing. */
static json_t *project_out(const json_t *fields, const char *key)
{
	const char *project = str(json_object_get(fields, "project"), "key");
	return project ? text_json(project) : text_jsonn(key, strcspn(key, "-"));
}

/* Id of the newest change that we did not make; "" when there is none among the newest 100, which
 * is what expand gives, newest first. */
static json_t *newest_change(const struct jira *jira, const json_t *answer)
{
	size_t i;
	json_t *change;
	json_array_foreach (
		json_object_get(json_object_get(answer, "changelog"), "histories"), i, change)
		if (str(change, "id") && !jira_comment_own(jira, change))
			return text_json(str(change, "id"));
	return json_string("");
}

static json_t *issue_out(const json_t *answer)
{
	const json_t *fields = json_object_get(answer, "fields");
	const json_t *type = json_object_get(fields, "issuetype");
	const json_t *status = json_object_get(fields, "status");
	const json_t *assignee = json_object_get(fields, "assignee");
	const json_t *level = json_object_get(type, "hierarchyLevel");
	const char *key = str(answer, "key"), *summary = str(fields, "summary");
	const char *type_name = str(type, "name"), *status_name = str(status, "name");
	return json_pack("{s:o, s:o, s:o, s:b, s:i, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}",
		"id", text_or_null(str(answer, "id")), "key", text_json(key), "type",
		text_json(type_name ? type_name : ""), "subtask",
		json_is_true(json_object_get(type, "subtask")), "hierarchy_level",
		json_is_integer(level) ? (int)json_integer_value(level) : NO_LEVEL, "status",
		text_json(status_name ? status_name : ""), "status_id",
		text_or_null(str(status, "id")), "summary", text_json(summary ? summary : ""),
		"description", document_text(json_object_get(fields, "description")), "labels",
		labels_out(json_object_get(fields, "labels")), "priority",
		text_or_null(str(json_object_get(fields, "priority"), "name")), "project_key",
		project_out(fields, key), "assignee", text_or_null(str(assignee, "accountId")),
		"assignee_name", text_or_null(str(assignee, "displayName")));
}

err_t jira_issue(struct jira *jira, const char *key_or_id, json_t **ret_issue)
{
	jira->deadline_ms = 0;
	json_auto_t *answer = NULL;
	ERR_TRY(get_issue(jira, key_or_id,
		"summary,description,labels,priority,project,issuetype,status,assignee,parent"
		"&expand=changelog",
		&answer));
	json_auto_t *issue = issue_out(answer);
	json_object_set_new(issue, "newest_change", newest_change(jira, answer));
	json_t *parent = NULL;
	ERR_TRY(parent_out(
		jira, json_object_get(json_object_get(answer, "fields"), "parent"), &parent));
	json_object_set_new(issue, "parent", parent);
	json_auto_t *comments = json_array();
	ERR_TRY(jira_comments(jira, str(answer, "key"), comments));
	json_object_set_new(issue, "comments", comments_out(jira, comments));
	*ret_issue = take(&issue);
	return NULL;
}

/* ---- how it stands ---- */

void jira_standing_release(struct jira_standing *standing)
{
	free(standing->status);
	free(standing->assignee);
	free(standing->assignee_name);
	*standing = (struct jira_standing){0};
}

err_t jira_standing_call(struct jira *jira, const char *key, struct jira_standing *ret_standing)
{
	json_auto_t *answer = NULL;
	ERR_TRY(get_issue(jira, key, "status,assignee", &answer));
	const json_t *fields = json_object_get(answer, "fields");
	const json_t *assignee = json_object_get(fields, "assignee");
	const char *status = str(json_object_get(fields, "status"), "name");
	*ret_standing = (struct jira_standing){
		.status = xstrdup(status ? status : ""),
		.assignee = xstrdup(str(assignee, "accountId")),
		.assignee_name = xstrdup(str(assignee, "displayName")),
	};
	return NULL;
}

err_t jira_standing(struct jira *jira, const char *key, struct jira_standing *ret_standing)
{
	jira->deadline_ms = 0;
	return jira_standing_call(jira, key, ret_standing);
}
