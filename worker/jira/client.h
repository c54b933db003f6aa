/* What the files of worker/jira/ share: the account and one call. */
#ifndef AIRUNNER_JIRA_CLIENT_H
#define AIRUNNER_JIRA_CLIENT_H

#include <stdint.h>

#include "worker/http.h"
#include "worker/jira/jira.h"

struct jira {
	const struct settings *set;
	char *base;          /* https://SITE/rest/api/3 */
	char *authorization; /* Basic … */
	const char *ai_account;
	int64_t deadline_ms; /* of the write that is going on; 0: reading */
};

/** A write begins: all its calls together end within 20 s. */
void jira_begin_write(struct jira *jira);

/**
 * One call. Reads retry by the common policy; within a write a call is tried again only when it had
 * no effect (not sent, or 429) and time is left.
 * @param body      borrowed, may be NULL
 * @param ret_json  the answer, NULL for an empty one; may be NULL
 * @return ERR_BAD_INPUT for an answer that is not JSON; for a bad status the code of it, with
 * Jira's own words
 */
err_t jira_call(struct jira *jira, const char *method, const char *path, const json_t *body,
	long *ret_status, json_t **ret_json);

/** "/issue/KEY" + rest; the key is percent-encoded. Freed by the caller. */
char *jira_issue_path(const char *key, const char *rest);

/** Appends one page after the other of an issue's comments (raw, oldest first) to ret_comments. */
err_t jira_comments(struct jira *jira, const char *key, json_t *comments);

/** jira_standing() within a write that has begun. */
err_t jira_standing_call(struct jira *jira, const char *key, struct jira_standing *ret_standing);

/** The text of one raw comment; freed by the caller. */
char *jira_comment_text(const json_t *comment);
bool jira_comment_own(const struct jira *jira, const json_t *comment);

#endif
