/* Merging two commits in memory: no work tree, no hooks, no drivers of the repository. Called by
 * steps/push_merge.c. */
#include <string.h>

#include "lib/mem.h"
#include "worker/git/store_private.h"

/* Each path once: a conflict has up to three sides. */
static err_t name_conflicts(git_index *index, struct buf *out)
{
	git_index_conflict_iterator *it = NULL;
	const git_index_entry *base, *ours, *theirs;
	int rc = git_index_conflict_iterator_new(&it, index);
	while (rc >= 0 && (rc = git_index_conflict_next(&base, &ours, &theirs, it)) == 0) {
		const git_index_entry *side = ours ? ours : theirs ? theirs : base;
		buf_addf(out, "%s%s", out->len ? ", " : "", side->path);
	}
	git_index_conflict_iterator_free(it);
	return rc == GIT_ITEROVER ? NULL : store_error(rc, "list the conflicts");
}

err_t store_merge(struct store *store, const char *ours, const char *theirs,
	char ret_tree[OID_HEX + 1], struct buf *conflicts)
{
	git_commit *our AUTO(store_commit_free) = NULL, *their AUTO(store_commit_free) = NULL;
	git_index *index AUTO(store_index_free) = NULL;
	git_merge_options options;
	git_oid id;
	git_merge_options_init(&options, GIT_MERGE_OPTIONS_VERSION);
	ERR_TRY(store_commit_object(store->repo, ours, &our));
	ERR_TRY(store_commit_object(store->repo, theirs, &their));
	int rc = git_merge_commits(&index, store->repo, our, their, &options);
	if (rc < 0)
		return store_error(rc, "merge %.10s with %.10s", ours, theirs);
	if (git_index_has_conflicts(index))
		return name_conflicts(index, conflicts);
	rc = git_index_write_tree_to(&id, index, store->repo);
	if (rc < 0)
		return store_error(rc, "write the merged tree");
	git_oid_tostr(ret_tree, OID_HEX + 1, &id);
	return NULL;
}

err_t store_contains(struct store *store, const char *head, const char *commit, bool *ret_contains)
{
	git_oid a, b;
	int rc = git_oid_fromstr(&a, head);
	if (rc >= 0)
		rc = git_oid_fromstr(&b, commit);
	if (rc >= 0)
		rc = git_oid_equal(&a, &b) ? 1 : git_graph_descendant_of(store->repo, &a, &b);
	*ret_contains = rc == 1;
	return rc < 0 ? store_error(rc, "compare %.10s with %.10s", head, commit) : NULL;
}
