/*
 * GitHub's REST API under /github: repository and pull requests. A pull request needs a head
 * branch that the bare repository has, commits, and no open twin. Facts: facts/integrations.md B1.
 */
#define _GNU_SOURCE
#include "tests/standin/github.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/service.h"
#include "tests/standin/world.h"

const char *api_url(void)
{
	static _Thread_local char own[96];
	snprintf(own, sizeof(own), "%s/github", world_url());
	return config_str("github", "api_url", own);
}

const char *html_url(void)
{
	return config_str("github", "html_url", api_url());
}

void github_fail(struct req *q, int status, const char *message)
{
	autofree char *text = xasprintf("%d", status);
	answer_json(q, status,
		json_pack("{s:s, s:s, s:s}", "message", message, "documentation_url",
			"https://docs.github.com/rest", "status", text));
}

static void get_repo(struct req *q)
{
	if (github_path_or_404(q))
		answer_json(q, 200, view_repo(q->param[0], q->param[1]));
}

static void get_rate_limit(struct req *q)
{
	json_t *core = json_pack("{s:i, s:i, s:i, s:I}", "limit", 5000, "used", 1, "remaining",
		4999, "reset", (json_int_t)(world_now_ms() / 1000 + 3600));
	answer_json(q, 200, json_pack("{s:{s:O}, s:o}", "resources", "core", core, "rate", core));
}

static void get_user(struct req *q)
{
	answer_json(q, 200, view_owner(config_str("github", "login", "ai-runner-bot")));
}

static const struct route routes[] = {
	{"GET", "/user", get_user},
	{"GET", "/rate_limit", get_rate_limit},
	{"GET", "/repos/{}/{}", get_repo},
	{"POST", "/repos/{}/{}/pulls", github_post_pull},
	{"GET", "/repos/{}/{}/pulls", github_get_pulls},
	{"GET", "/repos/{}/{}/pulls/{}", github_get_pull},
	{"PATCH", "/repos/{}/{}/pulls/{}", github_patch_pull},
};

static const struct route open_routes[] = {
	{"GET", "/{}/{}/pull/{}", github_get_page},
};

static bool authentic(const struct req *q)
{
	const char *given = req_header(q, "Authorization"),
		   *token = config_str("github", "token", "");
	if (!given)
		return false;
	const char *space = strchr(given, ' ');
	bool scheme = strncasecmp(given, "Bearer ", 7) == 0 || strncasecmp(given, "token ", 6) == 0;
	return scheme && (!*token || strcmp(space + 1, token) == 0);
}

void github_answer(struct req *q)
{
	const char *version = req_header(q, "X-GitHub-Api-Version");
	autofree char *id = random_id("", 20);
	answer_header(q, "X-GitHub-Request-Id", "%s", id);
	answer_header(q, "X-GitHub-Media-Type", "github.v3; format=json");
	answer_header(q, "x-github-api-version-selected", "%s", version ? version : "2022-11-28");
	answer_header(q, "x-ratelimit-limit", "5000");
	answer_header(q, "x-ratelimit-remaining", "4999");
	answer_header(q, "x-ratelimit-used", "1");
	answer_header(q, "x-ratelimit-resource", "core");
	answer_header(q, "x-ratelimit-reset", "%lld", (long long)(q->begun_ms / 1000 + 3600));
	if (route_run(q, open_routes, ARRAY_LEN(open_routes)))
		return;
	if (!req_header(q, "User-Agent"))
		answer_text(q, 403, "text/plain",
			"\r\nRequest forbidden by administrative rules. Please make sure your "
			"request "
			"has a User-Agent header "
			"(https://docs.github.com/en/rest/overview/resources-in-the-rest-api"
			"#user-agent-required).\r\n");
	else if (!authentic(q))
		github_fail(q, 401, "Bad credentials");
	else if (q->body.len && !q->json)
		github_fail(q, 400, "Problems parsing JSON");
	else if (!route_run(q, routes, ARRAY_LEN(routes)))
		github_fail(q, 404, "Not Found");
}
