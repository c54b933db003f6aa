/*
 * How each kind of effect is sent, and how it is looked up at the service when nobody knows whether
 * it was sent. Used by worker/outbox_row.c only.
 */
#ifndef AIRUNNER_OUTBOX_EFFECTS_H
#define AIRUNNER_OUTBOX_EFFECTS_H

#include "worker/outbox.h"

struct effect_call {
	struct run_ctx *ctx;
	const char *issue_key;
	const char *marker;    /* the effect's words in its comment: "AI Runner · run 12 · …" */
	const json_t *request; /* see enum effect_kind */
};

enum effect_at { EFFECT_AT_JIRA, EFFECT_AT_FORGE, EFFECT_AT__MAX };

struct effect_service {
	const char *name; /* runs' outbox.kind */
	/** Sends; the call is over within 20 s. @param ret_result new reference */
	err_t (*send)(const struct effect_call *call, json_t **ret_result);
	/** Has it happened already? *ret_result stays NULL when not. NULL function: repeating is
	 * harmless. */
	err_t (*lookup)(const struct effect_call *call, json_t **ret_result);
	enum effect_at at; /* which service: one that is away keeps only its own effects waiting */
};

extern const struct effect_service effect_services[EFFECT__MAX];

#endif
