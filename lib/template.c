/*
 * Templates by name from the share folder, each read once. Called by pages, prompts, Jira and forge
 * texts. Rendering is mustache.c's.
 */
#include "lib/template.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/mustache.h"
#include "lib/text.h"

#define FILE_LIMIT ((size_t)1 << 20)

/* A file read; a missing one is kept as such (text NULL). */
struct file {
	struct file *next;
	char *path, *text;
};
static struct file *files;

/* What partials of one rendering need. */
struct source {
	const struct settings *set;
	const char *name;
	char *missing; /* first partial that was in neither place: its path */
};

/* @return ERR_NOT_FOUND beside what buf_read_file() says */
static err_t read_once(const char *path, const char **ret_text)
{
	for (struct file *f = files; f; f = f->next)
		if (strcmp(f->path, path) == 0) {
			*ret_text = f->text;
			return f->text ? NULL : err_new(ERR_NOT_FOUND, "%s: no such file", path);
		}
	AUTO(buf_release) struct buf b = BUF(FILE_LIMIT);
	err_t e = buf_read_file(&b, path);
	if (e && err_code(e) != ERR_NOT_FOUND)
		return e;
	struct file *f = xcalloc(1, sizeof *f);
	*f = (struct file){.next = files, .path = xstrdup(path), .text = e ? NULL : buf_take(&b)};
	files = f;
	*ret_text = f->text;
	return e;
}

static err_t read_template(const struct settings *set, const char *name, const char **ret_text)
{
	autofree char *relative = xasprintf("templates/%s", name);
	autofree char *path = settings_share_path(set, relative);
	err_t e = read_once(path, ret_text);
	return e ? err_new(ERR_CONFIG, "template %s: %s (AIRUNNER_SHARE_DIR names the folder)",
			   name, err_text(e))
		 : NULL;
}

/* Names come from our own templates; still, none leaves the folder. */
static bool is_inside(const char *name)
{
	return *name && *name != '/' && !strstr(name, "..");
}

static const char *extension(const char *name)
{
	const char *slash = strrchr(name, '/'), *dot = strrchr(name, '.');
	return dot && (!slash || dot > slash) ? dot : "";
}

/* {{>x}} of pages/status.html: pages/x.html, then x.html. */
static const char *find_partial(void *arg, const char *partial)
{
	struct source *source = arg;
	const char *slash = strrchr(source->name, '/');
	int folder_len = slash ? (int)(slash + 1 - source->name) : 0;
	const char *ext = *extension(partial) ? "" : extension(source->name);
	autofree char *beside = xasprintf("%.*s%s%s", folder_len, source->name, partial, ext);
	autofree char *above = xasprintf("%s%s", partial, ext);
	const char *text = NULL;
	if (is_inside(partial) && (!read_template(source->set, beside, &text) ||
					  !read_template(source->set, above, &text)))
		return text;
	if (!source->missing)
		source->missing = xstrdup(beside);
	return NULL;
}

err_t template_render(
	const struct settings *set, const char *name, const json_t *data, struct buf *out)
{
	const char *text;
	ERR_TRY(read_template(set, name, &text));
	struct source source = {.set = set, .name = name};
	const struct mustache_options options = {
		.mode = text_ends(name, ".html") ? MUSTACHE_HTML : MUSTACHE_PLAIN,
		.partial = find_partial,
		.arg = &source,
	};
	err_t e = mustache_render(name, text, data, &options, out);
	autofree char *missing = source.missing;
	if (!e && missing)
		e = err_new(ERR_CONFIG, "template %s: no partial %s", name, missing);
	return e;
}

void template_clear(void)
{
	while (files) {
		struct file *f = files;
		files = f->next;
		free(f->path);
		free(f->text);
		free(f);
	}
}
