/*
 * Proof that a webhook comes from our Jira. Two ways, both against JIRA_WEBHOOK_SECRET:
 * X-Moveware-Webhook-Secret, a fixed header set in an automation rule, and X-Hub-Signature,
 * `METHOD=HEX`, an HMAC of the raw body (developer.atlassian.com/cloud/jira/platform/webhooks,
 * 2026-11-22; only sha256 today, the method is read from the header).
 */
#ifndef AIRUNNER_CGI_SIGNATURE_H
#define AIRUNNER_CGI_SIGNATURE_H

#include <stddef.h>

#include "lib/err.h"

struct signature {
	const char *secret_header; /* X-Moveware-Webhook-Secret, NULL when absent */
	const char *hub_header;    /* X-Hub-Signature, NULL when absent */
};

/**
 * At least one of the two must be there, and each that is there must be right. Constant time. An
 * empty secret refuses everything: anybody can compute an HMAC with an empty key.
 * @return ERR_UNAUTHORIZED with the remedy, never with a part of what was sent
 */
err_t signature_check(
	const char *secret, const struct signature *sent, const void *body, size_t body_len);

#endif
