/* Changes between trees as bytes. Called by worker/agent/record.c and by the replay. */
#include "worker/git/change.h"

#include <git2/sys/mempack.h>
#include <git2/sys/odb_backend.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "worker/git/store_private.h"

#define HEAD "airunner-change 1 "
#define HEAD_LEN (sizeof HEAD - 1)
#define IN_MEMORY_FIRST 999 /* before the folders of the store */
#define PATH_LEN_MAX 4096

static void blob_free(git_blob **blob)
{
	git_blob_free(*blob);
}

/* ---- making ---- */

static bool holds_secret(const void *data, size_t len)
{
	AUTO(buf_release) struct buf copy = BUF(len + 4096);
	buf_add(&copy, data, len);
	redact_buf(&copy);
	return copy.len != len || memcmp(copy.data, data, len) != 0;
}

static err_t add_content(struct store *store, const git_diff_file *file, struct buf *out)
{
	git_blob *blob AUTO(blob_free) = NULL;
	char id[OID_HEX + 1];
	size_t path_len = strlen(file->path);
	git_oid_tostr(id, sizeof id, &file->id);
	int rc = file->mode == GIT_FILEMODE_COMMIT ? GIT_ENOTFOUND
						   : git_blob_lookup(&blob, store->repo, &file->id);
	if (rc < 0 && rc != GIT_ENOTFOUND)
		return store_error(rc, "read %s", file->path);
	const void *data = blob ? git_blob_rawcontent(blob) : "";
	size_t len = blob ? (size_t)git_blob_rawsize(blob) : 0;
	if (out->len + len + path_len + 200 > CHANGE_MAX)
		return err_new(
			ERR_TOO_LARGE, "the turn's change is larger than %zu bytes", CHANGE_MAX);
	bool is_out = !blob || holds_secret(data, len);
	buf_addf(out, "%o %s %lld %zu\n%s\n", (unsigned)file->mode, id,
		is_out ? -1LL : (long long)len, path_len, file->path);
	if (!is_out)
		buf_add(out, data, len);
	buf_addc(out, '\n');
	return NULL;
}

static err_t add_delta(struct store *store, const git_diff_delta *delta, struct buf *out)
{
	if (delta->status != GIT_DELTA_DELETED)
		return add_content(store, &delta->new_file, out);
	buf_addf(out, "0 %040d 0 %zu\n%s\n\n", 0, strlen(delta->old_file.path),
		delta->old_file.path);
	return NULL;
}

err_t change_make(struct store *store, const char *from_tree, const char *to_tree, struct buf *out)
{
	git_tree *from AUTO(store_tree_free) = NULL;
	git_tree *to AUTO(store_tree_free) = NULL;
	git_diff *diff AUTO(store_diff_free) = NULL;
	ERR_TRY(store_tree(store->repo, from_tree, &from));
	ERR_TRY(store_tree(store->repo, to_tree, &to));
	git_diff_options options;
	git_diff_options_init(&options, GIT_DIFF_OPTIONS_VERSION);
	options.flags = GIT_DIFF_INCLUDE_TYPECHANGE | GIT_DIFF_SKIP_BINARY_CHECK;
	int rc = git_diff_tree_to_tree(&diff, store->repo, from, to, &options);
	if (rc < 0)
		return store_error(rc, "compare trees");
	buf_addf(out, HEAD "%s %s\n", from_tree, to_tree);
	for (size_t i = 0; i < git_diff_num_deltas(diff); i++)
		ERR_TRY(add_delta(store, git_diff_get_delta(diff, i), out));
	return buf_cut(out) ? err_new(ERR_TOO_LARGE, "the turn's change is too large") : NULL;
}

/* ---- reading ---- */

err_t change_ids(const struct buf *change, struct change_ids *ret_ids)
{
	struct change_ids ids = {0};
	if (change->len < HEAD_LEN ||
		sscanf(change->data, HEAD "%40s %40s", ids.from, ids.to) != 2 ||
		strlen(ids.from) != OID_HEX || strlen(ids.to) != OID_HEX)
		return err_new(ERR_BAD_INPUT, "the record is no change of a tree");
	*ret_ids = ids;
	return NULL;
}

struct entry {
	unsigned mode;
	git_oid id;
	char id_hex[OID_HEX + 1];
	char *path;
	const char *content;
	long long size; /* -1: left out */
};

static void entry_release(struct entry *e)
{
	free(e->path);
}

/* One entry at *at. */
static err_t read_entry(const char **at, const char *end, struct entry *ret)
{
	struct entry e = {0};
	size_t path_len = 0;
	int used = 0;
	const char *line_end = memchr(*at, '\n', (size_t)(end - *at));
	bool ok = line_end && sscanf(*at, "%o %40s %lld %zu%n", &e.mode, e.id_hex, &e.size,
				      &path_len, &used) == 4;
	const char *path = line_end ? line_end + 1 : end;
	size_t size = ok && e.size > 0 ? (size_t)e.size : 0;
	ok = ok && *at + used == line_end && strlen(e.id_hex) == OID_HEX &&
	     git_oid_fromstr(&e.id, e.id_hex) >= 0 && path_len > 0 && path_len <= PATH_LEN_MAX &&
	     size <= CHANGE_MAX && (size_t)(end - path) >= path_len + size + 2 &&
	     path[path_len] == '\n' && path[path_len + 1 + size] == '\n';
	if (!ok)
		return err_new(ERR_BAD_INPUT, "the record is damaged %s",
			path < end ? "in its middle" : "at its end");
	e.path = xstrndup(path, path_len);
	e.content = path + path_len + 1;
	*at = e.content + size + 1;
	*ret = e;
	return NULL;
}

/* ---- applying ---- */

err_t change_in_memory(struct store *store)
{
	git_odb *odb = NULL;
	git_odb_backend *memory = NULL;
	int rc = git_repository_odb(&odb, store->repo);
	if (rc >= 0)
		rc = git_mempack_new(&memory);
	if (rc >= 0)
		rc = git_odb_add_backend(odb, memory, IN_MEMORY_FIRST);
	git_odb_free(odb);
	return rc < 0 ? store_error(rc, "keep objects in memory") : NULL;
}

/* A content that was left out may still be in this machine's store. */
static err_t check_store(struct store *store, const struct entry *e)
{
	git_odb *odb = NULL;
	int rc = git_repository_odb(&odb, store->repo);
	bool is_there = rc >= 0 && git_odb_exists(odb, &e->id);
	git_odb_free(odb);
	if (is_there || e->mode == GIT_FILEMODE_COMMIT)
		return NULL;
	return err_new(ERR_NOT_FOUND,
		"%s: its content was not recorded, as it holds a secret of the settings", e->path);
}

static err_t put_content(struct store *store, const struct entry *e)
{
	git_oid made;
	if (e->size < 0)
		return check_store(store, e);
	int rc = git_blob_create_from_buffer(&made, store->repo, e->content, (size_t)e->size);
	if (rc < 0)
		return store_error(rc, "write %s", e->path);
	return git_oid_equal(&made, &e->id)
		       ? NULL
		       : err_new(ERR_BAD_INPUT, "%s: its content is not the one that was recorded",
				 e->path);
}

static err_t apply_entry(
	struct store *store, git_index *index, const struct entry *e, bool deletions)
{
	if ((e->mode == 0) != deletions)
		return NULL;
	if (deletions) {
		int rc = git_index_remove(index, e->path, 0);
		return rc < 0 ? store_error(rc, "remove %s", e->path) : NULL;
	}
	ERR_TRY(put_content(store, e));
	git_index_entry entry = {.mode = e->mode, .id = e->id, .path = e->path};
	int rc = git_index_add(index, &entry);
	return rc < 0 ? store_error(rc, "add %s", e->path) : NULL;
}

/* Deletions first: a folder may stand where a file was. */
static err_t apply_all(
	struct store *store, git_index *index, const struct buf *change, bool deletions)
{
	const char *end = change->data + change->len;
	const char *at = memchr(change->data, '\n', change->len);
	for (at = at ? at + 1 : end; at < end;) {
		AUTO(entry_release) struct entry e = {0};
		ERR_TRY(read_entry(&at, end, &e));
		ERR_TRY(apply_entry(store, index, &e, deletions));
	}
	return NULL;
}

err_t change_apply(struct store *store, const struct buf *change, const char *from_tree,
	char ret_tree[OID_HEX + 1])
{
	git_tree *from AUTO(store_tree_free) = NULL;
	git_index *index AUTO(store_index_free) = NULL;
	ERR_TRY(store_tree(store->repo, from_tree, &from));
	int rc = git_index_new(&index);
	if (rc >= 0)
		rc = git_index_read_tree(index, from);
	if (rc < 0)
		return store_error(rc, "read tree %s", from_tree);
	ERR_TRY(apply_all(store, index, change, true));
	ERR_TRY(apply_all(store, index, change, false));
	git_oid id;
	rc = git_index_write_tree_to(&id, index, store->repo);
	if (rc < 0)
		return store_error(rc, "write the tree");
	git_oid_tostr(ret_tree, OID_HEX + 1, &id);
	return NULL;
}
