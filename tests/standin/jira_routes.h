/* The handlers of Jira's routes, for the table in jira.c. */
#ifndef STANDIN_JIRA_ROUTES_H
#define STANDIN_JIRA_ROUTES_H

#include "tests/standin/http.h"

/** The issue of the path's first parameter, or answers 404. */
json_t *jira_issue_or_404(struct req *q);

/* jira_rest.c */
void jira_post_issue(struct req *q);
void jira_get_issue(struct req *q);
void jira_put_issue(struct req *q);
void jira_get_changelog(struct req *q);
void jira_get_transitions(struct req *q);
void jira_post_transition(struct req *q);
void jira_put_assignee(struct req *q);
void jira_get_property(struct req *q);
void jira_put_property(struct req *q);
void jira_delete_property(struct req *q);
void jira_get_remote_links(struct req *q);
void jira_post_remote_link(struct req *q);

/* jira_comment.c */
void jira_get_comments(struct req *q);
void jira_post_comment(struct req *q);
void jira_get_comment(struct req *q);
void jira_put_comment(struct req *q);
void jira_delete_comment(struct req *q);

#endif
