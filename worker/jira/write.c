/*
 * Writing: comments, status, assignee. Called by worker/outbox_effects.c only, which keeps that
 * each happens once; nothing here repeats a call that may have had its effect.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/jira/adf.h"
#include "worker/jira/client.h"

/* Our comment when the marker is its whole last line: a person quoting us writes more or is not us.
 */
static bool ends_with_line(const char *text, const char *marker)
{
	size_t n = strlen(text), m = strlen(marker);
	while (n > 0 && text[n - 1] == '\n')
		n--;
	return n >= m && memcmp(text + n - m, marker, m) == 0 &&
	       (n == m || text[n - m - 1] == '\n');
}

err_t jira_comment_find(struct jira *jira, const char *key, const char *marker, char **ret_id)
{
	jira_begin_write(jira);
	json_auto_t *comments = json_array();
	ERR_TRY(jira_comments(jira, key, comments));
	*ret_id = NULL;
	size_t i;
	json_t *c;
	json_array_foreach (comments, i, c) {
		if (!jira_comment_own(jira, c))
			continue;
		autofree char *text = jira_comment_text(c);
		if (!ends_with_line(text, marker))
			continue;
		*ret_id = xstrdup(json_string_value(json_object_get(c, "id")));
		return NULL;
	}
	return NULL;
}

static err_t send_comment(struct jira *jira, const char *method, const char *path, json_t *document,
	long *ret_status, json_t **ret_answer)
{
	json_auto_t *body = json_pack("{s:o}", "body", document);
	return jira_call(jira, method, path, body, ret_status, ret_answer);
}

/* A document that Jira refuses is sent as plain text: a report is never lost. */
static err_t write_comment(struct jira *jira, const char *method, const char *path,
	const char *markdown, const char *marker, json_t **ret_answer)
{
	long status = 0;
	jira_begin_write(jira);
	err_t e = send_comment(
		jira, method, path, adf_from_markdown(markdown, marker), &status, ret_answer);
	if (e && status == 400)
		e = send_comment(
			jira, method, path, adf_from_plain(markdown, marker), NULL, ret_answer);
	return e;
}

err_t jira_comment_add(
	struct jira *jira, const char *key, const char *markdown, const char *marker, char **ret_id)
{
	autofree char *path = jira_issue_path(key, "/comment");
	json_auto_t *answer = NULL;
	ERR_TRY(write_comment(jira, "POST", path, markdown, marker, &answer));
	const char *id = json_string_value(json_object_get(answer, "id"));
	*ret_id = xstrdup(id ? id : "");
	return NULL;
}

err_t jira_comment_edit(struct jira *jira, const char *key, const char *id, const char *markdown,
	const char *marker)
{
	autofree char *rest = xasprintf("/comment/%s", id);
	autofree char *path = jira_issue_path(key, rest);
	json_auto_t *answer = NULL;
	return write_comment(jira, "PUT", path, markdown, marker, &answer);
}

/* The transition that leads to a status: its own name may be anything ("Start work"). */
static const char *transition_to(const json_t *transitions, const char *status, struct buf *offered)
{
	size_t i;
	json_t *t;
	json_array_foreach (transitions, i, t) {
		const char *to =
			json_string_value(json_object_get(json_object_get(t, "to"), "name"));
		if (to && text_ieq(to, status))
			return json_string_value(json_object_get(t, "id"));
		if (to)
			buf_addf(offered, "%s%s", offered->len ? ", " : "", to);
	}
	return NULL;
}

err_t jira_transition(struct jira *jira, const char *key, const char *status)
{
	jira_begin_write(jira);
	AUTO(jira_standing_release) struct jira_standing now = {0};
	ERR_TRY(jira_standing_call(jira, key, &now));
	if (text_ieq(now.status, status))
		return NULL;
	autofree char *path = jira_issue_path(key, "/transitions");
	json_auto_t *answer = NULL;
	ERR_TRY(jira_call(jira, "GET", path, NULL, NULL, &answer));
	AUTO(buf_release) struct buf offered = BUF(400);
	const char *id = transition_to(json_object_get(answer, "transitions"), status, &offered);
	if (!id)
		return err_new(ERR_CONFLICT,
			"%s cannot be moved from %s to %s: its workflow offers the AI account %s",
			key, now.status, status, offered.len ? offered.data : "no transition");
	json_auto_t *body = json_pack("{s:{s:s}}", "transition", "id", id);
	return jira_call(jira, "POST", path, body, NULL, NULL);
}

err_t jira_status(struct jira *jira, const char *key, char **ret_status)
{
	jira_begin_write(jira);
	AUTO(jira_standing_release) struct jira_standing now = {0};
	ERR_TRY(jira_standing_call(jira, key, &now));
	*ret_status = take(&now.status);
	return NULL;
}

err_t jira_assign(struct jira *jira, const char *key, const char *account_id)
{
	jira_begin_write(jira);
	autofree char *path = jira_issue_path(key, "/assignee");
	json_auto_t *body = json_pack("{s:s}", "accountId", account_id);
	return jira_call(jira, "PUT", path, body, NULL, NULL);
}
