/*
 * Atlassian documents to Markdown-like text, for prompts and for finding our own comments. Blocks
 * and inline nodes have a table each; a node in neither gives its children's text. Called by
 * client.c.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/jira/adf.h"
#include "worker/jira/adf_in_inline.h"

#define MAX_DEPTH 40

static void blocks(const json_t *parent, struct buf *out, int depth);

/* Blocks are set apart by an empty line, items of a list by none. */
static void gap(struct buf *out, const char *between)
{
	if (out->len > 0)
		buf_adds(out, between);
}

/* Appends text with `first` before its first line and `rest` before the others. */
static void indented(struct buf *out, const char *text, const char *first, const char *rest)
{
	for (const char *line = text, *prefix = first; line; prefix = rest) {
		const char *end = strchr(line, '\n');
		size_t len = end ? (size_t)(end - line) : strlen(line);
		buf_adds(out, prefix);
		buf_add(out, line, len);
		while (out->len > 0 && out->data[out->len - 1] == ' ' && len == 0)
			buf_truncate(out, out->len - 1);
		if (end)
			buf_addc(out, '\n');
		line = end ? end + 1 : NULL;
	}
}

static void inlines(const json_t *parent, struct buf *out, int depth)
{
	size_t i;
	json_t *n;
	if (depth > MAX_DEPTH)
		return;
	json_array_foreach (json_object_get(parent, "content"), i, n)
		if (!adf_in_inline(n, out))
			inlines(n, out, depth + 1);
}

/* ---- blocks ---- */

static void on_paragraph(const json_t *n, struct buf *out, int depth)
{
	inlines(n, out, depth);
}

static void on_heading(const json_t *n, struct buf *out, int depth)
{
	json_int_t level =
		json_integer_value(json_object_get(json_object_get(n, "attrs"), "level"));
	buf_addf(out, "%.*s ", (int)(level >= 1 && level <= 6 ? level : 1), "######");
	inlines(n, out, depth);
}

static void on_code(const json_t *n, struct buf *out, int depth)
{
	buf_addf(out, "```%s\n", adf_attr_or(n, "language", "language", ""));
	inlines(n, out, depth);
	buf_adds(out, "\n```");
}

static void on_rule(const json_t *n, struct buf *out, int depth)
{
	(void)n, (void)depth;
	buf_adds(out, "---");
}

static void on_quote(const json_t *n, struct buf *out, int depth)
{
	AUTO(buf_release) struct buf inner = BUF(out->limit);
	const char *panel = adf_attr(n, "panelType");
	if (panel)
		buf_addf(&inner, "**%s:**", panel);
	blocks(n, &inner, depth);
	indented(out, inner.data, "> ", "> ");
}

static void on_expand(const json_t *n, struct buf *out, int depth)
{
	const char *title = adf_attr(n, "title");
	if (title && *title)
		buf_addf(out, "**%s**", title);
	blocks(n, out, depth);
}

/* The sign before an item of each kind of list. */
static void item_sign(const json_t *list, const json_t *item, size_t i, char ret_sign[32])
{
	const char *type = json_string_value(json_object_get(list, "type"));
	const char *state = adf_attr(item, "state");
	json_t *order = json_object_get(json_object_get(list, "attrs"), "order");
	long long from = json_is_number(order) ? (long long)json_number_value(order) : 1;
	if (strcmp(type, "orderedList") == 0)
		snprintf(ret_sign, 32, "%lld. ", from + (long long)i);
	else if (strcmp(type, "taskList") == 0)
		snprintf(ret_sign, 32, "- [%c] ", state && strcmp(state, "DONE") == 0 ? 'x' : ' ');
	else if (strcmp(type, "decisionList") == 0)
		snprintf(ret_sign, 32, "- Decision: ");
	else
		snprintf(ret_sign, 32, "- ");
}

static void on_list(const json_t *n, struct buf *out, int depth)
{
	size_t i;
	json_t *item;
	if (depth > MAX_DEPTH)
		return;
	json_array_foreach (json_object_get(n, "content"), i, item) {
		char sign[32], blank[32] = "";
		const char *type = json_string_value(json_object_get(item, "type"));
		bool nested = type && text_ends(type, "List"); /* task lists nest without an item */
		AUTO(buf_release) struct buf inner = BUF(out->limit);
		if (nested)
			on_list(item, &inner, depth + 1);
		else
			blocks(item, &inner, depth);
		item_sign(n, item, i, sign);
		size_t width = nested || strncmp(sign, "- ", 2) == 0 ? 2 : strlen(sign);
		memset(blank, ' ', width);
		gap(out, "\n");
		indented(out, inner.data, nested ? blank : sign, blank);
	}
}

/* A cell is one line: its blocks are joined by spaces, bars are escaped. */
static void cell(const json_t *n, struct buf *out, int depth)
{
	AUTO(buf_release) struct buf inner = BUF(out->limit);
	blocks(n, &inner, depth);
	buf_addc(out, ' ');
	for (const char *p = inner.data; *p; p++) {
		if (*p == '\n')
			buf_adds(out, p[1] == '\n' ? "" : " ");
		else
			buf_addf(out, "%s%c", *p == '|' ? "\\" : "", *p);
	}
	buf_adds(out, " |");
}

static void on_table(const json_t *n, struct buf *out, int depth)
{
	size_t i, k;
	json_t *row, *c;
	json_array_foreach (json_object_get(n, "content"), i, row) {
		json_t *cells = json_object_get(row, "content");
		buf_adds(out, i ? "\n|" : "|");
		json_array_foreach (cells, k, c)
			cell(c, out, depth + 1);
		if (i == 0)
			buf_adds(out, "\n|");
		for (k = 0; i == 0 && k < json_array_size(cells); k++)
			buf_adds(out, " --- |");
	}
}

static void on_bodied(const json_t *n, struct buf *out, int depth)
{
	(void)adf_in_inline(n, out);
	blocks(n, out, depth);
}

static const struct {
	const char *type;
	void (*on)(const json_t *n, struct buf *out, int depth);
} block_kinds[] = {
	{"paragraph", on_paragraph},
	{"heading", on_heading},
	{"codeBlock", on_code},
	{"rule", on_rule},
	{"blockquote", on_quote},
	{"panel", on_quote},
	{"expand", on_expand},
	{"nestedExpand", on_expand},
	{"bulletList", on_list},
	{"orderedList", on_list},
	{"taskList", on_list},
	{"decisionList", on_list},
	{"table", on_table},
	{"bodiedExtension", on_bodied},
};

static bool block_one(const json_t *n, struct buf *out, int depth)
{
	const char *type = json_string_value(json_object_get(n, "type"));
	for (size_t i = 0; type && i < ARRAY_LEN(block_kinds); i++) {
		if (strcmp(block_kinds[i].type, type) != 0)
			continue;
		AUTO(buf_release) struct buf one = BUF(out->limit);
		block_kinds[i].on(n, &one, depth + 1);
		if (one.len > 0)
			gap(out, depth > 0 && text_ends(type, "List") ? "\n" : "\n\n");
		buf_add(out, one.data, one.len);
		return true;
	}
	return false;
}

/* Children that are inline (a task's text, or text in a node that we do not know) run on. */
static void blocks(const json_t *parent, struct buf *out, int depth)
{
	size_t i;
	json_t *n;
	if (depth > MAX_DEPTH)
		return;
	json_array_foreach (json_object_get(parent, "content"), i, n)
		if (!block_one(n, out, depth) && !adf_in_inline(n, out))
			blocks(n, out, depth + 1);
}

void adf_to_text(const json_t *adf, struct buf *out)
{
	AUTO(buf_release) struct buf text = BUF(out->limit);
	if (json_is_string(adf))
		buf_adds(&text, json_string_value(adf));
	else
		blocks(adf, &text, 0);
	text_clean(out, text.data, text.len);
}
