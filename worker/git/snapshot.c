/*
 * The snapshot primitive: the work tree as a tree object. Serves edit (after every tool call),
 * verify, commit and resume. Starts from the index of the last checkout, whose file times and
 * inodes spare reading what has not changed, and takes over what differs.
 */
#include <fcntl.h>
#include <string.h>
#include <strings.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/fault.h"
#include "worker/git/path_rule.h"
#include "worker/git/tree_files.h"
#include "worker/git/work_tree_private.h"

#define FILE_MAX ((size_t)50 << 20)
#define CHANGES_MAX 20000

struct snapshot {
	struct work_tree *tree;
	git_index *index; /* ours alone, written to no file */
	const char *const *refuse;
	int folder; /* descriptor of the tree */
};

static void snapshot_release(struct snapshot *snapshot)
{
	git_index_free(snapshot->index);
	if (snapshot->folder >= 0)
		close(snapshot->folder);
}

static bool is_refused(const struct snapshot *snapshot, const git_diff_delta *delta)
{
	const char *path = delta->new_file.path;
	for (const char *const *refused = snapshot->refuse; refused && *refused; refused++)
		if (strcmp(path, *refused) == 0)
			return true;
	/* deeper ones that the repository holds are its own, fixtures of tests for instance */
	return path_is_refused(path) || text_starts(path, "node_modules/") ||
	       (delta->status == GIT_DELTA_UNTRACKED && path_has_part(path, "node_modules"));
}

/* A pointer file of LFS stands for content that we neither have nor could upload. */
static err_t refuse_lfs(struct snapshot *snapshot, const char *path)
{
	const char *filter = NULL;
	int rc = git_attr_get(
		&filter, snapshot->tree->repo, GIT_ATTR_CHECK_INDEX_ONLY, path, "filter");
	if (rc < 0)
		return store_error(rc, "attributes of %s", path);
	if (git_attr_value(filter) == GIT_ATTR_VALUE_STRING && strcmp(filter, "lfs") == 0)
		return err_new(ERR_CONFLICT,
			"%s is kept in Git LFS, which AI Runner cannot change: leave it as it was",
			path);
	return NULL;
}

/* Mode 0: nothing that git could hold. */
static err_t read_file(struct snapshot *snapshot, const char *path, git_index_entry *entry)
{
	static const uint32_t modes[] = {
		[FILE_REGULAR] = GIT_FILEMODE_BLOB,
		[FILE_EXECUTABLE] = GIT_FILEMODE_BLOB_EXECUTABLE,
		[FILE_LINK] = GIT_FILEMODE_LINK,
	};
	AUTO(buf_release) struct buf content = BUF(FILE_MAX);
	enum file_kind kind;
	ERR_TRY(tree_files_read(snapshot->folder, path, &content, &kind));
	if (kind == FILE_OTHER)
		return NULL; /* a pipe, a socket */
	entry->mode = modes[kind];
	int rc = git_blob_create_from_buffer(
		&entry->id, snapshot->tree->repo, content.data, content.len);
	return rc < 0 ? store_error(rc, "store %s", path) : NULL;
}

/* A file that was stored before, as it is, is not read again. */
static err_t store_file(struct snapshot *snapshot, const char *path, git_index_entry *entry)
{
	struct stat st, after;
	struct blob_memo *memo = &snapshot->tree->memo;
	bool is_file = tree_files_look(snapshot->folder, path, &st);
	if (is_file && blob_memo_find(memo, path, &st, &entry->id, &entry->mode))
		return NULL;
	ERR_TRY(read_file(snapshot, path, entry));
	if (is_file && entry->mode && tree_files_look(snapshot->folder, path, &after))
		blob_memo_note(memo, path, &st, &after, &entry->id, entry->mode);
	return NULL;
}

static err_t add(struct snapshot *snapshot, const char *path)
{
	git_index_entry entry = {.path = path};
	ERR_TRY(store_file(snapshot, path, &entry));
	if (!entry.mode)
		return NULL;
	const git_index_entry *old = git_index_get_bypath(snapshot->index, path, 0);
	if (old && old->mode == entry.mode && git_oid_equal(&old->id, &entry.id))
		return NULL; /* only its time differed */
	ERR_TRY(refuse_lfs(snapshot, path));
	int rc = git_index_add(snapshot->index, &entry);
	return rc < 0 ? store_error(rc, "add %s", path) : NULL;
}

static err_t drop(struct snapshot *snapshot, const char *path)
{
	int rc = git_index_remove(snapshot->index, path, 0);
	return rc < 0 && rc != GIT_ENOTFOUND ? store_error(rc, "remove %s", path) : NULL;
}

static err_t take_over(struct snapshot *snapshot, const git_diff *diff, bool deletions)
{
	for (size_t i = 0; i < git_diff_num_deltas(diff); i++) {
		const git_diff_delta *delta = git_diff_get_delta(diff, i);
		const char *path = delta->new_file.path;
		bool is_folder = *path && path[strlen(path) - 1] == '/';
		if ((delta->status == GIT_DELTA_DELETED) != deletions || is_folder ||
			is_refused(snapshot, delta))
			continue;
		switch (delta->status) {
		case GIT_DELTA_DELETED:
			ERR_TRY(drop(snapshot, path));
			break;
		case GIT_DELTA_UNTRACKED:
		case GIT_DELTA_MODIFIED:
		case GIT_DELTA_TYPECHANGE:
			ERR_TRY(add(snapshot, path));
			break;
		default: /* ignored, unreadable, in conflict: as in the base */
			break;
		}
	}
	return NULL;
}

static err_t write_snapshot(struct snapshot *snapshot, char ret_tree[OID_HEX + 1])
{
	struct work_tree *tree = snapshot->tree;
	git_diff *diff AUTO(store_diff_free) = NULL;
	int rc = git_index_open(&snapshot->index, tree->index_path);
	if (rc < 0)
		return store_error(rc, "read %s", tree->index_path);
	snapshot->folder = open(tree->path, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (snapshot->folder < 0)
		return err_errno("open %s", tree->path);
	ERR_TRY(work_tree_diff(tree, snapshot->index, &diff));
	if (git_diff_num_deltas(diff) > CHANGES_MAX)
		return err_new(ERR_TOO_LARGE,
			"%zu files differ from the base, more than %d: ignore what is made by "
			"tools",
			git_diff_num_deltas(diff), CHANGES_MAX);
	ERR_TRY(take_over(snapshot, diff, true)); /* first: a folder may stand where a file was */
	ERR_TRY(take_over(snapshot, diff, false));
	git_oid id;
	rc = git_index_write_tree_to(&id, snapshot->index, tree->repo);
	if (rc < 0)
		return store_error(rc, "write the snapshot");
	git_oid_tostr(ret_tree, OID_HEX + 1, &id);
	FAULT_POINT("git.snapshot");
	return NULL;
}

err_t work_tree_snapshot(
	struct work_tree *tree, const char *const *refuse, char ret_tree[OID_HEX + 1])
{
	AUTO(snapshot_release)
	struct snapshot snapshot = {.tree = tree, .refuse = refuse, .folder = -1};
	return write_snapshot(&snapshot, ret_tree);
}
