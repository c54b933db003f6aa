/*
 * Webhook bodies in the shapes of specs/jira-webhooks (Cloud), and the seed's flat Automation
 * body. Called after changes; webhook.c sends them.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/jira.h"
#include "tests/standin/webhook.h"
#include "tests/standin/world.h"

#define ISSUE_FIELDS \
	"summary,issuetype,project,status,priority,labels,assignee,reporter,creator,description," \
	"created,updated,resolution,subtasks,issuelinks,components,parent"
#define COMMENT_FIELDS "summary,issuetype,project,assignee,priority,status"

static bool silent(const char *actor)
{
	return strcmp(actor, ai_account()) == 0 && !config_bool("jira", "echo_webhooks", false);
}

static json_t *event(const char *name, const char *type, const json_t *issue, const char *actor,
	const char *fields)
{
	json_t *body = json_pack(
		"{s:I, s:s}", "timestamp", (json_int_t)world_now_ms(), "webhookEvent", name);
	if (type)
		json_object_set_new(body, "issue_event_type_name", json_string(type));
	json_object_set_new(body, "user", view_user(actor));
	json_object_set_new(body, "issue", view_issue(issue, fields, NULL, true));
	json_object_del(json_object_get(body, "issue"), "expand");
	return body;
}

void event_issue(struct req *q, const json_t *issue, const char *actor, const char *field)
{
	if (silent(actor))
		return;
	const char *type = strcmp(field, "assignee") == 0 ? "issue_assigned" : "issue_generic";
	json_t *body = event("jira:issue_updated", type, issue, actor, ISSUE_FIELDS);
	json_t *log = json_object_get(issue, "changelog");
	json_t *newest = json_array_get(log, json_array_size(log) - 1);
	json_object_set_new(body, "changelog",
		json_pack("{s:O, s:O}", "id", json_object_get(newest, "id"), "items",
			json_object_get(newest, "items")));
	webhook_add(q, body, false);
}

void event_created(struct req *q, const json_t *issue, const char *actor)
{
	if (!silent(actor))
		webhook_add(q,
			event("jira:issue_created", "issue_created", issue, actor, ISSUE_FIELDS),
			false);
}

void event_comment(struct req *q, const json_t *issue, const json_t *comment, const char *actor)
{
	if (silent(actor))
		return;
	json_t *body = event("comment_created", NULL, issue, actor, COMMENT_FIELDS);
	json_object_del(body, "user"); /* a comment's author stands in the comment */
	json_object_set_new(body, "comment", view_comment(issue, comment, true));
	json_object_set_new(body, "eventType", json_string("primaryAction"));
	webhook_add(q, body, false);
}

void event_flat(struct req *q, const json_t *issue, const char *type, const json_t *extra)
{
	const char *key = jstr(issue, "key", "");
	autofree char *project = xstrndup(key, strcspn(key, "-"));
	json_t *assignee = view_user(jstr(issue, "assignee", NULL));
	json_t *body = json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s, s:s}",
		"event_type", type, "issue_key", key, "issue_id", jstr(issue, "id", ""),
		"issue_type", jstr(issue, "type", ""), "project_key", project, "assignee",
		jstr(assignee, "displayName", ""), "assignee_account_id",
		jstr(issue, "assignee", ""), "status", jstr(issue, "status", ""), "summary",
		jstr(issue, "summary", ""), "parent_key", jstr(issue, "parent", ""), "actor",
		config_str("jira", "human_account", "human"));
	json_decref(assignee);
	json_object_update(body, (json_t *)extra);
	webhook_add(q, body, true);
}
