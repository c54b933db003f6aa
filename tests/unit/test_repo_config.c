/* repos.json and the REPO_… settings become canonical addresses. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "worker/repo_config.h"

static err_t load(
	const char *repo_ssh, const char *token, const char *path, struct repo_configs *ret)
{
	autofree char *repo = xasprintf("REPO_SSH=%s", repo_ssh);
	setenv("GH_TOKEN", token, 1);
	autofree char *file = xasprintf("REPOS_CONFIG_PATH=%s", path);
	const char *overrides[] = {repo, file, "AIRUNNER_STATE_DIR=/state", NULL};
	struct settings *set AUTO(settings_freep) = NULL;
	assert_null(settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
					  .overrides = overrides,
					  .default_db_user = "air_worker"},
		&set));
	return repo_configs_load(set, ret);
}

static const struct {
	const char *text, *token, *address, *clone_url, *owner, *name;
	enum repo_transport transport;
} addresses[] = {
	{"git@GitHub.com:o/n.git", "tttttttttt", "github.com/o/n", "https://github.com/o/n.git",
		"o", "n", REPO_HTTPS},
	{"ssh://git@github.com/o/n", "tttttttttt", "github.com/o/n", "https://github.com/o/n.git",
		"o", "n", REPO_HTTPS},
	{"https://github.com/o/n/", "tttttttttt", "github.com/o/n", "https://github.com/o/n.git",
		"o", "n", REPO_HTTPS},
	{"https://x:y@github.com/o/n.git", "", "github.com/o/n", "https://github.com/o/n.git", "o",
		"n", REPO_HTTPS},
	{"o/n", "tttttttttt", "github.com/o/n", "https://github.com/o/n.git", "o", "n", REPO_HTTPS},
	{"git@github.com:o/n.git", "", "github.com/o/n", "ssh://git@github.com/o/n.git", "o", "n",
		REPO_SSH},
	{"https://127.0.0.1:8443/o/n.git", "", "127.0.0.1:8443/o/n",
		"https://127.0.0.1:8443/o/n.git", "o", "n", REPO_HTTPS},
	{"/srv/git/n.git", "tttttttttt", "/srv/git/n.git", "/srv/git/n.git", "", "", REPO_LOCAL},
	{"file:///srv/git/n.git", "", "/srv/git/n.git", "/srv/git/n.git", "", "", REPO_LOCAL},
};

static void a_token_in_a_wrong_address_is_not_repeated(void **state)
{
	(void)state;
	static const char *const texts[] = {"https://x:s3cret-token@github.com",
		"https://x:s3cret/token@github.com/o/n", "x:s3cret-token@github.com/o/n",
		"https://s3cret-token@/o/n"};
	for (size_t i = 0; i < ARRAY_LEN(texts); i++) {
		struct repo_configs configs AUTO(repo_configs_release) = {0};
		err_t e = load(texts[i], "", "/no/such/file", &configs);
		assert_int_equal(err_code(e), ERR_CONFIG);
		assert_null(strstr(err_text(e), "s3cret"));
		assert_non_null(strstr(err_text(e), "no repository address"));
	}
}

static void every_spelling_of_an_address_is_one(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(addresses); i++) {
		struct repo_configs configs AUTO(repo_configs_release) = {0};
		assert_null(load(addresses[i].text, addresses[i].token, "/no/such/file", &configs));
		const struct repo_config *repo = repo_config_find(&configs, "ANY");
		assert_non_null(repo);
		assert_string_equal(repo->address, addresses[i].address);
		assert_string_equal(repo->clone_url, addresses[i].clone_url);
		assert_string_equal(repo->owner, addresses[i].owner);
		assert_string_equal(repo->name, addresses[i].name);
		assert_int_equal(repo->transport, addresses[i].transport);
		assert_string_equal(repo->base_branch, "main");
	}
}

static void nonsense_is_refused_with_the_remedy(void **state)
{
	(void)state;
	struct repo_configs configs = {0};
	err_t e = load("nonsense", "", "/no/such/file", &configs);
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_non_null(strstr(err_text(e), "owner/name"));
	e = load("", "", "/no/such/file", &configs);
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_non_null(strstr(err_text(e), "REPO_SSH"));
}

static void write_file(const char *path, const char *text)
{
	AUTO(buf_release) struct buf b = BUF(10000);
	buf_adds(&b, text);
	assert_null(buf_write_file(&b, path, 0600));
}

static void repos_json_maps_projects(void **state)
{
	(void)state;
	char path[] = "/tmp/test_repos_XXXXXX";
	close(mkstemp(path));
	struct repo_configs configs AUTO(repo_configs_release) = {0};
	write_file(path, "{\"projects\": [{\"jira_project_key\": \"A\", \"repo_ssh\": \"o/a\", "
			 "\"base_branch\": \"develop\"},"
			 "{\"jira_project_key\": \"B\", \"repo_ssh\": \"o/b\", \"repo_workdir\": "
			 "\"/srv/b\", \"max_day_usd\": 12.34, \"max_run_usd\": 0}],"
			 "\"default_project_key\": \"B\"}");
	assert_null(load("", "", path, &configs));
	assert_string_equal(repo_config_find(&configs, "a")->base_branch, "develop");
	assert_string_equal(
		repo_config_find(&configs, "A")->workdir, "/state/repos/github.com_o_a");
	assert_string_equal(repo_config_find(&configs, "ZZ")->project_key, "B");
	assert_string_equal(repo_config_find(&configs, "B")->workdir, "/srv/b");
	assert_int_equal(repo_config_find(&configs, "B")->max_day_usd_micro, 12340000);
	assert_int_equal(repo_config_find(&configs, "B")->max_run_usd_micro, 0);
	assert_int_equal(repo_config_find(&configs, "B")->max_issue_usd_micro, -1);
	assert_int_equal(repo_config_find(&configs, "A")->max_day_usd_micro, -1);
	unlink(path);
}

static void repos_json_mistakes_are_named(void **state)
{
	(void)state;
	static const struct {
		const char *text, *words;
	} mistakes[] = {
		{"{\"projects\": [}", ":1:"},
		{"{\"projects\": []}", "at least one project"},
		{"{\"projects\": [{\"jira_project_key\": \"A\"}]}", "projects[0]"},
		{"{\"projects\": [{\"jira_project_key\": \"A\", \"repo_ssh\": \"o/a\"}], "
		 "\"default_project_key\": \"X\"}",
			"default_project_key"},
		{"{\"projects\": [{\"jira_project_key\": \"A\", \"repo_ssh\": \"o/a\", "
		 "\"max_day_usd\": \"many\"}]}",
			"projects[0]: \"max_day_usd\" must be dollars"},
	};
	char path[] = "/tmp/test_repos_XXXXXX";
	close(mkstemp(path));
	for (size_t i = 0; i < ARRAY_LEN(mistakes); i++) {
		struct repo_configs configs AUTO(repo_configs_release) = {0};
		write_file(path, mistakes[i].text);
		err_t e = load("", "", path, &configs);
		assert_int_equal(err_code(e), ERR_CONFIG);
		assert_non_null(strstr(err_text(e), mistakes[i].words));
	}
	unlink(path);
}

static void without_default_an_unknown_project_is_unrouted(void **state)
{
	(void)state;
	char path[] = "/tmp/test_repos_XXXXXX";
	close(mkstemp(path));
	struct repo_configs configs AUTO(repo_configs_release) = {0};
	write_file(path, "{\"projects\": [{\"jira_project_key\": \"A\", \"repo_ssh\": \"o/a\"}]}");
	assert_null(load("", "", path, &configs));
	assert_null(repo_config_find(&configs, "ZZ"));
	unlink(path);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(every_spelling_of_an_address_is_one),
		cmocka_unit_test(a_token_in_a_wrong_address_is_not_repeated),
		cmocka_unit_test(nonsense_is_refused_with_the_remedy),
		cmocka_unit_test(repos_json_maps_projects),
		cmocka_unit_test(repos_json_mistakes_are_named),
		cmocka_unit_test(without_default_an_unknown_project_is_unrouted),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
