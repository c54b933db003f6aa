/*
 * Sending Jira's webhooks: signature, identifier, retries as Jira Cloud does them. The payloads
 * are made in jira_event.c.
 */
#ifndef STANDIN_WEBHOOK_H
#define STANDIN_WEBHOOK_H

#include "tests/standin/http.h"

/** Puts a delivery on the request, begun by webhook_deliver_all(). body is taken over. */
void webhook_add(struct req *q, json_t *body, bool flat);

/**
 * Begins the request's deliveries, with the lock not held. With wait_webhooks their results are
 * put into the answer (a JSON object) as "webhooks"; else they go on by themselves.
 */
void webhook_deliver_all(struct req *q);

/** Waits until no delivery is under way (a few seconds at most). */
void webhook_finish(void);

#endif
