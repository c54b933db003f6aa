/* The store: fetch, heads, commits, tags, diffs, pushes to a local remote. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/git_sample.h"

struct fixture {
	struct git_sample sample;
	struct store *store;
};

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	sample_make(&f->sample);
	no_error(store_open(f->sample.set, &f->sample.repo, &f->store));
	no_error(store_fetch(f->store));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	store_close(f->store);
	sample_remove(&f->sample);
	free(f);
	return 0;
}

static const struct sample_file changed[] = {
	{"README.md", "Another.\n", 0},
	{"src/a.ts", "export const a = 1;\nexport const c = 3;\n", 0},
	{NULL, NULL, 0},
};

/* A commit of the changed files, made in the store on main's head. */
static void make_commit(struct fixture *f, char ret_commit[OID_HEX + 1])
{
	char tree[OID_HEX + 1], side[OID_HEX + 1];
	sample_commit(&f->sample, "side", changed, f->sample.head, side);
	no_error(store_fetch(f->store));
	no_error(store_commit_tree(f->store, side, tree));
	no_error(store_commit(
		f->store, tree, f->sample.head, "ABC-1: change\n", &sample_identity, ret_commit));
}

static err_t push(struct fixture *f, const char *source, const char *ref, const char *expected)
{
	return store_push(f->store, &(struct push_ref){source, ref, expected}, 1);
}

static void assert_remote(struct fixture *f, const char *ref, const char *wanted)
{
	char id[OID_HEX + 1];
	sample_ref(&f->sample, ref, id);
	assert_string_equal(id, wanted);
}

static void fetched_heads_follow_the_remote_and_removed_branches_go(void **state)
{
	struct fixture *f = *state;
	char head[OID_HEX + 1], next[OID_HEX + 1];
	no_error(store_remote_head(f->store, "main", head));
	assert_string_equal(head, f->sample.head);
	sample_commit(&f->sample, "story/abc-1", changed, f->sample.head, next);
	no_error(store_fetch(f->store));
	no_error(store_remote_head(f->store, "story/abc-1", head));
	assert_string_equal(head, next);
	git_reference *ref = NULL;
	assert_int_equal(git_reference_lookup(&ref, f->sample.remote, "refs/heads/story/abc-1"), 0);
	assert_int_equal(git_reference_delete(ref), 0);
	git_reference_free(ref);
	no_error(store_fetch(f->store));
	assert_int_equal(err_code(store_remote_head(f->store, "story/abc-1", head)), ERR_NOT_FOUND);
}

static void missing_branch_names_what_there_is(void **state)
{
	struct fixture *f = *state;
	char head[OID_HEX + 1];
	err_t e = store_remote_head(f->store, "trunk", head);
	assert_int_equal(err_code(e), ERR_NOT_FOUND);
	assert_non_null(strstr(err_text(e), "it has main"));
	assert_int_equal(err_code(store_remote_head(f->store, "a..b", head)), ERR_BAD_INPUT);
}

static void missing_repository_and_ssh_are_told_with_the_remedy(void **state)
{
	struct fixture *f = *state;
	struct repo_config repo = f->sample.repo;
	autofree char *none = xasprintf("%s/none.git", f->sample.folder);
	struct store *store = NULL;
	repo.clone_url = none;
	no_error(store_open(f->sample.set, &repo, &store));
	err_t e = store_fetch(store);
	assert_int_equal(err_code(e), ERR_NOT_FOUND);
	assert_non_null(strstr(err_text(e), "REPO_SSH"));
	store_close(store);
	repo.clone_url = (char *)"git@host:o/n.git";
	repo.transport = REPO_SSH;
	no_error(store_open(f->sample.set, &repo, &store));
	e = store_fetch(store);
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_non_null(strstr(err_text(e), "GH_TOKEN"));
	store_close(store);
}

static void stale_locks_of_killed_runs_do_not_block_a_fetch(void **state)
{
	struct fixture *f = *state;
	char next[OID_HEX + 1], head[OID_HEX + 1];
	autofree char *git = xasprintf("%s/store.git", f->sample.repo.workdir);
	sample_commit(&f->sample, "main", changed, f->sample.head, next);
	sample_write(git, "refs/remotes/origin/main.lock", "");
	sample_write(git, "packed-refs.lock", "");
	no_error(store_fetch(f->store));
	no_error(store_remote_head(f->store, "main", head));
	assert_string_equal(head, next);
}

static err_t cancelled(void *arg)
{
	++*(int *)arg;
	return err_new(ERR_CANCELLED, "run 7 was cancelled");
}

static void cancel_ends_a_fetch(void **state)
{
	struct fixture *f = *state;
	char next[OID_HEX + 1];
	int asked = 0;
	sample_commit(&f->sample, "main", changed, f->sample.head, next);
	store_set_alive(f->store, cancelled, &asked);
	assert_int_equal(err_code(store_fetch(f->store)), ERR_CANCELLED);
	assert_true(asked > 0);
}

static void commit_and_annotated_tag_are_pushed_once(void **state)
{
	struct fixture *f = *state;
	char commit[OID_HEX + 1];
	make_commit(f, commit);
	no_error(store_tag(f->store, "rollback/abc-1/20261122-120000", f->sample.head, "before",
		&sample_identity));
	no_error(store_tag(f->store, "rollback/abc-1/20261122-120000", f->sample.head, "before",
		&sample_identity));
	assert_int_equal(err_code(store_tag(f->store, "rollback/abc-1/20261122-120000", commit,
				 "before", &sample_identity)),
		ERR_CONFLICT);
	const struct push_ref refs[] = {
		{commit, "refs/heads/ai/abc-1", ""},
		{"refs/tags/rollback/abc-1/20261122-120000",
			"refs/tags/rollback/abc-1/20261122-120000", ""},
	};
	no_error(store_push(f->store, refs, 2));
	assert_remote(f, "refs/heads/ai/abc-1", commit);
	git_object *tag = NULL;
	assert_int_equal(git_revparse_single(&tag, f->sample.remote,
				 "refs/tags/rollback/abc-1/20261122-120000"),
		0);
	assert_int_equal(git_object_type(tag), GIT_OBJECT_TAG);
	git_object_free(tag);
	no_error(store_push(f->store, refs, 2)); /* the same again */
}

static void moved_branch_refuses_the_push(void **state)
{
	struct fixture *f = *state;
	char commit[OID_HEX + 1], other[OID_HEX + 1];
	make_commit(f, commit);
	sample_commit(&f->sample, "story/abc-1", sample_files, f->sample.head, other);
	err_t e = push(f, commit, "refs/heads/story/abc-1", f->sample.head);
	assert_int_equal(err_code(e), ERR_CONFLICT);
	assert_non_null(strstr(err_text(e), "was moved to"));
	assert_int_equal(err_code(push(f, commit, "refs/heads/story/abc-1", "")), ERR_CONFLICT);
	assert_int_equal(err_code(push(f, commit, "refs/heads/story/abc-1", NULL)), ERR_CONFLICT);
	assert_int_equal(
		err_code(push(f, commit, "refs/heads/gone", f->sample.head)), ERR_PUSH_REFUSED);
	assert_remote(f, "refs/heads/story/abc-1", other);
	assert_remote(f, "refs/heads/gone", "");
}

static void expected_head_lets_the_branch_go_forward(void **state)
{
	struct fixture *f = *state;
	char commit[OID_HEX + 1];
	make_commit(f, commit);
	no_error(push(f, commit, "refs/heads/main", f->sample.head));
	assert_remote(f, "refs/heads/main", commit);
}

static void configuration_of_store_or_host_redirects_no_push(void **state)
{
	struct fixture *f = *state;
	char commit[OID_HEX + 1];
	make_commit(f, commit);
	autofree char *other = xasprintf("%s/evil.git", f->sample.folder);
	git_repository *evil = NULL;
	git_config *config = NULL;
	assert_int_equal(git_repository_init(&evil, other, 1), 0);
	git_repository_free(evil);
	autofree char *store = xasprintf("%s/store.git/config", f->sample.repo.workdir);
	autofree char *key = xasprintf("url.%s.insteadOf", other);
	assert_int_equal(git_config_open_ondisk(&config, store), 0);
	assert_int_equal(git_config_set_string(config, key, f->sample.remote_path), 0);
	git_config_free(config);
	store_close(f->store);
	no_error(store_open(f->sample.set, &f->sample.repo, &f->store));
	no_error(push(f, commit, "refs/heads/ai/abc-1", ""));
	assert_remote(f, "refs/heads/ai/abc-1", commit);
}

static void configuration_of_the_host_is_not_read(void **state)
{
	struct fixture *f = *state;
	git_config *config = NULL;
	git_buf value = {0};
	autofree char *home = xstrdup(getenv("HOME") ? getenv("HOME") : "/");
	sample_write(f->sample.folder, ".gitconfig", "[user]\n\tname = Somebody\n");
	git_stop();
	setenv("HOME", f->sample.folder, 1);
	no_error(git_start(f->sample.set));
	assert_int_equal(git_config_open_default(&config), 0);
	assert_int_equal(git_config_get_string_buf(&value, config, "user.name"), GIT_ENOTFOUND);
	git_config_free(config);
	setenv("HOME", home, 1);
}

static void diff_counts_and_stops_at_its_limit(void **state)
{
	struct fixture *f = *state;
	char commit[OID_HEX + 1], from[OID_HEX + 1], to[OID_HEX + 1];
	struct diff_stat stat;
	make_commit(f, commit);
	no_error(store_commit_tree(f->store, f->sample.head, from));
	no_error(store_commit_tree(f->store, commit, to));
	AUTO(buf_release) struct buf diff = BUF(1 << 16);
	no_error(store_diff(f->store, from, to, &diff, &stat));
	assert_non_null(strstr(diff.data, "+export const c = 3;\n"));
	assert_int_equal(stat.files_changed, 6); /* two changed, four deleted */
	assert_int_equal(stat.lines_added, 2);
	AUTO(buf_release) struct buf small = BUF(20);
	no_error(store_diff(f->store, from, to, &small, NULL));
	assert_true(buf_cut(&small));
	assert_int_equal(err_code(store_diff(f->store, from,
				 "1234567890123456789012345678901234567890", &diff, NULL)),
		ERR_NOT_FOUND);
}

static void half_made_store_is_made_anew(void **state)
{
	struct fixture *f = *state;
	struct repo_config repo = f->sample.repo;
	autofree char *workdir = xasprintf("%s/fresh", f->sample.folder);
	repo.workdir = workdir;
	sample_write(workdir, "store.git.new/HEAD", "half");
	struct store *store = NULL;
	no_error(store_open(f->sample.set, &repo, &store));
	no_error(store_fetch(store));
	store_close(store);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(fetched_heads_follow_the_remote_and_removed_branches_go),
		CASE(missing_branch_names_what_there_is),
		CASE(missing_repository_and_ssh_are_told_with_the_remedy),
		CASE(stale_locks_of_killed_runs_do_not_block_a_fetch),
		CASE(cancel_ends_a_fetch),
		CASE(commit_and_annotated_tag_are_pushed_once),
		CASE(moved_branch_refuses_the_push),
		CASE(expected_head_lets_the_branch_go_forward),
		CASE(configuration_of_store_or_host_redirects_no_push),
		CASE(configuration_of_the_host_is_not_read),
		CASE(diff_counts_and_stops_at_its_limit),
		CASE(half_made_store_is_made_anew),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
