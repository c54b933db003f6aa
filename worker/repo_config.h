/*
 * repos.json, or the one repository of the REPO_… settings: which Jira project is worked in which
 * repository. Members of the Python system: projects[{jira_project_key, jira_project_name,
 * repo_ssh, repo_workdir, base_branch, repo_owner_slug, repo_name}], default_project_key. Added:
 * max_running, and max_day_usd, max_issue_usd, max_run_usd (dollars).
 */
#ifndef AIRUNNER_REPO_CONFIG_H
#define AIRUNNER_REPO_CONFIG_H

#include "lib/settings.h"

enum repo_transport { REPO_HTTPS, REPO_SSH, REPO_LOCAL };

struct repo_config {
	char *project_key;
	char *address; /* canonical: host/owner/name (lower-case host), or an absolute local path */
	char *clone_url; /* what libgit2 is given; never holds credentials */
	enum repo_transport transport;
	char *workdir; /* folder of store and work trees, absolute */
	char *base_branch;
	char *owner, *name; /* at the forge; empty: no pull request can be opened */
	int max_running;
	/* micro-dollars, 0: no cap; -1: as the settings say */
	int64_t max_day_usd_micro, max_issue_usd_micro, max_run_usd_micro;
	bool is_default;
	int64_t repo_id; /* row in repos, set by repo_configs_sync() */
};

struct repo_configs {
	struct repo_config *items;
	size_t count;
};

/**
 * With GH_TOKEN, git@host:o/n, ssh://, https:// and owner/name all become https; without one,
 * ssh stays ssh. http://127.0.0.1… and file paths stay as they are.
 * @return ERR_CONFIG naming file, project, member and remedy
 */
err_t repo_configs_load(const struct settings *set, struct repo_configs *ret_configs);
void repo_configs_release(struct repo_configs *configs);

/** The project's repository, else the default one, else NULL (unrouted). Borrowed. */
const struct repo_config *repo_config_find(
	const struct repo_configs *configs, const char *project_key);

#endif
