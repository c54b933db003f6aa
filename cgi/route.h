/* Routing: one table per program names method, path, who may, and the handler. */
#ifndef AIRUNNER_CGI_ROUTE_H
#define AIRUNNER_CGI_ROUTE_H

#include "cgi/request.h"
#include "cgi/response.h"

struct app;

typedef err_t (*handler_fn)(struct app *app, struct request *req, struct response *res);

struct route {
	enum method method;
	const char *path; /* "/api/runs/{id}"; {id} is a positive decimal number */
	enum role access; /* least role; ROLE_NONE: open to everybody */
	handler_fn handle;
};

/**
 * Finds the route of req and puts its {id} parts into req->ids. A table ends with an entry
 * without path.
 * @param ret_allow  on ERR_METHOD: the methods that the path has, for the Allow header
 * @return ERR_NOT_FOUND, ERR_METHOD
 */
err_t route_find(const struct route *routes, struct request *req, const struct route **ret_route,
	struct buf *ret_allow);

/** Does the path match the pattern? ids gets the {id} parts (REQUEST_IDS_MAX of them at most). */
bool route_matches(const char *pattern, const char *path, int64_t *ids);

#endif
