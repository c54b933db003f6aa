/* The HTTP client and its retry policy against a canned server on loopback. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"
#include "tests/unit/canned.h"
#include "worker/http.h"

#define OK_REPLY \
	"HTTP/1.1 200 OK\r\nContent-Type: text/plain\r\nX-Thing: one two\r\nConnection: " \
	"close\r\nContent-Length: 5\r\n\r\nhello"
#define BUSY_REPLY "HTTP/1.1 529 Busy\r\nConnection: close\r\nContent-Length: 4\r\n\r\nbusy"

static struct settings *set;

static int setup(void **state)
{
	(void)state;
	static const char *const overrides[] = {"AIRUNNER_RETRY_BASE_MS=20", NULL};
	struct settings_options o = {.program = PROGRAM_WORKER,
		.env_file = "/dev/null",
		.overrides = overrides,
		.default_db_user = "air_worker"};
	return settings_load(&o, &set) || http_init() ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	settings_free(set);
	http_exit();
	return 0;
}

static int64_t now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return ts.tv_sec * 1000LL + ts.tv_nsec / 1000000;
}

static struct http_request get(const struct canned *server)
{
	return (struct http_request){
		.service = "jira", .method = "GET", .url = canned_url(server), .timeout_ms = 3000};
}

/* An answer cut at any byte is no answer: a whole one is fetched by the next try. */
static void an_answer_cut_at_any_byte_is_asked_for_again(void **state)
{
	(void)state;
	for (size_t n = 1; n < strlen(OK_REPLY); n++) {
		autofree char *part = xstrndup(OK_REPLY, n);
		const struct canned_reply replies[] = {{.raw = part}, {.raw = OK_REPLY}};
		struct canned *server = canned_start(replies, 2);
		struct http_request req = get(server);
		struct http_response res AUTO(http_response_release) = {0};
		assert_null(http_call(set, &req, &res));
		assert_int_equal(res.tries, 2);
		assert_string_equal(res.body.data, "hello");
		canned_stop(server);
	}
}

static void a_body_of_pieces_is_sent_whole(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = OK_REPLY}};
	struct canned *server = canned_start(replies, 1);
	const struct http_piece pieces[] = {{"one,", 4}, {"", 0}, {"two,", 4}, {"three", 5}};
	const struct http_header headers[] = {{"x-key", "value"}, {NULL, NULL}};
	struct http_request req = get(server);
	req.method = "PUT";
	req.headers = headers;
	req.body = pieces;
	req.body_pieces = ARRAY_LEN(pieces);
	struct http_response res;
	assert_null(http_try(set, &req, &res));
	assert_int_equal(res.status, 200);
	assert_string_equal(res.body.data, "hello");
	assert_string_equal(http_response_header(&res, "x-thing"), "one two");
	assert_null(http_response_header(&res, "x-th"));
	const char *got = canned_request(server, 0);
	assert_ptr_equal(strstr(got, "PUT / HTTP/1.1\r\n"), got);
	assert_non_null(strstr(got, "x-key: value\r\n"));
	assert_non_null(strstr(got, "\r\n\r\none,two,three"));
	http_response_release(&res);
	canned_stop(server);
}

static void a_busy_service_is_asked_again(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = BUSY_REPLY}, {.raw = ""}, {.raw = OK_REPLY}};
	struct canned *server = canned_start(replies, 3);
	struct http_request req = get(server);
	struct http_response res;
	assert_null(http_call(set, &req, &res));
	assert_int_equal(res.status, 200);
	assert_int_equal(res.tries, 3);
	http_response_release(&res);
	canned_stop(server);
}

static void it_gives_up_after_three_retries(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = BUSY_REPLY}};
	struct canned *server = canned_start(replies, 1);
	struct http_request req = get(server);
	struct http_response res;
	assert_null(http_call(set, &req, &res));
	assert_int_equal(res.status, 529);
	assert_int_equal(canned_count(server), 4);
	err_t e = http_status_error(&req, &res, NULL);
	assert_int_equal(err_code(e), ERR_OUTSIDE);
	assert_string_equal(err_text(e), "jira answered 529 to GET /: busy");
	http_response_release(&res);
	canned_stop(server);
}

static void retry_after_is_obeyed_and_a_long_one_ends_the_call(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = "HTTP/1.1 429 Slow\r\nRetry-After: 1\r\nContent-Length: 0\r\n\r\n"},
		{.raw = "HTTP/1.1 429 Slow\r\nRetry-After: 500\r\nContent-Length: 0\r\n\r\n"}};
	struct canned *server = canned_start(replies, 2);
	struct http_request req = get(server);
	struct http_response res;
	int64_t began = now_ms();
	assert_null(http_call(set, &req, &res));
	assert_true(now_ms() - began >= 1000);
	assert_int_equal(res.status, 429);
	assert_int_equal(canned_count(server), 2);
	err_t e = http_status_error(&req, &res, "wait");
	assert_int_equal(err_code(e), ERR_RATE);
	assert_string_equal(
		err_text(e), "jira answered 429 to GET /: wait (it asks for a pause of 500 s)");
	http_response_release(&res);
	canned_stop(server);
}

/* Headers of a 429, and the wait they ask for; -1: none of theirs. */
static void a_wait_is_read_as_the_services_write_it(void **state)
{
	(void)state;
	static const struct {
		const char *headers;
		int64_t ms;
	} cases[] = {
		{"retry-after: 7\n", 7000},
		{"retry-after: 0.25\n", 250},
		{"retry-after: 0\n", -1},
		{"retry-after: -3\n", -1},
		{"retry-after: soon\n", -1},
		{"retry-after: nan\n", -1},
		{"retry-after: 1e300\n", INT64_C(1000000000000)},
		{"retry-after: Thu, 01 Jan 2015 00:00:00 GMT\n",
			-1}, /* past: our own wait, not none */
		{"retry-after-ms: 1500.5\nretry-after: 7\n", 1500},
		{"retry-after-ms: 0\nretry-after: 7\n", 7000},
		{"x: y\n", -1},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct http_response res = {.body = BUF(10), .headers = BUF(1000)};
		buf_adds(&res.headers, cases[i].headers);
		assert_int_equal(http_wished_wait_ms(&res), cases[i].ms);
		http_response_release(&res);
	}
	time_t then = time(NULL) + 60;
	char line[64];
	strftime(line, sizeof line, "retry-after: %a, %d %b %Y %H:%M:%S GMT\n", gmtime(&then));
	struct http_response res = {.body = BUF(10), .headers = BUF(1000)};
	buf_adds(&res.headers, line);
	assert_in_range(http_wished_wait_ms(&res), 57000, 60000);
	http_response_release(&res);
}

static void own_waits_double_and_are_at_most_a_quarter_shorter(void **state)
{
	(void)state;
	for (int n = 0; n < 3; n++) {
		for (int i = 0; i < 100; i++)
			assert_in_range(http_retry_wait_ms(set, NULL, n), 15 << n, 20 << n);
	}
}

/* A day off: our clock or the service's, the difference is what was meant. */
static void a_date_to_retry_at_counts_from_the_services_own_clock(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = "HTTP/1.1 429 Slow\r\nDate: Mon, 03 Jan 2022 10:00:00 GMT\r\nRetry-After: "
			"Mon, 03 Jan 2022 10:00:01 GMT\r\nContent-Length: 0\r\n\r\n"},
		{.raw = OK_REPLY}};
	struct canned *server = canned_start(replies, 2);
	struct http_request req = get(server);
	struct http_response res AUTO(http_response_release) = {0};
	int64_t began = now_ms();
	assert_null(http_call(set, &req, &res));
	assert_true(now_ms() - began >= 1000);
	assert_int_equal(res.status, 200);
	canned_stop(server);
}

static void a_service_that_says_no_retry_is_not_asked_again(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = "HTTP/1.1 500 No\r\nX-Should-Retry: false\r\nContent-Length: 0\r\n\r\n"}};
	struct canned *server = canned_start(replies, 1);
	struct http_request req = get(server);
	struct http_response res;
	assert_null(http_call(set, &req, &res));
	assert_int_equal(canned_count(server), 1);
	http_response_release(&res);
	canned_stop(server);
}

static void an_effect_is_not_repeated_once_sent(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = ""}, {.raw = BUSY_REPLY}};
	struct canned *server = canned_start(replies, 2);
	struct http_request req = get(server);
	req.method = "POST";
	req.once = true;
	struct http_response res;
	assert_int_equal(err_code(http_call(set, &req, &res)), ERR_NETWORK);
	assert_true(res.sent);
	assert_int_equal(canned_count(server), 1);
	http_response_release(&res);
	assert_null(http_call(set, &req, &res));
	assert_int_equal(res.status, 529);
	assert_int_equal(canned_count(server), 2);
	http_response_release(&res);
	canned_stop(server);
}

static void a_refused_connection_is_a_network_error_after_retries(void **state)
{
	(void)state;
	struct http_request req = {
		.service = "github", .method = "GET", .url = "http://127.0.0.1:9/x?secret=1"};
	struct http_response res;
	err_t e = http_call(set, &req, &res);
	assert_int_equal(err_code(e), ERR_NETWORK);
	assert_non_null(strstr(err_text(e), "github: GET 127.0.0.1:9/x: "));
	assert_null(strstr(err_text(e), "secret"));
	assert_false(res.sent);
	assert_int_equal(res.tries, 4);
	http_response_release(&res);
}

static void redirects_are_not_followed(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = "HTTP/1.1 302 Moved\r\nLocation: http://127.0.0.1:9/\r\nContent-Length: "
			"0\r\n\r\n"}};
	struct canned *server = canned_start(replies, 1);
	struct http_request req = get(server);
	struct http_response res;
	assert_null(http_call(set, &req, &res));
	assert_int_equal(res.status, 302);
	http_response_release(&res);
	req.url = "file:///etc/passwd";
	assert_int_equal(err_code(http_try(set, &req, &res)), ERR_NETWORK);
	http_response_release(&res);
	canned_stop(server);
}

static void silence_and_slowness_end_the_call(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = "HTTP/1.1 200 OK\r\nContent-Length: 9\r\n\r\nx", .hang_ms = 3000},
		{.raw = OK_REPLY, .chunk = 1, .chunk_ms = 20}};
	struct canned *server = canned_start(replies, 2);
	struct http_request req = get(server);
	req.stall_ms = 200;
	struct http_response res;
	int64_t began = now_ms();
	err_t e = http_try(set, &req, &res);
	assert_int_equal(err_code(e), ERR_TIMEOUT);
	assert_non_null(strstr(err_text(e), "no byte for 0.2 s"));
	assert_in_range(now_ms() - began, 200, 1000);
	http_response_release(&res);
	req.stall_ms = 0;
	req.timeout_ms = 300;
	e = http_try(set, &req, &res);
	assert_int_equal(err_code(e), ERR_TIMEOUT);
	http_response_release(&res);
	canned_stop(server);
}

static err_t gone(void *arg)
{
	++*(int *)arg;
	return err_new(ERR_CANCELLED, "cancelled");
}

static void the_callers_word_ends_a_call_that_hangs(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = "", .hang_ms = 3000}};
	struct canned *server = canned_start(replies, 1);
	int asked = 0;
	struct http_request req = get(server);
	req.alive = gone;
	req.alive_arg = &asked;
	struct http_response res;
	int64_t began = now_ms();
	assert_int_equal(err_code(http_call(set, &req, &res)), ERR_CANCELLED);
	assert_in_range(now_ms() - began, 200, 900);
	assert_int_equal(asked, 1);
	http_response_release(&res);
	canned_stop(server);
}

static void an_answer_over_the_limit_is_refused(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = OK_REPLY}};
	struct canned *server = canned_start(replies, 1);
	struct http_request req = get(server);
	req.max_body = 4;
	struct http_response res;
	assert_int_equal(err_code(http_call(set, &req, &res)), ERR_TOO_LARGE);
	http_response_release(&res);
	canned_stop(server);
}

static err_t collect(void *arg, const char *data, size_t len)
{
	buf_add(arg, data, len);
	return NULL;
}

static void a_stream_is_given_on_and_not_repeated_after_its_first_byte(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = BUSY_REPLY},
		{.raw = "HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\npart", .chunk = 7}};
	struct canned *server = canned_start(replies, 2);
	AUTO(buf_release) struct buf got = BUF(1000);
	struct http_request req = get(server);
	req.on_data = collect;
	req.on_data_arg = &got;
	struct http_response res;
	assert_int_equal(err_code(http_call(set, &req, &res)), ERR_NETWORK);
	assert_string_equal(got.data, "part"); /* the error body of the first try is not in it */
	assert_int_equal(canned_count(server), 2);
	http_response_release(&res);
	canned_stop(server);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(an_answer_cut_at_any_byte_is_asked_for_again),
		cmocka_unit_test(a_body_of_pieces_is_sent_whole),
		cmocka_unit_test(a_busy_service_is_asked_again),
		cmocka_unit_test(it_gives_up_after_three_retries),
		cmocka_unit_test(retry_after_is_obeyed_and_a_long_one_ends_the_call),
		cmocka_unit_test(a_wait_is_read_as_the_services_write_it),
		cmocka_unit_test(own_waits_double_and_are_at_most_a_quarter_shorter),
		cmocka_unit_test(a_date_to_retry_at_counts_from_the_services_own_clock),
		cmocka_unit_test(a_service_that_says_no_retry_is_not_asked_again),
		cmocka_unit_test(an_effect_is_not_repeated_once_sent),
		cmocka_unit_test(a_refused_connection_is_a_network_error_after_retries),
		cmocka_unit_test(redirects_are_not_followed),
		cmocka_unit_test(silence_and_slowness_end_the_call),
		cmocka_unit_test(the_callers_word_ends_a_call_that_hangs),
		cmocka_unit_test(an_answer_over_the_limit_is_refused),
		cmocka_unit_test(a_stream_is_given_on_and_not_repeated_after_its_first_byte),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
