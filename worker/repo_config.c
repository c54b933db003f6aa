/*
 * Reads repos.json or the REPO_… settings into canonical repositories. Called at the worker's
 * start; rows are written by repo_configs_sync() (worker/repo_sync.c).
 */
#include "worker/repo_config.h"

#include <jansson.h>
#include <math.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

#define FILE_MAX ((size_t)4 << 20)

/* host/path of git@host:path, ssh://…, https://…, owner/name (GitHub). */
struct address {
	char *host; /* may carry a port */
	char *path; /* without leading slash and .git */
	const char *scheme;
};

static void address_release(struct address *a)
{
	free(a->host);
	free(a->path);
}

static char *trim_path(const char *p)
{
	while (*p == '/')
		p++;
	size_t n = strlen(p);
	while (n && p[n - 1] == '/')
		n--;
	if (n > 4 && strncmp(p + n - 4, ".git", 4) == 0)
		n -= 4;
	return xstrndup(p, n);
}

static bool split_host(const char *rest, char separator, struct address *ret)
{
	const char *at = strchr(rest, '@');
	const char *host = at && at < rest + strcspn(rest, "/") ? at + 1 : rest;
	const char *end = strchr(host, separator);
	if (!end || end == host)
		return false;
	ret->host = xstrndup(host, (size_t)(end - host));
	text_lower(ret->host);
	ret->path = trim_path(end + 1);
	return ret->path[0] != '\0' &&
	       !strchr(ret->path, '@'); /* that was a password with a slash */
}

static bool parse_address(const char *text, struct address *ret)
{
	*ret = (struct address){.scheme = "https"};
	if (text_starts(text, "https://"))
		return split_host(text + 8, '/', ret);
	if (text_starts(text, "http://")) {
		ret->scheme = "http";
		return split_host(text + 7, '/', ret);
	}
	if (text_starts(text, "ssh://")) {
		ret->scheme = "ssh";
		return split_host(text + 6, '/', ret);
	}
	if (strchr(text, '@') && strchr(text, ':')) {
		ret->scheme = "ssh";
		return split_host(text, ':', ret);
	}
	const char *slash = strchr(text, '/');
	if (!slash || slash == text || strchr(slash + 1, '/'))
		return false;
	ret->host = xstrdup("github.com");
	ret->path = trim_path(text);
	return true;
}

static bool is_local(const char *text)
{
	return text[0] == '/' || text_starts(text, "file://");
}

static err_t set_address(struct repo_config *repo, const char *text, bool has_token)
{
	if (is_local(text)) {
		repo->transport = REPO_LOCAL;
		repo->clone_url = xstrdup(text_starts(text, "file://") ? text + 7 : text);
		repo->address = xstrdup(repo->clone_url);
		return NULL;
	}
	AUTO(address_release) struct address a;
	const char *at = strrchr(text, '@'); /* what stands before may be a token */
	if (!parse_address(text, &a))
		return err_new(ERR_CONFIG,
			"repo_ssh \"%s%s\" is no repository address: write git@host:owner/name, "
			"https://host/owner/name, owner/name or an absolute path",
			at ? "…" : "", at ? at : text);
	bool ssh = strcmp(a.scheme, "ssh") == 0 && !has_token;
	repo->transport = ssh ? REPO_SSH : REPO_HTTPS;
	repo->address = xasprintf("%s/%s", a.host, a.path);
	repo->clone_url =
		ssh ? xasprintf("ssh://git@%s/%s.git", a.host, a.path)
		    : xasprintf("%s://%s/%s.git", strcmp(a.scheme, "http") == 0 ? "http" : "https",
			      a.host, a.path);
	return NULL;
}

/* Owner and name at the forge: as configured, else the last two parts of a remote address. */
static void set_slug(struct repo_config *repo, const char *owner, const char *name)
{
	repo->owner = xstrdup(owner);
	repo->name = xstrdup(name);
	if ((*owner && *name) || repo->transport == REPO_LOCAL)
		return;
	const char *last = strrchr(repo->address, '/');
	const char *first = strchr(repo->address, '/');
	if (!last || first == last || !first)
		return;
	free(repo->owner);
	free(repo->name);
	repo->owner = xstrndup(first + 1, (size_t)(last - first - 1));
	repo->name = xstrdup(last + 1);
}

static char *absolute(const char *path)
{
	char *real = path[0] == '/' ? xstrdup(path) : NULL;
	if (real)
		return real;
	autofree char *cwd = realpath(".", NULL);
	return xasprintf("%s/%s", cwd ? cwd : "", path);
}

static char *workdir_for(
	const struct settings *set, const struct repo_config *repo, const char *configured)
{
	if (*configured)
		return absolute(configured);
	autofree char *state = absolute(settings_str(set, S_AIRUNNER_STATE_DIR));
	autofree char *folder = xstrdup(repo->address);
	for (char *p = folder; *p; p++)
		*p = (*p == '/' || *p == ':') ? '_' : *p;
	return xasprintf("%s/repos/%s", state, folder[0] == '_' ? folder + 1 : folder);
}

struct member {
	const char *project_key, *repo_ssh, *workdir, *base_branch, *owner, *name;
	int max_running;
	int64_t max_day, max_issue, max_run; /* micro-dollars, -1: none of its own */
};

static err_t add(const struct settings *set, const struct member *m, struct repo_configs *configs)
{
	configs->items = xrealloc(configs->items, (configs->count + 1) * sizeof *configs->items);
	struct repo_config *repo = &configs->items[configs->count++];
	*repo = (struct repo_config){.project_key = xstrdup(m->project_key),
		.max_running = m->max_running,
		.max_day_usd_micro = m->max_day,
		.max_issue_usd_micro = m->max_issue,
		.max_run_usd_micro = m->max_run};
	ERR_TRY(set_address(repo, m->repo_ssh, *settings_str(set, S_GH_TOKEN) != '\0'));
	set_slug(repo, m->owner, m->name);
	repo->workdir = workdir_for(set, repo, m->workdir);
	repo->base_branch = xstrdup(m->base_branch);
	return NULL;
}

/* Optional, in dollars. */
static err_t read_caps(const json_t *project, const char *where, struct member *m)
{
	const struct {
		const char *name;
		int64_t *to;
	} caps[] = {{"max_day_usd", &m->max_day}, {"max_issue_usd", &m->max_issue},
		{"max_run_usd", &m->max_run}};
	for (size_t i = 0; i < ARRAY_LEN(caps); i++) {
		const json_t *v = json_object_get(project, caps[i].name);
		double usd = json_number_value(v);
		*caps[i].to = -1;
		if (!v || json_is_null(v))
			continue;
		if (!json_is_number(v) || !(usd >= 0 && usd < 1e9))
			return err_new(ERR_CONFIG,
				"%s: \"%s\" must be dollars, e.g. 20.00 (0: no cap)", where,
				caps[i].name);
		*caps[i].to = llround(usd * 1e6);
	}
	return NULL;
}

static err_t load_project(const struct settings *set, const char *path, size_t i, json_t *project,
	struct repo_configs *configs)
{
	struct member m = {.workdir = "", .owner = "", .name = "", .max_running = 1};
	json_error_t wrong;
	if (json_unpack_ex(project, &wrong, 0, "{s:s s:s s?s s?s s?s s?s s?i}", "jira_project_key",
		    &m.project_key, "repo_ssh", &m.repo_ssh, "repo_workdir", &m.workdir,
		    "base_branch", &m.base_branch, "repo_owner_slug", &m.owner, "repo_name",
		    &m.name, "max_running", &m.max_running))
		return err_new(ERR_CONFIG,
			"%s: projects[%zu]: %s (wanted: jira_project_key, repo_ssh; allowed: "
			"repo_workdir, "
			"base_branch, repo_owner_slug, repo_name, max_running, max_day_usd, "
			"max_issue_usd, max_run_usd)",
			path, i, wrong.text);
	autofree char *where = xasprintf("%s: projects[%zu]", path, i);
	ERR_TRY(read_caps(project, where, &m));
	if (!m.base_branch)
		m.base_branch = settings_str(set, S_BASE_BRANCH);
	return err_in(add(set, &m, configs), "%s", where);
}

static err_t load_file(const struct settings *set, const char *path, const char *text,
	struct repo_configs *configs)
{
	json_error_t wrong;
	json_auto_t *root = json_loads(text, JSON_REJECT_DUPLICATES, &wrong);
	if (!root)
		return err_new(ERR_CONFIG, "%s:%d: %s", path, wrong.line, wrong.text);
	json_t *projects = json_object_get(root, "projects");
	if (!json_is_array(projects) || json_array_size(projects) == 0)
		return err_new(ERR_CONFIG,
			"%s: \"projects\" must be a list with at least one project", path);
	size_t i;
	json_t *project;
	json_array_foreach (projects, i, project)
		ERR_TRY(load_project(set, path, i, project, configs));
	const char *fallback = json_string_value(json_object_get(root, "default_project_key"));
	bool known = !fallback || !*fallback;
	for (i = 0; i < configs->count; i++) {
		configs->items[i].is_default =
			fallback && strcmp(configs->items[i].project_key, fallback) == 0;
		known = known || configs->items[i].is_default;
	}
	if (!known)
		return err_new(ERR_CONFIG, "%s: default_project_key \"%s\" is none of the projects",
			path, fallback);
	return NULL;
}

static err_t load_settings(const struct settings *set, struct repo_configs *configs)
{
	struct member m = {
		.project_key = settings_str(set, S_JIRA_PROJECT_KEY),
		.repo_ssh = settings_str(set, S_REPO_SSH),
		.workdir = settings_str(set, S_REPO_WORKDIR),
		.base_branch = settings_str(set, S_BASE_BRANCH),
		.owner = settings_str(set, S_REPO_OWNER_SLUG),
		.name = settings_str(set, S_REPO_NAME),
		.max_running = 1,
		.max_day = -1,
		.max_issue = -1,
		.max_run = -1,
	};
	if (!*m.repo_ssh)
		return err_new(ERR_CONFIG,
			"no repository: write %s (see etc/repos.json.example) or set REPO_SSH",
			settings_str(set, S_REPOS_CONFIG_PATH));
	ERR_TRY(err_in(add(set, &m, configs), "REPO_SSH"));
	configs->items[0].is_default = true; /* without repos.json every project is worked there */
	return NULL;
}

err_t repo_configs_load(const struct settings *set, struct repo_configs *ret_configs)
{
	const char *path = settings_str(set, S_REPOS_CONFIG_PATH);
	struct repo_configs configs = {0};
	AUTO(buf_release) struct buf text = BUF(FILE_MAX);
	err_t e = *path ? buf_read_file(&text, path) : err_new(ERR_NOT_FOUND, "no repos.json");
	if (err_code(e) == ERR_NOT_FOUND)
		e = load_settings(set, &configs);
	else if (!e)
		e = load_file(set, path, text.data, &configs);
	if (e) {
		repo_configs_release(&configs);
		return e;
	}
	*ret_configs = configs;
	return NULL;
}

void repo_configs_release(struct repo_configs *configs)
{
	for (size_t i = 0; i < configs->count; i++) {
		struct repo_config *repo = &configs->items[i];
		free(repo->project_key);
		free(repo->address);
		free(repo->clone_url);
		free(repo->workdir);
		free(repo->base_branch);
		free(repo->owner);
		free(repo->name);
	}
	free(configs->items);
	*configs = (struct repo_configs){0};
}

const struct repo_config *repo_config_find(
	const struct repo_configs *configs, const char *project_key)
{
	const struct repo_config *fallback = NULL;
	for (size_t i = 0; i < configs->count; i++) {
		if (text_ieq(configs->items[i].project_key, project_key))
			return &configs->items[i];
		if (configs->items[i].is_default)
			fallback = &configs->items[i];
	}
	return fallback;
}
