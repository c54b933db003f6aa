/* What is to be done with an issue, by its type, status and assignee (DESIGN 5). Pure: no effects.
 */
#ifndef AIRUNNER_ROUTE_H
#define AIRUNNER_ROUTE_H

#include <jansson.h>
#include <stdbool.h>
#include <stddef.h>

#include "lib/settings.h"

enum route_action { ROUTE_NONE, ROUTE_STORY_BRANCH, ROUTE_OWN_BRANCH };

struct route {
	enum route_action action;
	char reason[400]; /* of ROUTE_NONE: for a person */
};

#define ROUTE_ORDERS_MAX 8

/** The statuses in which an issue of the AI account can be an order; borrowed. @return how many */
size_t route_orders(const struct settings *set, const char *ret_statuses[ROUTE_ORDERS_MAX]);

/** @param issue  in the shape of state.fetch.issue (worker/run.h), borrowed */
void route_decide(const struct settings *set, const json_t *issue, struct route *ret_route);

/** Is the issue assigned to the AI account? */
bool route_is_ours(const struct settings *set, const json_t *issue);

/** "story/<parent>" or "ai/<key>", in lower case; freed by the caller. NULL for ROUTE_NONE. */
char *route_branch(const json_t *issue, enum route_action action);

#endif
