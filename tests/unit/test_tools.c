/* The tools on a folder of files: what they answer, what they change. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/mem.h"
#include "worker/agent/tree_file.h"
#include "worker/agent/overview.h"
#include "worker/agent/tools.h"

static char top[64];
static struct tool_env env;

static void run(const char *script)
{
	autofree char *command = xasprintf("cd %s && %s", top, script);
	assert_int_equal(system(command), 0);
}

static int begin(void **state)
{
	(void)state;
	strcpy(top, "/tmp/airunner-test-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	env.root_fd = open(top, O_RDONLY | O_DIRECTORY);
	run("mkdir -p src/deep node_modules/x .git && printf 'one\\ntwo\\nthree\\n' >src/a.ts && "
	    "echo 'needle(1)' >src/deep/b.ts && echo 'needle' >node_modules/x/i.js && echo needle "
	    ">.git/x && "
	    "printf 'a\\0needle' >bin && echo 'needle here' >notes.md && : >empty");
	return 0;
}

static int end(void **state)
{
	(void)state;
	close(env.root_fd);
	autofree char *command = xasprintf("rm -rf %s", top);
	return system(command);
}

/* Calls a tool as the loop does and compares the whole answer. */
static void expect(const char *tool, const char *input, bool is_error, const char *answer)
{
	json_error_t error;
	json_auto_t *in = json_loads(input, JSON_ALLOW_NUL, &error);
	assert_non_null(in);
	struct tool_result res = {.text = BUF(100000)};
	assert_null(tool_find(tool)->run(&env, in, &res));
	if (strcmp(res.text.data, answer) != 0 || res.is_error != is_error)
		fail_msg("%s %s: %s\"%s\" instead of \"%s\"", tool, input,
			res.is_error ? "error " : "", res.text.data, answer);
	buf_release(&res.text);
}

static void view_shows_lines_with_numbers(void **state)
{
	(void)state;
	expect("view", "{\"path\":\"src/a.ts\"}", false, "1: one\n2: two\n3: three\n");
	expect("view", "{\"path\":\"src/a.ts\",\"from\":2,\"to\":2}", false, "2: two\n");
	expect("view", "{\"path\":\"src/a.ts\",\"from\":2,\"to\":99}", false, "2: two\n3: three\n");
	expect("view", "{\"path\":\"src/a.ts\",\"from\":4}", true, "src/a.ts has lines 1-3");
	expect("view", "{\"path\":\"empty\"}", false, "[empty file]");
}

static void view_lists_a_folder(void **state)
{
	(void)state;
	expect("view", "{\"path\":\"src\"}", false, "a.ts\ndeep/\n");
	expect("view", "{\"path\":\".\"}", false, "bin\nempty\nnode_modules/\nnotes.md\nsrc/\n");
}

static void view_gives_long_files_in_pages(void **state)
{
	(void)state;
	run("for i in $(seq 1 2000); do echo \"line $i\"; done >long.txt");
	json_auto_t *in = json_pack("{s:s}", "path", "long.txt");
	struct tool_result res = {.text = BUF(100000)};
	assert_null(tool_view(&env, in, &res));
	assert_true(res.text.len < 10000);
	const char *more = strstr(res.text.data, "\n[lines 1-");
	assert_non_null(more);
	assert_non_null(strstr(more, " of 2000; for more give from "));
	buf_release(&res.text);
}

static void wrong_calls_are_answered(void **state)
{
	(void)state;
	expect("view", "{}", true, "path is missing: it must be a string");
	expect("view", "{\"path\":7}", true, "path is missing: it must be a string");
	expect("view", "{\"path\":\"a\\u0000b\"}", true, "path holds a NUL character");
	expect("view", "{\"path\":\"gone\"}", true, "gone: no such file or folder");
	expect("view", "{\"path\":\"bin\"}", true, "bin: a binary file");
	expect("view", "{\"path\":\"../x\"}", true,
		"the path ../x is refused: it holds .., which may lead out of the repository");
	expect("view", "{\"path\":\".git\"}", true,
		"the path .git is refused: git's own files are not touched");
	expect("finish", "{\"summary\":\" \"}", true, "summary is empty");
}

static void grep_finds_lines_by_pattern_path_and_glob(void **state)
{
	(void)state;
	expect("grep", "{\"pattern\":\"needle\"}", false,
		"notes.md:1: needle here\nsrc/deep/b.ts:1: needle(1)\n");
	expect("grep", "{\"pattern\":\"needle\\\\(\\\\d\\\\)\"}", false,
		"src/deep/b.ts:1: needle(1)\n");
	expect("grep", "{\"pattern\":\"needle\",\"path\":\"src\"}", false,
		"src/deep/b.ts:1: needle(1)\n");
	expect("grep", "{\"pattern\":\"needle\",\"glob\":\"*.md\"}", false,
		"notes.md:1: needle here\n");
	expect("grep", "{\"pattern\":\"needle\",\"glob\":\"src/**/*.ts\"}", false,
		"src/deep/b.ts:1: needle(1)\n");
	expect("grep", "{\"pattern\":\"one\",\"glob\":\"src/**/*.ts\"}", false,
		"src/a.ts:1: one\n");
	expect("grep", "{\"pattern\":\"haystack\"}", false, "[no match]");
	expect("grep", "{\"pattern\":\"two\",\"path\":\"src/a.ts\"}", false, "src/a.ts:2: two\n");
}

static void grep_does_not_fall_for_wrong_and_runaway_patterns(void **state)
{
	(void)state;
	expect("grep", "{\"pattern\":\"(\"}", true,
		"the pattern is wrong at character 1: missing closing parenthesis");
	run("head -c 5000 /dev/zero | tr '\\0' a >aaa.txt");
	expect("grep", "{\"pattern\":\"(a+)+[bc]\",\"path\":\"aaa.txt\"}", true,
		"the pattern takes too long; make it simpler");
}

/* Each line alone stays below the matcher's limit. */
static void grep_ends_in_time_whatever_is_asked(void **state)
{
	(void)state;
	run("yes aaaaaaaaaaaaaaaaaaa | head -c 900000 >a.txt && for i in 1 2 3 4 5 6 7 8 9; "
	    "do "
	    "cp a.txt b$i.txt; done");
	time_t began = time(NULL);
	expect("grep", "{\"pattern\":\"^(a|aa)+[bc]\"}", true,
		"the search takes too long; make pattern or path narrower");
	assert_true(time(NULL) - began < 40);
}

static void bash_refuses_a_command_that_no_kernel_takes(void **state)
{
	(void)state;
	size_t n = 200000;
	autofree char *command = xmalloc(n + 1);
	memset(command, '#', n);
	command[n] = '\0';
	autofree char *input = xasprintf("{\"command\":\"%s\"}", command);
	expect("bash", input, true,
		"the command is longer than 100000 bytes; write large files with create");
}

static void str_replace_changes_one_passage(void **state)
{
	(void)state;
	expect("str_replace", "{\"path\":\"src/a.ts\",\"old\":\"two\\n\",\"new\":\"2\\n2b\\n\"}",
		false,
		"src/a.ts: replaced; the new text is at lines 2-3\n1: one\n2: 2\n3: 2b\n4: "
		"three\n");
	run("printf 'one\\n2\\n2b\\nthree\\n' | cmp - src/a.ts");
	expect("str_replace", "{\"path\":\"src/a.ts\",\"old\":\"zwei\",\"new\":\"x\"}", true,
		"src/a.ts: the old text does not occur in the file\n");
	expect("str_replace", "{\"path\":\"src/gone.ts\",\"old\":\"a\",\"new\":\"b\"}", true,
		"src/gone.ts: no such file or folder");
	expect("str_replace", "{\"path\":\"src/a.ts\",\"old\":\"a\"}", true,
		"new is missing: it must be a string");
}

static void create_writes_new_files_and_spares_old_ones(void **state)
{
	(void)state;
	expect("create", "{\"path\":\"src/new/c.ts\",\"text\":\"x\\ny\\n\"}", false,
		"src/new/c.ts: written, 2 lines");
	run("printf 'x\\ny\\n' | cmp - src/new/c.ts");
	expect("create", "{\"path\":\"src/a.ts\",\"text\":\"x\"}", true,
		"src/a.ts: exists already; change it with str_replace, or set overwrite");
	expect("create", "{\"path\":\"src/a.ts\",\"text\":\"x\",\"overwrite\":true}", false,
		"src/a.ts: written, 1 lines");
	expect("create", "{\"path\":\".git/hooks/post-commit\",\"text\":\"x\"}", true,
		"the path .git/hooks/post-commit is refused: git's own files are not touched");
	run("test ! -e .git/hooks");
}

static void every_definition_is_sound_and_the_fixed_prompt_is_small(void **state)
{
	(void)state;
	size_t count, bytes = 0;
	const struct tool *tools = tools_all(&count);
	for (size_t i = 0; i < count; i++) {
		json_auto_t *schema = json_loads(tools[i].def.schema, JSON_REJECT_DUPLICATES, NULL);
		assert_string_equal(json_string_value(json_object_get(schema, "type")), "object");
		assert_true(json_is_false(json_object_get(schema, "additionalProperties")));
		bytes += strlen(tools[i].def.name) + strlen(tools[i].def.description) +
			 strlen(tools[i].def.schema) + 60;
	}
	AUTO(buf_release) struct buf system = BUF(100000);
	assert_null(buf_read_file(&system, "templates/prompts/system.md"));
	assert_true(bytes + system.len <= 6000);
}

static void the_overview_fits_and_names_what_is_there(void **state)
{
	(void)state;
	run("echo '# Hello' >README.md && echo 'Use tabs.<!-- hidden -->' >CLAUDE.md && "
	    "echo '{\"scripts\":{\"test\":\"node --test\"}}' >package.json && mkdir -p many/a && "
	    "for i in $(seq 1 300); do : >many/a/file-with-a-long-name-$i.ts; done");
	json_auto_t *o = NULL;
	assert_null(overview_make(env.root_fd, &o));
	const char *files = json_string_value(json_object_get(o, "files"));
	assert_true(strlen(files) <= 4200);
	assert_non_null(strstr(files, "many/a/ (300 files)\n"));
	assert_non_null(strstr(files, "src/a.ts\n"));
	assert_null(strstr(files, "node_modules"));
	assert_string_equal(
		json_string_value(json_object_get(o, "scripts")), "test: node --test\n");
	const json_t *guides = json_object_get(o, "guides");
	assert_int_equal(json_array_size(guides), 2);
	assert_string_equal(json_string_value(json_object_get(json_array_get(guides, 0), "text")),
		"Use tabs.\n");
}

int main(void)
{
#define TEST(name) cmocka_unit_test_setup_teardown(name, begin, end)
	const struct CMUnitTest tests[] = {
		TEST(view_shows_lines_with_numbers),
		TEST(view_lists_a_folder),
		TEST(view_gives_long_files_in_pages),
		TEST(wrong_calls_are_answered),
		TEST(grep_finds_lines_by_pattern_path_and_glob),
		TEST(grep_does_not_fall_for_wrong_and_runaway_patterns),
		TEST(grep_ends_in_time_whatever_is_asked),
		TEST(bash_refuses_a_command_that_no_kernel_takes),
		TEST(str_replace_changes_one_passage),
		TEST(create_writes_new_files_and_spares_old_ones),
		TEST(every_definition_is_sound_and_the_fixed_prompt_is_small),
		TEST(the_overview_fits_and_names_what_is_there),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
