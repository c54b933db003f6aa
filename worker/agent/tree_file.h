/* Files of the work tree as tools see them: regular files beneath root_fd, with size caps. */
#ifndef AIRUNNER_TREE_FILE_H
#define AIRUNNER_TREE_FILE_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

#define TREE_READ_MAX (2u << 20)
#define TREE_WRITE_MAX (1u << 20)

/**
 * Reads a regular file into out.
 * @return ERR_BAD_INPUT (path refused, with the reason), ERR_NOT_FOUND, ERR_FORBIDDEN (link,
 * folder, device), ERR_TOO_LARGE, ERR_IO
 */
err_t tree_file_read(int root_fd, const char *path, size_t path_len, struct buf *out);

/**
 * Writes a file whole: a new one beside it is renamed over it, so links to it elsewhere stay as
 * they are. Folders on the way are made.
 * @param overwrite  false: ERR_CONFLICT when it exists
 * @return as tree_file_read(), ERR_CONFLICT also for a name that differs from an existing one only
 * in case
 */
err_t tree_file_write(int root_fd, const char *path, size_t path_len, const char *data, size_t len,
	bool overwrite);

/** Renames a regular file, which keeps its mode; ERR_CONFLICT when the new name is taken. */
err_t tree_file_move(int root_fd, const char *path, size_t path_len, const char *to, size_t to_len);

/** Removes a regular file. @return as tree_file_read() */
err_t tree_file_remove(int root_fd, const char *path, size_t path_len);

struct tree_list {
	char **paths; /* owned, sorted, relative to the folder listed from root */
	size_t count;
	bool cut; /* there are more */
};

/** Names in one folder; folders end with /. .git is left out. @param path "." for the top */
err_t tree_list_folder(int root_fd, const char *path, size_t path_len, struct tree_list *ret_list);

/**
 * All files below a folder (or the file itself), at most max, without .git, node_modules and links.
 * Paths are relative to root_fd.
 */
err_t tree_list_walk(
	int root_fd, const char *path, size_t path_len, size_t max, struct tree_list *ret_list);
void tree_list_release(struct tree_list *list);

/** NUL bytes near its beginning? */
bool tree_file_is_binary(const struct buf *content);

#endif
