/*
 * Jira Cloud, REST v3. Reads are called freely; writes are called by worker/outbox_effects.c only.
 * Texts go in as Markdown and come out as plain Markdown-like text; ADF stays inside worker/jira/.
 * Facts: integrations.md A (sources there).
 */
#ifndef AIRUNNER_JIRA_H
#define AIRUNNER_JIRA_H

#include <jansson.h>

#include "lib/settings.h"

struct jira;

/** Needs JIRA_BASE_URL, JIRA_EMAIL, JIRA_API_TOKEN; makes no call. set is borrowed. */
err_t jira_open(const struct settings *set, struct jira **ret_jira);
void jira_close(struct jira *jira);

/**
 * The issue with its parent and comments in the shape of worker/run.h (state.fetch.issue), and
 * more: hierarchy_level (1 Epic, 0 standard, -1 sub-task), assignee_name, newest_change (id of the
 * newest entry of the changelog that the AI account did not make, "" for none; as of the same
 * moment as the status).
 * @return ERR_NOT_FOUND "issue X does not exist, or the AI account may not see it";
 * ERR_UNAUTHORIZED …
 */
err_t jira_issue(struct jira *jira, const char *key_or_id, json_t **ret_issue);

/** How an issue stands now. */
struct jira_standing {
	char *status;        /* name */
	char *assignee;      /* account id; NULL: nobody */
	char *assignee_name; /* for people; NULL: nobody */
};
void jira_standing_release(struct jira_standing *standing);
err_t jira_standing(struct jira *jira, const char *key, struct jira_standing *ret_standing);

/*
 * Writes, for worker/outbox_effects.c. Each has its answer, or has given up, within 20 s.
 * A comment ends with its marker, a line of its own: it tells people whose words these are, and is
 * what jira_comment_find() looks for. Jira refusing the document (400) gets the text as one plain
 * code block.
 */

/** The own comment that ends with the marker; *ret_id is NULL when there is none. */
err_t jira_comment_find(struct jira *jira, const char *key, const char *marker, char **ret_id);
err_t jira_comment_add(struct jira *jira, const char *key, const char *markdown, const char *marker,
	char **ret_id);
err_t jira_comment_edit(struct jira *jira, const char *key, const char *id, const char *markdown,
	const char *marker);

/**
 * Moves the issue to a status by name (case-insensitive), by the transition that leads there.
 * Already there: nothing.
 * @return ERR_CONFLICT naming the statuses that are offered when none fits
 */
err_t jira_transition(struct jira *jira, const char *key, const char *status);
err_t jira_assign(struct jira *jira, const char *key, const char *account_id);

/** The issue's status name; freed by the caller. */
err_t jira_status(struct jira *jira, const char *key, char **ret_status);

#endif
