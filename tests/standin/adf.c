/*
 * Is this an Atlassian document that Jira takes? A table of nodes after Atlassian's own schema
 * (specs/adf-v1-full.schema.json). Called by jira.c for each comment and description.
 */
#define _GNU_SOURCE
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/jira.h"
#include "tests/standin/world.h"

#define INLINE \
	"text hardBreak mention emoji date status inlineCard placeholder mediaInline " \
	"inlineExtension"
#define LISTS "bulletList orderedList"
#define MEDIA "mediaSingle mediaGroup extension"
#define NESTABLE \
	"paragraph panel blockquote " LISTS " rule heading codeBlock " MEDIA \
	" decisionList taskList blockCard embedCard"

/* clang-format off */
static const struct node {
	const char *type;
	const char *children; /* NULL: must have no content */
	size_t least;         /* fewest children */
	const char *attrs;    /* allowed, "!" before those wanted; NULL: anything */
} nodes[] = {
	{"doc",          NESTABLE " table bodiedExtension expand layoutSection", 0, ""},
	{"paragraph",    INLINE, 0, "localId"},
	{"heading",      INLINE, 0, "!level localId"},
	{"bulletList",   "listItem", 1, "localId"},
	{"orderedList",  "listItem", 1, "order localId"},
	{"listItem",     "paragraph " LISTS " taskList codeBlock mediaSingle extension", 1, "localId"},
	{"codeBlock",    "text", 0, "language uniqueId localId wrap hideLineNumbers"},
	{"blockquote",   "paragraph " LISTS " codeBlock " MEDIA, 1, "localId"},
	{"panel",        "paragraph heading " LISTS " blockCard " MEDIA " codeBlock taskList rule decisionList", 1,
	                 "!panelType panelIcon panelIconId panelIconText panelColor localId"},
	{"rule",         NULL, 0, "localId"},
	{"table",        "tableRow", 1, "displayMode isNumberColumnEnabled layout localId width"},
	{"tableRow",     "tableCell tableHeader", 0, "localId"},
	{"tableCell",    NESTABLE " nestedExpand", 1, "colspan rowspan colwidth background localId valign"},
	{"tableHeader",  NESTABLE " nestedExpand", 1, "colspan rowspan colwidth background localId valign"},
	{"expand",       NESTABLE " table nestedExpand", 1, "title localId"},
	{"nestedExpand", "paragraph heading " MEDIA " codeBlock " LISTS " taskList decisionList rule panel blockquote", 1,
	                 "title localId"},
	{"taskList",     "taskItem taskList blockTaskItem", 1, "!localId"},
	{"taskItem",     INLINE, 0, "!localId !state"},
	{"blockTaskItem", "paragraph extension", 1, "!localId !state"},
	{"decisionList", "decisionItem", 1, "!localId"},
	{"decisionItem", INLINE, 0, "!localId !state"},
	{"mediaSingle",  "media caption", 1, NULL},
	{"mediaGroup",   "media", 1, NULL},
	{"media",        NULL, 0, NULL},
	{"caption",      INLINE, 0, "localId"},
	{"layoutSection", "layoutColumn", 1, "localId"},
	{"layoutColumn", NESTABLE " table expand", 1, "!width localId valign"},
	{"extension",    NULL, 0, NULL},
	{"bodiedExtension", NESTABLE " table", 1, NULL},
	{"blockCard",    NULL, 0, NULL},
	{"embedCard",    NULL, 0, "!url !layout width originalHeight originalWidth localId"},
	{"text",         NULL, 0, ""},
	{"hardBreak",    NULL, 0, "text localId"},
	{"mention",      NULL, 0, "!id localId text accessLevel userType"},
	{"emoji",        NULL, 0, "!shortName id text localId"},
	{"date",         NULL, 0, "!timestamp localId"},
	{"status",       NULL, 0, "!text !color localId style"},
	{"inlineCard",   NULL, 0, NULL},
	{"placeholder",  NULL, 0, "!text localId"},
	{"mediaInline",  NULL, 0, NULL},
	{"inlineExtension", NULL, 0, NULL},
};
/* clang-format on */

static const char text_marks[] = "link em strong strike subsup underline code textColor "
				 "backgroundColor annotation border";
static _Thread_local char problem[256];

static const char *__attribute__((format(printf, 1, 2))) wrong(const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(problem, sizeof(problem), fmt, ap);
	va_end(ap);
	return problem;
}

/* Is a word in a list of words parted by spaces? A "!" before the listed word counts as it. */
static bool listed(const char *list, const char *word)
{
	size_t n = strlen(word);
	for (const char *at = list; *at; at += strspn(at, " ")) {
		at += *at == '!';
		size_t len = strcspn(at, " ");
		if (len == n && memcmp(at, word, n) == 0)
			return true;
		at += len;
	}
	return false;
}

static const struct node *node_of(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(nodes); i++) {
		if (strcmp(nodes[i].type, type) == 0)
			return &nodes[i];
	}
	return NULL;
}

static const char *check_attrs(const struct node *node, const json_t *attrs)
{
	if (!node->attrs)
		return NULL;
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)attrs, name, value) {
		if (!listed(node->attrs, name))
			return wrong("%s: unknown attribute %s", node->type, name);
	}
	for (const char *at = strchr(node->attrs, '!'); at; at = strchr(at + 1, '!')) {
		char wanted[64];
		snprintf(wanted, sizeof(wanted), "%.*s", (int)strcspn(at + 1, " "), at + 1);
		if (!json_object_get(attrs, wanted))
			return wrong("%s: attribute %s is missing", node->type, wanted);
	}
	int64_t level = jint(attrs, "level", 1);
	if (strcmp(node->type, "heading") == 0 && (level < 1 || level > 6))
		return wrong("%s: %s", node->type, "level is not 1 to 6");
	return NULL;
}

static const char *check_text(const json_t *text, const char *parent)
{
	const char *s = jstr(text, "text", "");
	if (!*s)
		return wrong("%s: %s", "text", "empty text node");
	const json_t *marks = json_object_get(text, "marks");
	if (strcmp(parent, "codeBlock") == 0 && json_array_size(marks))
		return wrong("%s: %s", parent, "text in a codeBlock has marks");
	bool code = false, other = false;
	size_t i;
	json_t *mark;
	json_array_foreach (marks, i, mark) {
		const char *type = jstr(mark, "type", "");
		if (!listed(text_marks, type))
			return wrong("%s: unknown mark %s", "text", type);
		if (strcmp(type, "link") == 0 &&
			!jstr(json_object_get(mark, "attrs"), "href", NULL))
			return wrong("%s: %s", "link", "href is missing");
		code |= strcmp(type, "code") == 0;
		other |= !listed("code link annotation", type);
	}
	return code && other ? wrong("%s: %s", "text", "code goes with link only") : NULL;
}

static const char *check_members(const json_t *node, const char *type)
{
	const char *allowed = strcmp(type, "doc") == 0    ? "type version content"
			      : strcmp(type, "text") == 0 ? "type text marks"
							  : "type attrs content marks";
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)node, name, value) {
		if (!listed(allowed, name))
			return wrong("%s: unknown member %s", type, name);
	}
	return NULL;
}

/* NOLINTNEXTLINE(misc-no-recursion): documents are trees; depth is bounded. */
static const char *check_node(const json_t *json, const char *parent, int depth)
{
	const char *type = jstr(json, "type", NULL);
	const struct node *node = type ? node_of(type) : NULL;
	if (!node || depth > 100)
		return wrong("unknown node %s in %s", type ? type : "(none)", parent);
	const char *bad = check_members(json, type);
	bad = bad ? bad : check_attrs(node, json_object_get(json, "attrs"));
	if (!bad && strcmp(type, "text") == 0)
		bad = check_text(json, parent);
	if (bad)
		return bad;
	json_t *content = json_object_get(json, "content"), *child;
	if (content && !node->children)
		return wrong("%s: %s", type, "may have no content");
	if (json_array_size(content) < node->least)
		return wrong("%s: %s", type, "content is missing or empty");
	size_t i;
	json_array_foreach (content, i, child) {
		const char *inner = jstr(child, "type", "(none)");
		if (!listed(node->children, inner))
			return wrong("%s is not allowed in %s", inner, type);
		if ((bad = check_node(child, type, depth + 1)))
			return bad;
	}
	return NULL;
}

const char *adf_problem(const json_t *document)
{
	if (!json_is_object(document) || strcmp(jstr(document, "type", ""), "doc") != 0)
		return "no document";
	if (jint(document, "version", 0) != 1 ||
		!json_is_array(json_object_get(document, "content")))
		return "version is not 1, or content is missing";
	return check_node(document, "comment", 0);
}

/* NOLINTNEXTLINE(misc-no-recursion) */
size_t adf_text_length(const json_t *node)
{
	size_t n = strlen(jstr(node, "text", "")), i;
	json_t *child;
	json_array_foreach (json_object_get(node, "content"), i, child)
		n += adf_text_length(child);
	return n;
}
