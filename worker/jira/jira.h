/*
 * Jira Cloud, REST v3. Reads are called freely; writes are called by worker/outbox.c only.
 * Texts go in as Markdown and come out as plain Markdown-like text; ADF stays inside worker/jira/.
 * Facts: integrations.md A (sources there).
 */
#ifndef AIRUNNER_JIRA_H
#define AIRUNNER_JIRA_H

#include <jansson.h>

#include "lib/settings.h"

struct jira;

err_t jira_open(const struct settings *set, struct jira **ret_jira);
void jira_close(struct jira *jira);

/**
 * The issue with its parent and comments in the shape of worker/run.h (state.fetch.issue).
 * @return ERR_NOT_FOUND "issue X does not exist, or the AI account may not see it"; ERR_UNAUTHORIZED …
 */
err_t jira_issue(struct jira *jira, const char *key_or_id, json_t **ret_issue);

/* For worker/outbox.c. */
err_t jira_comment_find(struct jira *jira, const char *key, const char *marker, char **ret_id); /* NULL: none */
err_t jira_comment_add(struct jira *jira, const char *key, const char *markdown, const char *marker, char **ret_id);
err_t jira_comment_edit(struct jira *jira, const char *key, const char *id, const char *markdown, const char *marker);

/**
 * Moves the issue to a status by name (case-insensitive), by the transition that leads there. Already there: nothing.
 * @return ERR_CONFLICT naming the statuses that are offered when none fits
 */
err_t jira_transition(struct jira *jira, const char *key, const char *status);
err_t jira_assign(struct jira *jira, const char *key, const char *account_id);

/** The issue's status name; freed by the caller. */
err_t jira_status(struct jira *jira, const char *key, char **ret_status);

#endif
