/*
 * Jira Cloud's REST v3 under /jira: authentication and the issue's routes. Shapes and limits:
 * facts/integrations.md A, specs/jira-platform-v3.trimmed.json.
 */
#define _GNU_SOURCE
#include "tests/standin/jira.h"

#include <openssl/evp.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/mem.h"
#include "tests/standin/jira_routes.h"
#include "tests/standin/service.h"
#include "tests/standin/world.h"

void jira_error(struct req *q, int status, const char *message)
{
	answer_json(q, status, json_pack("{s:[s], s:{}}", "errorMessages", message, "errors"));
}

void jira_field_error(struct req *q, int status, const char *field, const char *message)
{
	answer_json(
		q, status, json_pack("{s:[], s:{s:s}}", "errorMessages", "errors", field, message));
}

bool jira_check_adf(struct req *q, const char *field, const json_t *document)
{
	const char *bad = NULL;
	if (!json_is_object(document))
		bad = "Operation value must be an Atlassian Document (see the Atlassian Document "
		      "Format)";
	else if (adf_problem(document))
		bad = "INVALID_INPUT";
	else if (adf_text_length(document) > 32767)
		bad = "The entered text is too long. It exceeds the allowed limit of 32,767 "
		      "characters.";
	if (!bad)
		return true;
	if (json_is_object(document) && adf_problem(document))
		q->note = json_pack("{s:s}", "adf", adf_problem(document));
	jira_field_error(q, 400, field, bad);
	return false;
}

static bool authentic(const struct req *q)
{
	const char *given = req_header(q, "Authorization");
	if (!*config_str("jira", "token", ""))
		return given && strncmp(given, "Basic ", 6) == 0;
	autofree char *plain = xasprintf(
		"%s:%s", config_str("jira", "email", ""), config_str("jira", "token", ""));
	autofree char *code = xmalloc(strlen(plain) * 2 + 8);
	EVP_EncodeBlock((unsigned char *)code, (unsigned char *)plain, (int)strlen(plain));
	autofree char *wanted = xasprintf("Basic %s", code);
	return given && crypto_equal(given, strlen(given), wanted, strlen(wanted));
}

json_t *jira_issue_or_404(struct req *q)
{
	json_t *issue = issue_find(q->param[0]);
	if (!issue)
		jira_error(q, 404, "Issue does not exist or you do not have permission to see it.");
	return issue;
}

static void get_myself(struct req *q)
{
	json_t *user = view_user(ai_account());
	json_object_set_new(user, "emailAddress", json_string(config_str("jira", "email", "")));
	json_object_set_new(user, "locale", json_string("en_US"));
	answer_json(q, 200, user);
}

static void get_server_info(struct req *q)
{
	autofree char *now = time_jira(world_now_ms());
	answer_json(q, 200,
		json_pack("{s:s, s:s, s:[i,i,i], s:s, s:i, s:s, s:s}", "baseUrl",
			config_str("jira", "site_url", world_url()), "version", "1001.0.0-SNAPSHOT",
			"versionNumbers", 1001, 0, 0, "deploymentType", "Cloud", "buildNumber",
			100290, "serverTitle", "Jira (stand-in)", "serverTime", now));
}

static void get_issue_types(struct req *q)
{
	json_t *list = json_array();
	for (size_t i = 0; i < issue_types_count; i++)
		json_array_append_new(list, view_type(&issue_types[i]));
	answer_json(q, 200,
		json_pack("{s:i, s:i, s:i, s:o}", "startAt", 0, "maxResults", 50, "total",
			(int)issue_types_count, "issueTypes", list));
}

/* The page that a person's link leads to: plain text. */
static void get_page(struct req *q)
{
	const json_t *issue = jira_issue_or_404(q);
	if (!issue)
		return;
	AUTO(buf_release) struct buf page = BUF(HTTP_BODY_MAX);
	autofree char *text = adf_text(json_object_get(issue, "description"));
	json_t *assignee = view_user(jstr(issue, "assignee", NULL)), *c;
	buf_addf(&page, "%s %s: %s\n%s, assigned to %s\n\n%s\n", jstr(issue, "type", ""),
		jstr(issue, "key", ""), jstr(issue, "summary", ""), jstr(issue, "status", ""),
		jstr(assignee, "displayName", "nobody"), text);
	json_decref(assignee);
	size_t i;
	json_array_foreach (json_object_get(issue, "comments"), i, c) {
		autofree char *words = adf_text(json_object_get(c, "body"));
		json_t *author = view_user(jstr(c, "author", ""));
		buf_addf(&page, "\n---- %s\n%s\n", jstr(author, "displayName", ""), words);
		json_decref(author);
	}
	answer_text(q, 200, "text/plain; charset=utf-8", page.data);
}

static const struct route open_routes[] = {
	{"GET", "/browse/{}", get_page},
};

static const struct route routes[] = {
	{"GET", "/rest/api/3/myself", get_myself},
	{"GET", "/rest/api/3/serverInfo", get_server_info},
	{"GET", "/rest/api/3/issue/createmeta/{}/issuetypes", get_issue_types},
	{"POST", "/rest/api/3/issue", jira_post_issue},
	{"GET", "/rest/api/3/issue/{}", jira_get_issue},
	{"PUT", "/rest/api/3/issue/{}", jira_put_issue},
	{"GET", "/rest/api/3/issue/{}/changelog", jira_get_changelog},
	{"GET", "/rest/api/3/issue/{}/comment", jira_get_comments},
	{"POST", "/rest/api/3/issue/{}/comment", jira_post_comment},
	{"GET", "/rest/api/3/issue/{}/comment/{}", jira_get_comment},
	{"PUT", "/rest/api/3/issue/{}/comment/{}", jira_put_comment},
	{"DELETE", "/rest/api/3/issue/{}/comment/{}", jira_delete_comment},
	{"GET", "/rest/api/3/issue/{}/transitions", jira_get_transitions},
	{"POST", "/rest/api/3/issue/{}/transitions", jira_post_transition},
	{"PUT", "/rest/api/3/issue/{}/assignee", jira_put_assignee},
	{"GET", "/rest/api/3/issue/{}/properties/{}", jira_get_property},
	{"PUT", "/rest/api/3/issue/{}/properties/{}", jira_put_property},
	{"DELETE", "/rest/api/3/issue/{}/properties/{}", jira_delete_property},
	{"GET", "/rest/api/3/issue/{}/remotelink", jira_get_remote_links},
	{"POST", "/rest/api/3/issue/{}/remotelink", jira_post_remote_link},
	{"GET", "/rest/api/3/search/jql", jira_search},
	{"POST", "/rest/api/3/search/jql", jira_search},
};

void jira_answer(struct req *q)
{
	answer_header(q, "X-AREQUESTID", "%lld", (long long)q->begun_ms);
	if (route_run(q, open_routes, ARRAY_LEN(open_routes)))
		return;
	if (!authentic(q)) {
		answer_header(q, "WWW-Authenticate", "OAuth realm=\"stand-in\"");
		answer_header(q, "X-Seraph-Loginreason", "AUTHENTICATED_FAILED");
		answer_json(q, 401,
			json_pack("{s:s, s:i}", "message",
				"Client must be authenticated to access this resource.",
				"status-code", 401));
		return;
	}
	const char *type = req_header(q, "Content-Type");
	if (q->body.len && (!type || strncmp(type, "application/json", 16) != 0)) {
		answer_empty(q, 415);
		return;
	}
	if (!strcmp(q->rest, "/rest/api/3/search")) {
		jira_error(q, 410,
			"The requested API has been removed. Please migrate to the "
			"/rest/api/3/search/jql API.");
		return;
	}
	if (!route_run(q, routes, ARRAY_LEN(routes)))
		answer_json(q, 404,
			json_pack("{s:s, s:s, s:i, s:s}", "type", "about:blank", "title",
				"Not Found", "status", 404, "detail", "null for uri: stand-in"));
}
