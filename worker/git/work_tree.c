/*
 * Work tree slots: taken, set to a commit or a tree, given back. Commands of the model can write
 * anything in them, so nothing in them is read as git's own data: the repository is the store with
 * its work tree set in memory, the index lies beside the tree. Called by steps/checkout.c and, for
 * snapshots (snapshot.c) and restores, by agent and checks.
 */
#include "worker/git/work_tree_private.h"

#include <errno.h>
#include <fcntl.h>
#include <git2/sys/repository.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/fault.h"
#include "worker/git/tree_files.h"

err_t work_tree_diff(struct work_tree *tree, git_index *index, git_diff **ret_diff)
{
	git_diff_options options;
	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	options.flags = GIT_DIFF_INCLUDE_UNTRACKED | GIT_DIFF_RECURSE_UNTRACKED_DIRS |
			GIT_DIFF_INCLUDE_TYPECHANGE | GIT_DIFF_IGNORE_SUBMODULES |
			GIT_DIFF_SKIP_BINARY_CHECK;
	options.ignore_submodules = GIT_SUBMODULE_IGNORE_ALL;
	int rc = git_diff_index_to_workdir(ret_diff, tree->repo, index, &options);
	return rc < 0 ? store_error(rc, "compare the work tree") : NULL;
}

/* A path of a diff, where a folder may end with '/'. */
static err_t remove_path(const struct work_tree *tree, const char *path)
{
	size_t n = strlen(path);
	autofree char *full =
		xasprintf("%s/%.*s", tree->path, (int)(path[n - 1] == '/' ? n - 1 : n), path);
	return tree_files_remove(full);
}

/* Repositories that commands made inside the tree: checkout would leave them for the next run. */
static err_t remove_nested(struct work_tree *tree, git_index *is)
{
	git_diff *diff AUTO(store_diff_free) = NULL;
	ERR_TRY(remove_path(tree, ".git"));
	ERR_TRY(work_tree_diff(tree, is, &diff));
	for (size_t i = 0; i < git_diff_num_deltas(diff); i++) {
		const git_diff_delta *delta = git_diff_get_delta(diff, i);
		if (delta->status == GIT_DELTA_UNTRACKED)
			ERR_TRY(remove_path(tree, delta->new_file.path));
	}
	return NULL;
}

/* Removes what stands at path but is not of this kind. */
static err_t clear_other(const struct work_tree *tree, const char *path, size_t len, mode_t kind)
{
	struct stat st;
	autofree char *full = xasprintf("%s/%.*s", tree->path, (int)len, path);
	return lstat(full, &st) == 0 && (st.st_mode & S_IFMT) != kind ? tree_files_remove(full)
								      : NULL;
}

/*
 * Checkout would write and delete through a link that stands where a folder or file was, and wait
 * for ever at a pipe (reliability.md C 24).
 */
static err_t clear_way(const struct work_tree *tree, git_index *index)
{
	const char *before = "";
	for (size_t i = 0; i < git_index_entrycount(index); i++) {
		const git_index_entry *entry = git_index_get_byindex(index, i);
		const char *path = entry->path;
		for (const char *slash = strchr(path, '/'); slash; slash = strchr(slash + 1, '/')) {
			size_t len = (size_t)(slash - path);
			if (strncmp(before, path, len + 1) !=
				0) /* else seen with the entry before */
				ERR_TRY(clear_other(tree, path, len, S_IFDIR));
		}
		ERR_TRY(clear_other(tree, path, strlen(path),
			entry->mode == GIT_FILEMODE_COMMIT ? S_IFDIR : S_IFREG));
		before = path;
	}
	return NULL;
}

/* For the paths of the tree that is wanted and of the one that was. */
static err_t clear_ways(const struct work_tree *tree, git_index *is, const git_tree *target)
{
	git_index *wanted AUTO(store_index_free) = NULL;
	int rc = git_index_new(&wanted);
	if (rc >= 0)
		rc = git_index_read_tree(wanted, target);
	if (rc < 0)
		return store_error(rc, "read the tree for %s", tree->path);
	ERR_TRY(clear_way(tree, is));
	return clear_way(tree, wanted);
}

/*
 * Checkout leaves alone what has the size and time of the index, and a command can set times. The
 * comparison sees more (ctime, inode): what it names is removed and so comes anew.
 */
static err_t remove_changed(struct work_tree *tree, git_index *is)
{
	git_diff *diff AUTO(store_diff_free) = NULL;
	ERR_TRY(work_tree_diff(tree, is, &diff));
	for (size_t i = 0; i < git_diff_num_deltas(diff); i++) {
		const git_diff_delta *delta = git_diff_get_delta(diff, i);
		if (delta->status == GIT_DELTA_MODIFIED || delta->status == GIT_DELTA_TYPECHANGE)
			ERR_TRY(remove_path(tree, delta->new_file.path));
	}
	return NULL;
}

static err_t checkout(struct work_tree *tree, const char *tree_id)
{
	git_tree *target AUTO(store_tree_free) = NULL;
	git_index *is AUTO(store_index_free) = NULL;
	git_checkout_options options;
	int rc = git_repository_index(&is, tree->repo);
	if (rc < 0)
		return store_error(rc, "read the index of %s", tree->path);
	ERR_TRY(store_tree(tree->repo, tree_id, &target));
	ERR_TRY(clear_ways(tree, is, target));
	ERR_TRY(remove_changed(tree, is));
	git_checkout_options_init(&options, GIT_CHECKOUT_OPTIONS_VERSION);
	options.checkout_strategy = GIT_CHECKOUT_FORCE | GIT_CHECKOUT_REMOVE_UNTRACKED;
	options.baseline_index = is; /* else every file is written again */
	options.disable_filters = 1; /* bytes as they are stored, and as snapshots take them */
	options.dir_mode = 0755;
	rc = git_checkout_tree(tree->repo, (const git_object *)target, &options);
	if (rc < 0)
		return store_error(rc, "check out into %s", tree->path);
	FAULT_POINT("git.restored");
	return remove_nested(tree, is);
}

/* The repository's own at the top, or a workspace's, beside its package.json. */
static bool is_modules(const struct work_tree *tree, const char *path)
{
	static const char name[] = "node_modules/";
	if (strcmp(path, name) == 0)
		return true;
	if (!text_ends(path, "/node_modules/"))
		return false;
	autofree char *package = xasprintf(
		"%s/%.*spackage.json", tree->path, (int)(strlen(path) - strlen(name)), path);
	return access(package, F_OK) == 0;
}

err_t work_tree_drop_ignored(struct work_tree *tree, bool modules_too)
{
	git_index *index AUTO(store_index_free) = NULL;
	git_diff *diff AUTO(store_diff_free) = NULL;
	git_diff_options options;
	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	options.flags =
		GIT_DIFF_INCLUDE_IGNORED | GIT_DIFF_IGNORE_SUBMODULES | GIT_DIFF_SKIP_BINARY_CHECK;
	options.ignore_submodules = GIT_SUBMODULE_IGNORE_ALL;
	int rc = git_repository_index(&index, tree->repo);
	if (rc >= 0)
		rc = git_diff_index_to_workdir(&diff, tree->repo, index, &options);
	if (rc < 0)
		return store_error(rc, "look for ignored files in %s", tree->path);
	for (size_t i = 0; i < git_diff_num_deltas(diff); i++) {
		const git_diff_delta *delta = git_diff_get_delta(diff, i);
		const char *path = delta->new_file.path;
		if (delta->status == GIT_DELTA_IGNORED && (modules_too || !is_modules(tree, path)))
			ERR_TRY(remove_path(tree, path));
	}
	return NULL;
}

/* Opens the repository handle with index and work tree of the slot. */
static err_t attach(struct work_tree *tree)
{
	git_index *index AUTO(store_index_free) = NULL;
	git_repository_free(tree->repo);
	tree->repo = NULL;
	ERR_TRY(tree_files_mkdir(tree->path));
	int rc = git_repository_open_bare(&tree->repo, tree->store->path);
	if (rc >= 0)
		rc = git_repository_set_workdir(tree->repo, tree->path, 0);
	if (rc >= 0)
		rc = git_index_open(&index, tree->index_path);
	if (rc >= 0)
		rc = git_repository_set_index(tree->repo, index);
	return rc < 0 ? store_error(rc, "open work tree %s", tree->path) : NULL;
}

/* From nothing: the files that a killed run or its commands left cannot be put in order. */
static err_t rebuild(struct work_tree *tree, const char *tree_id)
{
	ERR_TRY(tree_files_remove(tree->path));
	ERR_TRY(tree_files_remove(tree->index_path));
	ERR_TRY(attach(tree));
	return checkout(tree, tree_id);
}

static err_t mark_dirty(const struct work_tree *tree)
{
	int fd = open(tree->dirty_path, O_WRONLY | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno("mark %s", tree->dirty_path);
	close(fd);
	return NULL;
}

static err_t take_slot(struct work_tree *tree, const char *commit)
{
	char target[OID_HEX + 1];
	ERR_TRY(store_commit_tree(tree->store, commit, target));
	autofree char *index_lock = xasprintf("%s.lock", tree->index_path);
	ERR_TRY(tree_files_remove(index_lock)); /* the slot is ours alone, by the database */
	struct stat st;
	if (lstat(tree->dirty_path, &st) == 0)
		ERR_TRY(tree_files_remove(tree->index_path)); /* what it remembers may not be so:
							    all files are read */
	else if (lstat(tree->path, &st) == 0 && !S_ISDIR(st.st_mode))
		ERR_TRY(tree_files_remove(tree->path));
	ERR_TRY(mark_dirty(tree));
	err_t e = attach(tree);
	if (!e)
		e = checkout(tree, target);
	if (!e)
		e = work_tree_drop_ignored(tree, false);
	if (!e)
		return NULL;
	log_debug("work tree %s is made anew: %s", tree->path, err_text(e));
	return rebuild(tree, target);
}

err_t work_tree_open(
	struct store *store, int64_t slot, const char *commit, struct work_tree **ret_tree)
{
	struct work_tree *tree = xcalloc(1, sizeof *tree);
	tree->store = store;
	tree->path = xasprintf("%s/tree-%lld", store->workdir, (long long)slot);
	tree->index_path = xasprintf("%s.index", tree->path);
	tree->dirty_path = xasprintf("%s.dirty", tree->path);
	err_t e = take_slot(tree, commit);
	if (e) {
		tree->store = NULL;            /* stays the caller's */
		free(take(&tree->dirty_path)); /* and the slot stays dirty */
		work_tree_close(tree);
	} else {
		*ret_tree = tree;
	}
	return e;
}

void work_tree_close(struct work_tree *tree)
{
	if (!tree)
		return;
	if (tree->dirty_path)
		(void)unlink(
			tree->dirty_path); /* a mark that stays costs the next run some time only */
	git_repository_free(tree->repo);
	blob_memo_release(&tree->memo);
	free(tree->path);
	free(tree->index_path);
	free(tree->dirty_path);
	free(tree);
}

const char *work_tree_path(const struct work_tree *tree)
{
	return tree->path;
}

struct store *work_tree_store(const struct work_tree *tree)
{
	return tree->store;
}

err_t work_tree_restore(struct work_tree *tree, const char *tree_id)
{
	return checkout(tree, tree_id);
}
