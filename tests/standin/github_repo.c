/* Bare repositories, read with libgit2. Called by github.c; writes nothing. */
#define _GNU_SOURCE
#include <git2.h>
#include <stdio.h>

#include "lib/mem.h"
#include "tests/standin/github.h"
#include "tests/standin/world.h"

const char *repo_path(const char *owner, const char *name)
{
	autofree char *slug = xasprintf("%s/%s", owner, name);
	return jstr(config_get("github", "repos"), slug, NULL);
}

bool repo_branch(const char *path, const char *branch, char ret_sha[41])
{
	git_repository *repo = NULL;
	if (git_repository_open_bare(&repo, path) != 0)
		return false;
	autofree char *name = xasprintf("refs/heads/%s", branch);
	git_oid oid;
	bool found = git_reference_name_to_id(&oid, repo, name) == 0;
	if (found)
		git_oid_tostr(ret_sha, 41, &oid);
	git_repository_free(repo);
	return found;
}

static bool tree_of(git_repository *repo, const git_oid *id, git_tree **ret_tree)
{
	git_commit *commit = NULL;
	if (git_commit_lookup(&commit, repo, id) != 0)
		return false;
	bool ok = git_commit_tree(ret_tree, commit) == 0;
	git_commit_free(commit);
	return ok;
}

static void count_changes(
	git_repository *repo, const git_oid *from, const git_oid *to, struct repo_compare *ret)
{
	git_tree *a = NULL, *b = NULL;
	git_diff *diff = NULL;
	git_diff_stats *stats = NULL;
	if (tree_of(repo, from, &a) && tree_of(repo, to, &b) &&
		git_diff_tree_to_tree(&diff, repo, a, b, NULL) == 0 &&
		git_diff_get_stats(&stats, diff) == 0) {
		ret->files = git_diff_stats_files_changed(stats);
		ret->added = git_diff_stats_insertions(stats);
		ret->removed = git_diff_stats_deletions(stats);
	}
	git_diff_stats_free(stats);
	git_diff_free(diff);
	git_tree_free(a);
	git_tree_free(b);
}

bool repo_compare(
	const char *path, const char *base_sha, const char *head_sha, struct repo_compare *ret)
{
	git_repository *repo = NULL;
	git_oid base, head, merge_base;
	size_t behind;
	*ret = (struct repo_compare){0};
	if (git_oid_fromstr(&base, base_sha) != 0 || git_oid_fromstr(&head, head_sha) != 0 ||
		git_repository_open_bare(&repo, path) != 0)
		return false;
	bool ok = git_graph_ahead_behind(&ret->ahead, &behind, repo, &head, &base) == 0;
	if (ok && git_merge_base(&merge_base, repo, &base, &head) == 0)
		count_changes(repo, &merge_base, &head, ret);
	git_repository_free(repo);
	return ok;
}
