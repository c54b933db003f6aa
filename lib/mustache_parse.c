/*
 * Mustache templates to tokens: delimiters, standalone lines, which tag closes which section. All
 * that depends on data is mustache.c's.
 */
#define _GNU_SOURCE
#include "lib/mustache_parse.h"

#include <stdbool.h>
#include <string.h>

#include "lib/mem.h"

#define DELIMITER_MAX 16

struct parser {
	const char *name; /* for errors */
	const char *text, *end;
	int line;
	const char *line_counted; /* up to where `line` counts */
	char open[DELIMITER_MAX + 1], close[DELIMITER_MAX + 1];
	size_t sections[MUSTACHE_SECTIONS_MAX]; /* indexes of open ones */
	size_t sections_count;
	struct mustache_tokens tokens;
};

struct tag {
	char sigil;              /* one of #^/>!={& or 0 */
	const char *begin, *end; /* with delimiters */
	const char *name;
	size_t name_len;
	bool alone; /* on its line, of a kind that may take the line away */
	const char *line_begin;
};

static bool is_blank(char c)
{
	return c == ' ' || c == '\t';
}

static bool is_space(char c)
{
	return is_blank(c) || c == '\n' || c == '\r';
}

static int line_of(struct parser *p, const char *at)
{
	for (; p->line_counted < at; p->line_counted++)
		p->line += *p->line_counted == '\n';
	return p->line;
}

static struct mustache_token *add(struct parser *p, enum mustache_token_type type, const char *text,
	size_t len, const char *at)
{
	struct mustache_tokens *t = &p->tokens;
	if ((t->count & (t->count - 1)) == 0)
		t->v = xrealloc(t->v, (t->count ? 2 * t->count : 1) * sizeof *t->v);
	t->v[t->count] = (struct mustache_token){
		.type = type, .p = text, .len = len, .line = line_of(p, at)};
	return &t->v[t->count++];
}

static void add_text(struct parser *p, const char *from, const char *to)
{
	if (to > from)
		add(p, TOKEN_TEXT, from, (size_t)(to - from), from);
}

/* ---- one tag ---- */

static void trim(const char **from, const char **to)
{
	while (*from < *to && is_space(**from))
		(*from)++;
	while (*to > *from && is_space((*to)[-1]))
		(*to)--;
}

/* Is nothing but blanks around the tag on its line(s)? Then its line goes with it. */
static void find_line(const struct parser *p, struct tag *tag)
{
	const char *from = tag->begin, *to = tag->end;
	while (from > p->text && is_blank(from[-1]))
		from--;
	while (is_blank(*to))
		to++;
	bool ends = to == p->end || *to == '\n' || (to[0] == '\r' && to[1] == '\n');
	tag->alone = (from == p->text || from[-1] == '\n') && ends;
	if (!tag->alone)
		return;
	tag->line_begin = from;
	tag->end = to + (*to == '\r') + (to != p->end);
}

/* Reads the tag whose opening delimiter is at `at`. */
static err_t read_tag(struct parser *p, const char *at, struct tag *ret_tag)
{
	struct tag tag = {.begin = at};
	const char *from = at + strlen(p->open);
	char closing[DELIMITER_MAX + 2];
	tag.sigil = *from && strchr("#^/>!={&", *from) ? *from++ : '\0';
	const char *extra = tag.sigil == '{' ? "}" : tag.sigil == '=' ? "=" : "";
	size_t closing_len = strlen(extra) + strlen(p->close);
	memcpy(closing, extra, strlen(extra));
	memcpy(closing + strlen(extra), p->close, strlen(p->close) + 1);
	const char *to = strstr(from, closing);
	if (!to)
		return err_new(ERR_CONFIG, "%s:%d: tag is not closed by %s", p->name,
			line_of(p, at), closing);
	tag.end = to + closing_len;
	trim(&from, &to);
	tag.name = from;
	tag.name_len = (size_t)(to - from);
	if (tag.name_len == 0 && tag.sigil != '!')
		return err_new(ERR_CONFIG, "%s:%d: tag without a name", p->name, line_of(p, at));
	if (tag.sigil && strchr("#^/>!=", tag.sigil))
		find_line(p, &tag);
	*ret_tag = tag;
	return NULL;
}

static err_t set_delimiters(struct parser *p, const struct tag *tag)
{
	const char *end = tag->name + tag->name_len, *open_end = tag->name, *close = end;
	while (open_end < end && !is_space(*open_end))
		open_end++;
	while (close > tag->name && !is_space(close[-1]))
		close--;
	size_t open_len = (size_t)(open_end - tag->name), close_len = (size_t)(end - close);
	const char *middle = open_end, *middle_end = close;
	if (close > open_end)
		trim(&middle, &middle_end);
	if (close <= open_end || middle != middle_end || open_len > DELIMITER_MAX ||
		close_len > DELIMITER_MAX || memchr(tag->name, '=', tag->name_len))
		return err_new(ERR_CONFIG,
			"%s:%d: delimiters must be two words without =, as in {{=<%% %%>=}}",
			p->name, line_of(p, tag->begin));
	memcpy(p->open, tag->name, open_len);
	p->open[open_len] = '\0';
	memcpy(p->close, close, close_len);
	p->close[close_len] = '\0';
	return NULL;
}

static err_t open_section(struct parser *p, const struct tag *tag, enum mustache_token_type type)
{
	if (p->sections_count == MUSTACHE_SECTIONS_MAX)
		return err_new(ERR_CONFIG, "%s:%d: more than %d sections within each other",
			p->name, line_of(p, tag->begin), MUSTACHE_SECTIONS_MAX);
	p->sections[p->sections_count++] = p->tokens.count;
	add(p, type, tag->name, tag->name_len, tag->begin);
	return NULL;
}

static err_t close_section(struct parser *p, const struct tag *tag)
{
	int line = line_of(p, tag->begin);
	if (p->sections_count == 0)
		return err_new(ERR_CONFIG, "%s:%d: {{/%.*s}} closes nothing", p->name, line,
			(int)tag->name_len, tag->name);
	size_t opener = p->sections[--p->sections_count];
	const struct mustache_token *open = &p->tokens.v[opener];
	if (open->len != tag->name_len || memcmp(open->p, tag->name, open->len) != 0)
		return err_new(ERR_CONFIG, "%s:%d: {{/%.*s}} where {{/%.*s}} (line %d) is expected",
			p->name, line, (int)tag->name_len, tag->name, (int)open->len, open->p,
			open->line);
	p->tokens.v[opener].close = p->tokens.count;
	add(p, TOKEN_CLOSE, tag->name, tag->name_len, tag->begin);
	return NULL;
}

static void add_partial(struct parser *p, const struct tag *tag)
{
	struct mustache_token *t = add(p, TOKEN_PARTIAL, tag->name, tag->name_len, tag->begin);
	if (!tag->alone)
		return;
	t->indent = tag->line_begin;
	t->indent_len = (size_t)(tag->begin - tag->line_begin);
}

static err_t take_tag(struct parser *p, const struct tag *tag)
{
	switch (tag->sigil) {
	case '!':
		return NULL;
	case '=':
		return set_delimiters(p, tag);
	case '#':
		return open_section(p, tag, TOKEN_SECTION);
	case '^':
		return open_section(p, tag, TOKEN_INVERTED);
	case '/':
		return close_section(p, tag);
	case '>':
		add_partial(p, tag);
		return NULL;
	default:
		add(p, tag->sigil ? TOKEN_RAW : TOKEN_VALUE, tag->name, tag->name_len, tag->begin);
		return NULL;
	}
}

/* ---- the template ---- */

static err_t parse(struct parser *p)
{
	const char *at = p->text;
	for (const char *open; (open = strstr(at, p->open));) {
		struct tag tag = {0};
		ERR_TRY(read_tag(p, open, &tag));
		add_text(p, at, tag.alone ? tag.line_begin : tag.begin);
		ERR_TRY(take_tag(p, &tag));
		at = tag.end;
	}
	add_text(p, at, p->end);
	if (p->sections_count == 0)
		return NULL;
	const struct mustache_token *open = &p->tokens.v[p->sections[p->sections_count - 1]];
	return err_new(ERR_CONFIG, "%s:%d: unclosed section %.*s", p->name, open->line,
		(int)open->len, open->p);
}

err_t mustache_parse(const char *name, const char *text, struct mustache_tokens *ret_tokens)
{
	struct parser p = {
		.name = name,
		.text = text,
		.end = text + strlen(text),
		.line = 1,
		.line_counted = text,
		.open = "{{",
		.close = "}}",
	};
	err_t e = parse(&p);
	if (e)
		mustache_tokens_release(&p.tokens);
	else
		*ret_tokens = p.tokens;
	return e;
}

void mustache_tokens_release(struct mustache_tokens *tokens)
{
	free(tokens->v);
	*tokens = (struct mustache_tokens){0};
}
