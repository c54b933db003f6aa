/* view, str_replace and create. Called through the table in tools.c. */
#include "worker/agent/tools.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/edit.h"
#include "worker/agent/tree_file.h"

#define VIEW_MAX 9000 /* bytes of a page, below the cut of long outputs */
#define LINE_MAX_SHOWN 2000
#define AROUND 2 /* lines shown around an edit */
#define EDIT_SHOWN 24
#define OUTPUT_READ_MAX (8u << 20) /* kept outputs are larger than files of a tree may be */

/* Numbered lines first..last, whole ones, up to max bytes. @return the last line shown */
static size_t add_lines(struct buf *out, const char *s, size_t first, size_t last, size_t max)
{
	size_t number = 1, begin = out->len;
	for (; *s && number <= last; number++) {
		size_t n = strcspn(s, "\n");
		size_t shown = n < LINE_MAX_SHOWN ? n : LINE_MAX_SHOWN;
		if (number >= first && out->len - begin + shown > max && number > first)
			break;
		if (number >= first)
			buf_addf(out, "%zu: %.*s%s\n", number,
				(int)(shown && s[shown - 1] == '\r' ? shown - 1 : shown), s,
				shown < n ? " [line cut]" : "");
		s += n + (s[n] == '\n');
	}
	return number - 1;
}

static size_t count_lines(const char *s)
{
	size_t n = 0;
	for (; *s; n++)
		s += strcspn(s, "\n") + (s[strcspn(s, "\n")] == '\n');
	return n;
}

static void list_folder(int root_fd, const char *path, struct tool_result *result)
{
	AUTO(tree_list_release) struct tree_list list = {0};
	err_t e = tree_list_folder(root_fd, path, strlen(path), &list);
	if (e) {
		tool_fail(result, "%s", err_text(e));
		return;
	}
	for (size_t i = 0; i < list.count; i++)
		buf_addf(&result->text, "%s\n", list.paths[i]);
	if (list.cut)
		buf_adds(&result->text, "[there are more]\n");
	if (list.count == 0)
		buf_adds(&result->text, "[empty folder]\n");
}

static size_t line_arg(const json_t *input, const char *name, size_t otherwise)
{
	const json_t *v = json_object_get(input, name);
	return json_is_number(v) && json_number_value(v) >= 1 && json_number_value(v) < 1e9
		       ? (size_t)json_number_value(v)
		       : otherwise;
}

err_t tool_view(struct tool_env *env, const json_t *input, struct tool_result *result)
{
	const char *path = tool_arg(input, "path", result);
	if (!path)
		return NULL;
	AUTO(buf_release) struct buf content = BUF(OUTPUT_READ_MAX);
	int root_fd = tool_folder(env, &path);
	err_t e = tree_file_read(root_fd, path, strlen(path), &content);
	if (err_code(e) == ERR_FORBIDDEN && strstr(err_text(e), "is a folder")) {
		list_folder(root_fd, path, result);
		return NULL;
	}
	if (e || tree_file_is_binary(&content)) {
		tool_fail(result, "%s%s", e ? err_text(e) : path, e ? "" : ": a binary file");
		return NULL;
	}
	size_t lines = count_lines(content.data);
	size_t from = line_arg(input, "from", 1), to = line_arg(input, "to", SIZE_MAX);
	if (lines == 0)
		buf_adds(&result->text, "[empty file]");
	else if (from > lines || to < from)
		tool_fail(result, "%s has lines 1-%zu", path, lines);
	if (lines == 0 || result->is_error)
		return NULL;
	size_t last = add_lines(&result->text, content.data, from, to, VIEW_MAX);
	if (last < lines && last < to)
		buf_addf(&result->text, "[lines %zu-%zu of %zu; for more give from %zu]\n", from,
			last, lines, last + 1);
	return NULL;
}

/* The new passage with its surroundings, so that it need not be viewed again. */
static void show_edit(const char *content, const char *words, struct buf *out)
{
	const char *at = strstr(words, "lines ");
	size_t first = 0, last = 0;
	if (!at || sscanf(at, "lines %zu-%zu", &first, &last) != 2)
		return;
	first = first > AROUND ? first - AROUND : 1;
	last = last - first > EDIT_SHOWN ? first + EDIT_SHOWN : last + AROUND;
	add_lines(out, content, first, last, VIEW_MAX / 2);
}

err_t tool_str_replace(struct tool_env *env, const json_t *input, struct tool_result *result)
{
	const char *path = tool_arg(input, "path", result);
	const char *old_text = path ? tool_arg(input, "old", result) : NULL;
	const char *new_text = old_text ? tool_arg(input, "new", result) : NULL;
	if (!new_text)
		return NULL;
	AUTO(buf_release) struct buf content = BUF(TREE_READ_MAX);
	err_t e = tree_file_read(env->root_fd, path, strlen(path), &content);
	if (e || tree_file_is_binary(&content)) {
		tool_fail(result, "%s%s", e ? err_text(e) : path, e ? "" : ": a binary file");
		return NULL;
	}
	AUTO(buf_release) struct buf changed = BUF(TREE_READ_MAX), words = BUF(8192);
	const struct edit edit = {content.data, old_text, new_text};
	bool done = edit_replace(&edit, &changed, &words);
	buf_addf(&result->text, "%s: %s\n", path, words.data);
	result->is_error = !done;
	if (!done)
		return NULL;
	e = tree_file_write(env->root_fd, path, strlen(path), changed.data, changed.len, true);
	if (e) {
		buf_reset(&result->text);
		tool_fail(result, "%s", err_text(e));
	} else {
		show_edit(changed.data, words.data, &result->text);
	}
	return NULL;
}

err_t tool_create(struct tool_env *env, const json_t *input, struct tool_result *result)
{
	const char *path = tool_arg(input, "path", result);
	const char *text = path ? tool_arg(input, "text", result) : NULL;
	if (!text)
		return NULL;
	bool overwrite = json_is_true(json_object_get(input, "overwrite"));
	err_t e = tree_file_write(env->root_fd, path, strlen(path), text, strlen(text), overwrite);
	if (e)
		tool_fail(result, "%s", err_text(e));
	else
		buf_addf(&result->text, "%s: written, %zu lines", path, count_lines(text));
	return NULL;
}
