/* Paths that a model may not name, and files that it may not reach. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "worker/agent/tree_file.h"
#include "worker/agent/path.h"

#define P(s) s, sizeof(s) - 1

static const struct {
	const char *path;
	size_t len;
	const char *words; /* a part of the reason; NULL: allowed */
} cases[] = {
	/* clang-format off */
	{P("src/a.ts"), NULL},
	{P("a b/\xc3\xa4.txt"), NULL},
	{P("."), NULL},
	{P("./src//x/"), NULL},
	{P(".github/workflows/ci.yml"), NULL},
	{P(".gitignore"), NULL},
	{P("a..b/c...d"), NULL},
	{P("git"), NULL},
	{P("x.git"), NULL},
	{P("git~x"), NULL},
	{P(""), "empty"},
	{P("../../etc/passwd"), ".."},
	{P(".."), ".."},
	{P("a/../b"), ".."},
	{P("a/.."), ".."},
	{P("/etc/passwd"), "absolute"},
	{P("/"), "absolute"},
	{P("//x"), "absolute"},
	{P("~/.ssh/id_rsa"), "begins with ~"},
	{P("~root/x"), "begins with ~"},
	{P("a\\..\\b"), "backslash"},
	{P("..\\x"), "backslash"},
	{P("C:\\x"), "backslash"},
	{P(".git"), "git's own"},
	{P(".git/config"), "git's own"},
	{P("./.git/config"), "git's own"},
	{P("sub/.git/hooks/pre-commit"), "git's own"},
	{P(".GIT"), "git's own"},
	{P(".Git/HEAD"), "git's own"},
	{P("a/.gIT/x"), "git's own"},
	{P(".git."), "git's own"},
	{P(".git "), "git's own"},
	{P(".git. . "), "git's own"},
	{P(" .git"), "git's own"},
	{P(".git::$INDEX_ALLOCATION/x"), "git's own"},
	{P(".git:x"), "git's own"},
	{P("git~1"), "git's own"},
	{P("GIT~1/config"), "git's own"},
	{P("git~12"), "git's own"},
	{P(".git\xe2\x80\x8c/config"), "invisible"},
	{P(".g\xe2\x80\x8dit/config"), "invisible"},
	{P("\xef\xbb\xbf.git"), "invisible"},
	{P(".git\xc2\xad"), "invisible"},
	{P(".gi\xf3\xa0\x81\xb4t"), "invisible"},
	{P("a\xe2\x80\xae" "b"), "invisible"},
	{P("a\0b"), "control"},
	{P("a\nb"), "control"},
	{P("a\rb"), "control"},
	{P("a\tb"), "control"},
	{P("a\x1b[31m"), "control"},
	{P("a\x7f"), "control"},
	{P("a\xc2\x85"), "control"},
	{P("a\xff"), "UTF-8"},
	{P("a\xc0\xaf"), "UTF-8"},
	{P("a\xe2\x80"), "UTF-8"},
	{P("a\xed\xa0\x80"), "UTF-8"},
	{P("dir./x"), "dot or a space"},
	{P("x "), "dot or a space"},
	{P("x."), "dot or a space"},
	{P("..."), "dot or a space"},
	{P("a/CON"), "device"},
	{P("nul.txt"), "device"},
	{P("src/Aux.c"), "device"},
	{P("COM1"), "device"},
	{P("a:b"), "colon"},
	/* clang-format on */
};

static void the_names_of_the_table_are_refused_with_their_reason(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const char *reason = path_refusal(cases[i].path, cases[i].len, true);
		if (!cases[i].words && reason)
			fail_msg("%s: refused: %s", cases[i].path, reason);
		if (cases[i].words && (!reason || !strstr(reason, cases[i].words)))
			fail_msg("%s: %s instead of %s", cases[i].path, reason ? reason : "allowed",
				cases[i].words);
	}
}

static void long_paths_and_names_are_refused(void **state)
{
	(void)state;
	char path[5000];
	memset(path, 'a', sizeof path);
	for (size_t i = 100; i < sizeof path; i += 100)
		path[i] = '/';
	assert_null(path_refusal(path, 4095, true));
	assert_non_null(strstr(path_refusal(path, 4096, true), "4095"));
	memset(path, 'a', 256);
	assert_non_null(strstr(path_refusal(path, 256, true), "255"));
	assert_null(path_refusal(path, 255, true));
}

static void device_names_can_be_read(void **state)
{
	(void)state;
	assert_null(path_refusal("src/aux.c", 9, false));
}

/* ---- files ---- */

static char top[64];
static int root_fd;

static void run(const char *script)
{
	autofree char *command = xasprintf("cd %s && %s", top, script);
	assert_int_equal(system(command), 0);
}

static int setup(void **state)
{
	(void)state;
	strcpy(top, "/tmp/airunner-test-XXXXXX");
	if (!mkdtemp(top))
		return -1;
	autofree char *inside = xasprintf("%s/tree", top);
	mkdir(inside, 0755);
	run("echo secret >outside && mkdir -p outdir && cd tree && mkdir -p src && echo 'one' "
	    ">src/a.ts && "
	    "ln -s ../outside link && ln -s ../outdir dirlink && ln -s src/a.ts inner && ln -s "
	    "/proc/self proc && "
	    "mkfifo pipe && ln ../outside hard && ln -s nowhere broken && ln -s /dev/null dev");
	root_fd = open(inside, O_RDONLY | O_DIRECTORY);
	return root_fd < 0 ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	close(root_fd);
	autofree char *command = xasprintf("rm -rf %s", top);
	return system(command);
}

static enum err_code read_code(const char *path)
{
	AUTO(buf_release) struct buf b = BUF(1000);
	return err_code(tree_file_read(root_fd, path, strlen(path), &b));
}

static enum err_code write_code(const char *path)
{
	return err_code(tree_file_write(root_fd, path, strlen(path), "new\n", 4, true));
}

static void links_and_devices_are_neither_read_nor_written(void **state)
{
	(void)state;
	static const char *const paths[] = {
		"link", "dirlink/x", "inner", "proc/environ", "pipe", "broken", "dev"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (read_code(paths[i]) != ERR_FORBIDDEN)
			fail_msg("%s can be read", paths[i]);
		if (write_code(paths[i]) != ERR_FORBIDDEN)
			fail_msg("%s can be written", paths[i]);
	}
	assert_int_equal(write_code("hard"), ERR_FORBIDDEN);
	assert_int_equal(write_code("src"), ERR_FORBIDDEN);
	assert_int_equal(write_code("../x"), ERR_BAD_INPUT);
	assert_int_equal(write_code(".git/config"), ERR_BAD_INPUT);
	run("grep -qx secret outside && test -z \"$(ls -A outdir)\" && test ! -e tree/nowhere && "
	    "test ! -e x && "
	    "test ! -e tree/.git");
}

static void openat2_itself_keeps_inside(void **state)
{
	(void)state;
	int fd = -1;
	assert_int_equal(
		err_code(path_open(root_fd, "../outside", O_RDONLY, 0, &fd)), ERR_FORBIDDEN);
	assert_int_equal(
		err_code(path_open(root_fd, "/etc/passwd", O_RDONLY, 0, &fd)), ERR_FORBIDDEN);
	assert_int_equal(fd, -1);
}

static void files_are_written_whole_with_their_folders_and_mode(void **state)
{
	(void)state;
	assert_int_equal(write_code("new/deep/file.txt"), ERR_NONE);
	run("grep -qx new tree/new/deep/file.txt && chmod 755 tree/src/a.ts");
	assert_int_equal(write_code("src/a.ts"), ERR_NONE);
	run("test -x tree/src/a.ts && grep -qx new tree/src/a.ts && test -z \"$(find tree -name "
	    "'.airunner*')\"");
	AUTO(buf_release) struct buf b = BUF(1000);
	assert_null(tree_file_read(root_fd, "new/deep/file.txt", 17, &b));
	assert_string_equal(b.data, "new\n");
	assert_int_equal(
		err_code(tree_file_write(root_fd, "src/a.ts", 8, "", 0, false)), ERR_CONFLICT);
}

static void a_name_that_differs_only_in_case_is_refused(void **state)
{
	(void)state;
	assert_int_equal(write_code("src/A.ts"), ERR_CONFLICT);
	assert_int_equal(write_code("SRC/b.ts"), ERR_CONFLICT);
	run("test ! -e tree/SRC");
}

static void too_much_is_refused(void **state)
{
	(void)state;
	run("head -c 2000 /dev/zero >tree/large");
	assert_int_equal(read_code("large"), ERR_TOO_LARGE);
	autofree char *data = xcalloc(1, TREE_WRITE_MAX + 1);
	assert_int_equal(
		err_code(tree_file_write(root_fd, "huge", 4, data, TREE_WRITE_MAX + 1, true)),
		ERR_TOO_LARGE);
}

static void a_walk_leaves_out_what_is_not_the_projects(void **state)
{
	(void)state;
	run("mkdir -p tree/.git tree/node_modules/x tree/src/sub && touch tree/.git/HEAD "
	    "tree/node_modules/x/i.js "
	    "tree/src/sub/z.ts");
	AUTO(tree_list_release) struct tree_list list = {0};
	assert_null(tree_list_walk(root_fd, "./src/", 6, 100, &list));
	assert_int_equal(list.count, 2);
	assert_string_equal(list.paths[0], "src/a.ts");
	assert_string_equal(list.paths[1], "src/sub/z.ts");
	AUTO(tree_list_release) struct tree_list all = {0};
	assert_null(tree_list_walk(root_fd, ".", 1, 100, &all));
	for (size_t i = 0; i < all.count; i++) {
		assert_null(strstr(all.paths[i], ".git/"));
		assert_null(strstr(all.paths[i], "node_modules"));
		assert_string_not_equal(all.paths[i], "link");
	}
	AUTO(tree_list_release) struct tree_list two = {0};
	assert_null(tree_list_walk(root_fd, ".", 1, 2, &two));
	assert_int_equal(two.count, 2);
	assert_true(two.cut);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_names_of_the_table_are_refused_with_their_reason),
		cmocka_unit_test(long_paths_and_names_are_refused),
		cmocka_unit_test(device_names_can_be_read),
		cmocka_unit_test(links_and_devices_are_neither_read_nor_written),
		cmocka_unit_test(openat2_itself_keeps_inside),
		cmocka_unit_test(files_are_written_whole_with_their_folders_and_mode),
		cmocka_unit_test(a_name_that_differs_only_in_case_is_refused),
		cmocka_unit_test(too_much_is_refused),
		cmocka_unit_test(a_walk_leaves_out_what_is_not_the_projects),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
