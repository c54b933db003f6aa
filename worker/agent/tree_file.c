/* Reading and writing files beneath the work tree. Called by the tools and by
 * worker/steps/context.c. */
#define _GNU_SOURCE
#include "worker/agent/tree_file.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <strings.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "worker/agent/path.h"

static err_t check_name(const char *path, size_t len, bool for_writing)
{
	const char *reason = path_refusal(path, len, for_writing);
	return reason ? err_new(ERR_BAD_INPUT, "the path %.200s is refused: %s", path, reason)
		      : NULL;
}

static err_t open_regular(int root_fd, const char *path, int *ret_fd, struct stat *ret_stat)
{
	int fd;
	ERR_TRY(path_open(root_fd, path, O_RDONLY, 0, &fd));
	err_t e = NULL;
	if (fstat(fd, ret_stat) < 0)
		e = err_errno("%s", path);
	else if (S_ISDIR(ret_stat->st_mode))
		e = err_new(ERR_FORBIDDEN, "%s: is a folder", path);
	else if (!S_ISREG(ret_stat->st_mode))
		e = err_new(ERR_FORBIDDEN, "%s: not a regular file", path);
	if (e) {
		path_close(&fd);
		return e;
	}
	*ret_fd = fd;
	return NULL;
}

err_t tree_file_read(int root_fd, const char *path, size_t path_len, struct buf *out)
{
	AUTO(path_close) int fd = -1;
	struct stat st;
	ERR_TRY(check_name(path, path_len, false));
	ERR_TRY(open_regular(root_fd, path, &fd, &st));
	return buf_read_fd(out, fd, path);
}

bool tree_file_is_binary(const struct buf *content)
{
	return memchr(content->data, 0, content->len < 8192 ? content->len : 8192) != NULL;
}

/* ---- writing ---- */

/* An entry that is the same name but for case cannot live beside it everywhere. */
static err_t check_case(int dir_fd, const char *name, const char *path)
{
	int fd = openat(dir_fd, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	DIR *dir = fd < 0 ? NULL : fdopendir(fd);
	if (!dir) {
		path_close(&fd);
		return err_errno("%s", path);
	}
	err_t e = NULL;
	for (struct dirent *d; !e && (d = readdir(dir));)
		if (strcasecmp(d->d_name, name) == 0 && strcmp(d->d_name, name) != 0)
			e = err_new(
				ERR_CONFLICT, "%s: differs only in case from %s", path, d->d_name);
	closedir(dir);
	return e;
}

/* Opens the folder of a path, making what is missing. */
static err_t open_parent(int root_fd, const char *path, int *ret_fd)
{
	autofree char *so_far = xstrdup(path);
	AUTO(path_close) int fd = -1;
	ERR_TRY(path_open(root_fd, ".", O_PATH | O_DIRECTORY, 0, &fd));
	for (char *slash = strchr(so_far, '/'); slash; slash = strchr(slash + 1, '/')) {
		*slash = '\0';
		int next = -1;
		err_t e = path_open(root_fd, so_far, O_PATH | O_DIRECTORY, 0, &next);
		if (err_code(e) == ERR_NOT_FOUND) {
			const char *last = strrchr(so_far, '/');
			ERR_TRY(check_case(fd, last ? last + 1 : so_far, path));
			if (mkdirat(fd, last ? last + 1 : so_far, 0755) < 0)
				return err_errno("%s", so_far);
			e = path_open(root_fd, so_far, O_PATH | O_DIRECTORY, 0, &next);
		}
		ERR_TRY(e);
		path_close(&fd);
		fd = next;
		*slash = '/';
	}
	*ret_fd = fd;
	fd = -1;
	return NULL;
}

static err_t write_beside(
	int dir_fd, const char *name, const char *path, mode_t mode, const char *data, size_t len)
{
	autofree char *tmp = xasprintf(".airunner-%d.tmp", (int)getpid());
	unlinkat(dir_fd, tmp, 0);
	AUTO(path_close)
	int fd = openat(dir_fd, tmp, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno("%s", path);
	err_t e = fchmod(fd, mode) < 0 ? err_errno("%s", path) : NULL;
	for (size_t done = 0; !e && done < len;) {
		ssize_t n = write(fd, data + done, len - done);
		if (n < 0 && errno != EINTR)
			e = err_errno("%s", path);
		else if (n > 0)
			done += (size_t)n;
	}
	if (!e && renameat(dir_fd, tmp, dir_fd, name) < 0)
		e = err_errno("%s", path);
	if (e)
		unlinkat(dir_fd, tmp, 0);
	return e;
}

/* What stands at the name now. @param ret_mode  0: nothing */
static err_t check_target(
	int dir_fd, const char *name, const char *path, bool overwrite, mode_t *ret_mode)
{
	struct stat st;
	*ret_mode = 0;
	if (fstatat(dir_fd, name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return errno == ENOENT ? check_case(dir_fd, name, path) : err_errno("%s", path);
	if (!S_ISREG(st.st_mode))
		return err_new(ERR_FORBIDDEN, "%s: %s", path,
			S_ISDIR(st.st_mode)   ? "is a folder"
			: S_ISLNK(st.st_mode) ? "symbolic links are not followed"
					      : "not a regular file");
	if (st.st_nlink > 1)
		return err_new(ERR_FORBIDDEN, "%s: has another name (hard link)", path);
	if (!overwrite)
		return err_new(ERR_CONFLICT,
			"%s: exists already; change it with str_replace, or set overwrite", path);
	*ret_mode = st.st_mode & 0777;
	return NULL;
}

err_t tree_file_write(int root_fd, const char *path, size_t path_len, const char *data, size_t len,
	bool overwrite)
{
	ERR_TRY(check_name(path, path_len, true));
	if (len > TREE_WRITE_MAX)
		return err_new(ERR_TOO_LARGE, "%s: more than %u bytes", path, TREE_WRITE_MAX);
	const char *slash = strrchr(path, '/');
	const char *name = slash ? slash + 1 : path;
	if (!*name || strcmp(name, ".") == 0)
		return err_new(
			ERR_BAD_INPUT, "the path %.200s is refused: it names a folder", path);
	AUTO(path_close) int dir_fd = -1;
	ERR_TRY(open_parent(root_fd, path, &dir_fd));
	mode_t mode;
	ERR_TRY(check_target(dir_fd, name, path, overwrite, &mode));
	return write_beside(dir_fd, name, path, mode ? mode : 0644, data, len);
}

/* The folder of a file that is there, and its name in it. */
static err_t open_existing(
	int root_fd, const char *path, size_t path_len, int *ret_dir_fd, const char **ret_name)
{
	ERR_TRY(check_name(path, path_len, false));
	const char *slash = strrchr(path, '/');
	autofree char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	AUTO(path_close) int dir_fd = -1;
	ERR_TRY(path_open(root_fd, folder, O_PATH | O_DIRECTORY, 0, &dir_fd));
	struct stat st;
	*ret_name = slash ? slash + 1 : path;
	if (fstatat(dir_fd, *ret_name, &st, AT_SYMLINK_NOFOLLOW) < 0)
		return err_new(ERR_NOT_FOUND, "%s: no such file", path);
	mode_t mode;
	ERR_TRY(check_target(dir_fd, *ret_name, path, true, &mode));
	*ret_dir_fd = dir_fd;
	dir_fd = -1;
	return NULL;
}

err_t tree_file_remove(int root_fd, const char *path, size_t path_len)
{
	const char *name;
	AUTO(path_close) int dir_fd = -1;
	ERR_TRY(open_existing(root_fd, path, path_len, &dir_fd, &name));
	return unlinkat(dir_fd, name, 0) < 0 ? err_errno("%s", path) : NULL;
}

err_t tree_file_move(int root_fd, const char *path, size_t path_len, const char *to, size_t to_len)
{
	const char *name, *slash = strrchr(to, '/'), *new_name = slash ? slash + 1 : to;
	AUTO(path_close) int from_fd = -1;
	AUTO(path_close) int to_fd = -1;
	mode_t mode;
	ERR_TRY(open_existing(root_fd, path, path_len, &from_fd, &name));
	ERR_TRY(check_name(to, to_len, true));
	ERR_TRY(open_parent(root_fd, to, &to_fd));
	ERR_TRY(check_target(to_fd, new_name, to, false, &mode));
	if (renameat2(from_fd, name, to_fd, new_name, RENAME_NOREPLACE) < 0)
		return err_errno("%s", to);
	return NULL;
}
