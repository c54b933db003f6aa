/*
 * Repositories by libgit2 only (it runs no hooks or filters): one bare store per repository, reused
 * work trees, snapshots as tree objects, commits, tags, pushes by detached remotes. https goes
 * through the libcurl transport (worker/git/transport.h). Credentials come from a callback and
 * touch no address and no file. Facts: integrations.md C, reliability.md 0.7-0.9.
 */
#ifndef AIRUNNER_STORE_H
#define AIRUNNER_STORE_H

#include <stddef.h>

#include "lib/buf.h"
#include "lib/settings.h"
#include "worker/http.h"
#include "worker/repo_config.h"

#define OID_HEX 40

struct store;
struct work_tree;

struct git_identity {
	const char *name;
	const char *email;
	int64_t time_s; /* Unix time; 0: now */
};

struct diff_stat {
	int files_changed;
	int lines_added;
	int lines_removed;
};

err_t git_start(const struct settings *set); /* once per process: libgit2, transport */
void git_stop(void);

/** Opens the repository's bare store at WORKDIR/store.git, making it when missing. */
err_t store_open(
	const struct settings *set, const struct repo_config *repo, struct store **ret_store);
void store_close(struct store *store);

/** Asked about four times a second while the network is used; an error ends the call with it
 * (cancel). */
void store_set_alive(struct store *store, http_alive_fn alive, void *arg);

/** Fetches all branches (pruned) to refs/remotes/origin/. @return ERR_NOT_FOUND (no such
 * repository), ERR_UNAUTHORIZED, ERR_NETWORK, ERR_TIMEOUT, ERR_GIT */
err_t store_fetch(struct store *store);

/** Commit id of a remote branch as last fetched; ERR_NOT_FOUND with the remedy. */
err_t store_remote_head(struct store *store, const char *branch, char ret_commit[OID_HEX + 1]);
err_t store_commit_tree(struct store *store, const char *commit, char ret_tree[OID_HEX + 1]);

/**
 * Takes the slot's work tree WORKDIR/tree-<slot>, made when missing, rebuilt when marked dirty and
 * not in order, and sets it to commit: files of the commit, no others but node_modules of packages.
 * Nothing in the tree is read as git's own data: index and repository lie outside it, a .git in it
 * is removed. On success the tree owns the store: work_tree_close() closes both.
 */
err_t work_tree_open(
	struct store *store, int64_t slot, const char *commit, struct work_tree **ret_tree);
void work_tree_close(struct work_tree *tree);
const char *work_tree_path(const struct work_tree *tree); /* absolute */
struct store *work_tree_store(const struct work_tree *tree);

/**
 * The snapshot primitive: tracked changes and new files not ignored, minus refused paths (.git,
 * lock files in refuse, new node_modules), written as a tree object. Bytes are taken as they are,
 * without line-end filters; links as links. The index is not touched.
 * @param refuse  NULL-terminated list of paths kept as in the base, may be NULL
 * @return ERR_TOO_LARGE (a file over 50 MiB, over 20,000 changed files), ERR_CONFLICT (a file kept
 * in Git LFS), ERR_GIT
 */
err_t work_tree_snapshot(
	struct work_tree *tree, const char *const *refuse, char ret_tree[OID_HEX + 1]);

/** Sets the files to a tree; ignored files stay. */
err_t work_tree_restore(struct work_tree *tree, const char *tree_id);

/**
 * Removes ignored files: they are no part of a change, so no check may find them. node_modules at
 * the top and beside a package.json are kept unless modules_too.
 */
err_t work_tree_drop_ignored(struct work_tree *tree, bool modules_too);

/** Unified diff between two trees, at most out's limit; either may be NULL (empty tree). */
err_t store_diff(struct store *store, const char *from_tree, const char *to_tree, struct buf *out,
	struct diff_stat *ret_stat);

/** Paths that differ between two trees: JSON array of {path, status: "added"|"modified"|"deleted"}.
 */
err_t store_changed_paths(
	struct store *store, const char *from_tree, const char *to_tree, struct json_t **ret_paths);

/** A commit of exactly this tree on parent; no ref is moved. */
err_t store_commit(struct store *store, const char *tree, const char *parent, const char *message,
	const struct git_identity *who, char ret_commit[OID_HEX + 1]);

/** An annotated tag object with its ref. Same name and target again: success. */
err_t store_tag(struct store *store, const char *name, const char *target, const char *message,
	const struct git_identity *who);

/** Removes a tag of the store; one that is not there is as good. */
err_t store_untag(struct store *store, const char *name);

/**
 * Merges two commits in memory. @param conflicts  gets the paths in conflict, "a, b"; empty:
 * ret_tree is the merged tree
 */
err_t store_merge(struct store *store, const char *ours, const char *theirs,
	char ret_tree[OID_HEX + 1], struct buf *conflicts);

/** Is commit head itself, or one of its ancestors? */
err_t store_contains(struct store *store, const char *head, const char *commit, bool *ret_contains);

/** What is pushed: source is a commit id or a full ref of the store; expected is the remote's id
 * before ("" : must not exist; NULL: any that fast-forwards). */
struct push_ref {
	const char *source;
	const char *remote_ref; /* refs/heads/… or refs/tags/… */
	const char *expected;
};

/**
 * Pushes refs in order, each over an anonymous remote of its own (no configuration can redirect
 * it), and checks every ref's answer. A ref that the remote has at the wanted id already counts as
 * pushed.
 * @return ERR_CONFLICT when the remote has moved the ref; ERR_PUSH_REFUSED with the server's words
 * (hook, protected branch), or when the ref is gone;
 * ERR_UNAUTHORIZED after one retry, ERR_NETWORK, ERR_TIMEOUT
 */
err_t store_push(struct store *store, const struct push_ref *refs, size_t count);

#endif
