/* apply_patch on a folder of files: what it changes, what it refuses whole, and with which words.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "worker/agent/patch.h"
#include "worker/agent/tools.h"

static char top[64];
static struct tool_env env;

static void run(const char *script)
{
	autofree char *command = xasprintf("cd %s && %s", top, script);
	if (system(command) != 0)
		fail_msg("%s", script);
}

static int begin(void **state)
{
	(void)state;
	strcpy(top, "/tmp/airunner-test-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	env.root_fd = open(top, O_RDONLY | O_DIRECTORY);
	run("mkdir src .git && printf 'one\\ntwo\\nthree\\nfour\\nfive\\n' >src/a.ts && "
	    "printf 'class A {\\n\\tgo() {\\n\\t\\treturn 1;\\n\\t}\\n}\\nclass B {\\n\\tgo() {\\n"
	    "\\t\\treturn 1;\\n\\t}\\n}\\n' >src/twice.ts && printf 'a\\r\\nb\\r\\nc' >crlf.txt && "
	    "echo run >tool.sh && chmod 755 tool.sh && echo old >gone.txt && ln -s src/a.ts link");
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(env.root_fd);
	autofree char *command = xasprintf("rm -rf %s", top);
	return system(command);
}

/* @return the tool's words, checked for its success */
static char *apply(const char *patch, bool is_error)
{
	json_auto_t *input = json_pack("{s:s}", "patch", patch);
	struct tool_result res = {.text = BUF(100000)};
	assert_null(tool_find("apply_patch")->run(&env, input, &res));
	if (res.is_error != is_error)
		fail_msg("%s", res.text.data);
	return buf_take(&res.text);
}

static void one_patch_adds_updates_moves_and_deletes(void **state)
{
	(void)state;
	autofree char *words =
		apply("*** Begin Patch\n"
		      "*** Add File: new/b.ts\n+first\n+\n+third\n"
		      "*** Update File: src/a.ts\n@@\n one\n-two\n+zwei\n three\n"
		      "*** Update File: tool.sh\n*** Move to: bin/tool.sh\n@@\n-run\n+walk\n"
		      "*** Delete File: gone.txt\n"
		      "*** End Patch\n",
			false);
	assert_string_equal(words,
		"new/b.ts: added\nsrc/a.ts: updated\n"
		"tool.sh: updated and moved to bin/tool.sh\ngone.txt: deleted\n");
	run("printf 'first\\n\\nthird\\n' | cmp - new/b.ts");
	run("printf 'one\\nzwei\\nthree\\nfour\\nfive\\n' | cmp - src/a.ts");
	run("test ! -e gone.txt -a ! -e tool.sh -a -x bin/tool.sh && grep -qx walk bin/tool.sh");
}

static void nothing_is_changed_when_one_hunk_does_not_fit(void **state)
{
	(void)state;
	autofree char *words =
		apply("*** Begin Patch\n*** Add File: b.ts\n+x\n"
		      "*** Update File: src/a.ts\n@@\n-one\n+1\n@@\n three\n-4\n+vier\n"
		      "*** End Patch\n",
			true);
	assert_string_equal(words, "src/a.ts: hunk 2: its lines do not stand together in the file. "
				   "The file has from line 3 on:\nthree\nfour\nfive\n\n"
				   "Nothing was changed.");
	run("test ! -e b.ts && head -1 src/a.ts | grep -qx one");
}

static void equal_places_are_told_apart_by_an_anchor(void **state)
{
	(void)state;
	static const char hunk[] = " \tgo() {\n-\t\treturn 1;\n+\t\treturn 2;\n \t}\n*** End Patch";
	autofree char *open =
		xasprintf("*** Begin Patch\n*** Update File: src/twice.ts\n@@\n%s", hunk);
	autofree char *words = apply(open, true);
	assert_non_null(strstr(words, "hunk 1: its lines stand at 2 places"));
	autofree char *anchored =
		xasprintf("*** Begin Patch\n*** Update File: src/twice.ts\n@@ class B {\n%s", hunk);
	autofree char *good = apply(anchored, false);
	run("sed -n 3p src/twice.ts | grep -q 'return 1' && sed -n 8p src/twice.ts | grep -q "
	    "'return 2'");
	autofree char *nowhere =
		xasprintf("*** Begin Patch\n*** Update File: src/twice.ts\n@@ class C {\n%s", hunk);
	autofree char *bad = apply(nowhere, true);
	assert_non_null(strstr(bad, "the line after @@ is not in the file"));
	assert_non_null(strstr(bad, "class C {"));
}

static void lines_keep_their_ends_and_blanks_at_the_end_do_not_count(void **state)
{
	(void)state;
	free(apply("*** Begin Patch\n*** Update File: crlf.txt\n@@\n a  \n-b\n+B\n c\n*** End of "
		   "File\n*** End Patch",
		false));
	run("printf 'a\\r\\nB\\r\\nc' | cmp - crlf.txt");
	free(apply("*** Begin Patch\n*** Update File: src/a.ts\n@@ two\n+two and a half\n@@\n+six\n"
		   "*** End Patch",
		false));
	run("printf 'one\\ntwo\\ntwo and a half\\nthree\\nfour\\nfive\\nsix\\n' | cmp - src/a.ts");
}

static void hunks_without_an_at_line_and_text_around_a_patch_are_taken(void **state)
{
	(void)state;
	free(apply("```\n*** Begin Patch\n*** Update File: src/a.ts\n two\n-three\n\n*** End "
		   "Patch\n```",
		true)); /* an empty line is context, and none follows "three" */
	free(apply("```\n*** Begin Patch\n*** Update File: src/a.ts\n two\n-three\n*** End "
		   "Patch\n```\n",
		false));
	run("printf 'one\\ntwo\\nfour\\nfive\\n' | cmp - src/a.ts");
}

static void what_is_no_patch_or_no_file_is_refused_with_words(void **state)
{
	(void)state;
	static const struct {
		const char *patch, *words;
	} cases[] = {
		{"-a\n+b", "there is no *** Begin Patch"},
		{"*** Begin Patch\n*** Add File: x\n+1", "no *** End Patch"},
		{"*** Begin Patch\n*** End Patch", "names no file"},
		{"*** Begin Patch\n*** Add File: x\n1\n*** End Patch", "line 3 of the patch"},
		{"*** Begin Patch\n*** Update File: src/a.ts\n*** End Patch", "nothing to update"},
		{"*** Begin Patch\n*** Update File: \n@@\n-a\n*** End Patch", "path is missing"},
		{"*** Begin Patch\n*** Add File: src/a.ts\n+1\n*** End Patch", "exists already"},
		{"*** Begin Patch\n*** Update File: no.ts\n@@\n-a\n*** End Patch", "no.ts"},
		{"*** Begin Patch\n*** Delete File: ../x\n*** End Patch", "refused"},
		{"*** Begin Patch\n*** Add File: .git/config\n+x\n*** End Patch", "refused"},
		{"*** Begin Patch\n*** Update File: link\n@@\n-one\n+1\n*** End Patch", "link"},
		{"*** Begin Patch\n*** Delete File: link\n*** End Patch", "link"},
		{"*** Begin Patch\n*** Delete File: src\n*** End Patch", "src"},
		{"*** Begin Patch\n*** Update File: gone.txt\n*** Move to: "
		 "src/a.ts\n@@\n-old\n+new\n"
		 "*** End Patch",
			"src/a.ts: exists already"},
		{"*** Begin Patch\n*** Update File: gone.txt\n*** Move to: ../a\n*** End Patch",
			"refused"},
		{"*** Begin Patch\n*** Delete File: gone.txt\n*** Delete File: gone.txt\n*** End "
		 "Patch",
			"one part"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *words = apply(cases[i].patch, true);
		if (!strstr(words, cases[i].words))
			fail_msg("%s instead of %s", words, cases[i].words);
	}
	run("test -e gone.txt -a -L link && head -1 src/a.ts | grep -qx one && grep -qx old "
	    "gone.txt");
}

static void random_patches_break_nothing(void **state)
{
	(void)state;
	static const char *const lines[] = {"*** Begin Patch\n", "*** Update File: a\n", "@@ two\n",
		"@@\n", " one\n", "-two\n", "+x\n", "\n", " three", "*** End of File\n",
		"*** Move to: b\n", "*** Add File: c\n", "*** Delete File: d\n", "*** End Patch\n"};
	srandom(20261122);
	for (int round = 0; round < 20000; round++) {
		AUTO(buf_release) struct buf text = BUF(4096), words = BUF(16384), out = BUF(65536);
		AUTO(patch_release) struct patch patch = {0};
		buf_adds(&text, "*** Begin Patch\n*** Update File: a\n");
		for (long n = random() % 12; n-- > 0;)
			buf_adds(&text, lines[(size_t)random() % ARRAY_LEN(lines)]);
		buf_adds(&text, "\n*** End Patch");
		if (!patch_parse(text.data, &patch, &words)) {
			assert_true(words.len > 0);
			continue;
		}
		for (size_t i = 0; i < patch.count; i++)
			if (!patch_apply(&patch.files[i], "one\ntwo\nthree\none\n", &out, &words))
				assert_true(words.len > 0);
	}
}

static void a_model_is_offered_the_tools_of_its_format(void **state)
{
	(void)state;
	static const struct {
		enum edit_format format;
		const char *names;
	} cases[] = {{EDIT_STR_REPLACE, "view grep str_replace create bash ask_human finish "},
		{EDIT_PATCH, "view grep apply_patch bash ask_human finish "}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf names = BUF(1000);
		size_t count;
		autofree struct llm_tool *tools = tools_definitions(cases[i].format, &count);
		for (size_t j = 0; j < count; j++)
			buf_addf(&names, "%s ", tools[j].name);
		assert_string_equal(names.data, cases[i].names);
	}
}

#define T(name) cmocka_unit_test_setup_teardown(name, begin, end)

int main(void)
{
	const struct CMUnitTest tests[] = {
		T(one_patch_adds_updates_moves_and_deletes),
		T(nothing_is_changed_when_one_hunk_does_not_fit),
		T(equal_places_are_told_apart_by_an_anchor),
		T(lines_keep_their_ends_and_blanks_at_the_end_do_not_count),
		T(hunks_without_an_at_line_and_text_around_a_patch_are_taken),
		T(what_is_no_patch_or_no_file_is_refused_with_words),
		cmocka_unit_test(random_patches_break_nothing),
		cmocka_unit_test(a_model_is_offered_the_tools_of_its_format),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
