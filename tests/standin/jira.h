/*
 * The Jira stand-in's parts. Issues live in the world's "jira" part as JSON objects: id, key,
 * type, status, assignee (account id or null), labels, priority, summary, description (ADF or
 * null), parent (key or null), reporter, comments[], properties{}, remote_links[], history[],
 * changelog[], created_ms, updated_ms, hidden.
 */
#ifndef STANDIN_JIRA_H
#define STANDIN_JIRA_H

#include "lib/err.h"
#include "tests/standin/http.h"

/* ---- jira_issue.c ---- */

struct issue_type {
	const char *id;
	const char *name;
	bool subtask;
	int level;
};
extern const struct issue_type issue_types[];
extern const size_t issue_types_count;

const struct issue_type *issue_type_find(const char *name_or_id); /* NULL: unknown */

/** By key or id; borrowed, NULL when there is none or it is hidden. */
json_t *issue_find(const char *key_or_id);
json_t *issue_find_even_hidden(const char *key_or_id);

/** All issues by id; borrowed. */
json_t *issue_all(void);

/**
 * Makes an issue from a plain description (control API, configuration): key?, project, type,
 * status, assignee, labels, priority, summary, description (text or ADF), parent, comments.
 * @return ERR_BAD_INPUT
 */
err_t issue_create(const json_t *plain, const char *actor, json_t **ret_issue);

/** Records a change (history of all writes, changelog, updated time). */
void issue_changed(json_t *issue, const char *actor, const char *field, const char *from,
	const char *from_text, const char *to, const char *to_text);

json_t *comment_add(
	json_t *issue, const char *author, json_t *body); /* body taken over; borrowed result */
err_t jira_seed(const json_t *issues);

/* ---- jira_view.c: REST representations; new references ---- */

json_t *view_user(const char *account_id); /* null for NULL */
json_t *view_status(const char *name);
json_t *view_type(const struct issue_type *type);
json_t *view_priority(const char *name);
json_t *view_comment(const json_t *issue, const json_t *comment, bool text);
json_t *view_issue(const json_t *issue, const char *fields, const char *expand, bool text);
json_t *view_changelog(const json_t *issue);

/* ---- jira_workflow.c ---- */

struct status {
	const char *id;
	const char *name;
	const char *category; /* new, indeterminate, done */
	const char *transition_id;
	const char *transition; /* differs from the status name on purpose */
};
const struct status *status_find(
	const char *name_or_id); /* NULL: unknown; borrowed till the next call */
json_t *view_transitions(const json_t *issue);

/** By transition id. @return false when the workflow does not offer it */
bool issue_transition(json_t *issue, const char *transition_id, const char *actor);
void issue_set_status(json_t *issue, const char *name, const char *actor);
void issue_set_assignee(json_t *issue, const char *account_id, const char *actor);

/* ---- jira_search.c ---- */

void jira_search(struct req *q);

/* ---- jira_event.c: webhooks ---- */

/** Fires what Jira sends for the issue's newest change. */
void event_issue(struct req *q, const json_t *issue, const char *actor, const char *field);
void event_comment(struct req *q, const json_t *issue, const json_t *comment, const char *actor);
void event_created(struct req *q, const json_t *issue, const char *actor);
/** The seed's flat body of an Automation rule. */
void event_flat(struct req *q, const json_t *issue, const char *type, const json_t *extra);

/* ---- adf.c ---- */

/** NULL when the document is valid, else what is wrong; valid until the next call. */
const char *adf_problem(const json_t *document);
size_t adf_text_length(const json_t *document);
char *adf_text(
	const json_t *document); /* plain text with Markdown-like marks; freed by the caller */
json_t *adf_from_text(const char *text); /* paragraphs, headings, bullet lists, fenced code */

/* ---- jira.c ---- */

void jira_error(struct req *q, int status, const char *message);
void jira_field_error(struct req *q, int status, const char *field, const char *message);
const char *ai_account(void);

/** Accepts a comment's or description's document, or answers 400. */
bool jira_check_adf(struct req *q, const char *field, const json_t *document);

/* ---- jira_control.c: /_control/jira/… ---- */
bool jira_control(struct req *q);

#endif
