/*
 * Pull requests: making (a head branch that the bare repository has, commits, no open twin),
 * finding, changing. Called by the route table in github.c and by the control API.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/github.h"
#include "tests/standin/world.h"

static const char docs[] = "https://docs.github.com/rest/pulls/pulls#create-a-pull-request";

/* 422: one error of a field ("invalid", "missing_field") or, with message, "custom". */
static void unprocessable(struct req *q, const char *field, const char *code, const char *message)
{
	json_t *error = json_pack("{s:s, s:s}", "resource", "PullRequest", "code", code);
	if (field)
		json_object_set_new(error, "field", json_string(field));
	if (message)
		json_object_set_new(error, "message", json_string(message));
	answer_json(q, 422,
		json_pack("{s:s, s:[o], s:s, s:s}", "message", "Validation Failed", "errors", error,
			"documentation_url", docs, "status", "422"));
}

static json_t *pulls(void)
{
	json_t *github = world_part("github");
	if (!json_object_get(github, "pulls"))
		json_object_set_new(github, "pulls", json_array());
	return json_object_get(github, "pulls");
}

static bool of_repo(const struct req *q, const json_t *pull)
{
	return strcasecmp(jstr(pull, "owner", ""), q->param[0]) == 0 &&
	       strcasecmp(jstr(pull, "repo", ""), q->param[1]) == 0;
}

/* The bare repository of the path's owner and name, or answers 404. */
const char *github_path_or_404(struct req *q)
{
	const char *path = repo_path(q->param[0], q->param[1]);
	if (!path)
		github_fail(q, 404, "Not Found");
	return path;
}

/* "owner:branch" or "branch". */
static const char *branch_of(const char *head)
{
	const char *colon = head ? strchr(head, ':') : NULL;
	return colon ? colon + 1 : head;
}

static json_t *open_twin(struct req *q, const char *head, const char *base)
{
	size_t i;
	json_t *p;
	json_array_foreach (pulls(), i, p) {
		if (of_repo(q, p) && strcmp(jstr(p, "state", ""), "open") == 0 &&
			strcmp(jstr(p, "head", ""), head) == 0 &&
			strcmp(jstr(p, "base", ""), base) == 0)
			return p;
	}
	return NULL;
}

/* Answers 422 where GitHub would. */
static bool check_new(struct req *q, const char *path, char base_sha[41], char head_sha[41])
{
	const char *head = branch_of(jstr(q->json, "head", NULL));
	const char *base = jstr(q->json, "base", NULL), *title = jstr(q->json, "title", "");
	struct repo_compare c;
	if (!head || !base || !*title) {
		const char *field = !*title ? "title" : head ? "base" : "head";
		unprocessable(q, field, "missing_field", NULL);
	} else if (!repo_branch(path, head, head_sha)) {
		unprocessable(q, "head", "invalid", NULL);
	} else if (!repo_branch(path, base, base_sha)) {
		unprocessable(q, "base", "invalid", NULL);
	} else if (open_twin(q, head, base)) {
		autofree char *m =
			xasprintf("A pull request already exists for %s:%s.", q->param[0], head);
		unprocessable(q, NULL, "custom", m);
	} else if (!repo_compare(path, base_sha, head_sha, &c) || c.ahead == 0) {
		autofree char *m = xasprintf("No commits between %s and %s", base, head);
		unprocessable(q, NULL, "custom", m);
	} else if (json_is_true(json_object_get(q->json, "draft")) &&
		   !config_bool("github", "drafts", true)) {
		answer_json(q, 422,
			json_pack("{s:s, s:s, s:s}", "message",
				"Draft pull requests are not supported in this repository.",
				"documentation_url", docs, "status", "422"));
	} else if (strlen(jstr(q->json, "body", "")) > 65536) {
		unprocessable(
			q, "body", "custom", "body is too long (maximum is 65536 characters)");
	} else {
		return true;
	}
	return false;
}

void github_post_pull(struct req *q)
{
	char base_sha[41], head_sha[41];
	const char *path = github_path_or_404(q);
	if (!path || !check_new(q, path, base_sha, head_sha))
		return;
	autofree char *now = time_rfc3339(world_now_ms());
	const json_t *body = json_object_get(q->json, "body");
	json_int_t number = 1;
	size_t i;
	json_t *p;
	json_array_foreach (pulls(), i, p)
		number += of_repo(q, p);
	json_t *pull = json_pack(
		"{s:s, s:s, s:I, s:s, s:s, s:O?, s:b, s:s, s:s, s:s, s:s, s:s, s:s}", "owner",
		q->param[0], "repo", q->param[1], "number", number, "state", "open", "title",
		jstr(q->json, "title", ""), "body", (json_t *)body, "draft",
		json_is_true(json_object_get(q->json, "draft")), "head",
		branch_of(jstr(q->json, "head", "")), "base", jstr(q->json, "base", ""), "head_sha",
		head_sha, "base_sha", base_sha, "created_at", now, "updated_at", now);
	json_array_append_new(pulls(), pull);
	json_t *view = view_pull(pull, true);
	answer_header(q, "Location", "%s", jstr(view, "url", ""));
	answer_json(q, 201, view);
}

static bool wanted(struct req *q, const json_t *pull)
{
	const char *state = req_query(q, "state"), *head = req_query(q, "head");
	const char *base = req_query(q, "base");
	state = state ? state : "open";
	if (!of_repo(q, pull) ||
		(strcmp(state, "all") != 0 && strcmp(jstr(pull, "state", ""), state) != 0))
		return false;
	/* GitHub ignores a head filter without "owner:". */
	if (head && strchr(head, ':')) {
		size_t n = strcspn(head, ":");
		const char *owner = jstr(pull, "owner", "");
		if (strlen(owner) != n || strncasecmp(owner, head, n) != 0 ||
			strcmp(jstr(pull, "head", ""), branch_of(head)) != 0)
			return false;
	}
	return !base || strcmp(jstr(pull, "base", ""), base) == 0;
}

void github_get_pulls(struct req *q)
{
	if (!github_path_or_404(q))
		return;
	long page = req_query_int(q, "page", 1), per_page = req_query_int(q, "per_page", 30);
	long skip = (page - 1) * per_page, seen = 0;
	json_t *list = json_array();
	for (size_t i = json_array_size(pulls()); i-- > 0;) { /* newest first */
		const json_t *p = json_array_get(pulls(), i);
		if (!wanted(q, p))
			continue;
		if (seen >= skip && seen < skip + per_page)
			json_array_append_new(list, view_pull(p, false));
		seen++;
	}
	answer_json(q, 200, list);
}

static json_t *pull_or_404(struct req *q)
{
	size_t i;
	json_t *p;
	json_array_foreach (pulls(), i, p) {
		if (of_repo(q, p) && jint(p, "number", 0) == strtoll(q->param[2], NULL, 10))
			return p;
	}
	github_fail(q, 404, "Not Found");
	return NULL;
}

void github_get_pull(struct req *q)
{
	json_t *p = pull_or_404(q);
	if (p)
		answer_json(q, 200, view_pull(p, true));
}

void github_patch_pull(struct req *q)
{
	json_t *p = pull_or_404(q);
	if (!p)
		return;
	static const char *const members[] = {"title", "body", "state", "base"}; /* no draft */
	autofree char *now = time_rfc3339(world_now_ms());
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		json_t *v = json_object_get(q->json, members[i]);
		if (v)
			json_object_set(p, members[i], v);
	}
	bool closed = strcmp(jstr(p, "state", ""), "closed") == 0;
	json_object_set_new(p, "closed_at", closed ? json_string(now) : json_null());
	json_object_set_new(p, "updated_at", json_string(now));
	answer_json(q, 200, view_pull(p, true));
}

/* The page behind html_url, for people: plain text. */
void github_get_page(struct req *q)
{
	json_t *p = pull_or_404(q);
	if (!p)
		return;
	AUTO(buf_release) struct buf page = BUF(HTTP_BODY_MAX);
	buf_addf(&page, "%s #%s (%s%s)\n%s/%s: %s <- %s\n\n%s\n", jstr(p, "title", ""), q->param[2],
		jstr(p, "state", ""), json_is_true(json_object_get(p, "draft")) ? ", draft" : "",
		q->param[0], q->param[1], jstr(p, "base", ""), jstr(p, "head", ""),
		jstr(p, "body", ""));
	answer_text(q, 200, "text/plain; charset=utf-8", page.data);
}

/* ---- control ---- */

static void control_pulls(struct req *q)
{
	json_t *list = json_array(), *p;
	size_t i;
	json_array_foreach (pulls(), i, p)
		json_array_append_new(list, view_pull(p, true));
	answer_json(q, 200, list);
}

/* {"merged": true} or {"state": …}: what a reviewer does. */
static void control_act(struct req *q)
{
	json_t *p = pull_or_404(q);
	if (!p)
		return;
	autofree char *now = time_rfc3339(world_now_ms());
	json_object_update(p, q->json);
	if (json_is_true(json_object_get(p, "merged"))) {
		json_object_set_new(p, "state", json_string("closed"));
		json_object_set_new(p, "merged_at", json_string(now));
		json_object_set_new(p, "closed_at", json_string(now));
	}
	answer_json(q, 200, view_pull(p, true));
}

static const struct route control_routes[] = {
	{"GET", "/github/pulls", control_pulls},
	{"POST", "/github/pulls/{}/{}/{}/act", control_act},
};

bool github_control(struct req *q)
{
	return route_run(q, control_routes, ARRAY_LEN(control_routes));
}
