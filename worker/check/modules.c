/* Walks the node_modules folders of a work tree. Called by deps.c. */
#define _GNU_SOURCE
#include "worker/check/modules.h"

#include <ftw.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/buf.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/git/tree_files.h"

#define FOLDERS_OPEN 32

/* What tools write beside the packages while they run. */
static const char *const caches[] = {".cache", ".vite", ".vite-temp", ".vitest", ".tmp"};

/* nftw() passes nothing on. Sums of digests, since folders are read in no order. */
static struct {
	uint64_t sums[SHA256_LEN / 8];
	uint64_t count;
} walk;

static bool is_cache(const char *path, const struct FTW *at)
{
	static const char parent[] = "/node_modules/";
	size_t n = strlen(parent);
	if ((size_t)at->base < n || strncmp(path + at->base - n, parent, n) != 0)
		return false;
	for (size_t i = 0; i < ARRAY_LEN(caches); i++)
		if (strcmp(path + at->base, caches[i]) == 0)
			return true;
	return false;
}

static void note(const char *path, const struct stat *st)
{
	unsigned char digest[SHA256_LEN];
	bool is_folder = S_ISDIR(st->st_mode); /* its times and size change with its caches */
	autofree char *text =
		is_folder ? xasprintf("%s/%o", path, st->st_mode)
			  : xasprintf("%s %o %lld %llu %lld.%09ld %lld.%09ld", path, st->st_mode,
				    (long long)st->st_size, (unsigned long long)st->st_ino,
				    (long long)st->st_mtim.tv_sec, st->st_mtim.tv_nsec,
				    (long long)st->st_ctim.tv_sec, st->st_ctim.tv_nsec);
	crypto_sha256(text, strlen(text), digest);
	for (size_t i = 0; i < ARRAY_LEN(walk.sums); i++) {
		uint64_t part;
		memcpy(&part, digest + i * sizeof part, sizeof part);
		walk.sums[i] += part;
	}
	walk.count++;
}

static int visit(const char *path, const struct stat *st, int type, struct FTW *at)
{
	if (type == FTW_DNR || type == FTW_NS)
		return FTW_STOP;
	if (at->level == 1 && strcmp(path + at->base, ".git") == 0)
		return FTW_SKIP_SUBTREE;
	if (is_cache(path, at))
		return tree_files_remove(path) ? FTW_STOP : FTW_SKIP_SUBTREE;
	if (strstr(path, "/node_modules/") || text_ends(path, "/node_modules"))
		note(path, st);
	return FTW_CONTINUE;
}

bool modules_seal(const char *tree, char ret_hex[65])
{
	memset(&walk, 0, sizeof walk);
	if (nftw(tree, visit, FOLDERS_OPEN, FTW_PHYS | FTW_ACTIONRETVAL) != 0)
		return false;
	crypto_sha256_hex(&walk, sizeof walk, ret_hex);
	return true;
}
