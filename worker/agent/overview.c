/* The repository's overview. Called by worker/steps/context.c. */
#include "worker/agent/overview.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/agent/tree_file.h"
#include "worker/agent/outside.h"

#define WALK_MAX 20000
#define FILES_MAX 4000
#define DEEPEST 8
#define SCRIPTS_MAX 1500

/* The first of each row that exists. */
static const struct {
	const char *names[4];
	size_t max;
} guides[] = {
	{{"AGENTS.md", "CLAUDE.md", ".github/copilot-instructions.md", NULL}, 8000},
	{{"README.md", "readme.md", "README", "README.rst"}, 2000},
};

/* Bytes of the path up to its depth-th folder, all of it when it is not that deep. */
static size_t shown_len(const char *path, int depth)
{
	const char *p = path;
	for (int i = 0; i < depth; i++) {
		p = strchr(p, '/');
		if (!p)
			return strlen(path);
		p++;
	}
	return (size_t)(p - path);
}

/* Files down to a depth; what is deeper is one line a folder. @return does it fit? */
static bool list_files(const struct tree_list *list, int depth, struct buf *out)
{
	for (size_t i = 0; i < list->count && !buf_cut(out);) {
		const char *path = list->paths[i];
		size_t n = shown_len(path, depth), same = 1;
		bool is_folder = path[n] != '\0';
		while (is_folder && i + same < list->count &&
			strncmp(list->paths[i + same], path, n) == 0)
			same++;
		if (is_folder)
			buf_addf(out, "%.*s (%zu %s)\n", (int)n, path, same,
				same == 1 ? "file" : "files");
		else
			buf_addf(out, "%s\n", path);
		i += same;
	}
	return !buf_cut(out);
}

static json_t *make_files(const struct tree_list *list)
{
	AUTO(buf_release) struct buf b = BUF(FILES_MAX);
	for (int depth = DEEPEST; depth >= 1; depth--) {
		buf_reset(&b);
		if (list_files(list, depth, &b))
			break;
	}
	const char *more = buf_cut(&b) || list->cut ? "\n[there are more]\n" : "";
	AUTO(buf_release) struct buf clean = BUF(2 * FILES_MAX);
	outside_text(&clean, b.data, b.len, FILES_MAX);
	buf_adds(&clean, more);
	return text_jsonn(clean.data, clean.len);
}

static json_t *make_scripts(int root_fd)
{
	AUTO(buf_release) struct buf content = BUF(TREE_READ_MAX), b = BUF(SCRIPTS_MAX);
	err_t e = tree_file_read(root_fd, "package.json", strlen("package.json"), &content);
	json_auto_t *package = e ? NULL : json_loadb(content.data, content.len, 0, NULL);
	const char *name;
	json_t *command;
	json_object_foreach (json_object_get(package, "scripts"), name, command) {
		if (json_is_string(command))
			buf_addf(&b, "%s: %s\n", name, json_string_value(command));
	}
	AUTO(buf_release) struct buf clean = BUF(2 * SCRIPTS_MAX);
	outside_text(&clean, b.data, b.len, SCRIPTS_MAX);
	return clean.len ? text_jsonn(clean.data, clean.len) : json_null();
}

static json_t *read_guide(int root_fd, size_t row)
{
	for (size_t i = 0; i < ARRAY_LEN(guides[row].names) && guides[row].names[i]; i++) {
		const char *path = guides[row].names[i];
		AUTO(buf_release) struct buf content = BUF(64u << 10), clean = BUF(32u << 10);
		err_t e = tree_file_read(root_fd, path, strlen(path), &content);
		if ((e && err_code(e) != ERR_TOO_LARGE) || tree_file_is_binary(&content))
			continue;
		size_t max = guides[row].max;
		bool is_more = content.len > max;
		if (is_more)
			buf_truncate(&content, max);
		outside_text(&clean, content.data, content.len, 2 * max);
		if (is_more)
			buf_addf(&clean, "\n[the beginning; the rest is in %s]", path);
		json_t *text = text_jsonn(clean.data, clean.len);
		return json_pack("{s:s,s:o}", "path", path, "text", text);
	}
	return NULL;
}

err_t overview_make(int root_fd, json_t **ret_overview)
{
	AUTO(tree_list_release) struct tree_list list = {0};
	ERR_TRY(tree_list_walk(root_fd, ".", 1, WALK_MAX, &list));
	json_t *found = json_array();
	for (size_t i = 0; i < ARRAY_LEN(guides); i++) {
		json_t *guide = read_guide(root_fd, i);
		if (guide)
			json_array_append_new(found, guide);
	}
	*ret_overview = json_pack("{s:o,s:o,s:o}", "files", make_files(&list), "scripts",
		make_scripts(root_fd), "guides", found);
	return NULL;
}
