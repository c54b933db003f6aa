/* Comments of an issue: list with paging and order, read, write, edit, delete. */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/jira.h"
#include "tests/standin/jira_routes.h"
#include "tests/standin/world.h"

/* With the path's second parameter; answers 404 when it is not there. */
static json_t *comment_or_404(struct req *q, json_t *issue, size_t *ret_index)
{
	size_t i;
	json_t *c;
	json_array_foreach (json_object_get(issue, "comments"), i, c) {
		*ret_index = i;
		if (strcmp(jstr(c, "id", ""), q->param[1]) == 0)
			return c;
	}
	autofree char *message = xasprintf("Can not find a comment for the id: %s.", q->param[1]);
	jira_error(q, 404, message);
	return NULL;
}

void jira_get_comments(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	if (!issue)
		return;
	json_t *comments = json_object_get(issue, "comments"), *list = json_array();
	long total = (long)json_array_size(comments), start = req_query_int(q, "startAt", 0);
	long most = req_query_int(q, "maxResults", 100);
	most = most > 100 || most < 0 ? 100 : most;
	const char *order = req_query(q, "orderBy");
	bool newest_first = order && *order == '-';
	for (long i = start; i < total && i < start + most; i++) {
		long at = newest_first ? total - 1 - i : i;
		json_array_append_new(
			list, view_comment(issue, json_array_get(comments, (size_t)at), false));
	}
	answer_json(q, 200,
		json_pack("{s:I, s:I, s:I, s:o}", "startAt", (json_int_t)start, "maxResults",
			(json_int_t)most, "total", (json_int_t)total, "comments", list));
}

void jira_post_comment(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	json_t *body = json_object_get(q->json, "body");
	if (!issue || !jira_check_adf(q, "comment", body))
		return;
	json_t *c = comment_add(issue, ai_account(), json_deep_copy(body));
	json_t *properties = json_object_get(q->json, "properties");
	if (properties)
		json_object_set(c, "properties", properties);
	event_comment(q, issue, c, ai_account());
	answer_json(q, 201, view_comment(issue, c, false));
}

void jira_get_comment(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	size_t i;
	json_t *c = issue ? comment_or_404(q, issue, &i) : NULL;
	if (c)
		answer_json(q, 200, view_comment(issue, c, false));
}

void jira_put_comment(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	size_t i;
	json_t *c = issue ? comment_or_404(q, issue, &i) : NULL;
	json_t *body = json_object_get(q->json, "body");
	if (!c || !jira_check_adf(q, "comment", body))
		return;
	json_object_set_new(c, "body", json_deep_copy(body));
	json_object_set_new(c, "updateAuthor", json_string(ai_account()));
	json_object_set_new(c, "updated_ms", json_integer(world_now_ms()));
	json_array_append_new(json_object_get(issue, "history"),
		json_pack("{s:I, s:s, s:s, s:s}", "at_ms", (json_int_t)world_now_ms(), "actor",
			ai_account(), "what", "comment edited", "id", q->param[1]));
	answer_json(q, 200, view_comment(issue, c, false));
}

void jira_delete_comment(struct req *q)
{
	json_t *issue = jira_issue_or_404(q);
	size_t i;
	if (!issue || !comment_or_404(q, issue, &i))
		return;
	json_array_remove(json_object_get(issue, "comments"), i);
	answer_empty(q, 204);
}
