/* The growing string. Called by everybody. */
#define _GNU_SOURCE
#include "lib/buf.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"

char buf_empty[1];

void buf_init(struct buf *b, size_t limit)
{
	*b = BUF(limit);
}

void buf_release(struct buf *b)
{
	if (b->alloc)
		free(b->data);
	*b = BUF(b->limit);
}

void buf_reset(struct buf *b)
{
	buf_truncate(b, 0);
	b->cut = false;
}

char *buf_take(struct buf *b)
{
	char *s = b->alloc ? b->data : xstrdup("");
	*b = BUF(b->limit);
	return s;
}

static void grow(struct buf *b, size_t extra)
{
	size_t want = b->len + extra + 1;
	if (want <= b->alloc)
		return;
	size_t alloc = b->alloc ? b->alloc : 64;
	while (alloc < want)
		alloc += alloc / 2;
	b->data = xrealloc(b->alloc ? b->data : NULL, alloc);
	b->alloc = alloc;
}

void buf_add(struct buf *b, const void *p, size_t n)
{
	size_t room = b->limit > b->len ? b->limit - b->len : 0;
	if (n > room) {
		n = room;
		b->cut = true;
	}
	if (n == 0)
		return;
	grow(b, n);
	memcpy(b->data + b->len, p, n);
	b->len += n;
	b->data[b->len] = '\0';
}

void buf_adds(struct buf *b, const char *s)
{
	buf_add(b, s, strlen(s));
}

void buf_addc(struct buf *b, char c)
{
	buf_add(b, &c, 1);
}

void buf_addf(struct buf *b, const char *fmt, ...)
{
	char stack[256];
	va_list ap, again;
	va_start(ap, fmt);
	va_copy(again, ap);
	int n = vsnprintf(stack, sizeof stack, fmt, ap);
	va_end(ap);
	if (n >= 0 && (size_t)n < sizeof stack) {
		buf_add(b, stack, (size_t)n);
	} else if (n >= 0) {
		autofree char *heap = xmalloc((size_t)n + 1);
		vsnprintf(heap, (size_t)n + 1, fmt, again);
		buf_add(b, heap, (size_t)n);
	}
	va_end(again);
}

void buf_truncate(struct buf *b, size_t len)
{
	if (len >= b->len)
		return;
	b->len = len;
	b->data[len] = '\0';
}

bool buf_cut(const struct buf *b)
{
	return b->cut;
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

err_t buf_read_fd(struct buf *b, int fd, const char *path)
{
	char chunk[16384];
	for (;;) {
		ssize_t n = read(fd, chunk, sizeof chunk);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno("read %s", path);
		if (n == 0)
			return NULL;
		buf_add(b, chunk, (size_t)n);
		if (b->cut)
			return err_new(ERR_TOO_LARGE, "%s: larger than %zu bytes", path, b->limit);
	}
}

err_t buf_read_file(struct buf *b, const char *path)
{
	AUTO(close_fd) int fd = open(path, O_RDONLY | O_CLOEXEC);
	if (fd < 0 && errno == ENOENT)
		return err_new(ERR_NOT_FOUND, "%s: no such file", path);
	if (fd < 0)
		return err_errno("open %s", path);
	return buf_read_fd(b, fd, path);
}

static err_t write_all(int fd, const struct buf *b, const char *path)
{
	for (size_t done = 0; done < b->len;) {
		ssize_t n = write(fd, b->data + done, b->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n < 0)
			return err_errno("write %s", path);
		done += (size_t)n;
	}
	return fsync(fd) < 0 ? err_errno("fsync %s", path) : NULL;
}

err_t buf_write_file(const struct buf *b, const char *path, unsigned mode)
{
	autofree char *tmp = xasprintf("%s.tmp-%d", path, (int)getpid());
	AUTO(close_fd) int fd = open(tmp, O_WRONLY | O_CREAT | O_TRUNC | O_CLOEXEC, mode);
	if (fd < 0)
		return err_errno("create %s", tmp);
	err_t e = fchmod(fd, mode) < 0 ? err_errno("chmod %s", tmp) : write_all(fd, b, tmp);
	if (!e && rename(tmp, path) < 0)
		e = err_errno("rename %s to %s", tmp, path);
	if (e)
		unlink(tmp);
	return e;
}
