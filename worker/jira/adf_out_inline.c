/*
 * Markdown to Atlassian documents: the text inside blocks. Called by adf_out.c.
 */
#include "worker/jira/adf_out_inline.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

#define MAX_DEPTH 32

/* Length in bytes of at most *left characters; *left is lowered by them. */
static size_t fitting(const char *s, size_t *left)
{
	const char *p = s;
	while (*p && *left > 0) {
		p++;
		while (((unsigned char)*p & 0xc0) == 0x80)
			p++;
		--*left;
	}
	return (size_t)(p - s);
}

static json_t *marks_json(const struct adf_marks *marks)
{
	const struct {
		bool on;
		const char *type;
	} plain[] = {
		{marks->code, "code"},
		{marks->strong && !marks->code, "strong"},
		{marks->em && !marks->code, "em"},
		{marks->strike && !marks->code, "strike"},
	};
	json_t *list = json_array();
	for (size_t i = 0; i < ARRAY_LEN(plain); i++)
		if (plain[i].on)
			json_array_append_new(list, json_pack("{s:s}", "type", plain[i].type));
	if (marks->href)
		json_array_append_new(list, json_pack("{s:s, s:{s:o}}", "type", "link", "attrs",
						    "href", text_json(marks->href)));
	return list;
}

static bool joins(const json_t *last, const json_t *marks)
{
	const char *type = json_string_value(json_object_get(last, "type"));
	if (!type || strcmp(type, "text") != 0)
		return false;
	const json_t *have = json_object_get(last, "marks");
	return have ? json_equal(have, marks) : json_array_size(marks) == 0;
}

void adf_text_add(
	struct adf_text *text, json_t *content, const char *raw, const struct adf_marks *marks)
{
	if (!raw || text->full)
		return;
	AUTO(buf_release) struct buf clean = BUF(1 << 20);
	text_clean(
		&clean, raw, strlen(raw)); /* an entity such as &#1; may have brought a control */
	const char *s = clean.data;
	size_t n = fitting(s, &text->left);
	text->full = s[n] != '\0';
	if (n == 0)
		return;
	json_t *list = marks_json(marks);
	json_t *last = json_array_get(content, json_array_size(content) - 1);
	if (last && joins(last, list)) {
		const char *before = json_string_value(json_object_get(last, "text"));
		autofree char *both = xasprintf("%s%.*s", before, (int)n, s);
		json_object_set_new(last, "text", json_string(both));
		json_decref(list);
		return;
	}
	json_t *node = json_pack("{s:s, s:o}", "type", "text", "text", json_stringn(s, n));
	if (json_array_size(list) > 0)
		json_object_set(node, "marks", list);
	json_decref(list);
	json_array_append_new(content, node);
}

/* Jira is given only addresses that a reader may follow safely. */
static bool may_link(const char *url)
{
	static const char *const schemes[] = {"http://", "https://", "mailto:"};
	for (size_t i = 0; i < ARRAY_LEN(schemes); i++) {
		size_t len = strlen(schemes[i]);
		autofree char *head = xstrndup(url, len);
		if (text_ieq(head, schemes[i]) && url[len])
			return true;
	}
	return false;
}

static void children(
	cmark_node *n, struct adf_text *text, json_t *content, struct adf_marks marks, int depth);

static void on_link(
	cmark_node *n, struct adf_text *text, json_t *content, struct adf_marks marks, int depth)
{
	const char *url = cmark_node_get_url(n);
	if (!marks.href && url && may_link(url))
		marks.href = url;
	if (cmark_node_first_child(n))
		children(n, text, content, marks, depth);
	else
		adf_text_add(text, content, url, &marks);
}

static void on_html(
	const char *literal, struct adf_text *text, json_t *content, const struct adf_marks *marks)
{
	if (text_starts(literal, "<br"))
		json_array_append_new(content, json_pack("{s:s}", "type", "hardBreak"));
	else if (!text_starts(literal, "<!--"))
		adf_text_add(text, content, literal, marks);
}

static void one(
	cmark_node *n, struct adf_text *text, json_t *content, struct adf_marks marks, int depth)
{
	cmark_node_type type = cmark_node_get_type(n);
	if (type == CMARK_NODE_TEXT) {
		adf_text_add(text, content, cmark_node_get_literal(n), &marks);
	} else if (type == CMARK_NODE_SOFTBREAK) {
		adf_text_add(text, content, " ", &marks);
	} else if (type == CMARK_NODE_LINEBREAK) {
		json_array_append_new(content, json_pack("{s:s}", "type", "hardBreak"));
	} else if (type == CMARK_NODE_CODE) {
		marks.code = true;
		adf_text_add(text, content, cmark_node_get_literal(n), &marks);
	} else if (type == CMARK_NODE_HTML_INLINE) {
		on_html(cmark_node_get_literal(n), text, content, &marks);
	} else if (type == CMARK_NODE_LINK || type == CMARK_NODE_IMAGE) {
		on_link(n, text, content, marks, depth);
	} else {
		marks.strong |= type == CMARK_NODE_STRONG;
		marks.em |= type == CMARK_NODE_EMPH;
		marks.strike |= strcmp(cmark_node_get_type_string(n), "strikethrough") == 0;
		children(n, text, content, marks, depth);
	}
}

static void children(
	cmark_node *n, struct adf_text *text, json_t *content, struct adf_marks marks, int depth)
{
	if (depth >= MAX_DEPTH) {
		autofree char *plain = cmark_render_plaintext(n, CMARK_OPT_DEFAULT, 0);
		adf_text_add(text, content, plain, &marks);
		return;
	}
	for (cmark_node *c = cmark_node_first_child(n); c && !text->full; c = cmark_node_next(c))
		one(c, text, content, marks, depth + 1);
}

void adf_inline(
	cmark_node *parent, struct adf_text *text, json_t *content, const struct adf_marks *marks)
{
	children(parent, text, content, *marks, 0);
}
