/*
 * Writes to Jira and the forge that must happen exactly once in effect. The row with its key is
 * stored first (waiting), then sent (sending, for at most 30 s; the call itself at most 20 s), then
 * done with its result. A row found `sending` past send_until is looked up by its key at the
 * service before it is sent again. Rows of an issue are sent in their order; what a run's child
 * leaves behind is sent by a drainer (worker/drain.h). Every Jira and forge write goes through
 * here.
 */
#ifndef AIRUNNER_OUTBOX_H
#define AIRUNNER_OUTBOX_H

#include "worker/run.h"

enum effect_kind {
	EFFECT_JIRA_COMMENT,      /* {body_markdown}                → {id}; found by the marker */
	EFFECT_JIRA_COMMENT_EDIT, /* {id, body_markdown}            → {id}; repeating is harmless */
	EFFECT_JIRA_TRANSITION, /* {status}                       → {status}; found by the issue's
				   status */
	EFFECT_JIRA_ASSIGN,     /* {account_id}                   → {}; repeating is harmless */
	EFFECT_FORGE_PULL_REQUEST,      /* {head, base, title, body, draft} → {number, url, draft,
					   found}; by head branch */
	EFFECT_FORGE_PULL_REQUEST_EDIT, /* {number, title, body}    → {number, url} */
	EFFECT__MAX
};

struct effect {
	enum effect_kind kind;
	const char *name;      /* unique within the run and attempt, e.g. "report" */
	const char *issue_key; /* order is kept per issue */
	bool closing;          /* the closing report: survives a cancellation */
	json_t *request;       /* taken over */
};

/**
 * Stores the effect (key: run id/attempt/name), sends it and waits for its end. A key that is done
 * already returns its stored result and sends nothing. Texts of the request are masked here
 * (lib/redact.h).
 *
 * An error that may pass is tried twice more, after a look whether it had its effect all the same;
 * where nobody can know (the answer was lost), not before send_until: so the call may take two
 * minutes at worst. The closing report is not waited for so long: its rows are left to the drainer.
 * The comment's marker is the line "AI Runner · run 12 · attempt 1 · report".
 *
 * @param ret_result  new reference, may be NULL
 * @return ERR_FENCE, ERR_CANCELLED (nothing was sent), or the service's error (row stays waiting
 * when a later try can help, void when the refusal is final; last_error has the words)
 */
err_t outbox_effect(struct run_ctx *ctx, struct effect *effect, json_t **ret_result);

/** Stores several in their order, all or none; those that are there already stay as they are. Their
 * requests stay the caller's, for outbox_effect(). */
err_t outbox_store(struct run_ctx *ctx, const struct effect *effects, size_t count);

/** Was this effect stored before, in this attempt? Then it is for the outbox to say whether it
 * happened, not for a look at the service. */
err_t outbox_knows(struct run_ctx *ctx, const char *name, bool *ret_known);

/** Is this effect of this attempt stored and not over? Then the drainer will send it. */
err_t outbox_is_left(struct run_ctx *ctx, const char *name, bool *ret_left);

/** @return ERR_LATER while effects of the issue are on their way: it is not yet as it will be */
err_t outbox_settled(struct run_ctx *ctx, const char *issue_key);

const char *effect_kind_name(enum effect_kind kind);

#endif
