/* The name check and the opening of paths. Called by worker/agent/tree_file.c for every path of a
 * tool.
 */
#define _GNU_SOURCE
#include "worker/agent/path.h"

#include <errno.h>
#include <fcntl.h>
#include <linux/openat2.h>
#include <stdint.h>
#include <string.h>
#include <strings.h>
#include <sys/syscall.h>
#include <unistd.h>

#include "lib/mem.h"
#include "worker/agent/unseen.h"

#define MAX_PATH_LEN 4095
#define MAX_NAME_LEN 255

static const char *const devices[] = {"con", "prn", "aux", "nul", "com1", "com2", "com3", "com4",
	"com5", "com6", "com7", "com8", "com9", "lpt1", "lpt2", "lpt3", "lpt4", "lpt5", "lpt6",
	"lpt7", "lpt8", "lpt9"};

static const char *refuse_bytes(const char *path, size_t len)
{
	for (size_t i = 0; i < len;) {
		uint32_t c;
		size_t n = utf8_read(path + i, len - i, &c);
		if (n == 0)
			return "it is not valid UTF-8";
		if (c < 0x20 || (c >= 0x7f && c < 0xa0))
			return "it holds a control character";
		if (c == '\\')
			return "it holds a backslash; folders are separated by /";
		if (is_unseen(c))
			return "it holds an invisible character";
		i += n;
	}
	return NULL;
}

/* .git, however a file system may spell it: case, trailing dots and spaces, a stream, its short
 * name. */
static bool is_git(const char *name, size_t len)
{
	const char *colon = memchr(name, ':', len);
	if (colon)
		len = (size_t)(colon - name);
	while (len > 0 && (name[len - 1] == '.' || name[len - 1] == ' '))
		len--;
	while (len > 0 && *name == ' ')
		name++, len--;
	if (len == 4 && strncasecmp(name, ".git", 4) == 0)
		return true;
	return len >= 5 && strncasecmp(name, "git~", 4) == 0 &&
	       strspn(name + 4, "0123456789") == len - 4;
}

static bool is_device(const char *name, size_t len)
{
	const char *dot = memchr(name, '.', len);
	size_t stem = dot ? (size_t)(dot - name) : len;
	for (size_t i = 0; i < ARRAY_LEN(devices); i++)
		if (strlen(devices[i]) == stem && strncasecmp(name, devices[i], stem) == 0)
			return true;
	return false;
}

static const char *refuse_name(const char *name, size_t len, bool for_writing)
{
	if (len == 0 || (len == 1 && *name == '.'))
		return NULL;
	if (len == 2 && memcmp(name, "..", 2) == 0)
		return "it holds .., which may lead out of the repository";
	if (is_git(name, len))
		return "git's own files are not touched";
	if (len > MAX_NAME_LEN)
		return "one of its names is longer than 255 bytes";
	if (name[len - 1] == '.' || name[len - 1] == ' ')
		return "one of its names ends with a dot or a space";
	if (for_writing && is_device(name, len))
		return "one of its names is a device on Windows";
	if (for_writing && memchr(name, ':', len))
		return "one of its names holds a colon";
	return NULL;
}

const char *path_refusal(const char *path, size_t len, bool for_writing)
{
	if (len == 0)
		return "it is empty";
	if (len > MAX_PATH_LEN)
		return "it is longer than 4095 bytes";
	const char *reason = refuse_bytes(path, len);
	if (reason)
		return reason;
	if (*path == '/')
		return "it is absolute; name it from the top of the repository";
	if (*path == '~')
		return "it begins with ~; name it from the top of the repository";
	for (size_t at = 0; at <= len && !reason;) {
		const char *slash = memchr(path + at, '/', len - at);
		size_t end = slash ? (size_t)(slash - path) : len;
		reason = refuse_name(path + at, end - at, for_writing);
		at = end + 1;
	}
	return reason;
}

err_t path_open(int root_fd, const char *path, int flags, mode_t mode, int *ret_fd)
{
	struct open_how how = {.flags = (uint64_t)(flags | O_CLOEXEC | O_NONBLOCK | O_NOCTTY),
		.mode = mode,
		.resolve = RESOLVE_BENEATH | RESOLVE_NO_SYMLINKS | RESOLVE_NO_MAGICLINKS};
	if (flags & O_PATH)
		how.flags &= ~(uint64_t)(O_NONBLOCK | O_NOCTTY); /* openat2 refuses them with it */
	long fd;
	do /* EAGAIN: something was renamed meanwhile */
		fd = syscall(SYS_openat2, root_fd, path, &how, sizeof how);
	while (fd < 0 && (errno == EAGAIN || errno == EINTR));
	if (fd >= 0) {
		*ret_fd = (int)fd;
		return NULL;
	}
	switch (errno) {
	case ENOENT:
	case ENOTDIR:
		return err_new(ERR_NOT_FOUND, "%s: no such file or folder", path);
	case ELOOP:
		return err_new(ERR_FORBIDDEN, "%s: symbolic links are not followed", path);
	case EXDEV:
		return err_new(ERR_FORBIDDEN, "%s: leads out of the repository", path);
	case ENXIO:
		return err_new(ERR_FORBIDDEN, "%s: not a regular file", path);
	default:
		return err_errno("%s", path);
	}
}

void path_close(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}
