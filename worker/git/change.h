/*
 * The exact change from one tree to another as bytes: every path with mode, object id and content,
 * whatever it is (binary files, links, mode bits, deletions; a rename is a deletion and an
 * addition). Stored with each turn of a conversation and applied by `airunnerctl replay`, which
 * builds the trees anew in memory.
 *
 *   airunner-change 1 <from tree> <to tree>\n
 *   <mode, octal> <object id> <size> <length of path>\n<path>\n<content>\n     … for each path
 *
 * Mode 0: deleted. Size -1: the content is not there, because it holds a secret of the settings or
 * is another repository's commit.
 */
#ifndef AIRUNNER_CHANGE_H
#define AIRUNNER_CHANGE_H

#include "worker/git/store.h"

#define CHANGE_MAX ((size_t)8 << 20)

/** @return ERR_TOO_LARGE when out's limit does not hold it */
err_t change_make(struct store *store, const char *from_tree, const char *to_tree, struct buf *out);

struct change_ids {
	char from[OID_HEX + 1], to[OID_HEX + 1];
};

/** The trees of a change's first line. @return ERR_BAD_INPUT when it is none */
err_t change_ids(const struct buf *change, struct change_ids *ret_ids);

/** New objects of this store stay in memory from now on, until it is closed. */
err_t change_in_memory(struct store *store);

/**
 * Applies a change to a tree. Each content is compared with its object id.
 * @return ERR_BAD_INPUT naming the path (damaged record), ERR_NOT_FOUND (from_tree, or a content
 * that was left out)
 */
err_t change_apply(struct store *store, const struct buf *change, const char *from_tree,
	char ret_tree[OID_HEX + 1]);

#endif
