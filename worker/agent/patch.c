/* Reading patches. Called by tool_patch.c; applying them is patch_apply.c. */
#include "worker/agent/patch.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

static const struct {
	const char *head;
	enum patch_kind kind;
} heads[] = {{"*** Add File:", PATCH_ADD}, {"*** Update File:", PATCH_UPDATE},
	{"*** Delete File:", PATCH_DELETE}};

void patch_release(struct patch *patch)
{
	for (size_t i = 0; i < patch->count; i++) {
		free(patch->files[i].path);
		free(patch->files[i].move_to);
		free(patch->files[i].lines);
	}
	free(patch->files);
	*patch = (struct patch){0};
}

static bool begins(const struct patch_line *line, const char *head)
{
	return line->len >= strlen(head) && strncmp(line->text, head, strlen(head)) == 0;
}

/* What stands behind a head, without blanks around it. */
static char *rest(const struct patch_line *line, const char *head)
{
	const char *s = line->text + strlen(head), *end = line->text + line->len;
	while (s < end && *s == ' ')
		s++;
	while (end > s && strchr(" \t\r", end[-1]))
		end--;
	return xstrndup(s, (size_t)(end - s));
}

static bool next_line(const char **s, struct patch_line *ret)
{
	if (!**s)
		return false;
	size_t n = strcspn(*s, "\n");
	*ret = (struct patch_line){0, *s, n && (*s)[n - 1] == '\r' ? n - 1 : n};
	*s += n + ((*s)[n] == '\n');
	return true;
}

static bool open_file(struct patch *patch, const struct patch_line *line)
{
	for (size_t i = 0; i < ARRAY_LEN(heads); i++) {
		if (!begins(line, heads[i].head))
			continue;
		patch->files = xrealloc(patch->files, (patch->count + 1) * sizeof *patch->files);
		patch->files[patch->count++] = (struct patch_file){
			.kind = heads[i].kind, .path = rest(line, heads[i].head)};
		return true;
	}
	return false;
}

static void add_line(struct patch_file *file, char kind, const char *text, size_t len)
{
	file->lines = xrealloc(file->lines, (file->count + 1) * sizeof *file->lines);
	file->lines[file->count++] = (struct patch_line){kind, text, len};
}

/* A line inside a file's part. @return false when it belongs there under no name */
static bool take_line(struct patch_file *file, const struct patch_line *line)
{
	static const char move[] = "*** Move to:";
	char first = line->len ? line->text[0] : ' ';
	if (begins(line, move) && file->kind == PATCH_UPDATE && !file->move_to) {
		file->move_to = rest(line, move);
		return true;
	}
	if (begins(line, "*** End of File"))
		return true;
	if (file->kind == PATCH_UPDATE && begins(line, "@@")) {
		size_t skip = line->len > 2 && line->text[2] == ' ' ? 3 : 2;
		add_line(file, '@', line->text + skip, line->len - skip);
		return true;
	}
	bool fits = file->kind == PATCH_ADD      ? first == '+'
		    : file->kind == PATCH_UPDATE ? strchr(" +-", first) != NULL
						 : line->len == 0;
	if (fits && file->kind != PATCH_DELETE) /* an empty line is empty context */
		add_line(file, first, line->text + (line->len > 0), line->len - (line->len > 0));
	return fits;
}

static bool is_complete(const struct patch *patch, struct buf *words)
{
	if (patch->count == 0)
		buf_adds(words, "the patch names no file (*** Update File: path)");
	for (size_t i = 0; i < patch->count; i++) {
		const struct patch_file *f = &patch->files[i];
		if (!*f->path || (f->move_to && !*f->move_to))
			buf_adds(words, "a file's path is missing");
		else if (f->kind == PATCH_UPDATE && f->count == 0 && !f->move_to)
			buf_addf(words, "%s: nothing to update is given", f->path);
	}
	return words->len == 0;
}

bool patch_parse(const char *text, struct patch *ret_patch, struct buf *words)
{
	struct patch patch = {0};
	struct patch_line line;
	int number = 0;
	bool inside = false, ended = false, good = true;
	while (good && !ended && next_line(&text, &line)) {
		number++;
		if (!inside)
			inside = begins(&line, "*** Begin Patch");
		else if (begins(&line, "*** End Patch"))
			ended = true;
		else if (!open_file(&patch, &line))
			good = patch.count > 0 ? take_line(&patch.files[patch.count - 1], &line)
					       : line.len == 0;
	}
	if (!good)
		buf_addf(words,
			"line %d of the patch is no line of one: it begins neither with a space, + "
			"or - nor with *** or @@: %.*s",
			number, (int)(line.len < 200 ? line.len : 200), line.text);
	else if (!ended)
		buf_adds(words, inside ? "the patch has no *** End Patch: it is not whole"
				       : "there is no *** Begin Patch");
	if (words->len || !is_complete(&patch, words)) {
		patch_release(&patch);
		return false;
	}
	*ret_patch = patch;
	return true;
}
