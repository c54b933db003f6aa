/* Objects by id, and libgit2's errors as ours. Called by the other files here. */
#include "worker/git/store_private.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

static const struct {
	int rc;
	enum err_code code;
} by_result[] = {
	{GIT_EAUTH, ERR_UNAUTHORIZED},
	{GIT_ECERTIFICATE, ERR_NETWORK},
	{GIT_ENOTFOUND, ERR_NOT_FOUND},
	{GIT_ENONFASTFORWARD, ERR_PUSH_REFUSED},
};

static const struct {
	int class;
	enum err_code code;
} by_class[] = {
	{GIT_ERROR_NET, ERR_NETWORK},
	{GIT_ERROR_HTTP, ERR_NETWORK},
	{GIT_ERROR_SSL, ERR_NETWORK},
	{GIT_ERROR_SSH, ERR_NETWORK},
	{GIT_ERROR_OS, ERR_IO},
};

static enum err_code code_of(int rc, const git_error *last)
{
	for (size_t i = 0; i < ARRAY_LEN(by_result); i++)
		if (by_result[i].rc == rc)
			return by_result[i].code;
	for (size_t i = 0; last && i < ARRAY_LEN(by_class); i++)
		if (by_class[i].class == last->klass)
			return by_class[i].code;
	return ERR_GIT;
}

/* libgit2 puts the system's words at the end of its own; errno has changed by now. */
static bool no_room(const git_error *last)
{
	return last && last->message &&
	       (text_ends(last->message, strerror(ENOSPC)) ||
		       text_ends(last->message, strerror(EDQUOT)));
}

err_t store_error(int rc, const char *fmt, ...)
{
	char where[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(where, sizeof where, fmt, ap);
	va_end(ap);
	const git_error *last = git_error_last();
	enum err_code code = code_of(rc, last);
	if ((code == ERR_IO || code == ERR_GIT) && no_room(last))
		code = ERR_DISK_FULL;
	err_t e = err_new(code, "%s: %s", where,
		last && last->message ? last->message : "libgit2 gives no reason");
	git_error_clear();
	return e;
}

err_t store_tree(git_repository *repo, const char *id, git_tree **ret_tree)
{
	git_oid oid;
	int rc = git_oid_fromstr(&oid, id);
	if (rc >= 0)
		rc = git_tree_lookup(ret_tree, repo, &oid);
	return rc < 0 ? store_error(rc, "tree %s", id) : NULL;
}

err_t store_commit_object(git_repository *repo, const char *id, git_commit **ret_commit)
{
	git_oid oid;
	int rc = git_oid_fromstr(&oid, id);
	if (rc >= 0)
		rc = git_commit_lookup(ret_commit, repo, &oid);
	return rc < 0 ? store_error(rc, "commit %s", id) : NULL;
}

err_t store_commit_tree(struct store *store, const char *commit, char ret_tree[OID_HEX + 1])
{
	git_commit *object AUTO(store_commit_free) = NULL;
	ERR_TRY(store_commit_object(store->repo, commit, &object));
	git_oid_tostr(ret_tree, OID_HEX + 1, git_commit_tree_id(object));
	return NULL;
}
