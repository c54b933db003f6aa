/* Shared by work_tree.c and snapshot.c only. */
#ifndef AIRUNNER_WORK_TREE_PRIVATE_H
#define AIRUNNER_WORK_TREE_PRIVATE_H

#include "worker/git/blob_memo.h"
#include "worker/git/store_private.h"

struct work_tree {
	struct store *store;  /* borrowed */
	git_repository *repo; /* a second handle of the store, with the work tree set */
	char *path;
	char *index_path; /* outside the tree, so that no command can write it */
	char *dirty_path;
	struct blob_memo memo; /* of files that differ from the index */
};

/**
 * How the files differ from the index: new files one by one, no ignored ones. A folder with a
 * repository of its own is one entry whose path ends with '/'.
 */
err_t work_tree_diff(struct work_tree *tree, git_index *index, git_diff **ret_diff);

#endif
