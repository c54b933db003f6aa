/*
 * Which content a file was stored as, as long as it is the very file: a snapshot reads and hashes
 * only what changed since the one before. A file is known by inode, size, mode and both times; one
 * that was written to in the last moments is not remembered, since a second write could leave the
 * same times. No command can set the time of a change (ctime).
 */
#ifndef AIRUNNER_BLOB_MEMO_H
#define AIRUNNER_BLOB_MEMO_H

#include <git2.h>
#include <stdbool.h>
#include <stdint.h>
#include <sys/stat.h>

struct blob_memo {
	struct blob_memo_entry *entries; /* by path */
	size_t count;
};

/** Was this file stored before, as it is? Sets id and mode. */
bool blob_memo_find(const struct blob_memo *memo, const char *path, const struct stat *st,
	git_oid *ret_id, uint32_t *ret_mode);

/** Remembers what a file was stored as, unless it changed meanwhile. @param before, after  reading
 */
void blob_memo_note(struct blob_memo *memo, const char *path, const struct stat *before,
	const struct stat *after, const git_oid *id, uint32_t mode);

void blob_memo_release(struct blob_memo *memo);

#endif
