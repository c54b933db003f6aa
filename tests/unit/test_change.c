/* Changes between trees as bytes: made, applied in memory, damaged. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "tests/unit/git_sample.h"
#include "worker/git/change.h"
#include "worker/git/store_private.h"

struct fixture {
	struct git_sample sample;
	struct work_tree *tree;
	char base[OID_HEX + 1];
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	struct store *store = NULL;
	sample_make(&f->sample);
	no_error(store_open(f->sample.set, &f->sample.repo, &store));
	no_error(store_fetch(store));
	no_error(store_commit_tree(store, f->sample.head, f->base));
	no_error(work_tree_open(store, 1, f->sample.head, &f->tree));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct store *store = work_tree_store(f->tree);
	work_tree_close(f->tree);
	store_close(store);
	sample_remove(&f->sample);
	free(f);
	return 0;
}

/* Runs a shell script in the work tree and records what it changed. */
static void change(
	struct fixture *f, const char *script, char ret_tree[OID_HEX + 1], struct buf *out)
{
	autofree char *command = xasprintf("cd %s && %s", work_tree_path(f->tree), script);
	assert_int_equal(system(command), 0);
	no_error(work_tree_snapshot(f->tree, NULL, ret_tree));
	no_error(change_make(work_tree_store(f->tree), f->base, ret_tree, out));
}

/* A second store with nothing but the remote's commit. */
static struct store *other_store(struct fixture *f)
{
	struct store *store = NULL;
	static char workdir[200];
	snprintf(workdir, sizeof workdir, "%s/elsewhere", f->sample.folder);
	struct repo_config repo = f->sample.repo;
	repo.workdir = workdir;
	no_error(store_open(f->sample.set, &repo, &store));
	no_error(store_fetch(store));
	no_error(change_in_memory(store));
	return store;
}

static const char *const scripts[] = {
	"printf '\\000\\001\\377bin\\n\\n' >bin.dat && echo >>bin.dat",
	"rm -rf -- $(ls -A | grep -v .git | head -1)",
	"mkdir -p deep/er && mv \"$(find . -type f | sort | head -1)\" deep/er/moved",
	"ln -s ../outside link && ln -s . loop",
	"chmod +x \"$(find . -type f | sort | tail -1)\"",
	": >empty && printf 'no line end' >plain && printf 'a b\\tc' >'odd name \xc3\xa4'",
	"rm -rf x && echo file >x && git --version >/dev/null",
	"rm x && mkdir x && echo inside >x/y",
};

static void every_kind_of_change_is_built_again_elsewhere(void **state)
{
	struct fixture *f = *state;
	struct store *store = other_store(f);
	char from[OID_HEX + 1];
	strcpy(from, f->base);
	for (size_t i = 0; i < ARRAY_LEN(scripts); i++) {
		AUTO(buf_release) struct buf b = BUF(CHANGE_MAX);
		char tree[OID_HEX + 1], built[OID_HEX + 1];
		struct change_ids ids;
		strcpy(f->base, from); /* each from the tree before it */
		change(f, scripts[i], tree, &b);
		assert_string_not_equal(tree, from);
		no_error(change_ids(&b, &ids));
		assert_string_equal(ids.from, from);
		assert_string_equal(ids.to, tree);
		no_error(change_apply(store, &b, from, built));
		assert_string_equal(built, tree);
		strcpy(from, tree);
	}
	store_close(store);
}

static void nothing_is_written_to_the_store(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_release) struct buf b = BUF(CHANGE_MAX);
	char tree[OID_HEX + 1], built[OID_HEX + 1];
	struct store *store = other_store(f);
	change(f, "echo new >new.txt", tree, &b);
	no_error(change_apply(store, &b, f->base, built));
	store_close(store);
	store = other_store(f);
	git_tree *found = NULL;
	assert_int_equal(err_code(store_tree(store->repo, tree, &found)), ERR_NOT_FOUND);
	store_close(store);
}

static err_t apply_damaged(struct fixture *f, struct store *store, const struct buf *b, size_t at)
{
	AUTO(buf_release) struct buf bad = BUF(CHANGE_MAX);
	char built[OID_HEX + 1];
	buf_add(&bad, b->data, b->len);
	bad.data[at] ^= 1;
	return change_apply(store, &bad, f->base, built);
}

static void a_record_changed_in_any_byte_after_its_head_gives_an_error_or_another_tree(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_release) struct buf b = BUF(CHANGE_MAX);
	char tree[OID_HEX + 1];
	struct store *store = other_store(f);
	change(f, "echo new >new.txt && rm -f \"$(find . -type f | sort | head -1)\"", tree, &b);
	size_t head = (size_t)(strchr(b.data, '\n') - b.data) + 1;
	for (size_t at = head; at < b.len; at++) {
		AUTO(buf_release) struct buf bad = BUF(CHANGE_MAX);
		char built[OID_HEX + 1] = "";
		buf_add(&bad, b.data, b.len);
		bad.data[at] ^= 1;
		err_t e = change_apply(store, &bad, f->base, built);
		/* a deletion's own id is not looked at */
		bool is_idle = !e && strcmp(built, tree) == 0 && strchr("01", bad.data[at]);
		if (!e && strcmp(built, tree) == 0 && !is_idle)
			fail_msg("byte %zu of %zu does not count", at, b.len);
	}
	size_t content = (size_t)(strstr(b.data, "new.txt\nnew") - b.data) + strlen("new.txt\n");
	err_t e = apply_damaged(f, store, &b, content);
	assert_int_equal(err_code(e), ERR_BAD_INPUT);
	assert_non_null(strstr(err_text(e), "new.txt: its content is not the one"));
	store_close(store);
}

static void a_content_with_a_secret_is_left_out_and_named(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_release) struct buf b = BUF(CHANGE_MAX);
	char tree[OID_HEX + 1], built[OID_HEX + 1];
	redact_add("GH_TOKEN", "ghp_0123456789abcdef");
	change(f, "echo key ghp_0123456789abcdef >key.txt", tree, &b);
	assert_null(strstr(b.data, "ghp_0123456789abcdef"));
	struct store *store = other_store(f);
	err_t e = change_apply(store, &b, f->base, built);
	assert_int_equal(err_code(e), ERR_NOT_FOUND);
	assert_non_null(strstr(err_text(e), "key.txt"));
	store_close(store);
	redact_clear();
}

static void a_change_too_large_to_keep_is_refused(void **state)
{
	struct fixture *f = *state;
	AUTO(buf_release) struct buf b = BUF(CHANGE_MAX);
	char tree[OID_HEX + 1];
	autofree char *command =
		xasprintf("head -c %zu /dev/zero >%s/big", CHANGE_MAX, work_tree_path(f->tree));
	assert_int_equal(system(command), 0);
	no_error(work_tree_snapshot(f->tree, NULL, tree));
	assert_int_equal(
		err_code(change_make(work_tree_store(f->tree), f->base, tree, &b)), ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(
			every_kind_of_change_is_built_again_elsewhere, setup, teardown),
		cmocka_unit_test_setup_teardown(nothing_is_written_to_the_store, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_record_changed_in_any_byte_after_its_head_gives_an_error_or_another_tree,
			setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_content_with_a_secret_is_left_out_and_named, setup, teardown),
		cmocka_unit_test_setup_teardown(
			a_change_too_large_to_keep_is_refused, setup, teardown),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
