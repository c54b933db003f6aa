/*
 * Folders that sandboxed commands could write: made, read and removed without following their
 * links. Called by work_tree.c, snapshot.c and store.c.
 */
#include "worker/git/tree_files.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mem.h"

/* A command may nest folders deeper than descriptors or stack allow: below this they are moved up
 * first. */
#define DEPTH_MAX 64

struct removal {
	int top; /* folder that deep ones are moved to */
	unsigned moved;
};

err_t tree_files_mkdir(const char *path)
{
	autofree char *copy = xstrdup(path);
	for (char *p = copy + 1; *copy; p++) {
		if (*p && *p != '/')
			continue;
		char end = *p;
		*p = '\0';
		if (mkdir(copy, 0700) && errno != EEXIST)
			return err_errno("make folder %s", copy);
		if (!end)
			return NULL;
		*p = end;
	}
	return NULL;
}

static err_t remove_entries(int fd, int depth, struct removal *removal);

static int open_folder(int dir, const char *name)
{
	int flags = O_RDONLY | O_DIRECTORY | O_NOFOLLOW | O_CLOEXEC;
	int fd = openat(dir, name, flags);
	if (fd >= 0 && faccessat(fd, ".", W_OK | X_OK, 0) == 0)
		return fd;
	/* a folder that its own commands closed to us; never a link, openat would have said ELOOP
	 */
	if (fd >= 0)
		(void)fchmod(fd, 0700);
	else if (errno == EACCES && fchmodat(dir, name, 0700, 0) == 0)
		fd = openat(dir, name, flags);
	return fd;
}

static err_t move_up(int dir, const char *name, struct removal *removal)
{
	char moved[32];
	do /* a name may be taken by what is still to be removed */
		snprintf(moved, sizeof moved, ".removed-%u", removal->moved++);
	while (faccessat(removal->top, moved, F_OK, AT_SYMLINK_NOFOLLOW) == 0);
	return renameat(dir, name, removal->top, moved) ? err_errno("move %s", name) : NULL;
}

static err_t remove_entry(int dir, const char *name, int depth, struct removal *removal)
{
	if (unlinkat(dir, name, 0) == 0 || errno == ENOENT)
		return NULL;
	if (errno != EISDIR && errno != EPERM)
		return err_errno("remove %s", name);
	if (depth > DEPTH_MAX) {
		return move_up(dir, name, removal);
	}
	int fd = open_folder(dir, name);
	if (fd < 0)
		return err_errno("open folder %s", name);
	err_t e = remove_entries(fd, depth + 1, removal);
	if (!e && unlinkat(dir, name, AT_REMOVEDIR) && errno != ENOENT)
		e = err_errno("remove folder %s", name);
	return e;
}

/* Empties a folder; closes fd. */
static err_t remove_entries(int fd, int depth, struct removal *removal)
{
	DIR *dir = fdopendir(fd);
	if (!dir) {
		err_t e = err_errno("read folder");
		close(fd);
		return e;
	}
	err_t e = NULL;
	for (struct dirent *entry; !e && (entry = readdir(dir));)
		if (strcmp(entry->d_name, ".") != 0 && strcmp(entry->d_name, "..") != 0)
			e = remove_entry(fd, entry->d_name, depth, removal);
	closedir(dir);
	return e;
}

err_t tree_files_remove(const char *path)
{
	if (unlink(path) == 0 || errno == ENOENT)
		return NULL;
	if (errno != EISDIR && errno != EPERM)
		return err_errno("remove %s", path);
	struct removal removal = {.top = open_folder(AT_FDCWD, path)};
	if (removal.top < 0)
		return err_errno("open folder %s", path);
	err_t e;
	unsigned before;
	do { /* what was moved up is emptied in the next round */
		before = removal.moved;
		int fd = openat(removal.top, ".", O_RDONLY | O_DIRECTORY | O_CLOEXEC);
		e = fd < 0 ? err_errno("open folder %s", path) : remove_entries(fd, 1, &removal);
	} while (!e && removal.moved != before);
	close(removal.top);
	if (!e && rmdir(path))
		e = err_errno("remove folder %s", path);
	return err_in(e, "remove %s", path);
}

static int open_beneath(int dir_fd, const char *path, unsigned flags)
{
	struct open_how how = {
		.flags = flags | O_CLOEXEC,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS,
	};
	return (int)syscall(SYS_openat2, dir_fd, path, &how, sizeof how);
}

/* The folder is opened as a file would be, so that only the last part of path can be a link. */
static err_t read_link(int dir_fd, const char *path, struct buf *out)
{
	const char *slash = strrchr(path, '/');
	autofree char *folder = slash ? xstrndup(path, (size_t)(slash - path)) : xstrdup(".");
	int fd = open_beneath(dir_fd, folder, O_PATH | O_DIRECTORY);
	if (fd < 0)
		return err_errno("open folder of %s", path);
	char target[4096];
	ssize_t n = readlinkat(fd, slash ? slash + 1 : path, target, sizeof target);
	err_t e = n < 0 ? err_errno("read link %s", path) : NULL;
	close(fd);
	if (!e)
		buf_add(out, target, (size_t)n);
	return e;
}

err_t tree_files_read(int dir_fd, const char *path, struct buf *out, enum file_kind *ret_kind)
{
	int fd = open_beneath(dir_fd, path, O_RDONLY | O_NONBLOCK);
	if (fd < 0 && errno == ELOOP) {
		ERR_TRY(read_link(dir_fd, path, out));
		*ret_kind = FILE_LINK;
		return NULL;
	}
	if (fd < 0 && errno == ENXIO) { /* a socket */
		*ret_kind = FILE_OTHER;
		return NULL;
	}
	if (fd < 0)
		return errno == ENOENT || errno == ENOTDIR
			       ? err_new(ERR_NOT_FOUND, "no file %s", path)
			       : err_errno("open %s", path);
	struct stat st;
	err_t e = fstat(fd, &st) ? err_errno("look at %s", path) : NULL;
	enum file_kind kind = FILE_OTHER;
	if (!e && S_ISREG(st.st_mode)) {
		kind = st.st_mode & S_IXUSR ? FILE_EXECUTABLE : FILE_REGULAR;
		e = buf_read_fd(out, fd, path);
	}
	close(fd);
	if (!e)
		*ret_kind = kind;
	return e;
}

bool tree_files_look(int dir_fd, const char *path, struct stat *ret_st)
{
	int fd = open_beneath(dir_fd, path, O_PATH);
	bool is_file = fd >= 0 && fstat(fd, ret_st) == 0 && S_ISREG(ret_st->st_mode);
	if (fd >= 0)
		close(fd);
	return is_file;
}
