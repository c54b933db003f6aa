/* GitHub's representations of users, repositories and pull requests
 * (specs/github-rest.trimmed.json). */
#define _GNU_SOURCE
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/github.h"
#include "tests/standin/world.h"

/* Sets name to an address below the API or the site. */
static void set_url(
	json_t *o, const char *name, const char *base, const char *path, const char *tail)
{
	autofree char *url = xasprintf("%s%s%s", base, path, tail);
	json_object_set_new(o, name, json_string(url));
}

static json_t *node_id(const char *prefix, int64_t n)
{
	autofree char *id = xasprintf("%s_kwDOstandin%lld", prefix, (long long)n);
	return json_string(id);
}

json_t *view_owner(const char *login)
{
	static const char *const urls[][2] = {{"url", ""}, {"followers_url", "/followers"},
		{"following_url", "/following{/other_user}"}, {"gists_url", "/gists{/gist_id}"},
		{"starred_url", "/starred{/owner}{/repo}"}, {"subscriptions_url", "/subscriptions"},
		{"organizations_url", "/orgs"}, {"repos_url", "/repos"},
		{"events_url", "/events{/privacy}"}, {"received_events_url", "/received_events"}};
	json_t *user = json_pack("{s:s, s:i, s:o, s:s, s:s, s:s, s:b}", "login", login, "id", 1001,
		"node_id", node_id("U", 1001), "avatar_url", "https://avatar.example.com/u/1",
		"gravatar_id", "", "type", "User", "site_admin", 0);
	autofree char *path = xasprintf("/users/%s", login);
	for (size_t i = 0; i < ARRAY_LEN(urls); i++)
		set_url(user, urls[i][0], api_url(), path, urls[i][1]);
	set_url(user, "html_url", html_url(), "/", login);
	return user;
}

static void add_repo_urls(json_t *repo, const char *slug)
{
	static const char *const names[] = {"archive", "assignees", "blobs", "branches",
		"collaborators", "comments", "commits", "compare", "contents", "contributors",
		"deployments", "downloads", "events", "forks", "git_commits", "git_refs",
		"git_tags", "hooks", "issue_comment", "issue_events", "issues", "keys", "labels",
		"languages", "merges", "milestones", "notifications", "pulls", "releases",
		"stargazers", "statuses", "subscribers", "subscription", "tags", "teams", "trees"};
	autofree char *path = xasprintf("/repos/%s", slug);
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		autofree char *member = xasprintf("%s_url", names[i]);
		autofree char *tail = xasprintf("/%s", names[i]);
		set_url(repo, member, api_url(), path, tail);
	}
	set_url(repo, "url", api_url(), path, "");
	set_url(repo, "html_url", html_url(), "/", slug);
	set_url(repo, "clone_url", html_url(), "/", slug);
	set_url(repo, "git_url", "git://github.example.com/", slug, ".git");
	set_url(repo, "ssh_url", "git@github.example.com:", slug, ".git");
	set_url(repo, "svn_url", html_url(), "/", slug);
}

json_t *view_repo(const char *owner, const char *name)
{
	static const char *const counts[] = {"forks", "forks_count", "open_issues",
		"open_issues_count", "size", "stargazers_count", "watchers", "watchers_count",
		"network_count", "subscribers_count"};
	static const char *const flags[] = {"fork", "has_pages", "has_wiki", "has_projects",
		"has_discussions", "archived", "disabled"};
	static const char *const nulls[] = {
		"description", "homepage", "language", "mirror_url", "license"};
	autofree char *slug = xasprintf("%s/%s", owner, name);
	json_t *repo =
		json_pack("{s:i, s:o, s:s, s:s, s:o, s:b, s:b, s:b, s:s, s:s, s:s, s:s, s:s}", "id",
			2001, "node_id", node_id("R", 2001), "name", name, "full_name", slug,
			"owner", view_owner(owner), "private", 1, "has_issues", 1, "has_downloads",
			1, "default_branch", config_str("github", "default_branch", "main"),
			"visibility", "private", "created_at", "2026-01-01T00:00:00Z", "updated_at",
			"2026-01-01T00:00:00Z", "pushed_at", "2026-01-01T00:00:00Z");
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		json_object_set_new(repo, counts[i], json_integer(0));
	for (size_t i = 0; i < ARRAY_LEN(flags); i++)
		json_object_set_new(repo, flags[i], json_false());
	for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
		json_object_set_new(repo, nulls[i], json_null());
	json_object_set_new(repo, "permissions",
		json_pack("{s:b, s:b, s:b}", "admin", 0, "push", 1, "pull", 1));
	add_repo_urls(repo, slug);
	return repo;
}

/* The head or base of a pull request; its commit is read anew while the branch exists. */
static json_t *view_side(const json_t *pull, const char *side)
{
	const char *owner = jstr(pull, "owner", ""), *name = jstr(pull, "repo", "");
	const char *branch = jstr(pull, side, "");
	autofree char *member = xasprintf("%s_sha", side);
	autofree char *label = xasprintf("%s:%s", owner, branch);
	char sha[41];
	const char *path = repo_path(owner, name);
	bool live = path && repo_branch(path, branch, sha);
	return json_pack("{s:s, s:s, s:s, s:o, s:o}", "label", label, "ref", branch, "sha",
		live ? sha : jstr(pull, member, ""), "user", view_owner(owner), "repo",
		view_repo(owner, name));
}

static json_t *link_to(const char *base, const char *path, const char *tail)
{
	autofree char *url = xasprintf("%s%s%s", base, path, tail);
	return json_pack("{s:s}", "href", url);
}

static void add_pull_urls(json_t *view, const json_t *pull)
{
	const char *owner = jstr(pull, "owner", ""), *name = jstr(pull, "repo", "");
	int64_t n = jint(pull, "number", 0);
	autofree char *api = xasprintf("/repos/%s/%s/pulls/%lld", owner, name, (long long)n);
	autofree char *issue = xasprintf("/repos/%s/%s/issues/%lld", owner, name, (long long)n);
	autofree char *html = xasprintf("/%s/%s/pull/%lld", owner, name, (long long)n);
	set_url(view, "url", api_url(), api, "");
	set_url(view, "html_url", html_url(), html, "");
	set_url(view, "diff_url", html_url(), html, ".diff");
	set_url(view, "patch_url", html_url(), html, ".patch");
	set_url(view, "issue_url", api_url(), issue, "");
	set_url(view, "commits_url", api_url(), api, "/commits");
	set_url(view, "review_comments_url", api_url(), api, "/comments");
	set_url(view, "review_comment_url", api_url(), api, "/comments{/number}");
	set_url(view, "comments_url", api_url(), issue, "/comments");
	set_url(view, "statuses_url", api_url(), api, "/statuses");
	json_object_set_new(view, "_links",
		json_pack("{s:o, s:o, s:o, s:o, s:o, s:o, s:o, s:o}", "self",
			link_to(api_url(), api, ""), "html", link_to(html_url(), html, ""), "issue",
			link_to(api_url(), issue, ""), "comments",
			link_to(api_url(), issue, "/comments"), "review_comments",
			link_to(api_url(), api, "/comments"), "review_comment",
			link_to(api_url(), api, "/comments{/number}"), "commits",
			link_to(api_url(), api, "/commits"), "statuses",
			link_to(api_url(), api, "/statuses")));
}

/* Commits and changed lines between the sides. */
static void add_size(json_t *view, const json_t *pull)
{
	const char *path = repo_path(jstr(pull, "owner", ""), jstr(pull, "repo", ""));
	struct repo_compare c = {0};
	if (path)
		repo_compare(path, jstr(json_object_get(view, "base"), "sha", ""),
			jstr(json_object_get(view, "head"), "sha", ""), &c);
	const struct {
		const char *name;
		size_t n;
	} counts[] = {{"commits", c.ahead}, {"changed_files", c.files}, {"additions", c.added},
		{"deletions", c.removed}, {"comments", 0}, {"review_comments", 0}};
	for (size_t i = 0; i < ARRAY_LEN(counts); i++)
		json_object_set_new(view, counts[i].name, json_integer((json_int_t)counts[i].n));
	bool merged = json_is_true(json_object_get(pull, "merged"));
	json_object_set_new(view, "merged", json_boolean(merged));
	json_object_set_new(view, "mergeable", merged ? json_null() : json_true());
	json_object_set_new(view, "mergeable_state", json_string("clean"));
	json_object_set_new(view, "maintainer_can_modify", json_false());
	json_object_set_new(view, "merged_by", merged ? view_owner("petra-person") : json_null());
	json_object_set_new(view, "rebaseable", json_true());
}

json_t *view_pull(const json_t *pull, bool whole)
{
	static const char *const copied[] = {"number", "state", "title", "body", "draft",
		"created_at", "updated_at", "closed_at", "merged_at"};
	static const char *const nulls[] = {
		"milestone", "assignee", "auto_merge", "active_lock_reason", "merge_commit_sha"};
	static const char *const lists[] = {
		"labels", "assignees", "requested_reviewers", "requested_teams"};
	int64_t id = 3000 + jint(pull, "number", 0);
	json_t *view = json_pack("{s:I, s:o, s:b, s:s, s:o, s:o, s:o}", "id", (json_int_t)id,
		"node_id", node_id("PR", id), "locked", 0, "author_association", "COLLABORATOR",
		"user", view_owner(config_str("github", "login", "ai-runner-bot")), "head",
		view_side(pull, "head"), "base", view_side(pull, "base"));
	for (size_t i = 0; i < ARRAY_LEN(copied); i++) {
		json_t *v = json_object_get(pull, copied[i]);
		json_object_set_new(view, copied[i], v ? json_incref(v) : json_null());
	}
	for (size_t i = 0; i < ARRAY_LEN(nulls); i++)
		json_object_set_new(view, nulls[i], json_null());
	for (size_t i = 0; i < ARRAY_LEN(lists); i++)
		json_object_set_new(view, lists[i], json_array());
	add_pull_urls(view, pull);
	if (whole)
		add_size(view, pull);
	return view;
}
