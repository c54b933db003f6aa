/*
 * Paths that a model names. Two locks: the name check here refuses what the kernel would open but
 * nobody may
 * (.git in any disguise, invisible characters …), and openat2 keeps the rest beneath the work tree
 * without following a single link.
 */
#ifndef AIRUNNER_PATH_H
#define AIRUNNER_PATH_H

#include <stdbool.h>
#include <stddef.h>
#include <sys/types.h>

#include "lib/err.h"

/**
 * Why a path relative to the work tree is refused.
 * @param for_writing  names that other systems cannot hold are refused too
 * @return NULL when it is fine, else a phrase like "it is absolute; …"
 */
const char *path_refusal(const char *path, size_t len, bool for_writing);

/**
 * Opens a path beneath root_fd (close-on-exec, never blocking). The name must have passed
 * path_refusal().
 * @return ERR_NOT_FOUND, ERR_FORBIDDEN (a link on the way, or out of the tree), ERR_IO
 */
err_t path_open(int root_fd, const char *path, int flags, mode_t mode, int *ret_fd);

/** For AUTO(): closes when not negative. */
void path_close(int *fd);

#endif
