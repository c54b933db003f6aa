/* Commits and annotated tags as objects of the store. Called by steps/commit.c and steps/tag.c. */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/git/store_private.h"

static err_t signature(const struct git_identity *who, git_signature **ret_signature)
{
	int rc = who->time_s
			 ? git_signature_new(ret_signature, who->name, who->email, who->time_s, 0)
			 : git_signature_now(ret_signature, who->name, who->email);
	return rc < 0 ? store_error(rc, "author %s <%s>", who->name, who->email) : NULL;
}

err_t store_commit(struct store *store, const char *tree, const char *parent, const char *message,
	const struct git_identity *who, char ret_commit[OID_HEX + 1])
{
	git_tree *content AUTO(store_tree_free) = NULL;
	git_commit *before AUTO(store_commit_free) = NULL;
	git_signature *author AUTO(store_signature_free) = NULL;
	ERR_TRY(store_tree(store->repo, tree, &content));
	ERR_TRY(store_commit_object(store->repo, parent, &before));
	ERR_TRY(signature(who, &author));
	const git_commit *parents[] = {before};
	git_oid id;
	int rc = git_commit_create(
		&id, store->repo, NULL, author, author, NULL, message, content, 1, parents);
	if (rc < 0)
		return store_error(rc, "commit");
	git_oid_tostr(ret_commit, OID_HEX + 1, &id);
	return NULL;
}

/* The tag was made before this run was interrupted, or its name is taken by another commit. */
static err_t check_existing(struct store *store, const char *ref, const git_oid *target)
{
	git_reference *there AUTO(store_reference_free) = NULL;
	git_object *peeled = NULL;
	int rc = git_reference_lookup(&there, store->repo, ref);
	if (rc >= 0)
		rc = git_reference_peel(&peeled, there, GIT_OBJECT_COMMIT);
	if (rc < 0)
		return store_error(rc, "tag %s", ref);
	bool is_same = git_oid_equal(git_object_id(peeled), target);
	git_object_free(peeled);
	return is_same ? NULL : err_new(ERR_CONFLICT, "%s exists and is another commit's", ref);
}

err_t store_untag(struct store *store, const char *name)
{
	AUTO(store_unlock) int lock = -1;
	ERR_TRY(store_lock(store, &lock));
	int rc = git_tag_delete(store->repo, name);
	return rc < 0 && rc != GIT_ENOTFOUND ? store_error(rc, "remove tag %s", name) : NULL;
}

err_t store_tag(struct store *store, const char *name, const char *target, const char *message,
	const struct git_identity *who)
{
	git_commit *commit AUTO(store_commit_free) = NULL;
	git_signature *tagger AUTO(store_signature_free) = NULL;
	autofree char *ref = xasprintf("refs/tags/%s", name);
	AUTO(store_unlock) int lock = -1;
	ERR_TRY(store_commit_object(store->repo, target, &commit));
	ERR_TRY(signature(who, &tagger));
	ERR_TRY(store_lock(store, &lock));
	git_oid id;
	int rc = git_tag_create(&id, store->repo, name, (git_object *)commit, tagger, message, 0);
	if (rc == GIT_EEXISTS)
		return check_existing(store, ref, git_commit_id(commit));
	return rc < 0 ? store_error(rc, "tag %s", name) : NULL;
}
