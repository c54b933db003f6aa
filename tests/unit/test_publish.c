/*
 * The steps checkout, tag, commit, push and pull_request in their order, against a local remote, a
 * canned GitHub and a real MariaDB; outbox, templates and sandbox are the real ones.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "tests/unit/canned.h"
#include "tests/unit/git_sample.h"
#include "tests/unit/with_db.h"
#include "worker/check/sandbox.h"
#include "worker/forge/forge.h"
#include "worker/http.h"
#include "worker/pipeline.h"
#include "worker/steps/push_merge.h"

#define JSON_HEAD "Content-Type: application/json\r\nConnection: close\r\n\r\n"
#define NONE "HTTP/1.1 200 OK\r\n" JSON_HEAD "[]"
#define PULL(body) \
	"{\"number\": 7, \"html_url\": \"https://github.test/o/n/pull/7\", \"title\": \"S-1: The " \
	"story\"," \
	" \"draft\": true, \"body\": \"" body "\"}"
#define CREATED "HTTP/1.1 201 Created\r\n" JSON_HEAD PULL("x")

static struct db *db;

struct fixture {
	struct git_sample sample;
	struct canned *github;
	struct settings *set;
	struct run_ctx ctx;
};

static const char issue[] = "{'issue': {'id': '1', 'key': 'A-1', 'type': 'Sub-task', 'subtask': "
			    "true, 'status': 'In Progress', "
			    "'summary': 'Add c', 'description': 'Do it.', 'parent': {'key': 'S-1', "
			    "'summary': 'The story', "
			    "'description': 'As a user …', 'type': 'Story'}}}";

static json_t *loads(const char *text)
{
	autofree char *copy = xstrdup(text);
	for (char *p = copy; *p; p++)
		*p = (char)(*p == '\'' ? '"' : *p);
	json_t *json = json_loads(copy, 0, NULL);
	assert_non_null(json);
	return json;
}

static void serve(struct fixture *f, const char *const *raws, size_t count)
{
	static struct canned_reply replies[4];
	for (size_t i = 0; i < count; i++)
		replies[i] = (struct canned_reply){.raw = raws[i]};
	f->github = canned_start(replies, count);
	autofree char *url = xasprintf("GITHUB_API_URL=%s", canned_url(f->github));
	setenv("GH_TOKEN", SAMPLE_TOKEN, 1);
	f->set = with_db_settings((const char *[]){url, "AIRUNNER_RETRY_BASE_MS=20", NULL});
	f->ctx.set = f->set;
}

static int setup(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	sample_make(&f->sample);
	with_db_sql(db,
		"DELETE FROM outbox; DELETE FROM run_events; DELETE FROM artifacts; DELETE FROM "
		"runs; "
		"INSERT INTO runs (id, issue_key, line, status, fence, slot, running_line, "
		"started_at, "
		"cost_usd_micro) VALUES (7, 'A-1', 'S-1', 'running', 5, 1, 'S-1', NOW(3), 12345)");
	f->sample.repo.owner = (char *)"o";
	f->sample.repo.name = (char *)"n";
	f->sample.repo.base_branch = (char *)"main";
	f->ctx = (struct run_ctx){.set = f->sample.set,
		.db = db,
		.repo = &f->sample.repo,
		.step = "test",
		.started_ms = monotonic_ms(),
		.run = {.id = 7, .issue_key = (char *)"A-1", .fence = 5, .slot = 1},
		.state = json_object()};
	run_state_set(&f->ctx, "fetch", loads(issue));
	run_state_set(&f->ctx, "route",
		loads("{'action': 'execute', 'line': 'S-1', 'branch': 'story/s-1', 'base_branch': "
		      "'main', "
		      "'story_key': 'S-1'}"));
	*state = f;
	return 0;
}

static int teardown(void **state)
{
	struct fixture *f = *state;
	struct store *store = f->ctx.tree ? work_tree_store(f->ctx.tree) : NULL;
	sandbox_close(f->ctx.sandbox);
	work_tree_close(f->ctx.tree);
	store_close(store);
	forge_close(f->ctx.forge);
	json_decref(f->ctx.state);
	if (f->github)
		canned_stop(f->github);
	settings_free(f->set);
	sample_remove(&f->sample);
	template_clear();
	free(f);
	return 0;
}

static err_t step(struct fixture *f, step_fn work)
{
	enum step_next next = STEP_NEXT;
	return work(&f->ctx, &next);
}

/* What edit, verify and test would leave behind. */
static void change_and_verify(struct fixture *f)
{
	char tree[OID_HEX + 1];
	sample_write(work_tree_path(f->ctx.tree), "src/c.ts", "export const c = 3;\n");
	no_error(work_tree_snapshot(f->ctx.tree, NULL, tree));
	run_state_set(&f->ctx, "edit", json_pack("{s:s, s:s}", "tree", tree, "summary", "Adds c."));
	run_state_set(&f->ctx, "verify",
		json_pack("{s:s, s:b, s:[{s:s, s:b, s:i, s:n}]}", "tree", tree, "ok", 1, "checks",
			"name", "tsc", "ok", 1, "ms", 900, "skipped_reason"));
	run_state_set(&f->ctx, "test",
		json_pack(
			"{s:s, s:b, s:b, s:s}", "tree", tree, "ok", 1, "ran", 1, "script", "test"));
}

static void publish(struct fixture *f)
{
	change_and_verify(f);
	no_error(step(f, step_tag));
	no_error(step(f, step_commit));
	no_error(step(f, step_push));
}

static void missing_story_branch_is_made_from_the_base(void **state)
{
	struct fixture *f = *state;
	char head[OID_HEX + 1], tag[OID_HEX + 1];
	no_error(step(f, step_checkout));
	assert_string_equal(run_state_str(&f->ctx, "checkout.base_commit"), f->sample.head);
	assert_true(json_is_false(run_state_get(&f->ctx, "checkout.branch_existed")));
	assert_true(json_is_null(run_state_get(&f->ctx, "checkout.remote_head")));
	publish(f);
	sample_ref(&f->sample, "refs/heads/story/s-1", head);
	assert_string_equal(head, run_state_str(&f->ctx, "commit.commit"));
	const char *name = run_state_str(&f->ctx, "tag.name");
	int matched = 0;
	assert_int_equal(sscanf(name, "rollback/a-1/%*8[0-9]-%*6[0-9]%n", &matched), 0);
	assert_int_equal(matched, strlen(name));
	autofree char *ref = xasprintf("refs/tags/%s", name);
	sample_ref(&f->sample, ref, tag);
	assert_int_equal(strlen(tag), OID_HEX);
	assert_int_equal(run_state_i64(&f->ctx, "commit.files_changed"), 1);
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM artifacts WHERE kind = 'diff'"), 1);
	assert_int_equal(with_db_number(db, "SELECT branch = 'story/s-1' FROM runs"), 1);
	no_error(step(f, step_push)); /* the same again, as after a crash */
}

static void commit_says_what_and_by_which_run(void **state)
{
	struct fixture *f = *state;
	git_commit *commit = NULL;
	git_oid id;
	no_error(step(f, step_checkout));
	publish(f);
	assert_int_equal(git_oid_fromstr(&id, run_state_str(&f->ctx, "commit.commit")), 0);
	assert_int_equal(git_commit_lookup(&commit, f->sample.remote, &id), 0);
	assert_string_equal(
		git_commit_message(commit), "A-1: Add c\n\nAdds c.\n\nAI-Runner-Run: 7\n");
	assert_string_equal(git_commit_author(commit)->name, "AI Runner");
	git_commit_free(commit);
}

static void existing_branch_is_gone_on_with(void **state)
{
	struct fixture *f = *state;
	static const struct sample_file more[] = {{"README.md", "More.\n", 0}, {NULL, NULL, 0}};
	char head[OID_HEX + 1];
	sample_commit(&f->sample, "story/s-1", more, f->sample.head, head);
	no_error(step(f, step_checkout));
	assert_string_equal(run_state_str(&f->ctx, "checkout.base_commit"), head);
	assert_string_equal(run_state_str(&f->ctx, "checkout.remote_head"), head);
	publish(f);
}

/* Others commit to the branch between checkout and push. */
static void others_push(
	struct fixture *f, const char *path, const char *text, char head[OID_HEX + 1])
{
	const struct sample_file files[] = {{path, text, 0}, {NULL, NULL, 0}};
	sample_commit(&f->sample, "story/s-1", files, f->sample.head, head);
}

static void commit_of_ours(struct fixture *f)
{
	change_and_verify(f);
	no_error(step(f, step_tag));
	no_error(step(f, step_commit));
}

static void branch_moved_meanwhile_is_merged_and_goes_back_to_verify(void **state)
{
	struct fixture *f = *state;
	char theirs[OID_HEX + 1], head[OID_HEX + 1];
	enum step_next next = STEP_NEXT;
	no_error(step(f, step_checkout));
	others_push(f, "src/theirs.ts", "export {};\n", theirs);
	commit_of_ours(f);
	autofree char *first_tag = xstrdup(run_state_str(&f->ctx, "tag.name"));
	no_error(step_push(&f->ctx, &next));
	assert_int_equal(next, STEP_MERGED);
	sample_ref(&f->sample, "refs/heads/story/s-1", head);
	assert_string_equal(head, theirs); /* nothing was pushed yet */
	assert_true(sample_exists(work_tree_path(f->ctx.tree), "src/theirs.ts"));
	assert_true(sample_exists(work_tree_path(f->ctx.tree), "src/c.ts"));
	push_merge_apply(&f->ctx);
	assert_null(run_state_get(&f->ctx, "verify"));
	assert_null(run_state_get(&f->ctx, "commit"));
	assert_string_equal(run_state_str(&f->ctx, "checkout.base_commit"), theirs);
	publish(f); /* verified anew */
	sample_ref(&f->sample, "refs/heads/story/s-1", head);
	assert_string_equal(head, run_state_str(&f->ctx, "commit.commit"));
	assert_string_equal(
		run_state_str(&f->ctx, "commit.tree"), run_state_str(&f->ctx, "verify.tree"));
	assert_string_equal(run_state_str(&f->ctx, "tag.target"), theirs);
	assert_string_not_equal(run_state_str(&f->ctx, "tag.name"), first_tag);
	assert_int_equal(run_state_i64(&f->ctx, "commit.files_changed"), 1);
}

static void branch_moved_in_the_same_places_blocks_and_names_the_files(void **state)
{
	struct fixture *f = *state;
	char theirs[OID_HEX + 1], head[OID_HEX + 1];
	no_error(step(f, step_checkout));
	others_push(f, "src/c.ts", "export const other = 4;\n", theirs);
	commit_of_ours(f);
	err_t e = step(f, step_push);
	assert_int_equal(err_code(e), ERR_MERGE);
	assert_int_equal(err_run_end(err_code(e)), ERR_END_BLOCKED);
	assert_non_null(strstr(err_text(e), "conflicts in src/c.ts"));
	sample_ref(&f->sample, "refs/heads/story/s-1", head);
	assert_string_equal(head, theirs);
}

static void our_own_commit_below_others_counts_as_pushed(void **state)
{
	struct fixture *f = *state;
	char head[OID_HEX + 1];
	enum step_next next = STEP_NEXT;
	const struct sample_file files[] = {{"src/top.ts", "export {};\n", 0}, {NULL, NULL, 0}};
	no_error(step(f, step_checkout));
	publish(f); /* then killed before its row ended, and others went on */
	json_object_del(f->ctx.state, "push");
	sample_commit(
		&f->sample, "story/s-1", files, run_state_str(&f->ctx, "commit.commit"), head);
	no_error(step_push(&f->ctx, &next));
	assert_int_equal(next, STEP_NEXT);
	assert_string_equal(
		run_state_str(&f->ctx, "push.head"), run_state_str(&f->ctx, "commit.commit"));
}

static void branch_that_moves_again_and_again_blocks(void **state)
{
	struct fixture *f = *state;
	char theirs[OID_HEX + 1];
	no_error(step(f, step_checkout));
	others_push(f, "src/theirs.ts", "export {};\n", theirs);
	commit_of_ours(f);
	run_state_set(&f->ctx, "merged", json_pack("{s:i, s:i}", "count", 3, "time_s", 1));
	err_t e = step(f, step_push);
	assert_int_equal(err_code(e), ERR_PUSH_REFUSED);
	assert_non_null(strstr(err_text(e), "for the 4th time"));
}

static void only_what_was_verified_and_tested_is_committed(void **state)
{
	struct fixture *f = *state;
	no_error(step(f, step_checkout));
	assert_int_equal(err_code(step(f, step_commit)), ERR_INTERNAL);
	change_and_verify(f);
	sample_write(work_tree_path(f->ctx.tree), "src/late.ts", "not checked\n");
	json_object_set_new(run_state_get(&f->ctx, "test"), "tree", json_string(f->sample.head));
	assert_int_equal(err_code(step(f, step_commit)), ERR_INTERNAL);
	json_object_set(
		run_state_get(&f->ctx, "test"), "tree", run_state_get(&f->ctx, "verify.tree"));
	json_object_set_new(run_state_get(&f->ctx, "verify"), "ok", json_false());
	assert_int_equal(err_code(step(f, step_commit)), ERR_INTERNAL);
	json_object_set_new(run_state_get(&f->ctx, "verify"), "ok", json_true());
	no_error(step(f, step_commit));
	autofree char *late = sample_tree_file(
		work_tree_store(f->ctx.tree), run_state_str(&f->ctx, "commit.tree"), "src/late.ts");
	assert_null(late);
}

static void unfinished_work_says_so(void **state)
{
	struct fixture *f = *state;
	serve(f, (const char *[]){NONE, CREATED}, 2);
	no_error(step(f, step_checkout));
	change_and_verify(f);
	json_object_set_new(run_state_get(&f->ctx, "verify"), "ok", json_false());
	run_state_set(&f->ctx, "salvage",
		json_pack("{s:O, s:s}", "tree", run_state_get(&f->ctx, "edit.tree"), "branch",
			"ai/a-1-incomplete-7"));
	json_object_set_new(
		run_state_get(&f->ctx, "route"), "branch", json_string("ai/a-1-incomplete-7"));
	no_error(step(f, step_commit));
	no_error(step(f, step_push));
	no_error(step(f, step_pull_request));
	const char *sent = canned_request(f->github, 1);
	assert_non_null(strstr(sent, "\"title\":\"A-1: Add c (incomplete)\""));
	assert_non_null(strstr(sent, "not finished"));
	assert_non_null(strstr(sent, "- [ ] A-1: Add c"));
}

static void new_pull_request_is_the_storys_with_a_list(void **state)
{
	struct fixture *f = *state;
	serve(f, (const char *[]){NONE, CREATED}, 2);
	no_error(step(f, step_checkout));
	publish(f);
	no_error(step(f, step_pull_request));
	const char *sent = canned_request(f->github, 1);
	static const char *const wanted[] = {"POST /repos/o/n/pulls ",
		"\"title\":\"S-1: The story\"", "\"head\":\"story/s-1\"", "\"base\":\"main\"",
		"\"draft\":true", "- [x] A-1: Add c\\n", "Adds c.", "As a user", "- tsc: passed",
		"0.0123 USD", "Run 7 "};
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		if (!strstr(sent, wanted[i]))
			fail_msg("%s is missing in %s", wanted[i], sent);
	assert_int_equal(run_state_i64(&f->ctx, "pull_request.number"), 7);
	assert_int_equal(
		with_db_number(db, "SELECT pr_url = 'https://github.test/o/n/pull/7' FROM runs"),
		1);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM outbox WHERE state = 'done'"), 1);
}

static void existing_pull_request_gets_a_line(void **state)
{
	struct fixture *f = *state;
	serve(f,
		(const char *[]){"HTTP/1.1 200 OK\r\n" JSON_HEAD
				 "[" PULL("- [x] A-0: before\\n") "]",
			"HTTP/1.1 200 OK\r\n" JSON_HEAD PULL("y")},
		2);
	no_error(step(f, step_checkout));
	publish(f);
	no_error(step(f, step_pull_request));
	const char *sent = canned_request(f->github, 1);
	assert_non_null(strstr(sent, "PATCH /repos/o/n/pulls/7 "));
	assert_non_null(strstr(sent, "- [x] A-0: before\\n- [x] A-1: Add c\\n"));
	assert_true(json_is_true(run_state_get(&f->ctx, "pull_request.found")));
}

static void repository_without_a_forge_gets_none(void **state)
{
	struct fixture *f = *state;
	f->sample.repo.owner = (char *)"";
	no_error(step(f, step_checkout));
	publish(f);
	no_error(step(f, step_pull_request));
	assert_null(run_state_get(&f->ctx, "pull_request"));
	assert_int_equal(
		with_db_number(db,
			"SELECT COUNT(*) FROM run_events WHERE message LIKE 'No pull request%'"),
		1);
}

static void missing_repository_or_base_branch_names_the_remedy(void **state)
{
	struct fixture *f = *state;
	json_object_set_new(run_state_get(&f->ctx, "route"), "base_branch", json_string("trunk"));
	err_t e = step(f, step_checkout);
	assert_int_equal(err_code(e), ERR_NOT_FOUND);
	assert_non_null(strstr(err_text(e), "BASE_BRANCH"));
	f->sample.repo.clone_url = (char *)"/nowhere/at/all";
	e = step(f, step_checkout);
	assert_int_equal(err_code(e), ERR_NOT_FOUND);
	assert_non_null(strstr(err_text(e), "REPO_SSH"));
	assert_null(f->ctx.tree);
}

static void cancelled_run_pushes_nothing(void **state)
{
	struct fixture *f = *state;
	char head[OID_HEX + 1];
	no_error(step(f, step_checkout));
	change_and_verify(f);
	no_error(step(f, step_tag));
	no_error(step(f, step_commit));
	with_db_sql(db, "UPDATE runs SET cancel_at = NOW(3)");
	assert_int_equal(err_code(step(f, step_push)), ERR_CANCELLED);
	sample_ref(&f->sample, "refs/heads/story/s-1", head);
	assert_string_equal(head, "");
}

int main(void)
{
#define CASE(name) cmocka_unit_test_setup_teardown(name, setup, teardown)
	const struct CMUnitTest tests[] = {
		CASE(missing_story_branch_is_made_from_the_base),
		CASE(commit_says_what_and_by_which_run),
		CASE(existing_branch_is_gone_on_with),
		CASE(branch_moved_meanwhile_is_merged_and_goes_back_to_verify),
		CASE(branch_moved_in_the_same_places_blocks_and_names_the_files),
		CASE(our_own_commit_below_others_counts_as_pushed),
		CASE(branch_that_moves_again_and_again_blocks),
		CASE(only_what_was_verified_and_tested_is_committed),
		CASE(unfinished_work_says_so),
		CASE(new_pull_request_is_the_storys_with_a_list),
		CASE(existing_pull_request_gets_a_line),
		CASE(repository_without_a_forge_gets_none),
		CASE(missing_repository_or_base_branch_names_the_remedy),
		CASE(cancelled_run_pushes_nothing),
	};
	struct settings *set = NULL;
	db = with_db_open(&set);
	if (http_init())
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_exit();
	db_close(db);
	settings_free(set);
	return failed;
}
