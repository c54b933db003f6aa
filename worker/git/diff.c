/* What differs between two trees, for people, the model and the run's figures. Called by steps and
 * agent. */
#include <jansson.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/git/store_private.h"

static err_t tree_or_none(struct store *store, const char *id, git_tree **ret_tree)
{
	return id ? store_tree(store->repo, id, ret_tree) : NULL;
}

static err_t compare(struct store *store, const char *from, const char *to, git_diff **ret_diff)
{
	git_tree *old AUTO(store_tree_free) = NULL;
	git_tree *new AUTO(store_tree_free) = NULL;
	git_diff_options options;
	ERR_TRY(tree_or_none(store, from, &old));
	ERR_TRY(tree_or_none(store, to, &new));
	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	options.id_abbrev = 10;
	int rc = git_diff_tree_to_tree(ret_diff, store->repo, old, new, &options);
	return rc < 0 ? store_error(rc, "compare trees") : NULL;
}

static int add_line(const git_diff_delta *delta, const git_diff_hunk *hunk,
	const git_diff_line *line, void *arg)
{
	(void)delta, (void)hunk;
	struct buf *out = arg;
	if (line->origin == GIT_DIFF_LINE_CONTEXT || line->origin == GIT_DIFF_LINE_ADDITION ||
		line->origin == GIT_DIFF_LINE_DELETION)
		buf_addc(out, line->origin);
	buf_add(out, line->content, line->content_len);
	return buf_cut(out) ? GIT_EUSER : 0; /* out shows that it was cut */
}

static err_t count(git_diff *diff, struct diff_stat *ret_stat)
{
	git_diff_stats *stats = NULL;
	int rc = git_diff_get_stats(&stats, diff);
	if (rc < 0)
		return store_error(rc, "count changes");
	*ret_stat = (struct diff_stat){
		.files_changed = (int)git_diff_stats_files_changed(stats),
		.lines_added = (int)git_diff_stats_insertions(stats),
		.lines_removed = (int)git_diff_stats_deletions(stats),
	};
	git_diff_stats_free(stats);
	return NULL;
}

err_t store_diff(struct store *store, const char *from_tree, const char *to_tree, struct buf *out,
	struct diff_stat *ret_stat)
{
	git_diff *diff AUTO(store_diff_free) = NULL;
	ERR_TRY(compare(store, from_tree, to_tree, &diff));
	if (ret_stat)
		ERR_TRY(count(diff, ret_stat));
	int rc = out ? git_diff_print(diff, GIT_DIFF_FORMAT_PATCH, add_line, out) : 0;
	return rc < 0 && !buf_cut(out) ? store_error(rc, "print changes") : NULL;
}

err_t store_changed_paths(
	struct store *store, const char *from_tree, const char *to_tree, struct json_t **ret_paths)
{
	git_diff *diff AUTO(store_diff_free) = NULL;
	ERR_TRY(compare(store, from_tree, to_tree, &diff));
	json_t *paths = json_array();
	for (size_t i = 0; i < git_diff_num_deltas(diff); i++) {
		const git_diff_delta *delta = git_diff_get_delta(diff, i);
		const char *status = delta->status == GIT_DELTA_ADDED     ? "added"
				     : delta->status == GIT_DELTA_DELETED ? "deleted"
									  : "modified";
		json_array_append_new(
			paths, json_pack("{s:o s:s}", "path", text_json(delta->new_file.path),
				       "status", status));
	}
	*ret_paths = paths;
	return NULL;
}
