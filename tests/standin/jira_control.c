/*
 * The control API's Jira part: issues made and read in full, and what people do in Jira
 * (assign, move, comment), which fires webhooks. Called by control.c.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/jira.h"
#include "tests/standin/webhook.h"
#include "tests/standin/world.h"

static const char *person(const struct req *q)
{
	return jstr(q->json, "actor", config_str("jira", "human_account", "human"));
}

static json_t *full(const json_t *issue)
{
	json_t *copy = json_deep_copy(issue), *c;
	size_t i;
	json_array_foreach (json_object_get(copy, "comments"), i, c) {
		autofree char *text = adf_text(json_object_get(c, "body"));
		json_object_set_new(c, "text", json_string(text));
	}
	autofree char *text = adf_text(json_object_get(copy, "description"));
	json_object_set_new(copy, "description_text", json_string(text));
	return copy;
}

static json_t *issue_or_404(struct req *q)
{
	json_t *issue = issue_find_even_hidden(q->param[0]);
	if (!issue)
		answer_json(q, 404, json_pack("{s:s}", "error", "no such issue"));
	return issue;
}

static void get_issues(struct req *q)
{
	json_t *list = json_array(), *issue;
	const char *id;
	json_object_foreach (issue_all(), id, issue)
		json_array_append_new(list, full(issue));
	answer_json(q, 200, list);
}

static void post_issue(struct req *q)
{
	json_t *issue;
	err_t e = issue_create(q->json, person(q), &issue);
	if (e) {
		answer_json(q, 400, json_pack("{s:s}", "error", err_text(e)));
		return;
	}
	answer_json(q, 201, full(issue));
	if (json_is_true(json_object_get(q->json, "webhook")))
		event_created(q, issue, person(q));
}

static void get_issue(struct req *q)
{
	json_t *issue = issue_or_404(q);
	if (issue)
		answer_json(q, 200, full(issue));
}

static void delete_issue(struct req *q)
{
	json_t *issue = issue_or_404(q);
	if (!issue)
		return;
	json_object_del(issue_all(), jstr(issue, "id", ""));
	answer_empty(q, 204);
}

static void act_status(struct req *q, json_t *issue)
{
	const char *status = jstr(q->json, "status", NULL);
	if (!status)
		return;
	issue_set_status(issue, status, person(q));
	event_issue(q, issue, person(q), "status");
}

static void act_assignee(struct req *q, json_t *issue)
{
	const json_t *assignee = json_object_get(q->json, "assignee");
	if (!assignee)
		return;
	const char *id = json_string_value(assignee);
	id = id && strcmp(id, "ai") == 0 ? ai_account() : id;
	id = id && strcmp(id, "human") == 0 ? config_str("jira", "human_account", "human") : id;
	issue_set_assignee(issue, id, person(q));
	event_issue(q, issue, person(q), "assignee");
}

static void act_labels(struct req *q, json_t *issue)
{
	json_t *labels = json_object_get(q->json, "labels");
	if (!labels)
		return;
	json_object_set_new(issue, "labels", json_deep_copy(labels));
	issue_changed(issue, person(q), "labels", NULL, NULL, NULL, NULL);
	event_issue(q, issue, person(q), "labels");
}

static void act_priority(struct req *q, json_t *issue)
{
	const char *priority = jstr(q->json, "priority", NULL);
	if (!priority)
		return;
	json_object_set_new(issue, "priority", json_string(priority));
	issue_changed(issue, person(q), "priority", NULL, NULL, NULL, priority);
	event_issue(q, issue, person(q), "priority");
}

static void act_comment(struct req *q, json_t *issue)
{
	const json_t *given = json_object_get(q->json, "comment");
	if (!given)
		return;
	json_t *body = json_is_string(given) ? adf_from_text(json_string_value(given))
					     : json_deep_copy(given);
	event_comment(q, issue, comment_add(issue, person(q), body), person(q));
}

/* What a person does: the changes first, then the webhooks in that order, answered with theirs. */
static void post_act(struct req *q)
{
	json_t *issue = issue_or_404(q);
	if (!issue)
		return;
	const char *status = jstr(q->json, "status", NULL);
	if (status && !status_find(status)) {
		answer_json(q, 400, json_pack("{s:s}", "error", "unknown status"));
		return;
	}
	act_labels(q, issue);
	act_priority(q, issue);
	act_status(q, issue);
	act_comment(q, issue);
	act_assignee(q, issue);
	if (json_is_false(json_object_get(q->json, "webhook"))) {
		json_decref(q->webhooks);
		q->webhooks = NULL;
	}
	q->wait_webhooks = !json_is_false(json_object_get(q->json, "wait"));
	answer_json(q, 200, full(issue));
}

/* {"event_type": …, any other member replaces the body's} */
static void post_automation(struct req *q)
{
	json_t *issue = issue_or_404(q);
	if (!issue)
		return;
	event_flat(q, issue, jstr(q->json, "event_type", "issue_assigned"), q->json);
	q->wait_webhooks = true;
	answer_json(q, 200, full(issue));
}

static const struct route routes[] = {
	{"GET", "/jira/issues", get_issues},
	{"POST", "/jira/issues", post_issue},
	{"GET", "/jira/issues/{}", get_issue},
	{"DELETE", "/jira/issues/{}", delete_issue},
	{"POST", "/jira/issues/{}/act", post_act},
	{"POST", "/jira/automation/{}", post_automation},
};

bool jira_control(struct req *q)
{
	return route_run(q, routes, ARRAY_LEN(routes));
}
