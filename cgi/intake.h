/*
 * What a webhook says, reduced to what is trusted of it: which issue. Jira is asked for the rest
 * by the worker. Bodies of three senders are understood (admin webhook, automation rule with issue
 * data, automation rule with flat custom data).
 */
#ifndef AIRUNNER_CGI_INTAKE_H
#define AIRUNNER_CGI_INTAKE_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/crypto.h"
#include "lib/db.h"
#include "lib/err.h"

#define ISSUE_KEY_MAX 52 /* bytes: project key 32, '-', number 18, NUL */
#define EVENT_MAX 64     /* bytes with NUL */
#define ACCOUNT_MAX 129  /* bytes with NUL; Jira's have at most 128 */

struct intake {
	char issue[ISSUE_KEY_MAX];           /* "PROJ-12", or the digits of an issue id */
	char project[ISSUE_KEY_MAX];         /* "PROJ"; "" for an id */
	char event[EVENT_MAX];               /* what Jira calls it; "" when unknown */
	char actor[ACCOUNT_MAX];             /* account id of who made it happen; "" when unknown */
	char dedupe_key[SHA256_HEX_LEN + 1]; /* of the delivery identifier, else of the body */
	bool has_identifier;
	int priority;         /* enum run_priority by the payload's labels; 0: none of them says */
	int64_t timestamp_ms; /* the body's; -1 when it has none */
	bool salvaged;        /* the body was no valid JSON; only the key was taken from it */
};

/**
 * Reads a body whose sender is proven. The key is looked for in issue_key, issueKey, issue.key,
 * issue.id. A body that is no valid JSON (an automation rule that writes a title unquoted, or one
 * name twice) is searched for issue_key alone.
 * @param identifier  X-Atlassian-Webhook-Identifier: the same on every retry (NULL when absent)
 * @return ERR_BAD_INPUT with the remedy when no issue is named, or contradictory ones are
 */
err_t intake_read(const char *body, size_t len, const char *identifier, struct intake *ret_intake);

/** @return ERR_BAD_INPUT when the body's timestamp is older than max_age_s (0: any age) */
err_t intake_check_age(const struct intake *in, int64_t now_ms, int64_t max_age_s);

/** Writes delivery and run in one transaction. The only thing air_hook may do in the database. */
err_t intake_record(
	struct db *db, const struct intake *in, int64_t *ret_run_id, bool *ret_duplicate);

/** Copies s as an issue key (upper-cased) or issue id. @return false when it is neither */
bool intake_issue_key(const char *s, char ret_key[ISSUE_KEY_MAX]);

#endif
