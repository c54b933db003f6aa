/*
 * Parser of env files: a line at a time, no variable expansion, no values over several lines.
 * Called by settings.c; nothing else in the house reads this format.
 */
#define _GNU_SOURCE
#include "lib/env_file.h"

#include <stdbool.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/mem.h"

#define FILE_LIMIT (1 << 20)

/* What a backslash and this letter mean in double quotes; other pairs stay as they are. */
static const char escapes[][2] = {
	{'n', '\n'}, {'t', '\t'}, {'r', '\r'}, {'"', '"'}, {'\\', '\\'}, {'$', '$'}};

static const char *skip_blanks(const char *p)
{
	return p + strspn(p, " \t");
}

static bool ends_here(const char *p)
{
	return *p == '\0' || *p == '#';
}

static size_t name_len(const char *p)
{
	static const char letters[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz_0123456789";
	return *p >= '0' && *p <= '9' ? 0 : strspn(p, letters);
}

static bool add_escape(struct buf *out, char letter)
{
	for (size_t i = 0; i < ARRAY_LEN(escapes); i++)
		if (escapes[i][0] == letter) {
			buf_addc(out, escapes[i][1]);
			return true;
		}
	return false;
}

/* The value in quotes at p. @return what follows the closing quote, NULL when there is none */
static const char *parse_quoted(const char *p, struct buf *value)
{
	char quote = *p++;
	for (; *p && *p != quote; p++) {
		if (quote == '"' && *p == '\\' && p[1] && add_escape(value, p[1]))
			p++;
		else
			buf_addc(value, *p);
	}
	return *p ? p + 1 : NULL;
}

/* Up to " #" or the end, without blanks at the end. */
static void parse_bare(const char *p, struct buf *value)
{
	size_t n = 0;
	while (p[n] && !(p[n] == '#' && n && strchr(" \t", p[n - 1])))
		n++;
	while (n && strchr(" \t", p[n - 1]))
		n--;
	buf_add(value, p, n);
}

static void add_entry(
	struct env_file *file, const char *name, size_t len, struct buf *value, int line)
{
	file->entries = xrealloc(file->entries, (file->count + 1) * sizeof *file->entries);
	file->entries[file->count++] = (struct env_entry){
		.name = xstrndup(name, len),
		.value = buf_take(value),
		.line = line,
	};
}

static err_t parse_line(const char *p, const char *path, int line, struct env_file *file)
{
	p = skip_blanks(p);
	if (ends_here(p))
		return NULL;
	if (strncmp(p, "export", 6) == 0 && strchr(" \t", p[6]) && p[6])
		p = skip_blanks(p + 6);
	const char *name = p;
	size_t len = name_len(p);
	p = skip_blanks(p + len);
	if (len == 0 || *p != '=')
		return err_new(ERR_CONFIG, "%s:%d: not of the form NAME=value", path, line);
	bool blank = p[1] == ' ' || p[1] == '\t';
	p = skip_blanks(p + 1);

	AUTO(buf_release) struct buf value = BUF(FILE_LIMIT);
	if (*p == '"' || *p == '\'') {
		const char *rest = parse_quoted(p, &value);
		if (!rest)
			return err_new(ERR_CONFIG,
				"%s:%d: %.*s: the quote is not closed on its line (write \\n for a "
				"line end)",
				path, line, (int)len, name);
		if (!ends_here(skip_blanks(rest)))
			return err_new(ERR_CONFIG, "%s:%d: %.*s: text after the closing quote",
				path, line, (int)len, name);
	} else if (!(blank && *p == '#')) {
		parse_bare(p, &value);
	}
	add_entry(file, name, len, &value, line);
	return NULL;
}

err_t env_file_parse(const char *text, const char *path, struct env_file *ret_file)
{
	AUTO(env_file_release) struct env_file file = {0};
	if (strncmp(text, "\xef\xbb\xbf", 3) == 0)
		text += 3;
	for (int line = 1; *text; line++) {
		size_t len = strcspn(text, "\n");
		size_t kept = len && text[len - 1] == '\r' ? len - 1 : len;
		autofree char *copy = xstrndup(text, kept);
		ERR_TRY(parse_line(copy, path, line, &file));
		text += len + (text[len] == '\n');
	}
	*ret_file = file;
	file = (struct env_file){0};
	return NULL;
}

err_t env_file_read(const char *path, struct env_file *ret_file)
{
	AUTO(buf_release) struct buf b = BUF(FILE_LIMIT);
	ERR_TRY(buf_read_file(&b, path));
	if (strlen(b.data) != b.len)
		return err_new(ERR_CONFIG, "%s: holds NUL bytes; is it a text file?", path);
	return env_file_parse(b.data, path, ret_file);
}

const struct env_entry *env_file_entry(const struct env_file *file, const char *name)
{
	for (size_t i = file->count; i-- > 0;)
		if (strcmp(file->entries[i].name, name) == 0)
			return &file->entries[i];
	return NULL;
}

const char *env_file_get(const struct env_file *file, const char *name)
{
	const struct env_entry *entry = env_file_entry(file, name);
	return entry ? entry->value : NULL;
}

void env_file_release(struct env_file *file)
{
	for (size_t i = 0; i < file->count; i++) {
		free(file->entries[i].name);
		explicit_bzero(file->entries[i].value, strlen(file->entries[i].value));
		free(file->entries[i].value);
	}
	free(file->entries);
	*file = (struct env_file){0};
}
