/* Applying one file's part of a patch. Called by tool_patch.c. */
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/patch.h"

#define SHOWN 12 /* lines shown of the file where a hunk does not fit */

struct content {
	struct patch_line *lines;
	size_t count;
	const char *line_end;
	bool ends_open; /* the last line has no end */
};

/* A hunk: from its first line to the next anchor. */
struct hunk {
	const struct patch_line *lines;
	size_t count;
	size_t olds; /* context and old lines */
};

static void content_release(struct content *c)
{
	free(c->lines);
}

static struct content split(const char *s)
{
	struct content c = {.line_end = "\n"};
	size_t room = 0;
	while (*s) {
		size_t n = strcspn(s, "\n");
		if (c.count == room) {
			room = room ? 2 * room : 64;
			c.lines = xrealloc(c.lines, room * sizeof *c.lines);
		}
		bool has_cr = n > 0 && s[n - 1] == '\r' && s[n] == '\n';
		if (has_cr && c.count == 0)
			c.line_end = "\r\n";
		c.lines[c.count++] = (struct patch_line){' ', s, n - has_cr};
		c.ends_open = s[n] == '\0';
		s += n + (s[n] == '\n');
	}
	return c;
}

static size_t trimmed(const struct patch_line *l)
{
	size_t n = l->len;
	while (n > 0 && strchr(" \t\r", l->text[n - 1]))
		n--;
	return n;
}

static bool same(const struct patch_line *a, const struct patch_line *b)
{
	size_t n = trimmed(a);
	return n == trimmed(b) && memcmp(a->text, b->text, n) == 0;
}

static bool fits_at(const struct content *c, size_t at, const struct hunk *h)
{
	for (size_t i = 0; i < h->count; i++) {
		if (h->lines[i].kind == '+')
			continue;
		if (at == c->count || !same(&c->lines[at++], &h->lines[i]))
			return false;
	}
	return true;
}

/* The first place from `from` on; how many there are in *ret_count. */
static size_t find(const struct content *c, size_t from, const struct hunk *h, size_t *ret_count)
{
	size_t first = 0;
	*ret_count = 0;
	for (size_t at = from; at + h->olds <= c->count; at++)
		if (fits_at(c, at, h) && (*ret_count)++ == 0)
			first = at;
	return first;
}

/* The line after the anchor; models write it without the line's indentation too. */
static bool find_anchor(
	const struct content *c, size_t from, const struct patch_line *anchor, size_t *ret)
{
	for (size_t i = from; i < c->count; i++) {
		struct patch_line line = c->lines[i], wanted = *anchor;
		while (line.len && strchr(" \t", *line.text))
			line.text++, line.len--;
		while (wanted.len && strchr(" \t", *wanted.text))
			wanted.text++, wanted.len--;
		if (same(&line, &wanted)) {
			*ret = i + 1;
			return true;
		}
	}
	return false;
}

/* ---- words ---- */

static void add_text(struct buf *words, const struct patch_line *l)
{
	buf_addf(words, "%.*s", (int)(l->len < 200 ? l->len : 200), l->text);
}

/* Where the hunk's first telling line stands, with what follows it there. */
static void show_nearest(const struct content *c, const struct hunk *h, struct buf *words)
{
	for (size_t i = 0; i < h->count; i++) {
		size_t at;
		if (h->lines[i].kind == '+' || trimmed(&h->lines[i]) < 4 ||
			!find_anchor(c, 0, &h->lines[i], &at))
			continue;
		buf_addf(words, " The file has from line %zu on:\n", at);
		for (size_t n = at - 1; n < c->count && n < at - 1 + SHOWN; n++) {
			add_text(words, &c->lines[n]);
			buf_addc(words, '\n');
		}
		return;
	}
	buf_adds(words, " None of them is in the file: view it.");
}

static bool refuse(const struct content *c, const struct hunk *h, size_t number, size_t places,
	struct buf *words)
{
	if (places > 1) {
		buf_addf(words,
			"hunk %zu: its lines stand at %zu places: give more context, or the line "
			"of its function or class after @@",
			number, places);
		return false;
	}
	buf_addf(words, "hunk %zu: its lines do not stand together in the file.", number);
	show_nearest(c, h, words);
	return false;
}

/* ---- applying ---- */

static void emit(struct buf *out, const struct patch_line *l, const char *line_end)
{
	buf_add(out, l->text, l->len);
	buf_adds(out, line_end);
}

/* Context keeps the file's own bytes. */
static size_t emit_hunk(const struct content *c, size_t at, const struct hunk *h, struct buf *out)
{
	for (size_t i = 0; i < h->count; i++) {
		if (h->lines[i].kind == '+')
			emit(out, &h->lines[i], c->line_end);
		else if (h->lines[i].kind == ' ')
			emit(out, &c->lines[at], c->line_end);
		at += h->lines[i].kind != '+';
	}
	return at;
}

static struct hunk next_hunk(const struct patch_file *file, size_t *i)
{
	struct hunk h = {.lines = &file->lines[*i]};
	for (; *i < file->count && file->lines[*i].kind != '@'; ++*i, h.count++)
		h.olds += file->lines[*i].kind != '+';
	return h;
}

/* Anchors before a hunk, e.g. class and function, each found after the one before. */
static bool take_anchors(const struct content *c, const struct patch_file *file, size_t *i,
	size_t *from, bool *ret_any, struct buf *words)
{
	*ret_any = false;
	for (; *i < file->count && file->lines[*i].kind == '@'; ++*i) {
		const struct patch_line *anchor = &file->lines[*i];
		if (trimmed(anchor) == 0)
			continue;
		*ret_any = true;
		if (find_anchor(c, *from, anchor, from))
			continue;
		buf_adds(words, "the line after @@ is not in the file (or stands before the hunk "
				"above): ");
		add_text(words, anchor);
		return false;
	}
	return true;
}

static bool update(
	const struct patch_file *file, const struct content *c, struct buf *out, struct buf *words)
{
	size_t done = 0, number = 0;
	for (size_t i = 0; i < file->count;) {
		size_t from = done, places = 1;
		bool anchored;
		if (!take_anchors(c, file, &i, &from, &anchored, words))
			return false;
		struct hunk h = next_hunk(file, &i);
		number++;
		if (h.count == 0)
			continue;
		/* only new lines: behind the anchor, else at the end */
		size_t at = anchored ? from : c->count;
		if (h.olds > 0)
			at = find(c, from, &h, &places);
		if (places == 0 || (places > 1 && !anchored))
			return refuse(c, &h, number, places, words);
		for (; done < at; done++)
			emit(out, &c->lines[done], c->line_end);
		done = emit_hunk(c, at, &h, out);
	}
	for (; done < c->count; done++)
		emit(out, &c->lines[done], c->line_end);
	return true;
}

bool patch_apply(
	const struct patch_file *file, const char *content, struct buf *out, struct buf *words)
{
	AUTO(content_release) struct content c = split(content);
	if (!update(file, &c, out, words))
		return false;
	if (c.ends_open && c.count > 0 && out->len > 0)
		buf_truncate(out, out->len - strlen(c.line_end));
	return true;
}
