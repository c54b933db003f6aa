/*
 * apply_patch, for models whose profile names edit_format "patch". Nothing is written before every
 * hunk of every file fits. Called through the table in tools.c.
 */
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/patch.h"
#include "worker/agent/tools.h"
#include "worker/agent/tree_file.h"

#define FILES_MAX 100

/* A file as it will be. */
struct change {
	const struct patch_file *file;
	struct buf content;
};

struct changes {
	struct change items[FILES_MAX];
	size_t count;
};

static void changes_release(struct changes *changes)
{
	for (size_t i = 0; i < changes->count; i++)
		buf_release(&changes->items[i].content);
}

/* What is there before; a file that is to be added must not be. */
static bool read_before(
	int root_fd, const struct patch_file *f, struct buf *content, struct tool_result *result)
{
	err_t e = tree_file_read(root_fd, f->path, strlen(f->path), content);
	bool is_new = f->kind == PATCH_ADD;
	if (is_new && err_code(e) == ERR_NOT_FOUND)
		return true;
	if (is_new && !e)
		tool_fail(result, "%s: exists already: *** Update File changes it", f->path);
	else if (e)
		tool_fail(result, "%s", err_text(e));
	else if (tree_file_is_binary(content))
		tool_fail(result, "%s: a binary file", f->path);
	return !result->is_error;
}

static bool plan(int root_fd, const struct patch_file *f, struct changes *changes,
	struct tool_result *result)
{
	AUTO(buf_release) struct buf before = BUF(TREE_READ_MAX), words = BUF(16384);
	for (size_t i = 0; i < changes->count; i++)
		if (strcmp(changes->items[i].file->path, f->path) == 0) {
			tool_fail(result, "%s: put all of a file's hunks into one part", f->path);
			return false;
		}
	if (changes->count == FILES_MAX) {
		tool_fail(result, "more than %d files in one patch", FILES_MAX);
		return false;
	}
	if (!read_before(root_fd, f, &before, result))
		return false;
	struct change *c = &changes->items[changes->count++];
	*c = (struct change){f, BUF(TREE_READ_MAX)};
	if (f->kind == PATCH_DELETE || patch_apply(f, before.data, &c->content, &words))
		return true;
	tool_fail(result, "%s: %s", f->path, words.data);
	return false;
}

/* The move goes first: when it is refused nothing of the file is changed. */
static err_t carry_out(int root_fd, const struct change *c)
{
	const struct patch_file *f = c->file;
	const char *at = f->move_to ? f->move_to : f->path;
	if (f->kind == PATCH_DELETE)
		return tree_file_remove(root_fd, f->path, strlen(f->path));
	if (f->move_to)
		ERR_TRY(tree_file_move(root_fd, f->path, strlen(f->path), at, strlen(at)));
	return tree_file_write(
		root_fd, at, strlen(at), c->content.data, c->content.len, f->kind == PATCH_UPDATE);
}

static void tell(const struct change *c, struct buf *out)
{
	static const char *const deeds[] = {
		[PATCH_ADD] = "added", [PATCH_UPDATE] = "updated", [PATCH_DELETE] = "deleted"};
	buf_addf(out, "%s: %s", c->file->path, deeds[c->file->kind]);
	if (c->file->move_to)
		buf_addf(out, " and moved to %s", c->file->move_to);
	buf_addc(out, '\n');
}

err_t tool_patch(struct tool_env *env, const json_t *input, struct tool_result *result)
{
	AUTO(patch_release) struct patch patch = {0};
	AUTO(buf_release) struct buf words = BUF(4096);
	AUTO(changes_release) struct changes changes = {0};
	const char *text = tool_arg(input, "patch", result);
	if (!text)
		return NULL;
	if (!patch_parse(text, &patch, &words)) {
		tool_fail(result, "%s. Nothing was changed.", words.data);
		return NULL;
	}
	for (size_t i = 0; i < patch.count; i++)
		if (!plan(env->root_fd, &patch.files[i], &changes, result)) {
			buf_adds(&result->text, "\nNothing was changed.");
			return NULL;
		}
	for (size_t i = 0; i < changes.count; i++) {
		err_t e = carry_out(env->root_fd, &changes.items[i]);
		if (e) {
			tool_fail(result, "%s: what is named above is done, the rest is not",
				err_text(e));
			return NULL;
		}
		tell(&changes.items[i], &result->text);
	}
	return NULL;
}
