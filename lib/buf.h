/*
 * A growing string with a mandatory limit, after git's strbuf. data is always NUL-terminated and
 * may hold NULs inside. Adding past the limit keeps what fits and sets `cut`; who must not lose
 * bytes checks buf_cut() and reports ERR_TOO_LARGE.
 */
#ifndef AIRUNNER_BUF_H
#define AIRUNNER_BUF_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/err.h"

struct buf {
	char *data;   /* owned; never NULL after buf_init */
	size_t len;   /* bytes, without the NUL */
	size_t alloc; /* bytes held, 0 while data is the shared empty string */
	size_t limit; /* most bytes it may hold */
	bool cut;     /* something did not fit */
};

/** An empty buffer of at most limit bytes: `AUTO(buf_release) struct buf b = BUF(1 << 20);` */
#define BUF(limit_bytes) ((struct buf){.data = buf_empty, .limit = (limit_bytes)})
extern char buf_empty[1];

void buf_init(struct buf *b, size_t limit);
void buf_release(struct buf *b); /* frees; the buffer is empty and usable again */
void buf_reset(struct buf *b);   /* length 0, keeps the memory */
char *buf_take(struct buf *b);   /* hands the string over (free()); buffer is empty */
void buf_add(struct buf *b, const void *p, size_t n);
void buf_adds(struct buf *b, const char *s);
void buf_addc(struct buf *b, char c);
void buf_addf(struct buf *b, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void buf_truncate(struct buf *b, size_t len);
bool buf_cut(const struct buf *b);

/** Reads to the end of fd; path is for the error's text. @return ERR_IO, ERR_TOO_LARGE (over the
 * limit) */
err_t buf_read_fd(struct buf *b, int fd, const char *path);

/** Reads a whole file. @return ERR_NOT_FOUND, ERR_IO, ERR_TOO_LARGE (over the buffer's limit) */
err_t buf_read_file(struct buf *b, const char *path);

/** Writes atomically (temporary file beside it, fsync, rename) with the given mode. */
err_t buf_write_file(const struct buf *b, const char *path, unsigned mode);

#endif
