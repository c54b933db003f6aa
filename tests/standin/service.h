/*
 * What happens to a request: which service answers, what is logged, which fault strikes. Each
 * service has one entry that routes within it.
 */
#ifndef STANDIN_SERVICE_H
#define STANDIN_SERVICE_H

#include "tests/standin/http.h"

/** Answers a whole request; takes the lock itself. Called by http.c. */
void service_answer(struct req *q);

void jira_answer(struct req *q);
void github_answer(struct req *q);
void anthropic_answer(struct req *q);
void openai_answer(struct req *q);
void control_answer(struct req *q);

/* ---- the request log ---- */

/** Everything received, oldest first; borrowed. Each: n, at_ms, service, method, path, query,
 * headers, body, status, note. */
json_t *request_log(void);
void request_log_clear(void);

#endif
