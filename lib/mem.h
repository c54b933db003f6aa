/*
 * Memory: cleanup attributes and allocators that abort when memory is out (the service manager
 * starts us again). `autofree char *s = xstrdup(…)` frees at the end of the scope; take(&s) hands
 * the pointer over and leaves NULL behind.
 */
#ifndef AIRUNNER_MEM_H
#define AIRUNNER_MEM_H

#include <stdarg.h>
#include <stddef.h>
#include <stdlib.h>

static inline void mem_autofree(void *p)
{
	free(*(void **)p);
}
#define autofree __attribute__((cleanup(mem_autofree)))

/** Calls type_release() or the like at the end of the scope: AUTO(buf) struct buf b. */
#define AUTO(fn) __attribute__((cleanup(fn)))

#define take(pp) \
	({ \
		__auto_type take_ = *(pp); \
		*(pp) = NULL; \
		take_; \
	})

#define ARRAY_LEN(a) (sizeof(a) / sizeof((a)[0]))

void *xmalloc(size_t n);
void *xcalloc(size_t n, size_t size);
void *xrealloc(void *p, size_t n);
char *xstrdup(const char *s); /* NULL gives NULL */
char *xstrndup(const char *s, size_t n);
char *xasprintf(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

#endif
