/*
 * The bare store of a repository: made, opened, locked, fetched, its refs and objects looked up.
 * Called by steps/checkout.c and the other files here. The network is remote.c's.
 */
#include "worker/git/store.h"

#include <dirent.h>
#include <errno.h>
#include <fcntl.h>
#include <ftw.h>
#include <stdio.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/git/tree_files.h"
#include "worker/git/remote.h"
#include "worker/git/store_private.h"

#define LOCK_WAIT_MS 900000
#define LOCK_POLL_MS 250
#define BRANCHES_NAMED 10
#define FETCH_SPEC "+refs/heads/*:refs/remotes/origin/*"
#define ORIGIN "refs/remotes/origin/"

/* Dependencies are never part of a change, whether or not the repository says so. */
#define EXCLUDE "node_modules/\n"

err_t git_start(const struct settings *set)
{
	(void)set;
	int rc = git_libgit2_init();
	if (rc < 0)
		return store_error(rc, "start libgit2");
	int major, minor, revision;
	git_libgit2_version(&major, &minor, &revision);
	if (major != 1 || minor < 5)
		return err_new(ERR_CONFIG, "libgit2 is %d.%d.%d, wanted is 1.5.1 or later", major,
			minor, revision);
	/* No configuration but the store's own: the host's could redirect pushes (insteadOf). */
	static const int levels[] = {GIT_CONFIG_LEVEL_PROGRAMDATA, GIT_CONFIG_LEVEL_SYSTEM,
		GIT_CONFIG_LEVEL_XDG, GIT_CONFIG_LEVEL_GLOBAL};
	for (size_t i = 0; i < ARRAY_LEN(levels) && rc >= 0; i++)
		rc = git_libgit2_opts(GIT_OPT_SET_SEARCH_PATH, levels[i], "");
	/* Owners are checked in store_open(); a local remote may be somebody else's. */
	if (rc >= 0)
		rc = git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	return rc < 0 ? store_error(rc, "set up libgit2") : NULL;
}

void git_stop(void)
{
	git_libgit2_shutdown();
}

static err_t write_text(const char *path, const char *text)
{
	AUTO(buf_release) struct buf b = BUF(4096);
	buf_adds(&b, text);
	return buf_write_file(&b, path, 0600);
}

/* Made aside and renamed: a store that exists is whole. */
static err_t make(const struct store *store)
{
	autofree char *aside = xasprintf("%s.new", store->path);
	autofree char *exclude = xasprintf("%s/info/exclude", aside);
	ERR_TRY(tree_files_remove(aside));
	git_repository_init_options options;
	git_repository_init_options_init(&options, GIT_REPOSITORY_INIT_OPTIONS_VERSION);
	options.flags = GIT_REPOSITORY_INIT_BARE | GIT_REPOSITORY_INIT_MKDIR |
			GIT_REPOSITORY_INIT_NO_REINIT;
	git_repository *repo = NULL;
	git_config *config = NULL;
	int rc = git_repository_init_ext(&repo, aside, &options);
	if (rc >= 0)
		rc = git_repository_config(&config, repo);
	if (rc >= 0)
		rc = git_config_set_bool(config, "core.protectHFS", 1);
	if (rc >= 0)
		rc = git_config_set_bool(config, "core.protectNTFS", 1);
	git_config_free(config);
	git_repository_free(repo);
	if (rc < 0)
		return store_error(rc, "make store %s", aside);
	autofree char *info = xasprintf("%s/info", aside);
	ERR_TRY(tree_files_mkdir(info));
	ERR_TRY(write_text(exclude, EXCLUDE));
	return rename(aside, store->path) ? err_errno("rename %s", aside) : NULL;
}

static err_t open_or_make(struct store *store)
{
	ERR_TRY(tree_files_mkdir(store->workdir));
	AUTO(store_unlock) int lock = -1;
	ERR_TRY(store_lock(store, &lock));
	struct stat st;
	if (lstat(store->path, &st)) {
		ERR_TRY(make(store));
		if (lstat(store->path, &st))
			return err_errno("look at %s", store->path);
	}
	if (!S_ISDIR(st.st_mode) || st.st_uid != geteuid())
		return err_new(ERR_CONFIG,
			"%s is not a folder of the worker's user: move it away or change its owner",
			store->path);
	int rc = git_repository_open_bare(&store->repo, store->path);
	return rc < 0 ? store_error(rc, "open store %s", store->path) : NULL;
}

err_t store_open(
	const struct settings *set, const struct repo_config *repo, struct store **ret_store)
{
	struct store *store = xcalloc(1, sizeof *store);
	*store = (struct store){
		.set = set,
		.workdir = xstrdup(repo->workdir),
		.path = xasprintf("%s/store.git", repo->workdir),
		.url = xstrdup(repo->clone_url),
		.transport = repo->transport,
	};
	err_t e = open_or_make(store);
	if (e)
		store_close(store);
	else
		*ret_store = store;
	return e;
}

void store_close(struct store *store)
{
	if (!store)
		return;
	git_repository_free(store->repo);
	free(store->workdir);
	free(store->path);
	free(store->url);
	free(store);
}

void store_set_alive(struct store *store, http_alive_fn alive, void *arg)
{
	store->alive = alive;
	store->alive_arg = arg;
}

err_t store_lock(struct store *store, int *ret_fd)
{
	autofree char *path = xasprintf("%s/.lock", store->workdir);
	int fd = open(path, O_RDWR | O_CREAT | O_CLOEXEC | O_NOFOLLOW, 0600);
	if (fd < 0)
		return err_errno("open %s", path);
	for (int waited_ms = 0; flock(fd, LOCK_EX | LOCK_NB); waited_ms += LOCK_POLL_MS) {
		err_t e = errno != EWOULDBLOCK && errno != EINTR ? err_errno("lock %s", path)
			  : waited_ms >= LOCK_WAIT_MS
				  ? err_new(ERR_TIMEOUT, "another run holds the store's lock %s",
					    path)
				  : http_wait(LOCK_POLL_MS, store->alive, store->alive_arg);
		if (e) {
			close(fd);
			return e;
		}
	}
	*ret_fd = fd;
	return NULL;
}

void store_unlock(int *fd)
{
	if (*fd >= 0)
		close(*fd);
}

static int remove_stale(const char *path, const struct stat *st, int type, struct FTW *at)
{
	(void)st;
	const char *name = path + at->base;
	if (type == FTW_F && (text_ends(name, ".lock") || text_starts(name, "pack_git2_")))
		(void)unlink(path); /* what remains is reported by libgit2 as locked */
	return 0;
}

/* Locks and half packs of processes that were killed; the store's lock is held. */
static err_t sweep(const struct store *store)
{
	static const char *const folders[] = {"refs", "objects/pack"};
	for (size_t i = 0; i < ARRAY_LEN(folders); i++) {
		autofree char *folder = xasprintf("%s/%s", store->path, folders[i]);
		if (nftw(folder, remove_stale, 16, FTW_PHYS) && errno != ENOENT)
			return err_errno("look through %s", folder);
	}
	static const char *const files[] = {"packed-refs.lock", "config.lock", "HEAD.lock"};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		autofree char *file = xasprintf("%s/%s", store->path, files[i]);
		if (unlink(file) && errno != ENOENT)
			return err_errno("remove %s", file);
	}
	return NULL;
}

err_t store_fetch(struct store *store)
{
	AUTO(store_unlock) int lock = -1;
	ERR_TRY(store_lock(store, &lock));
	ERR_TRY(sweep(store));
	return remote_fetch(store, FETCH_SPEC);
}

/* "main, develop": what the remote has, for the remedy. */
static void name_branches(struct store *store, struct buf *out)
{
	git_reference_iterator *iterator = NULL;
	if (git_reference_iterator_glob_new(&iterator, store->repo, ORIGIN "*") < 0)
		return;
	const char *name;
	for (int n = 0; n < BRANCHES_NAMED && git_reference_next_name(&name, iterator) >= 0; n++)
		buf_addf(out, "%s%s", n ? ", " : "", name + strlen(ORIGIN));
	git_reference_iterator_free(iterator);
}

err_t store_remote_head(struct store *store, const char *branch, char ret_commit[OID_HEX + 1])
{
	autofree char *name = xasprintf(ORIGIN "%s", branch);
	int is_valid = 0;
	if (git_reference_name_is_valid(&is_valid, name) < 0 || !is_valid)
		return err_new(ERR_BAD_INPUT, "\"%s\" is not a name for a branch", branch);
	git_oid id;
	int rc = git_reference_name_to_id(&id, store->repo, name);
	if (rc == GIT_ENOTFOUND) {
		AUTO(buf_release) struct buf names = BUF(512);
		name_branches(store, &names);
		return err_new(ERR_NOT_FOUND, "%s has no branch %s; %s%s", store->url, branch,
			names.len ? "it has " : "it has no branch at all, push a first commit",
			names.data);
	}
	if (rc < 0)
		return store_error(rc, "branch %s", branch);
	git_oid_tostr(ret_commit, OID_HEX + 1, &id);
	return NULL;
}
