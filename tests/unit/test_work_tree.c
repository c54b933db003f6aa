/* Work tree slots and the snapshot primitive. */
#include <setjmp.h>
#include <stdarg.h>
#include <fcntl.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/git_sample.h"
#include "worker/git/tree_files.h"

struct fixture {
	struct git_sample sample;
	struct work_tree *tree;
	char base[OID_HEX + 1]; /* tree of the commit */
};

static void open_tree(struct fixture *f)
{
	struct store *store = NULL;
	no_error(store_open(f->sample.set, &f->sample.repo, &store));
	no_error(store_fetch(store));
	no_error(store_commit_tree(store, f->sample.head, f->base));
	no_error(work_tree_open(store, 1, f->sample.head, &f->tree));
}

static void close_tree(struct fixture *f)
{
	struct store *store = work_tree_store(f->tree);
	work_tree_close(f->tree);
	store_close(store);
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	sample_make(&f->sample);
	open_tree(f);
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	close_tree(f);
	sample_remove(&f->sample);
	free(f);
	return 0;
}

static const char *path_of(const struct fixture *f)
{
	return work_tree_path(f->tree);
}

static void in_tree(const struct fixture *f, const char *path, char *out, size_t size)
{
	snprintf(out, size, "%s/%s", path_of(f), path);
}

/* What changed between base and tree, as "A path\nM path\n". */
static char *changes(struct fixture *f, const char *tree)
{
	json_t *paths = NULL;
	AUTO(buf_release) struct buf text = BUF(1 << 16);
	no_error(store_changed_paths(work_tree_store(f->tree), f->base, tree, &paths));
	size_t i;
	json_t *one;
	json_array_foreach (paths, i, one)
		buf_addf(&text, "%c %s\n",
			json_string_value(json_object_get(one, "status"))[0] - 32,
			json_string_value(json_object_get(one, "path")));
	json_decref(paths);
	return buf_take(&text);
}

static void expect_changes(struct fixture *f, const char *wanted)
{
	char tree[OID_HEX + 1];
	no_error(work_tree_snapshot(f->tree, NULL, tree));
	autofree char *is = changes(f, tree);
	assert_string_equal(is, wanted);
}

static void untouched_tree_is_the_base_tree(void **state)
{
	struct fixture *f = *state;
	char tree[OID_HEX + 1];
	autofree char *readme = sample_read(path_of(f), "README.md");
	assert_string_equal(readme, "A sample.\n");
	no_error(work_tree_snapshot(f->tree, NULL, tree));
	assert_string_equal(tree, f->base);
}

static void snapshot_takes_changed_new_and_deleted_files_but_no_ignored_ones(void **state)
{
	struct fixture *f = *state;
	char gone[256];
	sample_write(path_of(f), "src/a.ts", "export const a = 3;\n");
	sample_write(path_of(f), "src/deep/er/new.ts", "new\n");
	sample_write(path_of(f), "dist/out.js", "built\n");
	sample_write(path_of(f), "x.log", "noise\n");
	sample_write(path_of(f), "node_modules/m/index.js", "m\n");
	in_tree(f, "src/b.ts", gone, sizeof gone);
	assert_int_equal(unlink(gone), 0);
	expect_changes(f, "M src/a.ts\nD src/b.ts\nA src/deep/er/new.ts\n");
}

static void change_of_same_size_and_time_is_seen(void **state)
{
	struct fixture *f = *state;
	char path[256];
	struct stat st;
	in_tree(f, "src/a.ts", path, sizeof path);
	assert_int_equal(stat(path, &st), 0);
	sample_write(path_of(f), "src/a.ts", "export const a = 9;\n");
	struct timespec times[2] = {st.st_atim, st.st_mtim};
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	expect_changes(f, "M src/a.ts\n");
}

/* File times have the grain of a clock tick: several writes fall into one. */
static void a_file_that_is_written_again_at_once_is_read_again(void **state)
{
	struct fixture *f = *state;
	autofree char *path = xasprintf("%s/new.txt", path_of(f));
	char before[OID_HEX + 1] = "", now[OID_HEX + 1];
	int fd = open(path, O_WRONLY | O_CREAT, 0644);
	assert_true(fd >= 0);
	for (int i = 0; i < 200; i++) {
		char text[16];
		snprintf(text, sizeof text, "%08d", i);
		assert_int_equal(pwrite(fd, text, 8, 0), 8);
		no_error(work_tree_snapshot(f->tree, NULL, now));
		assert_string_not_equal(now, before);
		if (i % 40 == 39)
			usleep(30000); /* this one is remembered */
		no_error(work_tree_snapshot(f->tree, NULL, before));
		assert_string_equal(now, before);
	}
	close(fd);
}

static void a_remembered_file_is_known_by_its_times_mode_and_inode(void **state)
{
	struct fixture *f = *state;
	autofree char *path = xasprintf("%s/new.txt", path_of(f));
	autofree char *other = xasprintf("%s/other", path_of(f));
	char first[OID_HEX + 1], second[OID_HEX + 1];
	AUTO(buf_release) struct buf one = BUF(100), two = BUF(100);
	buf_adds(&one, "same size 1");
	buf_adds(&two, "same size 2");
	const struct timespec times[2] = {{.tv_sec = 1000}, {.tv_sec = 1000}};
	no_error(buf_write_file(&one, path, 0644));
	no_error(buf_write_file(&two, other, 0644));
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	assert_int_equal(utimensat(AT_FDCWD, other, times, 0), 0);
	usleep(30000);
	no_error(work_tree_snapshot(f->tree, NULL, first));
	assert_int_equal(rename(other, path), 0); /* its ctime is new, and its inode another */
	no_error(work_tree_snapshot(f->tree, NULL, second));
	assert_string_not_equal(first, second);
	usleep(30000);
	no_error(work_tree_snapshot(f->tree, NULL, second));
	int fd = open(path, O_WRONLY);
	assert_int_equal(pwrite(fd, "some", 4, 0), 4);
	close(fd);
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0); /* as a command can */
	no_error(work_tree_snapshot(f->tree, NULL, first));
	assert_string_not_equal(first, second);
	usleep(30000);
	no_error(work_tree_snapshot(f->tree, NULL, first));
	assert_int_equal(chmod(path, 0755), 0);
	no_error(work_tree_snapshot(f->tree, NULL, second));
	assert_string_not_equal(first, second);
}

static void restore_trusts_no_time_that_a_command_set(void **state)
{
	struct fixture *f = *state;
	char path[256];
	struct stat st;
	for (int i = 0; i < 2; i++) { /* an index younger than its files is one that git trusts */
		close_tree(f);
		usleep(1100000);
		open_tree(f);
	}
	in_tree(f, "src/a.ts", path, sizeof path);
	assert_int_equal(stat(path, &st), 0);
	sample_write(path_of(f), "src/a.ts", "export const a = 9;\n");
	struct timespec times[2] = {st.st_atim, st.st_mtim};
	assert_int_equal(utimensat(AT_FDCWD, path, times, 0), 0);
	no_error(work_tree_restore(f->tree, f->base));
	autofree char *a = sample_read(path_of(f), "src/a.ts");
	assert_string_equal(a, "export const a = 1;\n");
}

static void modes_and_links_are_kept(void **state)
{
	struct fixture *f = *state;
	char path[256], tree[OID_HEX + 1];
	in_tree(f, "src/a.ts", path, sizeof path);
	assert_int_equal(chmod(path, 0755), 0);
	in_tree(f, "link", path, sizeof path);
	assert_int_equal(symlink("/etc/passwd", path), 0);
	no_error(work_tree_snapshot(f->tree, NULL, tree));
	autofree char *mode = sample_tree_file(work_tree_store(f->tree), tree, "src/a.ts");
	autofree char *link = sample_tree_file(work_tree_store(f->tree), tree, "link");
	assert_non_null(strstr(mode, "new file mode 100755"));
	assert_non_null(strstr(link, "new file mode 120000"));
	assert_non_null(strstr(link, "+/etc/passwd"));
}

static void refused_paths_stay_as_in_the_base(void **state)
{
	struct fixture *f = *state;
	char tree[OID_HEX + 1];
	sample_write(path_of(f), "package-lock.json", "{\"new\": 1}\n");
	sample_write(path_of(f), "src/.GIT/config", "[core]\n");
	sample_write(path_of(f), "src/.git /config", "[core]\n");
	sample_write(path_of(f), ".git\xe2\x80\x8c/config", "[core]\n");
	no_error(work_tree_snapshot(f->tree, (const char *[]){"package-lock.json", NULL}, tree));
	assert_string_equal(tree, f->base);
	no_error(work_tree_snapshot(f->tree, NULL, tree));
	autofree char *is = changes(f, tree);
	assert_string_equal(is, "M package-lock.json\n");
}

static void modules_stay_out_even_if_the_tree_wants_them(void **state)
{
	struct fixture *f = *state;
	sample_write(path_of(f), ".gitignore", "!node_modules/\n");
	sample_write(path_of(f), "node_modules/m/index.js", "m\n");
	sample_write(path_of(f), "pkg/node_modules/m/index.js", "m\n");
	expect_changes(f, "M .gitignore\n");
}

static void git_folders_of_commands_are_no_part_and_not_read(void **state)
{
	struct fixture *f = *state;
	char tree[OID_HEX + 1], path[256];
	git_repository *evil = NULL;
	assert_int_equal(git_repository_init(&evil, path_of(f), 0), 0);
	git_repository_free(evil);
	in_tree(f, "sub", path, sizeof path);
	assert_int_equal(git_repository_init(&evil, path, 0), 0);
	git_repository_free(evil);
	sample_write(path_of(f), ".git/config",
		"[core]\n\tworktree = /etc\n[filter \"x\"]\n\tclean = touch /tmp/evil\n");
	sample_write(path_of(f), "sub/hidden.ts", "x\n");
	expect_changes(f, "");
	sample_write(path_of(f), "src/a.ts", "changed\n");
	expect_changes(f, "M src/a.ts\n");
	no_error(work_tree_snapshot(f->tree, NULL, tree));
	no_error(work_tree_restore(f->tree, tree));
	assert_false(sample_exists(path_of(f), ".git"));
	assert_false(sample_exists(path_of(f), "sub"));
}

static void restore_sets_files_and_keeps_ignored_ones(void **state)
{
	struct fixture *f = *state;
	char first[OID_HEX + 1];
	sample_write(path_of(f), "src/a.ts", "first\n");
	sample_write(path_of(f), "node_modules/m/index.js", "m\n");
	no_error(work_tree_snapshot(f->tree, NULL, first));
	sample_write(path_of(f), "src/a.ts", "second\n");
	sample_write(path_of(f), "stray.ts", "x\n");
	no_error(work_tree_restore(f->tree, first));
	autofree char *a = sample_read(path_of(f), "src/a.ts");
	assert_string_equal(a, "first\n");
	assert_false(sample_exists(path_of(f), "stray.ts"));
	assert_true(sample_exists(path_of(f), "node_modules/m/index.js"));
	expect_changes(f, "M src/a.ts\n");
	no_error(work_tree_restore(f->tree, f->base));
	expect_changes(f, "");
}

/* A check that finds what the push leaves behind says nothing about the push. */
static void ignored_files_are_dropped_but_modules_of_packages(void **state)
{
	struct fixture *f = *state;
	sample_write(path_of(f), "package.json", "{}");
	sample_write(path_of(f), "node_modules/m/index.js", "m\n");
	sample_write(path_of(f), "src/node_modules/m/index.js", "m\n");
	sample_write(path_of(f), "dist/made.js", "x\n");
	sample_write(path_of(f), "new.ts", "x\n");
	sample_write(path_of(f), "src/x.log", "x\n");
	no_error(work_tree_drop_ignored(f->tree, false));
	assert_false(sample_exists(path_of(f), "dist"));
	assert_false(sample_exists(path_of(f), "src/x.log"));
	assert_false(sample_exists(path_of(f), "src/node_modules"));
	assert_true(sample_exists(path_of(f), "new.ts"));
	assert_true(sample_exists(path_of(f), "node_modules/m/index.js"));
	no_error(work_tree_drop_ignored(f->tree, true));
	assert_false(sample_exists(path_of(f), "node_modules"));
	assert_true(sample_exists(path_of(f), "new.ts"));
}

static void a_slot_is_taken_without_ignored_files_of_the_run_before(void **state)
{
	struct fixture *f = *state;
	sample_write(path_of(f), "dist/made.js", "x\n");
	close_tree(f);
	open_tree(f);
	assert_false(sample_exists(path_of(f), "dist"));
}

static void restore_writes_through_no_link(void **state)
{
	struct fixture *f = *state;
	char src[256], outside[128], leaf[256], with_old[OID_HEX + 1];
	snprintf(outside, sizeof outside, "%s/outside", f->sample.folder);
	assert_int_equal(mkdir(outside, 0700), 0);
	sample_write(outside, "a.ts", "canary\n");
	sample_write(outside, "old.ts", "canary\n");
	sample_write(path_of(f), "old/old.ts", "export {};\n");
	no_error(work_tree_snapshot(f->tree, NULL, with_old));
	no_error(work_tree_restore(f->tree, with_old));
	in_tree(f, "src", src, sizeof src);
	no_error(tree_files_remove(src));
	assert_int_equal(symlink(outside, src), 0);
	in_tree(f, "old", src, sizeof src);
	no_error(tree_files_remove(src));
	assert_int_equal(symlink(outside, src), 0);
	in_tree(f, "README.md", leaf, sizeof leaf);
	assert_int_equal(unlink(leaf), 0);
	snprintf(src, sizeof src, "%s/a.ts", outside);
	assert_int_equal(symlink(src, leaf), 0);
	sample_write(path_of(f), ".gitignore", "src\nold\n");
	no_error(work_tree_restore(f->tree, f->base));
	autofree char *first = sample_read(outside, "a.ts");
	autofree char *second = sample_read(outside, "old.ts");
	autofree char *restored = sample_read(path_of(f), "src/a.ts");
	assert_non_null(first);
	assert_non_null(second);
	assert_string_equal(first, "canary\n");
	assert_string_equal(second, "canary\n");
	assert_string_equal(restored, "export const a = 1;\n");
	expect_changes(f, "");
}

static void restore_does_not_wait_at_pipes_and_sets_links_anew(void **state)
{
	struct fixture *f = *state;
	char path[256], with_link[OID_HEX + 1], target[8] = "";
	in_tree(f, "link", path, sizeof path);
	assert_int_equal(symlink("one", path), 0);
	no_error(work_tree_snapshot(f->tree, NULL, with_link));
	assert_int_equal(unlink(path), 0);
	assert_int_equal(symlink("two", path), 0);
	in_tree(f, "README.md", path, sizeof path);
	assert_int_equal(unlink(path), 0);
	assert_int_equal(mkfifo(path, 0600), 0);
	alarm(20);
	no_error(work_tree_restore(f->tree, with_link));
	alarm(0);
	expect_changes(f, "A link\n");
	in_tree(f, "link", path, sizeof path);
	assert_int_equal(readlink(path, target, sizeof target), 3);
	assert_memory_equal(target, "one", 3);
}

static void pipes_are_left_out_and_large_files_refused(void **state)
{
	struct fixture *f = *state;
	char path[256], tree[OID_HEX + 1];
	in_tree(f, "pipe", path, sizeof path);
	assert_int_equal(mkfifo(path, 0600), 0);
	expect_changes(f, "");
	in_tree(f, "large.bin", path, sizeof path);
	sample_write(path_of(f), "large.bin", "");
	assert_int_equal(truncate(path, 51 << 20), 0);
	err_t e = work_tree_snapshot(f->tree, NULL, tree);
	assert_int_equal(err_code(e), ERR_TOO_LARGE);
	assert_non_null(strstr(err_text(e), "large.bin"));
}

static void line_ends_are_taken_as_they_are(void **state)
{
	struct fixture *f = *state;
	char tree[OID_HEX + 1];
	sample_write(path_of(f), ".gitattributes", "* text=auto eol=crlf\n");
	sample_write(path_of(f), "src/a.ts", "one\r\ntwo\n");
	no_error(work_tree_snapshot(f->tree, NULL, tree));
	sample_write(path_of(f), "src/a.ts", "other\n");
	no_error(work_tree_restore(f->tree, tree));
	autofree char *a = sample_read(path_of(f), "src/a.ts");
	assert_string_equal(a, "one\r\ntwo\n");
}

static void lfs_files_may_not_be_changed(void **state)
{
	struct fixture *f = *state;
	char tree[OID_HEX + 1];
	static const struct sample_file files[] = {
		{".gitattributes", "*.png filter=lfs\n", 0},
		{"a.png", "version https://git-lfs.github.com/spec/v1\n", 0},
		{NULL, NULL, 0},
	};
	close_tree(f);
	sample_commit(&f->sample, "main", files, f->sample.head, f->sample.head);
	open_tree(f);
	sample_write(path_of(f), "b.txt", "fine\n");
	expect_changes(f, "A b.txt\n");
	sample_write(path_of(f), "a.png", "new picture\n");
	err_t e = work_tree_snapshot(f->tree, NULL, tree);
	assert_int_equal(err_code(e), ERR_CONFLICT);
	assert_non_null(strstr(err_text(e), "a.png"));
}

static void slot_is_set_in_order_for_the_next_run(void **state)
{
	struct fixture *f = *state;
	char path[256];
	sample_write(path_of(f), "src/a.ts", "half done\n");
	sample_write(path_of(f), "stray/closed/x.ts", "x\n");
	sample_write(path_of(f), "node_modules/m/index.js", "m\n");
	in_tree(f, "src/b.ts", path, sizeof path);
	assert_int_equal(unlink(path), 0);
	close_tree(f);
	open_tree(f);
	assert_true(sample_exists(path_of(f), "node_modules/m/index.js"));
	assert_false(sample_exists(path_of(f), "stray"));
	expect_changes(f, "");
	autofree char *a = sample_read(path_of(f), "src/a.ts");
	assert_string_equal(a, "export const a = 1;\n");
}

static void killed_run_leaves_the_slot_dirty_and_a_broken_index_is_not_trusted(void **state)
{
	struct fixture *f = *state;
	char path[256];
	snprintf(path, sizeof path, "%s.dirty", path_of(f));
	assert_int_equal(access(path, F_OK), 0);
	close_tree(f);
	assert_int_not_equal(access(path, F_OK), 0);
	sample_write(f->sample.repo.workdir, "tree-1.dirty", "");
	sample_write(f->sample.repo.workdir, "tree-1.index", "rubbish");
	sample_write(f->sample.repo.workdir, "tree-1.index.lock", "");
	open_tree(f);
	expect_changes(f, "");
}

static void tree_that_cannot_be_put_in_order_is_made_anew(void **state)
{
	struct fixture *f = *state;
	close_tree(f);
	sample_write(f->sample.repo.workdir, "tree-1.index", "rubbish"); /* not marked dirty */
	open_tree(f);
	expect_changes(f, "");
}

static void very_deep_folders_are_removed(void **state)
{
	struct fixture *f = *state;
	autofree char *top = xasprintf("%s/deep", f->sample.folder);
	no_error(tree_files_mkdir(top));
	char cwd[4096];
	assert_non_null(getcwd(cwd, sizeof cwd));
	assert_int_equal(chdir(top), 0);
	for (int i = 0; i < 3000; i++) {
		assert_int_equal(mkdir("a_rather_long_name", 0700), 0);
		assert_int_equal(chdir("a_rather_long_name"), 0);
	}
	assert_int_equal(chdir(cwd), 0);
	no_error(tree_files_remove(top));
	assert_false(sample_exists(f->sample.folder, "deep"));
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(untouched_tree_is_the_base_tree),
		CASE(snapshot_takes_changed_new_and_deleted_files_but_no_ignored_ones),
		CASE(change_of_same_size_and_time_is_seen),
		CASE(a_file_that_is_written_again_at_once_is_read_again),
		CASE(a_remembered_file_is_known_by_its_times_mode_and_inode),
		CASE(restore_trusts_no_time_that_a_command_set),
		CASE(modes_and_links_are_kept),
		CASE(refused_paths_stay_as_in_the_base),
		CASE(modules_stay_out_even_if_the_tree_wants_them),
		CASE(git_folders_of_commands_are_no_part_and_not_read),
		CASE(restore_sets_files_and_keeps_ignored_ones),
		CASE(ignored_files_are_dropped_but_modules_of_packages),
		CASE(a_slot_is_taken_without_ignored_files_of_the_run_before),
		CASE(restore_writes_through_no_link),
		CASE(restore_does_not_wait_at_pipes_and_sets_links_anew),
		CASE(pipes_are_left_out_and_large_files_refused),
		CASE(line_ends_are_taken_as_they_are),
		CASE(lfs_files_may_not_be_changed),
		CASE(slot_is_set_in_order_for_the_next_run),
		CASE(killed_run_leaves_the_slot_dirty_and_a_broken_index_is_not_trusted),
		CASE(tree_that_cannot_be_put_in_order_is_made_anew),
		CASE(very_deep_folders_are_removed),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
