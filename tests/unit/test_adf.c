/*
 * Atlassian documents both ways: golden pairs, and for every document made the rules of Atlassian's
 * schema that an independent walk over the tree can check (integrations.md A6).
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "worker/jira/adf.h"

/* ---- the rules ---- */

struct rule {
	const char *parent;
	const char *children; /* " a b c ", what may stand in it */
	bool filled;          /* at least one child */
};

#define INLINE " text hardBreak "

static const struct rule rules[] = {
	{"doc", " paragraph heading bulletList orderedList codeBlock blockquote rule ", false},
	{"paragraph", INLINE, false},
	{"heading", INLINE, false},
	{"codeBlock", " text ", false},
	{"bulletList", " listItem ", true},
	{"orderedList", " listItem ", true},
	{"listItem", " paragraph bulletList orderedList codeBlock ", true},
	{"blockquote", " paragraph bulletList orderedList codeBlock ", true},
	{"rule", " ", false},
	{"hardBreak", " ", false},
	{"text", " ", false},
};

static const char *type_of(const json_t *n)
{
	const char *type = json_string_value(json_object_get(n, "type"));
	assert_non_null(type);
	return type;
}

static const struct rule *rule_of(const char *type)
{
	for (size_t i = 0; i < ARRAY_LEN(rules); i++)
		if (strcmp(rules[i].parent, type) == 0)
			return &rules[i];
	fail_msg("no rule for node %s", type);
	return NULL;
}

static bool may_hold(const struct rule *rule, const char *type)
{
	autofree char *word = xasprintf(" %s ", type);
	return strstr(rule->children, word) != NULL;
}

static void check_members(const json_t *n, const char *allowed)
{
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)n, name, value) {
		autofree char *word = xasprintf(" %s ", name);
		if (!strstr(allowed, word))
			fail_msg("%s has a member %s", type_of(n), name);
	}
}

static void check_text(const json_t *n, const char *parent)
{
	check_members(n, " type text marks ");
	assert_true(json_string_length(json_object_get(n, "text")) > 0);
	size_t i, count = 0;
	bool code = false, formatted = false;
	json_t *mark;
	json_array_foreach (json_object_get(n, "marks"), i, mark) {
		const char *type = type_of(mark);
		count++;
		code |= strcmp(type, "code") == 0;
		formatted |= strcmp(type, "code") != 0 && strcmp(type, "link") != 0;
		if (strcmp(type, "link") == 0) {
			const char *href = json_string_value(
				json_object_get(json_object_get(mark, "attrs"), "href"));
			assert_true(strncasecmp(href, "http", 4) == 0 ||
				    strncasecmp(href, "mailto:", 7) == 0);
		}
	}
	assert_false(code && formatted);
	assert_true(!json_object_get(n, "marks") || count > 0);
	if (strcmp(parent, "codeBlock") == 0)
		assert_int_equal(count, 0);
}

static void check_node(const json_t *n, int depth)
{
	const char *type = type_of(n);
	const struct rule *rule = rule_of(type);
	const json_t *content = json_object_get(n, "content"), *before = NULL;
	size_t i;
	json_t *child;
	assert_true(depth < 40);
	if (strcmp(type, "text") != 0)
		check_members(n, depth == 0 ? " version type content " : " type attrs content ");
	if (rule->filled)
		assert_true(json_array_size(content) > 0);
	if (strcmp(type, "heading") == 0) {
		json_int_t level =
			json_integer_value(json_object_get(json_object_get(n, "attrs"), "level"));
		assert_in_range(level, 1, 6);
	}
	json_array_foreach (content, i, child) {
		if (!may_hold(rule, type_of(child)))
			fail_msg("%s in %s", type_of(child), type);
		if (strcmp(type_of(child), "text") == 0) {
			check_text(child, type);
			if (before && strcmp(type_of(before), "text") == 0 &&
				json_equal(json_object_get(before, "marks"),
					json_object_get(child, "marks")))
				fail_msg("two text nodes that should be one in %s", type);
		}
		if (i == 0 && strcmp(type, "listItem") == 0)
			assert_true(strstr(type_of(child), "List") == NULL);
		before = child;
		check_node(child, depth + 1);
	}
}

static json_t *made(const char *markdown, const char *marker)
{
	json_t *doc = adf_from_markdown(markdown, marker);
	assert_non_null(doc);
	check_node(doc, 0);
	return doc;
}

/* ---- out ---- */

static const struct {
	const char *markdown, *content;
} pairs[] = {
	{"Hello *you* and **me**",
		"[{'type':'paragraph','content':[{'type':'text','text':'Hello '},"
		"{'type':'text','text':'you','marks':[{'type':'em'}]},{'type':'text','text':' and "
		"'},"
		"{'type':'text','text':'me','marks':[{'type':'strong'}]}]}]"},
	{"# Title\n\ntext\nmore  \nnext", "[{'type':'heading','attrs':{'level':1},'content':[{'"
					  "type':'text','text':'Title'}]},"
					  "{'type':'paragraph','content':[{'type':'text','text':'"
					  "text more'},{'type':'hardBreak'},"
					  "{'type':'text','text':'next'}]}]"},
	{"- a\n  - b\n- c", "[{'type':'bulletList','content':[{'type':'listItem','content':["
			    "{'type':'paragraph','content':[{'type':'text','text':'a'}]},"
			    "{'type':'bulletList','content':[{'type':'listItem','content':["
			    "{'type':'paragraph','content':[{'type':'text','text':'b'}]}]}]}]},"
			    "{'type':'listItem','content':[{'type':'paragraph','content':[{'type':'"
			    "text','text':'c'}]}]}]}]"},
	{"3. x", "[{'type':'orderedList','attrs':{'order':3},'content':[{'type':'listItem','"
		 "content':["
		 "{'type':'paragraph','content':[{'type':'text','text':'x'}]}]}]}]"},
	{"```ts\nlet a;\n```", "[{'type':'codeBlock','attrs':{'language':'ts'},'content':["
			       "{'type':'text','text':'let a;'}]}]"},
	{"```\n```", "[{'type':'codeBlock'}]"},
	{"see <https://x.org/a_b> ok",
		"[{'type':'paragraph','content':[{'type':'text','text':'see '},"
		"{'type':'text','text':'https://x.org/"
		"a_b','marks':[{'type':'link','attrs':{'href':'https://x.org/a_b'}}]},"
		"{'type':'text','text':' ok'}]}]"},
	{"[bad](javascript:alert) [rel](src/a.ts)",
		"[{'type':'paragraph','content':[{'type':'text','text':'bad rel'}]}]"},
	{"**`code`**", "[{'type':'paragraph','content':[{'type':'text','text':'code',"
		       "'marks':[{'type':'code'}]}]}]"},
	{"![shot](https://x.org/i.png)",
		"[{'type':'paragraph','content':[{'type':'text','text':'shot',"
		"'marks':[{'type':'link','attrs':{'href':'https://x.org/i.png'}}]}]}]"},
	{"- # head in a list",
		"[{'type':'bulletList','content':[{'type':'listItem','content':["
		"{'type':'paragraph','content':[{'type':'text','text':'head in a list',"
		"'marks':[{'type':'strong'}]}]}]}]}]"},
	{"> > deep\n>\n> ## h", "[{'type':'blockquote','content':["
				"{'type':'paragraph','content':[{'type':'text','text':'deep'}]},"
				"{'type':'paragraph','content':[{'type':'text','text':'h','marks':["
				"{'type':'strong'}]}]}]}]"},
	{"a<br>b<!-- secret -->", "[{'type':'paragraph','content':[{'type':'text','text':'a'},"
				  "{'type':'hardBreak'},{'type':'text','text':'b'}]}]"},
	{"~~gone~~", "[{'type':'paragraph','content':[{'type':'text','text':'gone','marks':[{'type'"
		     ":'strike'}]}]}]"},
	{"***\n", "[{'type':'rule'}]"},
	{"", "[]"},
	{"a&#1;b", "[{'type':'paragraph','content':[{'type':'text','text':'ab'}]}]"},
};

static void markdown_becomes_the_document_expected(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pairs); i++) {
		json_auto_t *doc = made(pairs[i].markdown, NULL);
		autofree char *expected = xstrdup(pairs[i].content);
		for (char *p = expected; *p; p++)
			if (*p == '\'')
				*p = '"';
		json_auto_t *want = json_loads(expected, 0, NULL);
		assert_non_null(want);
		if (!json_equal(json_object_get(doc, "content"), want)) {
			autofree char *got =
				json_dumps(json_object_get(doc, "content"), JSON_COMPACT);
			fail_msg("%s\n got  %s\n want %s", pairs[i].markdown, got, expected);
		}
	}
}

static void nasty_markdown_still_makes_a_valid_document(void **state)
{
	static const char *const texts[] = {
		"- - - x",
		"-\n-\n-",
		"1. > quote in list\n   > # h",
		"> ***\n> - a\n>   > b",
		"| a | b |\n|---|---|\n| 1 | `2` |",
		"- | a |\n  |---|\n  | 1 |",
		"<div>\nraw\n</div>",
		"[](https://x.org)",
		"![](x.png)",
		"#",
		"######## seven",
		"[a]: http://b\n",
		"\xff\xfe broken \x01\x1b[31m",
		"```\n\x02\n```",
		"`` ` ``",
		"* * *\n- * a",
		"**[b](https://x.org) `c`** and ***[d](mailto:a@b.c)***",
		"&#0; &nbsp; &#x1F600;",
		"https://a.b/c?d=e&f (http://x.y).",
		"www.example.org me@example.org",
		"\\\\* a\\",
		"- ```\n  code in item\n  ```",
		"> 1. a\n>    - b",
		"a\n===\nb\n---",
		"[[[[[[[[a](http://b)",
	};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(texts); i++)
		json_decref(made(texts[i], "marker"));
}

static char *repeated(const char *s, size_t times)
{
	size_t n = strlen(s);
	char *out = xmalloc(n * times + 1);
	for (size_t i = 0; i < times; i++)
		memcpy(out + i * n, s, n);
	out[n * times] = '\0';
	return out;
}

static void very_deep_nesting_ends_as_code(void **state)
{
	static const char *const pieces[] = {"> ", "- ", "**a ", "*_", "[", "> - "};
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(pieces); i++) {
		autofree char *deep = repeated(pieces[i], 2000);
		autofree char *text = xasprintf("%sx", deep);
		json_decref(made(text, NULL));
	}
}

static size_t characters(const json_t *n)
{
	size_t count = 0, i;
	json_t *child;
	const char *text = json_string_value(json_object_get(n, "text"));
	for (const char *p = text; p && *p; p++)
		count += ((unsigned char)*p & 0xc0) != 0x80;
	json_array_foreach (json_object_get(n, "content"), i, child)
		count += characters(child);
	return count;
}

static void long_text_is_cut_with_a_word_and_keeps_its_marker(void **state)
{
	(void)state;
	autofree char *text = repeated("- Käse und `Brot`, noch\n", 4000);
	json_auto_t *doc = made(text, "AI Runner · run 1");
	size_t n = characters(doc);
	assert_in_range(n, ADF_TEXT_MAX, ADF_TEXT_MAX + 100);
	autofree char *dump = json_dumps(doc, 0);
	assert_non_null(strstr(dump, "cut here"));
	const json_t *content = json_object_get(doc, "content");
	const json_t *last = json_array_get(content, json_array_size(content) - 1);
	autofree char *marker = json_dumps(last, JSON_COMPACT);
	assert_non_null(strstr(marker, "AI Runner · run 1"));
}

static void plain_document_is_one_code_block_and_the_marker(void **state)
{
	(void)state;
	json_auto_t *doc = adf_from_plain("# not *parsed*\x01", "M");
	check_node(doc, 0);
	const json_t *content = json_object_get(doc, "content");
	assert_int_equal(json_array_size(content), 2);
	const json_t *text =
		json_array_get(json_object_get(json_array_get(content, 0), "content"), 0);
	assert_string_equal(json_string_value(json_object_get(text, "text")), "# not *parsed*");
}

/* ---- in ---- */

static const struct {
	const char *content, *text;
} readings[] = {
	{"[{'type':'paragraph','content':[{'type':'text','text':'a "
	 "'},{'type':'text','text':'b','marks':[{'type':'strong'}]},"
	 "{'type':'hardBreak'},{'type':'text','text':'c','marks':[{'type':'code'}]}]}]",
		"a **b**\n`c`"},
	{"[{'type':'heading','attrs':{'level':2},'content':[{'type':'text','text':'H'}]},{'type':'"
	 "rule'}]",
		"## H\n\n---"},
	{"[{'type':'bulletList','content':[{'type':'listItem','content':[{'type':'paragraph','"
	 "content':[{'type':'text','text':'a'}]},"
	 "{'type':'orderedList','attrs':{'order':4},'content':[{'type':'listItem','content':[{'"
	 "type':'paragraph','content':[{'type':'text','text':'x'}]}]},"
	 "{'type':'listItem','content':[{'type':'paragraph','content':[{'type':'text','text':'y'}]}"
	 "]}]}]}]}]",
		"- a\n  4. x\n  5. y"},
	{"[{'type':'taskList','attrs':{'localId':'1'},'content':[{'type':'taskItem','attrs':{'"
	 "localId':'2','state':'DONE'},"
	 "'content':[{'type':'text','text':'did'}]},{'type':'taskItem','attrs':{'localId':'3','"
	 "state':'TODO'},"
	 "'content':[{'type':'text','text':'do'}]}]}]",
		"- [x] did\n- [ ] do"},
	{"[{'type':'decisionList','attrs':{'localId':'1'},'content':[{'type':'decisionItem','attrs'"
	 ":{'localId':'2','state':'DECIDED'},"
	 "'content':[{'type':'text','text':'yes'}]}]}]",
		"- Decision: yes"},
	{"[{'type':'codeBlock','attrs':{'language':'c'},'content':[{'type':'text','text':'int "
	 "a;\\nint b;'}]}]",
		"```c\nint a;\nint b;\n```"},
	{"[{'type':'blockquote','content':[{'type':'paragraph','content':[{'type':'text','text':'q'"
	 "}]},"
	 "{'type':'paragraph','content':[{'type':'text','text':'r'}]}]}]",
		"> q\n>\n> r"},
	{"[{'type':'panel','attrs':{'panelType':'warning'},'content':[{'type':'paragraph','content'"
	 ":[{'type':'text','text':'p'}]}]}]",
		"> **warning:**\n>\n> p"},
	{"[{'type':'expand','attrs':{'title':'More'},'content':[{'type':'paragraph','content':[{'"
	 "type':'text','text':'in'}]}]}]",
		"**More**\n\nin"},
	{"[{'type':'table','content':[{'type':'tableRow','content':[{'type':'tableHeader','content'"
	 ":[{'type':'paragraph','content':[{'type':'text','text':'A|B'}]}]},"
	 "{'type':'tableHeader','content':[{'type':'paragraph'}]}]},{'type':'tableRow','content':[{"
	 "'type':'tableCell','content':[{'type':'paragraph','content':[{'type':'text','text':'1'}]}"
	 ","
	 "{'type':'paragraph','content':[{'type':'text','text':'2'}]}]},{'type':'tableCell','"
	 "content':[]}]}]}]",
		"| A\\|B |  |\n| --- | --- |\n| 1 2 |  |"},
	{"[{'type':'paragraph','content':[{'type':'mention','attrs':{'id':'5','text':'@Ann'}},{'"
	 "type':'text','text':' '},"
	 "{'type':'emoji','attrs':{'shortName':':smile:'}},{'type':'text','text':' "
	 "'},{'type':'date','attrs':{'timestamp':'1700000000000'}},"
	 "{'type':'text','text':' "
	 "'},{'type':'status','attrs':{'text':'OPEN','color':'red'}},{'type':'text','text':' '},"
	 "{'type':'inlineCard','attrs':{'url':'https://x.org/1'}}]}]",
		"@Ann :smile: 2023-11-14 [OPEN] https://x.org/1"},
	{"[{'type':'mediaSingle','content':[{'type':'media','attrs':{'id':'m1','type':'file','"
	 "collection':'','alt':'shot.png'}}]}]",
		"[attachment: shot.png]"},
	{"[{'type':'extension','attrs':{'extensionKey':'toc','extensionType':'x'}},{'type':'"
	 "newThing','content':[{'type':'paragraph','content':[{'type':'text','text':'kept'}]}]}]",
		"[extension: toc]\n\nkept"},
	{"[{'type':'paragraph','content':[{'type':'text','text':'site','marks':[{'type':'link','"
	 "attrs':{'href':'https://x.org'}}]}]}]",
		"[site](https://x.org)"},
};

static void documents_become_the_text_expected(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(readings); i++) {
		autofree char *content = xstrdup(readings[i].content);
		for (char *p = content; *p; p++)
			if (*p == '\'')
				*p = '"';
		json_auto_t *doc = json_pack("{s:i, s:s, s:o}", "version", 1, "type", "doc",
			"content", json_loads(content, 0, NULL));
		assert_non_null(doc);
		AUTO(buf_release) struct buf out = BUF(1 << 16);
		adf_to_text(doc, &out);
		assert_string_equal(out.data, readings[i].text);
	}
}

static void strings_null_and_garbage_are_taken_as_text(void **state)
{
	(void)state;
	json_auto_t *string = json_string("as *older* Jiras");
	json_auto_t *odd =
		json_loads("{\"type\":5,\"content\":[3,{\"content\":{}},null]}", 0, NULL);
	AUTO(buf_release) struct buf out = BUF(1 << 16);
	adf_to_text(string, &out);
	assert_string_equal(out.data, "as *older* Jiras");
	buf_reset(&out);
	adf_to_text(json_null(), &out);
	adf_to_text(NULL, &out);
	adf_to_text(odd, &out);
	assert_string_equal(out.data, "");
}

static void endless_nesting_is_read_to_a_depth(void **state)
{
	(void)state;
	json_t *doc = json_pack("{s:s}", "type", "paragraph");
	for (int i = 0; i < 500; i++)
		doc = json_pack(
			"{s:s, s:[o]}", "type", i % 2 ? "taskList" : "blockquote", "content", doc);
	AUTO(buf_release) struct buf out = BUF(1 << 16);
	adf_to_text(doc, &out);
	json_decref(doc);
	assert_true(out.len < 1 << 16);
}

static void what_is_written_reads_the_same(void **state)
{
	static const char text[] = "# Title\n\nSome **bold** text with `code`.\n\n- a\n- b\n  1. "
				   "c\n\n> quoted\n\n```c\nx\n```";
	(void)state;
	json_auto_t *doc = made(text, "the marker");
	AUTO(buf_release) struct buf out = BUF(1 << 16);
	adf_to_text(doc, &out);
	autofree char *want = xasprintf("%s\n\nthe marker", text);
	assert_string_equal(out.data, want);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(markdown_becomes_the_document_expected),
		cmocka_unit_test(nasty_markdown_still_makes_a_valid_document),
		cmocka_unit_test(very_deep_nesting_ends_as_code),
		cmocka_unit_test(long_text_is_cut_with_a_word_and_keeps_its_marker),
		cmocka_unit_test(plain_document_is_one_code_block_and_the_marker),
		cmocka_unit_test(documents_become_the_text_expected),
		cmocka_unit_test(strings_null_and_garbage_are_taken_as_text),
		cmocka_unit_test(endless_nesting_is_read_to_a_depth),
		cmocka_unit_test(what_is_written_reads_the_same),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
