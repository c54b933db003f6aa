/* Shared by worker/git/ only: what a store is, and how libgit2's errors become ours. */
#ifndef AIRUNNER_STORE_PRIVATE_H
#define AIRUNNER_STORE_PRIVATE_H

#include <git2.h>

#include "worker/git/store.h"

struct store {
	const struct settings *set; /* borrowed */
	git_repository *repo;       /* bare */
	char *workdir;
	char *path; /* workdir/store.git */
	char *url;
	enum repo_transport transport;
	http_alive_fn alive; /* may be NULL */
	void *alive_arg;
};

/**
 * An error from libgit2's last one: "<where>: <its words>". Authentication, missing things and
 * network trouble get their own codes, all else is ERR_GIT.
 */
err_t store_error(int rc, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/**
 * Takes the store's lock (flock, gone with the process): held while refs or packs are written, so
 * that every *.lock found meanwhile is a dead process's and can be removed. @param ret_fd  to be
 * closed by store_unlock()
 */
err_t store_lock(struct store *store, int *ret_fd);
void store_unlock(int *fd); /* for AUTO(): closes unless -1 */

/** The object of a 40-digit id. @return ERR_NOT_FOUND */
err_t store_tree(git_repository *repo, const char *id, git_tree **ret_tree);
err_t store_commit_object(git_repository *repo, const char *id, git_commit **ret_commit);

static inline void store_tree_free(git_tree **tree)
{
	git_tree_free(*tree);
}

static inline void store_commit_free(git_commit **commit)
{
	git_commit_free(*commit);
}

static inline void store_index_free(git_index **index)
{
	git_index_free(*index);
}

static inline void store_diff_free(git_diff **diff)
{
	git_diff_free(*diff);
}

static inline void store_reference_free(git_reference **reference)
{
	git_reference_free(*reference);
}

static inline void store_signature_free(git_signature **signature)
{
	git_signature_free(*signature);
}

#endif
