/* Fetch and push by https against nginx with git http-backend (tests/e2e/git-https.sh). */
#include <arpa/inet.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "tests/unit/git_sample.h"

#define SCRIPT "tests/e2e/git-https.sh"

struct server {
	struct git_sample sample; /* its "remote" is what the server serves */
	char dir[128];
	int port;
	char *url;
	struct store *store;
};

static struct server *server;

static void run(const char *fmt, ...)
{
	char command[512];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(command, sizeof command, fmt, ap);
	va_end(ap);
	if (system(command) != 0)
		fail_msg("failed: %s", command);
}

static int free_port(void)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, sizeof at), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	close(fd);
	return ntohs(at.sin_port);
}

/* Settings with a token and the server's authority; the caller frees. */
static struct settings *settings_with(const char *token, bool with_authority)
{
	struct settings *set = NULL;
	autofree char *ca = xasprintf("AIRUNNER_CA_FILE=%s/ca.pem", server->dir);
	setenv("GH_TOKEN", token, 1);
	no_error(settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
				       .default_db_user = "air_worker",
				       .overrides = (const char *[]){"REPOS_CONFIG_PATH=/nowhere",
					       with_authority ? ca : NULL, NULL}},
		&set));
	return set;
}

static int start(void **state)
{
	(void)state;
	server = xcalloc(1, sizeof *server);
	sample_make(&server->sample);
	server->port = free_port();
	snprintf(server->dir, sizeof server->dir, "%s/https", server->sample.folder);
	setenv("GIT_HTTPS_TOKEN", SAMPLE_TOKEN, 1);
	run(SCRIPT " start %s %d", server->dir, server->port);
	run(SCRIPT " repo %s team/sample", server->dir);
	run("cp -r %s/objects %s/refs %s/repos/team/sample.git/", server->sample.remote_path,
		server->sample.remote_path, server->dir);
	return 0;
}

static int stop(void **state)
{
	(void)state;
	run(SCRIPT " stop %s", server->dir);
	sample_remove(&server->sample);
	free(server);
	return 0;
}

static err_t open_store(const struct settings *set, const char *path, struct store **ret_store)
{
	autofree char *url = xasprintf("https://127.0.0.1:%d/%s", server->port, path);
	struct repo_config repo = {
		.clone_url = url, .transport = REPO_HTTPS, .workdir = server->sample.repo.workdir};
	autofree char *log = xasprintf("%s/access.log", server->dir);
	if (truncate(log, 0))
		return err_errno("empty %s", log);
	return store_open(set, &repo, ret_store);
}

/* Fetches and gives the error; the store is closed. Errors are static, so the text stays. */
static err_t fetch(const char *token, bool with_authority, const char *path)
{
	struct settings *set = settings_with(token, with_authority);
	struct store *store = NULL;
	no_error(open_store(set, path, &store));
	err_t e = store_fetch(store);
	store_close(store);
	settings_free(set);
	return e;
}

/* Commits a change on main in the store and pushes it to a new branch. */
static err_t push(const char *branch, char ret_commit[OID_HEX + 1])
{
	struct settings *set = settings_with(SAMPLE_TOKEN, true);
	struct store *store = NULL;
	char head[OID_HEX + 1], tree[OID_HEX + 1];
	no_error(open_store(set, "git/team/sample.git", &store));
	no_error(store_fetch(store));
	no_error(store_remote_head(store, "main", head));
	no_error(store_commit_tree(store, head, tree));
	no_error(store_commit(store, tree, head, "ABC-1: change\n", &sample_identity, ret_commit));
	no_error(store_tag(store, "rollback/abc-1/1", head, "before", &sample_identity));
	autofree char *ref = xasprintf("refs/heads/%s", branch);
	const struct push_ref refs[] = {{ret_commit, ref, ""},
		{"refs/tags/rollback/abc-1/1", "refs/tags/rollback/abc-1/1", ""}};
	err_t e = store_push(store, refs, 2);
	store_close(store);
	settings_free(set);
	return e;
}

static char *access_log(void)
{
	return sample_read(server->dir, "access.log");
}

static void served_ref(const char *ref, char ret_id[OID_HEX + 1])
{
	autofree char *path = xasprintf("%s/repos/team/sample.git", server->dir);
	git_repository *repo = NULL;
	git_oid id;
	*ret_id = '\0';
	assert_int_equal(git_repository_open_bare(&repo, path), 0);
	if (git_reference_name_to_id(&id, repo, ref) == 0)
		git_oid_tostr(ret_id, OID_HEX + 1, &id);
	git_repository_free(repo);
}

static void right_token_fetches_and_pushes_branch_and_tag(void **state)
{
	(void)state;
	char commit[OID_HEX + 1], there[OID_HEX + 1];
	no_error(push("ai/abc-1", commit));
	served_ref("refs/heads/ai/abc-1", there);
	assert_string_equal(there, commit);
	served_ref("refs/tags/rollback/abc-1/1", there);
	assert_int_equal(strlen(there), OID_HEX);
}

static void wrong_token_ends_after_one_retry(void **state)
{
	(void)state;
	err_t e = fetch("not-the-token-at-all", true, "git/team/sample.git");
	assert_int_equal(err_code(e), ERR_UNAUTHORIZED);
	assert_non_null(strstr(err_text(e), "GH_TOKEN"));
	assert_null(strstr(err_text(e), "not-the-token"));
	static const char both[] =
		"GET /git/team/sample.git/info/refs?service=git-upload-pack 401 -\n"
		"GET /git/team/sample.git/info/refs?service=git-upload-pack 401 x-access-token\n";
	autofree char *log = access_log();
	for (int i = 0; i < 40 && !text_ends(log, both); i++) { /* nginx logs after it answered */
		usleep(50000);
		free(log);
		log = access_log();
	}
	/* the test before may have logged late, but was not refused */
	assert_true(text_ends(log, both));
	log[strlen(log) - strlen(both)] = '\0';
	assert_null(strstr(log, " 401 "));
}

static void missing_token_is_asked_for(void **state)
{
	(void)state;
	err_t e = fetch("", true, "git/team/sample.git");
	assert_int_equal(err_code(e), ERR_UNAUTHORIZED);
	assert_non_null(strstr(err_text(e), "set GH_TOKEN"));
}

static void refusal_by_a_hook_has_the_words_of_the_server(void **state)
{
	(void)state;
	char commit[OID_HEX + 1], there[OID_HEX + 1];
	err_t e = push("protected/x", commit);
	assert_int_equal(err_code(e), ERR_PUSH_REFUSED);
	assert_non_null(
		strstr(err_text(e), "Policy 7: refs/heads/protected/x takes no direct pushes."));
	assert_non_null(strstr(err_text(e), "pre-receive hook declined"));
	served_ref("refs/heads/protected/x", there);
	assert_string_equal(there, "");
}

static void a_push_that_a_lost_one_has_overtaken_has_arrived(void **state)
{
	(void)state;
	char commit[OID_HEX + 1], there[OID_HEX + 1];
	no_error(push("late/x", commit));
	served_ref("refs/heads/late/x", there);
	assert_string_equal(there, commit);
}

static void unknown_authority_is_not_trusted(void **state)
{
	(void)state;
	err_t e = fetch(SAMPLE_TOKEN, false, "git/team/sample.git");
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_non_null(strstr(err_text(e), "certificate"));
	assert_non_null(strstr(err_text(e), "AIRUNNER_CA_FILE"));
}

static void unknown_repository_is_not_found(void **state)
{
	(void)state;
	err_t e = fetch(SAMPLE_TOKEN, true, "git/team/other.git");
	assert_int_equal(err_code(e), ERR_NOT_FOUND);
	assert_non_null(strstr(err_text(e), "no such repository"));
}

static void renamed_repository_is_followed_at_the_same_host(void **state)
{
	(void)state;
	no_error(fetch(SAMPLE_TOKEN, true, "renamed/team/sample.git"));
}

static void other_host_gets_neither_request_nor_token(void **state)
{
	(void)state;
	err_t e = fetch(SAMPLE_TOKEN, true, "astray/team/sample.git");
	assert_int_equal(err_code(e), ERR_OUTSIDE_FINAL);
	assert_non_null(strstr(err_text(e), "another host"));
	autofree char *log = access_log();
	assert_string_equal(
		log, "GET /astray/team/sample.git/info/refs?service=git-upload-pack 302 -\n");
}

static void web_page_is_no_git_server(void **state)
{
	(void)state;
	err_t e = fetch(SAMPLE_TOKEN, true, "page/team/sample.git");
	assert_int_equal(err_code(e), ERR_OUTSIDE_FINAL);
	assert_non_null(strstr(err_text(e), "text/html"));
}

static void token_is_in_no_file_of_the_store(void **state)
{
	(void)state;
	char commit[OID_HEX + 1], command[256];
	no_error(push("ai/abc-2", commit));
	snprintf(command, sizeof command, "! grep -rqF %s %s", SAMPLE_TOKEN,
		server->sample.repo.workdir);
	assert_int_equal(system(command), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(right_token_fetches_and_pushes_branch_and_tag),
		cmocka_unit_test(wrong_token_ends_after_one_retry),
		cmocka_unit_test(missing_token_is_asked_for),
		cmocka_unit_test(refusal_by_a_hook_has_the_words_of_the_server),
		cmocka_unit_test(a_push_that_a_lost_one_has_overtaken_has_arrived),
		cmocka_unit_test(unknown_authority_is_not_trusted),
		cmocka_unit_test(unknown_repository_is_not_found),
		cmocka_unit_test(renamed_repository_is_followed_at_the_same_host),
		cmocka_unit_test(other_host_gets_neither_request_nor_token),
		cmocka_unit_test(web_page_is_no_git_server),
		cmocka_unit_test(token_is_in_no_file_of_the_store),
	};
	return cmocka_run_group_tests(tests, start, stop);
}
