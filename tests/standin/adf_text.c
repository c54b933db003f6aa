/*
 * Atlassian documents as text that people and tests read, and a small way back for issues made
 * from plain text: paragraphs, # headings, - lists, fenced code.
 */
#define _GNU_SOURCE
#include <string.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "tests/standin/jira.h"
#include "tests/standin/world.h"

#define TEXT_MAX (1u << 20)

static bool is(const json_t *node, const char *type)
{
	return strcmp(jstr(node, "type", ""), type) == 0;
}

static void end_line(struct buf *b)
{
	if (b->len && b->data[b->len - 1] != '\n')
		buf_addc(b, '\n');
}

static void add_text(struct buf *b, const json_t *node)
{
	const char *href = NULL;
	size_t i;
	json_t *mark;
	json_array_foreach (json_object_get(node, "marks"), i, mark) {
		if (is(mark, "link"))
			href = jstr(json_object_get(mark, "attrs"), "href", NULL);
	}
	const char *text = jstr(node, "text", "");
	if (href && strcmp(href, text) != 0)
		buf_addf(b, "[%s](%s)", text, href);
	else
		buf_adds(b, text);
}

static void add_leaf(struct buf *b, const json_t *node)
{
	static const char *const words[] = {"text", "shortName", "url", "timestamp", "alt"};
	const json_t *attrs = json_object_get(node, "attrs");
	for (size_t i = 0; i < ARRAY_LEN(words); i++) {
		const char *s = jstr(attrs, words[i], NULL);
		if (!s)
			continue;
		buf_adds(b, s);
		return;
	}
}

static void open_block(struct buf *b, const json_t *node, int number)
{
	const json_t *attrs = json_object_get(node, "attrs");
	if (is(node, "listItem"))
		number ? buf_addf(b, "%d. ", number) : buf_adds(b, "- ");
	else if (is(node, "heading"))
		buf_addf(b, "%.*s ", (int)jint(attrs, "level", 1), "######");
	else if (is(node, "codeBlock"))
		buf_addf(b, "```%s\n", jstr(attrs, "language", ""));
	else if (is(node, "taskItem"))
		buf_adds(b, strcmp(jstr(attrs, "state", ""), "DONE") == 0 ? "- [x] " : "- [ ] ");
	else if (is(node, "rule"))
		buf_adds(b, "---");
	else if (is(node, "blockquote"))
		buf_adds(b, "> ");
}

/* NOLINTNEXTLINE(misc-no-recursion): documents are trees, checked for depth when they came in. */
static void add_node(struct buf *b, const json_t *node, int number)
{
	if (is(node, "text") || is(node, "hardBreak")) {
		is(node, "text") ? add_text(b, node) : buf_addc(b, '\n');
		return;
	}
	const json_t *content = json_object_get(node, "content");
	open_block(b, node, number);
	if (!content)
		add_leaf(b, node);
	size_t i;
	json_t *child;
	json_array_foreach (content, i, child)
		add_node(b, child, is(node, "orderedList") ? (int)i + 1 : 0);
	if (is(node, "codeBlock")) {
		end_line(b);
		buf_adds(b, "```");
	}
	static const char *const lines[] = {"paragraph", "heading", "codeBlock", "rule", "taskItem",
		"listItem", "blockCard", "embedCard"};
	for (i = 0; i < ARRAY_LEN(lines); i++) {
		if (is(node, lines[i]))
			end_line(b);
	}
}

char *adf_text(const json_t *document)
{
	struct buf b = BUF(TEXT_MAX);
	if (json_is_string(document))
		buf_adds(&b, json_string_value(document));
	else
		add_node(&b, document, 0);
	if (b.len && b.data[b.len - 1] == '\n')
		buf_truncate(&b, b.len - 1);
	return buf_take(&b);
}

/* ---- text to document ---- */

static json_t *text_node(const char *s, size_t n)
{
	return json_pack("{s:s, s:o}", "type", "text", "text", text_jsonn(s, n));
}

static json_t *block(const char *type, const char *s, size_t n)
{
	json_t *content = json_array();
	if (n)
		json_array_append_new(content, text_node(s, n));
	return json_pack("{s:s, s:o}", "type", type, "content", content);
}

static void add_item(json_t *content, const char *s, size_t n)
{
	json_t *last = json_array_get(content, json_array_size(content) - 1);
	if (!last || !is(last, "bulletList")) {
		last = json_pack("{s:s, s:[]}", "type", "bulletList", "content");
		json_array_append_new(content, last);
	}
	json_array_append_new(json_object_get(last, "content"),
		json_pack("{s:s, s:[o]}", "type", "listItem", "content", block("paragraph", s, n)));
}

/* From the opening fence's line; returns the line after the closing one. */
static const char *add_code(json_t *content, const char *line)
{
	const char *language = line + 3;
	size_t language_len = strcspn(language, "\n");
	const char *code = language + language_len + (language[language_len] == '\n');
	const char *end = strstr(code, "```");
	size_t n = end ? (size_t)(end - code) : strlen(code);
	json_t *node = block("codeBlock", code, n && code[n - 1] == '\n' ? n - 1 : n);
	if (language_len)
		json_object_set_new(node, "attrs",
			json_pack("{s:o}", "language", text_jsonn(language, language_len)));
	json_array_append_new(content, node);
	const char *after = end ? end + strcspn(end, "\n") : code + n;
	return after + (*after == '\n');
}

static const char *add_line(json_t *content, const char *line)
{
	size_t n = strcspn(line, "\n"), level = strspn(line, "#");
	if (strncmp(line, "```", 3) == 0)
		return add_code(content, line);
	if (level && level <= 6 && line[level] == ' ') {
		json_t *heading = block("heading", line + level + 1, n - level - 1);
		json_object_set_new(heading, "attrs", json_pack("{s:i}", "level", (int)level));
		json_array_append_new(content, heading);
	} else if (n > 2 && strncmp(line, "- ", 2) == 0) {
		add_item(content, line + 2, n - 2);
	} else if (n) {
		json_array_append_new(content, block("paragraph", line, n));
	}
	return line + n + (line[n] == '\n');
}

json_t *adf_from_text(const char *text)
{
	json_t *content = json_array();
	while (*text)
		text = add_line(content, text);
	return json_pack("{s:s, s:i, s:o}", "type", "doc", "version", 1, "content", content);
}
