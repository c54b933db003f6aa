/* What the API changes of a run. Each is one stored procedure, which also writes the audit log. */
#ifndef AIRUNNER_CGI_CONTROL_H
#define AIRUNNER_CGI_CONTROL_H

#include "cgi/app.h"

/** POST /api/runs/{id}/cancel: queued is cancelled at once, running within two seconds. */
err_t control_cancel(struct app *app, struct request *req, struct response *res);

/** POST /api/runs/{id}/retry, body {"mode": "restart" (default) | "continue"} or none. */
err_t control_retry(struct app *app, struct request *req, struct response *res);

/** PATCH /api/runs/{id}, body {"priority": 1..4 or its name, "position": N}, of a queued run. */
err_t control_reorder(struct app *app, struct request *req, struct response *res);

#endif
