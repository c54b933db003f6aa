/* The ladder of str_replace. Pure functions; called by worker/agent/tool_files.c. */
#define _GNU_SOURCE
#include "worker/agent/edit.h"

#include <stdint.h>
#include <string.h>

#include "lib/mem.h"

#define MAX_NAMED 8     /* places named when a text occurs more than once */
#define MAX_SHIFTED 200 /* lines of an old text that is also looked for at other depths */
#define MAX_NEAREST 12  /* lines shown as nearest */

struct line {
	const char *s;
	size_t len;    /* without line end */
	size_t indent; /* leading blanks and tabs; len for a blank line */
};

struct lines {
	struct line *items;
	size_t count;
};

static void lines_release(struct lines *lines)
{
	free(lines->items);
}

static size_t count_lines(const char *s, const char *end)
{
	size_t n = 1;
	for (; (s = memchr(s, '\n', (size_t)(end - s))); s++)
		n++;
	return n;
}

/* Lines without their ends; a text that ends with one has no empty line behind it. */
/* By lengths, not by string functions: a file of two million lines is read once. */
static struct lines split(const char *s)
{
	const char *stop = s + strlen(s);
	struct lines l = {.items = xcalloc(count_lines(s, stop), sizeof(struct line))};
	while (s < stop) {
		const char *end = memchr(s, '\n', (size_t)(stop - s));
		size_t n = (size_t)((end ? end : stop) - s);
		struct line *line = &l.items[l.count++];
		*line = (struct line){s, n, 0};
		if (n > 0 && s[n - 1] == '\r')
			line->len--;
		while (line->indent < line->len &&
			(s[line->indent] == ' ' || s[line->indent] == '\t'))
			line->indent++;
		s += n + (end != NULL);
	}
	return l;
}

static size_t count_of(const char *s, const char *what)
{
	const char *stop = s + strlen(s);
	size_t n = 0, len = strlen(what);
	for (; (s = memmem(s, (size_t)(stop - s), what, len)); s += len)
		n++;
	return n;
}

static void splice(const struct edit *e, const char *at, size_t old_len, const char *new_text,
	struct buf *out, struct buf *words)
{
	size_t first = count_lines(e->content, at);
	size_t extra = *new_text ? count_lines(new_text, new_text + strlen(new_text)) - 1 : 0;
	if (extra > 0 && new_text[strlen(new_text) - 1] == '\n')
		extra--;
	buf_add(out, e->content, (size_t)(at - e->content));
	buf_adds(out, new_text);
	buf_adds(out, at + old_len);
	buf_addf(words, "replaced; the new text is at lines %zu-%zu", first, first + extra);
}

static void say_many(const struct edit *e, const char *old_text, struct buf *words)
{
	buf_addf(words, "the old text occurs %zu times, at lines", count_of(e->content, old_text));
	const char *s = e->content;
	for (int i = 0; i < MAX_NAMED && (s = strstr(s, old_text)); i++, s += strlen(old_text))
		buf_addf(words, "%s %zu", i ? "," : "", count_lines(e->content, s));
	buf_adds(words, "; give more lines around it, so that it occurs once");
}

/* ---- indentation shifted alike ---- */

/* How the file's indentation differs from the old text's: more in front, or less. */
struct shift {
	const char *blanks;
	size_t len;
	bool is_more, is_known;
};

static bool same_line(const struct line *file, const struct line *old, struct shift *shift)
{
	size_t file_rest = file->len - file->indent, old_rest = old->len - old->indent;
	if (file_rest != old_rest ||
		memcmp(file->s + file->indent, old->s + old->indent, old_rest) != 0)
		return false;
	if (old_rest == 0)
		return true;
	bool more = file->indent >= old->indent;
	const struct line *longer = more ? file : old, *shorter = more ? old : file;
	size_t extra = longer->indent - shorter->indent;
	if (memcmp(longer->s + extra, shorter->s, shorter->indent) != 0)
		return false;
	if (!shift->is_known) {
		*shift = (struct shift){longer->s, extra, more, true};
		return true;
	}
	return shift->len == extra && (extra == 0 || shift->is_more == more) &&
	       memcmp(shift->blanks, longer->s, extra) == 0;
}

static bool match_at(
	const struct lines *file, size_t at, const struct lines *old, struct shift *ret)
{
	*ret = (struct shift){0};
	for (size_t i = 0; i < old->count; i++)
		if (!same_line(&file->items[at + i], &old->items[i], ret))
			return false;
	return ret->is_known;
}

static bool shift_text(
	const char *new_text, const struct shift *shift, const char *end, struct buf *out)
{
	AUTO(lines_release) struct lines l = split(new_text);
	for (size_t i = 0; i < l.count; i++) {
		const struct line *line = &l.items[i];
		size_t skip = 0;
		if (shift->is_more && line->indent < line->len)
			buf_add(out, shift->blanks, shift->len);
		else if (!shift->is_more && line->indent < line->len)
			skip = shift->len;
		if (skip > line->indent)
			return false;
		buf_add(out, line->s + skip, line->len - skip);
		buf_adds(out, end);
	}
	return true;
}

static bool replace_shifted(const struct edit *e, struct buf *out, struct buf *words)
{
	AUTO(lines_release) struct lines file = split(e->content);
	AUTO(lines_release) struct lines old = split(e->old_text);
	struct shift shift = {0}, found = {0};
	size_t at = 0, matches = 0;
	bool few = old.count > 0 && old.count <= MAX_SHIFTED;
	for (size_t i = 0; few && i + old.count <= file.count; i++) {
		if (match_at(&file, i, &old, &shift))
			at = i, found = shift, matches++;
	}
	if (matches != 1)
		return false;
	const struct line *last = &file.items[at + old.count - 1];
	const char *end = strstr(e->content, "\r\n") ? "\r\n" : "\n";
	const char *stop = last->s + last->len;
	stop += strspn(stop, "\r") + (stop[strspn(stop, "\r")] == '\n');
	AUTO(buf_release) struct buf text = BUF(out->limit);
	if (!shift_text(e->new_text, &found, end, &text))
		return false;
	if (stop[-1] != '\n' && text.len) /* the file's last line has no end */
		buf_truncate(&text, text.len - strlen(end));
	const char *begin = file.items[at].s;
	splice(e, begin, (size_t)(stop - begin), text.data, out, words);
	buf_adds(words, " (found with another indentation; yours was adapted)");
	return true;
}

/* ---- failure ---- */

static bool alike(const struct line *a, const struct line *b)
{
	size_t n = a->len - a->indent;
	return n > 0 && n == b->len - b->indent &&
	       memcmp(a->s + a->indent, b->s + b->indent, n) == 0;
}

static size_t common_start(const struct line *a, const struct line *b)
{
	const char *p = a->s + a->indent, *q = b->s + b->indent;
	size_t n = 0, max = a->len - a->indent, other = b->len - b->indent;
	for (max = max < other ? max : other; n < max && p[n] == q[n];)
		n++;
	return n;
}

/* The passage with most lines of the old text; without any, the line that begins most like it. */
static size_t nearest(const struct lines *file, const struct lines *old, size_t *ret_score)
{
	size_t best = 0, n = old->count < 100 ? old->count : 100;
	*ret_score = 0;
	for (size_t i = 0; i < file->count; i++) {
		size_t score = 0;
		for (size_t k = 0; k < n && i + k < file->count; k++)
			score += alike(&file->items[i + k], &old->items[k]) ? 1000 : 0;
		size_t start = n ? common_start(&file->items[i], &old->items[0]) : 0;
		score += start < 999 ? start : 999;
		if (score > *ret_score)
			best = i, *ret_score = score;
	}
	return best;
}

static void say_missing(const struct edit *e, struct buf *words)
{
	AUTO(lines_release) struct lines file = split(e->content);
	AUTO(lines_release) struct lines old = split(e->old_text);
	buf_adds(words, "the old text does not occur in the file");
	if (*e->new_text && strstr(e->content, e->new_text))
		buf_adds(words, "; the new text is already present");
	size_t score, at = nearest(&file, &old, &score);
	if (score < 4)
		return;
	buf_adds(words, ". Nearest lines, did you mean these?");
	size_t shown = old.count < MAX_NEAREST ? old.count : MAX_NEAREST;
	for (size_t i = at; i < at + shown && i < file.count; i++)
		buf_addf(words, "\n%zu: %.*s", i + 1, (int)file.items[i].len, file.items[i].s);
}

static char *with_cr(const char *s)
{
	struct buf b = BUF(SIZE_MAX);
	for (; *s; s++) {
		if (*s == '\n')
			buf_addc(&b, '\r');
		buf_addc(&b, *s);
	}
	return buf_take(&b);
}

/* @return 1 done, 0 not found, -1 refused with words */
static int replace_exact(const struct edit *e, const char *old_text, const char *new_text,
	struct buf *out, struct buf *words)
{
	const char *at = strstr(e->content, old_text);
	if (!at)
		return 0;
	if (count_of(e->content, old_text) > 1) {
		say_many(e, old_text, words);
		return -1;
	}
	splice(e, at, strlen(old_text), new_text, out, words);
	return 1;
}

bool edit_replace(const struct edit *e, struct buf *out, struct buf *words)
{
	if (!*e->old_text || strcmp(e->old_text, e->new_text) == 0) {
		buf_adds(words, *e->old_text ? "old and new text are the same"
					     : "the old text is empty; to make a file use create");
		return false;
	}
	int done = replace_exact(e, e->old_text, e->new_text, out, words);
	if (done == 0 && strstr(e->content, "\r\n") && !strchr(e->old_text, '\r')) {
		autofree char *old_text = with_cr(e->old_text), *new_text = with_cr(e->new_text);
		done = replace_exact(e, old_text, new_text, out, words);
	}
	if (done == 0 && replace_shifted(e, out, words))
		done = 1;
	if (done == 0)
		say_missing(e, words);
	return done == 1;
}
