/* Lists of files beneath the work tree. Called by the tools view and grep, and by
 * worker/steps/context.c. */
#define _GNU_SOURCE
#include <dirent.h>
#include <fcntl.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "worker/agent/tree_file.h"
#include "worker/agent/path.h"

#define FOLDER_MAX 1000
#define MAX_DEPTH 32

static const char *const skipped[] = {".", "..", ".git", "node_modules"};

void tree_list_release(struct tree_list *list)
{
	for (size_t i = 0; i < list->count; i++)
		free(list->paths[i]);
	free(list->paths);
	*list = (struct tree_list){0};
}

static void add(struct tree_list *list, size_t max, char *path)
{
	if (list->count >= max) {
		list->cut = true;
		free(path);
		return;
	}
	if ((list->count & (list->count - 1)) == 0) /* doubles at powers of two */
		list->paths =
			xrealloc(list->paths, (list->count ? list->count * 2 : 1) * sizeof(char *));
	list->paths[list->count++] = path;
}

static int by_name(const void *a, const void *b)
{
	return strcmp(*(char *const *)a, *(char *const *)b);
}

static void sort(struct tree_list *list)
{
	if (list->count > 1)
		qsort(list->paths, list->count, sizeof(char *), by_name);
}

static bool is_skipped(const char *name, size_t names)
{
	for (size_t i = 0; i < names; i++)
		if (strcmp(name, skipped[i]) == 0)
			return true;
	return false;
}

static void close_dir(DIR **dir)
{
	if (*dir)
		closedir(*dir);
}

static err_t open_dir(int root_fd, const char *path, DIR **ret_dir)
{
	int fd;
	ERR_TRY(path_open(root_fd, path, O_RDONLY | O_DIRECTORY, 0, &fd));
	*ret_dir = fdopendir(fd);
	if (*ret_dir)
		return NULL;
	path_close(&fd);
	return err_errno("%s", path);
}

static mode_t kind(DIR *dir, const char *name)
{
	struct stat st;
	return fstatat(dirfd(dir), name, &st, AT_SYMLINK_NOFOLLOW) < 0 ? 0 : st.st_mode & S_IFMT;
}

err_t tree_list_folder(int root_fd, const char *path, size_t path_len, struct tree_list *ret_list)
{
	const char *reason = path_refusal(path, path_len, false);
	if (reason)
		return err_new(ERR_BAD_INPUT, "the path %.200s is refused: %s", path, reason);
	AUTO(close_dir) DIR *dir = NULL;
	ERR_TRY(open_dir(root_fd, path, &dir));
	*ret_list = (struct tree_list){0};
	for (struct dirent *d; (d = readdir(dir));) {
		if (is_skipped(d->d_name, 3))
			continue;
		mode_t mode = kind(dir, d->d_name);
		const char *mark = S_ISDIR(mode) ? "/" : S_ISLNK(mode) ? " (link)" : "";
		add(ret_list, FOLDER_MAX, xasprintf("%s%s", d->d_name, mark));
	}
	sort(ret_list);
	return NULL;
}

static err_t walk(int root_fd, const char *path, size_t max, int depth, struct tree_list *list)
{
	AUTO(close_dir) DIR *dir = NULL;
	ERR_TRY(open_dir(root_fd, *path ? path : ".", &dir));
	AUTO(tree_list_release) struct tree_list folders = {0};
	for (struct dirent *d; (d = readdir(dir));) {
		if (is_skipped(d->d_name, ARRAY_LEN(skipped)))
			continue;
		mode_t mode = kind(dir, d->d_name);
		char *full = xasprintf("%s%s%s", path, *path ? "/" : "", d->d_name);
		if (S_ISREG(mode))
			add(list, max, full);
		else if (S_ISDIR(mode) && depth < MAX_DEPTH)
			add(&folders, max, full);
		else
			free(full);
	}
	sort(&folders);
	for (size_t i = 0; i < folders.count && !list->cut; i++)
		(void)walk(root_fd, folders.paths[i], max, depth + 1,
			list); /* a closed folder is passed over */
	return NULL;
}

/* Without ./ in front, doubled and trailing slashes, so that listed paths can be joined. */
static char *tidy(const char *path)
{
	struct buf b = BUF(8192);
	for (const char *p = path; *p;) {
		size_t n = strcspn(p, "/");
		if (n > 0 && !(n == 1 && *p == '.')) {
			if (b.len)
				buf_addc(&b, '/');
			buf_add(&b, p, n);
		}
		p += n + (p[n] == '/');
	}
	return buf_take(&b);
}

err_t tree_list_walk(
	int root_fd, const char *path, size_t path_len, size_t max, struct tree_list *ret_list)
{
	const char *reason = path_refusal(path, path_len, false);
	if (reason)
		return err_new(ERR_BAD_INPUT, "the path %.200s is refused: %s", path, reason);
	autofree char *top = tidy(path);
	AUTO(path_close) int fd = -1;
	struct stat st;
	ERR_TRY(path_open(root_fd, *top ? top : ".", O_PATH, 0, &fd));
	*ret_list = (struct tree_list){0};
	if (fstat(fd, &st) == 0 && S_ISREG(st.st_mode)) {
		add(ret_list, max, xstrdup(top));
		return NULL;
	}
	err_t e = walk(root_fd, top, max, 0, ret_list);
	sort(ret_list);
	return e;
}
