/*
 * Markdown to Atlassian documents: the blocks. The tree is cmark-gfm's; each kind of block has one
 * function in the table below. Inline text is adf_out_inline.c's. Called by client.c for comments.
 */
#include "worker/jira/adf.h"

#include <cmark-gfm-core-extensions.h>
#include <cmark-gfm-extension_api.h>
#include <cmark-gfm.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/jira/adf_out_inline.h"

#define MAX_DEPTH 16

/* What the block stands in decides what it may be. */
enum inside { IN_DOC, IN_ITEM, IN_QUOTE };

struct place {
	struct adf_text *text;
	json_t *content; /* borrowed: the array that gets the blocks */
	enum inside inside;
	int depth;
};

static void blocks(cmark_node *parent, const struct place *at);

static json_t *node(const char *type, json_t *content)
{
	json_t *n = json_pack("{s:s}", "type", type);
	if (content && json_array_size(content) > 0)
		json_object_set(n, "content", content);
	json_decref(content);
	return n;
}

static json_t *paragraph(const char *text)
{
	return node("paragraph",
		text && *text ? json_pack("[{s:s, s:o}]", "type", "text", "text", text_json(text))
			      : NULL);
}

static void put(const struct place *at, json_t *block)
{
	json_array_append_new(at->content, block);
}

static void put_code(const struct place *at, const char *language, const char *literal)
{
	size_t len = literal ? strlen(literal) : 0;
	while (len > 0 && literal[len - 1] == '\n')
		len--;
	autofree char *code = xstrndup(literal ? literal : "", len);
	json_t *content = json_array();
	adf_text_add(at->text, content, code, &(struct adf_marks){0});
	json_t *block = node("codeBlock", content);
	if (language && *language)
		json_object_set_new(block, "attrs",
			json_pack("{s:o}", "language",
				text_jsonn(language, strcspn(language, " \t,{"))));
	put(at, block);
}

/* What has no place in a document here (tables, for now; very deep nesting) stays readable as code.
 */
static void put_rendered(cmark_node *n, const struct place *at)
{
	autofree char *literal = cmark_render_commonmark(n, CMARK_OPT_DEFAULT, 0);
	put_code(at, NULL, literal);
}

/* ---- one function for each kind of block ---- */

static void on_paragraph(cmark_node *n, const struct place *at)
{
	json_t *content = json_array();
	adf_inline(n, at->text, content, &(struct adf_marks){0});
	if (json_array_size(content) > 0)
		put(at, node("paragraph", content));
	else
		json_decref(content);
}

/* Only the document itself may hold headings; elsewhere they are bold paragraphs. */
static void on_heading(cmark_node *n, const struct place *at)
{
	json_t *content = json_array();
	adf_inline(n, at->text, content, &(struct adf_marks){.strong = at->inside != IN_DOC});
	if (json_array_size(content) == 0) {
		json_decref(content);
		return;
	}
	json_t *block = node(at->inside == IN_DOC ? "heading" : "paragraph", content);
	if (at->inside == IN_DOC)
		json_object_set_new(block, "attrs",
			json_pack("{s:i}", "level", cmark_node_get_heading_level(n)));
	put(at, block);
}

static void on_quote(cmark_node *n, const struct place *at)
{
	if (at->inside != IN_DOC) {
		blocks(n, at); /* a quote may stand nowhere else: its blocks take its place */
		return;
	}
	json_t *content = json_array();
	blocks(n, &(struct place){at->text, content, IN_QUOTE, at->depth + 1});
	if (json_array_size(content) > 0)
		put(at, node("blockquote", content));
	else
		json_decref(content);
}

static void on_list(cmark_node *n, const struct place *at)
{
	json_t *items = json_array();
	for (cmark_node *i = cmark_node_first_child(n); i && !at->text->full;
		i = cmark_node_next(i)) {
		json_t *content = json_array();
		blocks(i, &(struct place){at->text, content, IN_ITEM, at->depth + 1});
		const char *first =
			json_string_value(json_object_get(json_array_get(content, 0), "type"));
		if (!first || text_ends(first, "List")) /* an item begins with text */
			json_array_insert_new(content, 0, paragraph(NULL));
		json_array_append_new(items, node("listItem", content));
	}
	if (json_array_size(items) == 0) {
		json_decref(items);
		return;
	}
	bool ordered = cmark_node_get_list_type(n) == CMARK_ORDERED_LIST;
	json_t *block = node(ordered ? "orderedList" : "bulletList", items);
	if (ordered)
		json_object_set_new(
			block, "attrs", json_pack("{s:i}", "order", cmark_node_get_list_start(n)));
	put(at, block);
}

static void on_code(cmark_node *n, const struct place *at)
{
	put_code(at, cmark_node_get_fence_info(n), cmark_node_get_literal(n));
}

static void on_html(cmark_node *n, const struct place *at)
{
	const char *literal = cmark_node_get_literal(n);
	if (!text_starts(literal, "<!--"))
		put_code(at, "html", literal);
}

static void on_rule(cmark_node *n, const struct place *at)
{
	(void)n;
	if (at->inside == IN_DOC)
		put(at, node("rule", NULL));
}

static const struct {
	const char *type; /* cmark's word */
	void (*on)(cmark_node *n, const struct place *at);
} kinds[] = {
	{"paragraph", on_paragraph},
	{"heading", on_heading},
	{"block_quote", on_quote},
	{"list", on_list},
	{"code_block", on_code},
	{"html_block", on_html},
	{"thematic_break", on_rule},
	{"table", put_rendered},
};

static void blocks(cmark_node *parent, const struct place *at)
{
	for (cmark_node *n = cmark_node_first_child(parent); n; n = cmark_node_next(n)) {
		if (at->text->full)
			return;
		const char *type = cmark_node_get_type_string(n);
		void (*on)(cmark_node *, const struct place *) = on_paragraph;
		for (size_t i = 0; i < ARRAY_LEN(kinds); i++)
			if (strcmp(kinds[i].type, type) == 0)
				on = kinds[i].on;
		if (at->depth >= MAX_DEPTH)
			on = put_rendered;
		on(n, at);
	}
}

static cmark_node *parse(const char *markdown, size_t len)
{
	static const char *const extensions[] = {"autolink", "strikethrough", "table"};
	cmark_gfm_core_extensions_ensure_registered();
	cmark_parser *parser = cmark_parser_new(CMARK_OPT_DEFAULT);
	for (size_t i = 0; i < ARRAY_LEN(extensions); i++) {
		cmark_syntax_extension *ext = cmark_find_syntax_extension(extensions[i]);
		if (ext)
			cmark_parser_attach_syntax_extension(parser, ext);
	}
	cmark_parser_feed(parser, markdown, len);
	cmark_node *tree = cmark_parser_finish(parser);
	cmark_parser_free(parser);
	return tree;
}

static json_t *document(json_t *content, const struct adf_text *text, const char *marker)
{
	if (text->full)
		json_array_append_new(
			content, paragraph("… cut here: Jira takes no longer comment."));
	if (marker)
		json_array_append_new(content, paragraph(marker));
	return json_pack("{s:i, s:s, s:o}", "version", 1, "type", "doc", "content", content);
}

json_t *adf_from_markdown(const char *markdown, const char *marker)
{
	AUTO(buf_release) struct buf clean = BUF(1 << 20);
	text_clean(&clean, markdown, strlen(markdown));
	cmark_node *tree = parse(clean.data, clean.len);
	struct adf_text text = {.left = ADF_TEXT_MAX};
	json_t *content = json_array();
	blocks(tree, &(struct place){&text, content, IN_DOC, 0});
	cmark_node_free(tree);
	return document(content, &text, marker);
}

json_t *adf_from_plain(const char *plain, const char *marker)
{
	AUTO(buf_release) struct buf clean = BUF(1 << 20);
	text_clean(&clean, plain, strlen(plain));
	struct adf_text text = {.left = ADF_TEXT_MAX};
	json_t *content = json_array();
	put_code(&(struct place){&text, content, IN_DOC, 0}, NULL, clean.data);
	return document(content, &text, marker);
}
