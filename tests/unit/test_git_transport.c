/* The git transport against servers that hang, lie or want too much; where the token goes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/canned.h"
#include "tests/unit/git_sample.h"
#include "worker/git/credentials.h"
#include "worker/git/remote.h"
#include "worker/run.h"

#define ADVERTISEMENT "application/x-git-upload-pack-advertisement"

static struct git_sample sample;

static int setup(void **state)
{
	(void)state;
	sample_make(&sample);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	sample_remove(&sample);
	return 0;
}

static err_t fetch_with(const char *url, http_alive_fn alive)
{
	struct repo_config repo = {
		.clone_url = (char *)url, .transport = REPO_HTTPS, .workdir = sample.repo.workdir};
	struct store *store = NULL;
	no_error(store_open(sample.set, &repo, &store));
	store_set_alive(store, alive, NULL);
	err_t e = store_fetch(store);
	store_close(store);
	return e;
}

/* One request with a short patience, as remote.c would make it. */
static err_t list_with(const char *url, int64_t stall_ms, int64_t total_ms)
{
	struct repo_config repo = {
		.clone_url = (char *)url, .transport = REPO_HTTPS, .workdir = sample.repo.workdir};
	struct store *store = NULL;
	struct remote remote;
	no_error(store_open(sample.set, &repo, &store));
	no_error(remote_open(store, &remote));
	remote.transport.stall_ms = stall_ms;
	remote.transport.total_ms = total_ms;
	int rc = git_remote_connect(
		remote.handle, GIT_DIRECTION_FETCH, &remote.callbacks, NULL, NULL);
	err_t e = rc < 0 ? remote_error(&remote, rc, "list") : NULL;
	remote_close(&remote);
	store_close(store);
	return e;
}

static void hanging_server_is_left_in_time(void **state)
{
	(void)state;
	const struct canned_reply silent = {.raw = "", .hang_ms = 4000};
	struct canned *server = canned_start(&silent, 1);
	int64_t began_ms = monotonic_ms();
	err_t e = list_with(canned_url(server), 1000, 0);
	assert_int_equal(err_code(e), ERR_TIMEOUT);
	assert_true(monotonic_ms() - began_ms < 3500);
	canned_stop(server);
}

static void answer_by_single_bytes_ends_at_the_total_time(void **state)
{
	(void)state;
	const struct canned_reply slow = {
		.raw = "HTTP/1.1 200 OK\r\nContent-Type: " ADVERTISEMENT
		       "\r\nContent-Length: 10000\r\n\r\n001e# service=git-upload-pack\n",
		.chunk = 1,
		.chunk_ms = 100};
	struct canned *server = canned_start(&slow, 1);
	assert_int_equal(err_code(list_with(canned_url(server), 60000, 1000)), ERR_TIMEOUT);
	canned_stop(server);
}

static err_t cancelled_soon(void *arg)
{
	(void)arg;
	static int asked;
	return ++asked < 2 ? NULL : err_new(ERR_CANCELLED, "run 7 was cancelled");
}

static void cancel_ends_a_waiting_request(void **state)
{
	(void)state;
	const struct canned_reply silent = {.raw = "", .hang_ms = 3000};
	struct canned *server = canned_start(&silent, 1);
	int64_t began_ms = monotonic_ms();
	err_t e = fetch_with(canned_url(server), cancelled_soon);
	assert_int_equal(err_code(e), ERR_CANCELLED);
	assert_non_null(strstr(err_text(e), "run 7 was cancelled"));
	assert_true(monotonic_ms() - began_ms < 2000);
	canned_stop(server);
}

static void bad_answers_have_codes_and_words(void **state)
{
	(void)state;
	static const struct {
		const char *raw;
		enum err_code code;
		const char *words;
	} cases[] = {
		{"HTTP/1.1 403 No\r\nContent-Type: text/plain\r\nContent-Length: 12\r\n\r\nSSO "
		 "required",
			ERR_FORBIDDEN, "SSO required"},
		{"HTTP/1.1 502 Bad\r\nContent-Length: 0\r\n\r\n", ERR_OUTSIDE, "answer 502"},
		{"HTTP/1.1 200 OK\r\nContent-Type: " ADVERTISEMENT
		 "\r\nContent-Length: 100\r\n\r\n001e#",
			ERR_NETWORK, "list"},
		{"HTTP/1.1 200 OK\r\nContent-Type: " ADVERTISEMENT
		 "\r\nContent-Length: 7\r\n\r\nrubbish",
			ERR_NETWORK, "list"},
		{"HTTP/1.1 302 Found\r\nLocation: https://127.0.0.1:1/info/refs\r\nContent-Length: "
		 "0\r\n\r\n",
			ERR_OUTSIDE_FINAL, "another host"},
		{"HTTP/1.1 302 Found\r\nLocation: /login\r\nContent-Length: 0\r\n\r\n",
			ERR_OUTSIDE_FINAL, "no repository"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct canned *server =
			canned_start(&(struct canned_reply){.raw = cases[i].raw}, 1);
		err_t e = list_with(canned_url(server), 0, 0);
		if (err_code(e) != cases[i].code || !strstr(err_text(e), cases[i].words))
			fail_msg("case %zu: %s", i, err_text(e));
		canned_stop(server);
	}
}

static void redirects_in_a_circle_end(void **state)
{
	(void)state;
	const struct canned_reply circle = {
		.raw = "HTTP/1.1 301 Moved\r\nLocation: /x/info/refs?service=git-upload-pack\r\n"
		       "Content-Length: 0\r\nConnection: close\r\n\r\n"};
	struct canned *server = canned_start(&circle, 1);
	assert_int_equal(err_code(list_with(canned_url(server), 0, 0)), ERR_OUTSIDE_FINAL);
	assert_true(canned_count(server) <= 5);
	canned_stop(server);
}

static void nobody_listening_is_a_network_error(void **state)
{
	(void)state;
	assert_int_equal(err_code(list_with("http://127.0.0.1:1/x.git", 0, 0)), ERR_NETWORK);
}

static void outage_is_tried_again_and_a_refusal_is_not(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = "HTTP/1.1 503 Later\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
		{.raw = "HTTP/1.1 403 No\r\nContent-Length: 0\r\nConnection: close\r\n\r\n"},
	};
	struct canned *server = canned_start(replies, 2);
	assert_int_equal(err_code(fetch_with(canned_url(server), NULL)), ERR_FORBIDDEN);
	assert_int_equal(canned_count(server), 2);
	canned_stop(server);
}

static void token_goes_only_where_it_belongs(void **state)
{
	(void)state;
	static const struct {
		const char *home, *url;
		bool is_given;
	} cases[] = {
		{"https://github.com/o/n.git", "https://github.com/o/n.git", true},
		{"https://github.com/o/n.git", "https://GitHub.com/o/other", true},
		{"https://github.com/o/n.git", "https://github.com.evil.org/o/n.git", false},
		{"https://github.com/o/n.git", "https://github.com:8443/o/n.git", false},
		{"https://github.com/o/n.git", "https://github.com@evil.org/o/n.git", false},
		{"https://github.com/o/n.git", "http://github.com/o/n.git", false},
		{"http://github.com/o/n.git", "http://github.com/o/n.git", false},
		{"http://127.0.0.1:80/o/n.git", "http://127.0.0.1:80/o/n.git", true},
		{"http://127.0.0.1.evil.org/o/n.git", "http://127.0.0.1.evil.org/o/n.git", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct credentials credentials;
		git_credential *credential = NULL;
		credentials_init(&credentials, SAMPLE_TOKEN, cases[i].home);
		err_t e = credentials_give(
			&credentials, cases[i].url, GIT_CREDENTIAL_USERPASS_PLAINTEXT, &credential);
		if ((e == NULL) != cases[i].is_given)
			fail_msg("%s for %s: %s", cases[i].url, cases[i].home, err_text(e));
		git_credential_free(credential);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(hanging_server_is_left_in_time),
		cmocka_unit_test(answer_by_single_bytes_ends_at_the_total_time),
		cmocka_unit_test(cancel_ends_a_waiting_request),
		cmocka_unit_test(bad_answers_have_codes_and_words),
		cmocka_unit_test(redirects_in_a_circle_end),
		cmocka_unit_test(nobody_listening_is_a_network_error),
		cmocka_unit_test(outage_is_tried_again_and_a_refusal_is_not),
		cmocka_unit_test(token_goes_only_where_it_belongs),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
