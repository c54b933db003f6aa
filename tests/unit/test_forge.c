/* Pull requests at GitHub against canned answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/canned.h"
#include "worker/forge/forge.h"
#include "worker/http.h"

#define TOKEN "ghs_12345_secret.token-value"
#define JSON_HEAD "Content-Type: application/json\r\nConnection: close\r\n\r\n"
#define PULL \
	"{\"number\": 12, \"html_url\": \"https://github.test/o/n/pull/12\", \"title\": \"A-1: " \
	"t\", "

static struct {
	struct canned *server;
	struct settings *set;
	struct forge *forge;
	struct pull_request pr;
} with;

static void serve(const char *const *raws, size_t count)
{
	static struct canned_reply replies[8];
	for (size_t i = 0; i < count; i++)
		replies[i] = (struct canned_reply){.raw = raws[i]};
	with.server = canned_start(replies, count);
	autofree char *url = xasprintf("GITHUB_API_URL=%s/", canned_url(with.server));
	setenv("GH_TOKEN", TOKEN, 1);
	assert_null(settings_load(
		&(struct settings_options){.program = PROGRAM_WORKER,
			.default_db_user = "air_worker",
			.overrides = (const char *[]){url, "AIRUNNER_RETRY_BASE_MS=20", NULL}},
		&with.set));
	struct repo_config repo = {.owner = (char *)"o", .name = (char *)"n"};
	assert_null(forge_open(with.set, &repo, &with.forge));
}

#define SERVE(...) \
	serve((const char *[]){__VA_ARGS__}, sizeof((const char *[]){__VA_ARGS__}) / sizeof(char *))

static int teardown(void **state)
{
	(void)state;
	pull_request_release(&with.pr);
	forge_close(with.forge);
	if (with.server)
		canned_stop(with.server);
	settings_free(with.set);
	memset(&with, 0, sizeof with);
	return 0;
}

static bool asked(size_t i, const char *words)
{
	return strstr(canned_request(with.server, i), words) != NULL;
}

static err_t create(void)
{
	return forge_create_pull_request(
		with.forge, "ai/a-1", "main", "A-1: t", "body \"quoted\"\n", true, &with.pr);
}

static void none_open_is_number_zero_and_headers_are_githubs(void **state)
{
	(void)state;
	SERVE("HTTP/1.1 200 OK\r\n" JSON_HEAD "[]");
	assert_null(forge_find_pull_request(with.forge, "story/a-1", &with.pr));
	assert_int_equal(with.pr.number, 0);
	assert_true(asked(0, "GET /repos/o/n/pulls?state=open&per_page=1&head=o:story%2Fa-1 "));
	assert_true(asked(0, "Authorization: Bearer " TOKEN "\r\n"));
	assert_true(asked(0, "Accept: application/vnd.github+json\r\n"));
	assert_true(asked(0, "X-GitHub-Api-Version: 2022-11-28\r\n"));
	assert_true(asked(0, "User-Agent: airunner/"));
}

static void open_one_is_found_with_its_body(void **state)
{
	(void)state;
	SERVE("HTTP/1.1 200 OK\r\n" JSON_HEAD "[" PULL "\"body\": null, \"draft\": true}]");
	assert_null(forge_find_pull_request(with.forge, "ai/a-1", &with.pr));
	assert_int_equal(with.pr.number, 12);
	assert_string_equal(with.pr.url, "https://github.test/o/n/pull/12");
	assert_string_equal(with.pr.body, "");
	assert_true(with.pr.draft && with.pr.found);
}

static void new_one_is_a_draft(void **state)
{
	(void)state;
	SERVE("HTTP/1.1 201 Created\r\n" JSON_HEAD PULL "\"body\": \"b\", \"draft\": true}");
	assert_null(create());
	assert_true(with.pr.draft && !with.pr.found);
	assert_true(asked(0, "POST /repos/o/n/pulls "));
	assert_true(asked(0, "\"draft\":true"));
	assert_true(asked(0, "body \\\"quoted\\\"\\n"));
}

static void existing_one_is_a_result(void **state)
{
	(void)state;
	SERVE("HTTP/1.1 422 Unprocessable\r\n" JSON_HEAD
	      "{\"message\": \"Validation Failed\", \"errors\": "
	      "[{\"message\": \"A pull request already exists for o:ai/a-1.\"}]}",
		"HTTP/1.1 200 OK\r\n" JSON_HEAD "[" PULL "\"body\": \"b\", \"draft\": false}]");
	assert_null(create());
	assert_int_equal(with.pr.number, 12);
	assert_true(with.pr.found);
}

static void plan_without_drafts_gets_a_ready_one(void **state)
{
	(void)state;
	SERVE("HTTP/1.1 422 Unprocessable\r\n" JSON_HEAD
	      "{\"message\": \"Draft pull requests are not supported in "
	      "this repository.\"}",
		"HTTP/1.1 201 Created\r\n" JSON_HEAD PULL "\"body\": \"b\", \"draft\": false}");
	assert_null(create());
	assert_false(with.pr.draft);
	assert_true(asked(1, "\"draft\":false"));
}

static void refusals_have_codes_and_words_but_no_token(void **state)
{
	(void)state;
	static const struct {
		const char *raw;
		enum err_code code;
		const char *words;
	} cases[] = {
		{"HTTP/1.1 422 Unprocessable\r\n" JSON_HEAD
		 "{\"message\": \"Validation Failed\", \"errors\": "
		 "[{\"resource\": \"PullRequest\", \"field\": \"head\", \"code\": \"invalid\"}]}",
			ERR_OUTSIDE_FINAL, "head invalid"},
		{"HTTP/1.1 401 Unauthorized\r\n" JSON_HEAD "{\"message\": \"Bad credentials\"}",
			ERR_UNAUTHORIZED, "GH_TOKEN"},
		{"HTTP/1.1 403 Forbidden\r\n" JSON_HEAD
		 "{\"message\": \"Resource not accessible\"}",
			ERR_FORBIDDEN, "Resource not accessible"},
		{"HTTP/1.1 403 Forbidden\r\nRetry-After: 60\r\n" JSON_HEAD
		 "{\"message\": \"secondary rate limit\"}",
			ERR_RATE, "secondary"},
		{"HTTP/1.1 404 Not Found\r\n" JSON_HEAD "{\"message\": \"Not Found\"}",
			ERR_NOT_FOUND, "REPO_OWNER_SLUG"},
		{"HTTP/1.1 500 Oops\r\n" JSON_HEAD "{}", ERR_OUTSIDE, "500"},
		{"HTTP/1.1 200 OK\r\n" JSON_HEAD "<html>", ERR_BAD_INPUT, "GITHUB_API_URL"},
		{"HTTP/1.1 201 Created\r\n" JSON_HEAD "{\"number\": \"12\"}", ERR_BAD_INPUT,
			"number"},
		{"", ERR_NETWORK, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		SERVE(cases[i].raw);
		err_t e = create();
		if (err_code(e) != cases[i].code || !strstr(err_text(e), cases[i].words) ||
			strstr(err_text(e), TOKEN))
			fail_msg("case %zu: %s", i, err_text(e));
		if (canned_count(with.server) != 1)
			fail_msg("case %zu: sent %zu times", i, canned_count(with.server));
		teardown(NULL);
	}
}

static void nobody_listening_had_no_effect(void **state)
{
	(void)state;
	SERVE("");
	canned_stop(with.server);
	with.server = NULL;
	assert_int_equal(err_code(create()), ERR_OUTSIDE);
}

static void edit_patches_title_and_body(void **state)
{
	(void)state;
	SERVE("HTTP/1.1 200 OK\r\n" JSON_HEAD PULL "\"body\": \"new\", \"draft\": true}");
	assert_null(forge_edit_pull_request(with.forge, 12, "A-1: t", "new", &with.pr));
	assert_true(asked(0, "PATCH /repos/o/n/pulls/12 "));
	assert_string_equal(with.pr.body, "new");
}

static void missing_token_names_the_remedy(void **state)
{
	(void)state;
	SERVE("");
	setenv("GH_TOKEN", "", 1);
	struct settings *set = NULL;
	struct forge *forge = NULL;
	struct repo_config repo = {.owner = (char *)"o", .name = (char *)"n"};
	assert_null(settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
					  .default_db_user = "air_worker"},
		&set));
	err_t e = forge_open(set, &repo, &forge);
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_non_null(strstr(err_text(e), "GH_TOKEN"));
	settings_free(set);
}

int main(void)
{
#define CASE(name) cmocka_unit_test_teardown(name, teardown)
	const struct CMUnitTest tests[] = {
		CASE(none_open_is_number_zero_and_headers_are_githubs),
		CASE(open_one_is_found_with_its_body),
		CASE(new_one_is_a_draft),
		CASE(existing_one_is_a_result),
		CASE(plan_without_drafts_gets_a_ready_one),
		CASE(refusals_have_codes_and_words_but_no_token),
		CASE(nobody_listening_had_no_effect),
		CASE(edit_patches_title_and_body),
		CASE(missing_token_names_the_remedy),
	};
	if (http_init())
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_exit();
	return failed;
}
