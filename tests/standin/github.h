/* The GitHub stand-in's parts. Branches are read from the bare repositories themselves. */
#ifndef STANDIN_GITHUB_H
#define STANDIN_GITHUB_H

#include "tests/standin/http.h"

/* ---- github_repo.c ---- */

/** Path of the bare repository of "owner/name"; NULL when the configuration names none. */
const char *repo_path(const char *owner, const char *name);

/** The commit a branch points to; false when the repository lacks the branch. */
bool repo_branch(const char *path, const char *branch, char ret_sha[41]);

struct repo_compare {
	size_t ahead; /* commits of head that base lacks */
	size_t files, added, removed;
};
/** @return false when it cannot be told */
bool repo_compare(
	const char *path, const char *base_sha, const char *head_sha, struct repo_compare *ret);

/* ---- github_view.c: REST representations; new references ---- */

json_t *view_owner(const char *login);
json_t *view_repo(const char *owner, const char *name);
/** whole: with the members that only a single pull request shows. */
json_t *view_pull(const json_t *pull, bool whole);

/* ---- github.c ---- */

const char *api_url(void);
const char *html_url(void);
void github_fail(struct req *q, int status, const char *message);

/* ---- github_pull.c: routes ---- */

/** The bare repository of the path's owner and name, or answers 404. */
const char *github_path_or_404(struct req *q);
void github_post_pull(struct req *q);
void github_get_pulls(struct req *q);
void github_get_pull(struct req *q);
void github_patch_pull(struct req *q);
void github_get_page(struct req *q);
bool github_control(struct req *q);

#endif
