/* What files were stored as. Called by snapshot.c. */
#include "worker/git/blob_memo.h"

#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"

#define SETTLED_NS 20000000 /* longer than a tick of the clock that file times come from */

struct blob_memo_entry {
	char *path;
	struct stat st;
	git_oid id;
	uint32_t mode;
};

static bool same_time(const struct timespec *a, const struct timespec *b)
{
	return a->tv_sec == b->tv_sec && a->tv_nsec == b->tv_nsec;
}

static bool same_file(const struct stat *a, const struct stat *b)
{
	return a->st_dev == b->st_dev && a->st_ino == b->st_ino && a->st_size == b->st_size &&
	       a->st_mode == b->st_mode && same_time(&a->st_mtim, &b->st_mtim) &&
	       same_time(&a->st_ctim, &b->st_ctim);
}

/* The place of a path, or where it belongs. */
static size_t place(const struct blob_memo *memo, const char *path, bool *ret_there)
{
	size_t low = 0, high = memo->count;
	*ret_there = false;
	while (low < high) {
		size_t middle = (low + high) / 2;
		int order = strcmp(memo->entries[middle].path, path);
		if (order == 0) {
			*ret_there = true;
			return middle;
		}
		if (order < 0)
			low = middle + 1;
		else
			high = middle;
	}
	return low;
}

bool blob_memo_find(const struct blob_memo *memo, const char *path, const struct stat *st,
	git_oid *ret_id, uint32_t *ret_mode)
{
	bool is_there;
	size_t i = place(memo, path, &is_there);
	if (!is_there || !same_file(&memo->entries[i].st, st))
		return false;
	*ret_id = memo->entries[i].id;
	*ret_mode = memo->entries[i].mode;
	return true;
}

/* Would a write from now on get another time than this one's? */
static bool is_settled(const struct timespec *changed)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME_COARSE, &now);
	int64_t age_ns = (int64_t)(now.tv_sec - changed->tv_sec) * 1000000000 +
			 (now.tv_nsec - changed->tv_nsec);
	return age_ns >= SETTLED_NS;
}

void blob_memo_note(struct blob_memo *memo, const char *path, const struct stat *before,
	const struct stat *after, const git_oid *id, uint32_t mode)
{
	bool is_there;
	if (!same_file(before, after) || !is_settled(&before->st_ctim))
		return;
	size_t i = place(memo, path, &is_there);
	if (!is_there) {
		memo->entries = xrealloc(memo->entries, (memo->count + 1) * sizeof *memo->entries);
		memmove(&memo->entries[i + 1], &memo->entries[i],
			(memo->count - i) * sizeof *memo->entries);
		memo->entries[i].path = xstrdup(path);
		memo->count++;
	}
	memo->entries[i].st = *before;
	memo->entries[i].id = *id;
	memo->entries[i].mode = mode;
}

void blob_memo_release(struct blob_memo *memo)
{
	for (size_t i = 0; i < memo->count; i++)
		free(memo->entries[i].path);
	free(memo->entries);
	*memo = (struct blob_memo){0};
}
