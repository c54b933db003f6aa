/* Folders that sandboxed commands could write: made, read and removed without following their
 * links. */
#ifndef AIRUNNER_GIT_FILES_H
#define AIRUNNER_GIT_FILES_H

#include <stdbool.h>
#include <sys/stat.h>

#include "lib/buf.h"
#include "lib/err.h"

/** Makes a folder (0700) with its parents. */
err_t tree_files_mkdir(const char *path);

/** Removes a file or a whole folder, however deep and whatever its modes; no such path is success.
 */
err_t tree_files_remove(const char *path);

enum file_kind { FILE_OTHER, FILE_REGULAR, FILE_EXECUTABLE, FILE_LINK };

/**
 * Reads a file beneath the folder dir_fd, resolved by the kernel without following any link; a link
 * is read as its target. Anything else than a file or a link is FILE_OTHER with nothing read.
 * @return ERR_NOT_FOUND, ERR_TOO_LARGE (over the buffer's limit), ERR_IO
 */
err_t tree_files_read(int dir_fd, const char *path, struct buf *out, enum file_kind *ret_kind);

/** Looks at a regular file beneath dir_fd, likewise through no link. @return false for anything
 * else */
bool tree_files_look(int dir_fd, const char *path, struct stat *ret_st);

#endif
