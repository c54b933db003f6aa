/* Which issues there are: a read beside those of jira.h. */
#ifndef AIRUNNER_JIRA_SEARCH_H
#define AIRUNNER_JIRA_SEARCH_H

#include "worker/jira/jira.h"

/**
 * Issues that match the JQL, all pages, as route_decide() reads them, and `updated` as Jira writes
 * it. The search index lags some seconds behind writes. New reference.
 */
err_t jira_search(struct jira *jira, const char *jql, json_t **ret_issues);

#endif
