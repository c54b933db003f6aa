/* Taking a request apart, and writing an answer. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cgi/request.h"
#include "cgi/response.h"
#include "lib/mem.h"

/* A body stream that gives at most 1000 bytes a call. */
struct stream {
	size_t left;
	bool broken;
};

static int read_stream(void *arg, char *p, int n)
{
	struct stream *stream = arg;
	if (stream->broken)
		return -1;
	size_t got = stream->left < 1000 ? stream->left : 1000;
	got = got < (size_t)n ? got : (size_t)n;
	memset(p, 'x', got);
	stream->left -= got;
	return (int)got;
}

static enum err_code read_with_length(const char *length, size_t sent, size_t *ret_got)
{
	autofree char *variable = xasprintf("CONTENT_LENGTH=%s", length);
	char *const env[] = {(char *)"REQUEST_METHOD=POST", variable, NULL};
	struct stream stream = {.left = sent};
	AUTO(request_release) struct request req;
	request_begin(&req, env);
	enum err_code code = err_code(request_read_body(&req, read_stream, &stream));
	*ret_got = req.body.len;
	return code;
}

static void a_body_is_read_as_long_as_it_says(void **state)
{
	(void)state;
	size_t got;
	assert_int_equal(read_with_length("5000", 9000, &got), ERR_NONE);
	assert_int_equal(got, 5000);
	assert_int_equal(read_with_length("", 2500, &got), ERR_NONE);
	assert_int_equal(got, 2500);
	assert_int_equal(read_with_length("0", 100, &got), ERR_NONE);
	assert_int_equal(got, 0);
}

static void a_body_that_is_too_large_is_refused_before_it_is_read(void **state)
{
	(void)state;
	size_t got;
	assert_int_equal(read_with_length("2097152", 2097152, &got), ERR_NONE);
	assert_int_equal(read_with_length("2097153", 2097153, &got), ERR_TOO_LARGE);
	assert_int_equal(got, 0);
	assert_int_equal(read_with_length("", 2097153, &got), ERR_TOO_LARGE);
	assert_int_equal(read_with_length("9223372036854775807", 0, &got), ERR_TOO_LARGE);
}

static void a_lying_length_is_refused(void **state)
{
	(void)state;
	size_t got;
	assert_int_equal(read_with_length("5000", 4999, &got), ERR_BAD_INPUT);
	assert_int_equal(read_with_length("-1", 10, &got), ERR_BAD_INPUT);
	assert_int_equal(read_with_length("1x", 10, &got), ERR_BAD_INPUT);
	assert_int_equal(read_with_length("99999999999999999999", 10, &got), ERR_BAD_INPUT);
}

static void headers_are_found_by_their_wire_name(void **state)
{
	(void)state;
	char *const env[] = {(char *)"HTTP_X_HUB_SIGNATURE=sha256=1", (char *)"HTTP_X_HUB=2",
		(char *)"HTTP_COOKIE=a=1; airunner_session=abc=; xairunner_session=no", NULL};
	AUTO(request_release) struct request req;
	AUTO(buf_release) struct buf cookie = BUF(100);
	request_begin(&req, env);
	assert_string_equal(request_header(&req, "x-hub-Signature"), "sha256=1");
	assert_string_equal(request_header(&req, "X-Hub"), "2");
	assert_null(request_header(&req, "X-Hu"));
	assert_true(request_cookie(&req, "airunner_session", &cookie));
	assert_string_equal(cookie.data, "abc=");
	assert_false(request_cookie(&req, "session", &cookie));
}

static void form_values_are_decoded(void **state)
{
	(void)state;
	static const struct {
		const char *encoded, *value; /* NULL: not there */
	} cases[] = {{"k=v", "v"}, {"a=1&k=x+y%21%2B", "x y!+"}, {"k=", ""}, {"kk=1&k=2", "2"},
		{"k=1&k=2", "1"}, {"", NULL}, {"k", NULL}, {"xk=1", NULL}, {"k=%4", NULL},
		{"k=%zz", NULL}, {"k=%00", NULL}, {"k=%C3%A4", "\xc3\xa4"}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(buf_release) struct buf value = BUF(100);
		bool there = request_form_value(cases[i].encoded, "k", &value);
		if (there != (cases[i].value != NULL) ||
			(there && strcmp(value.data, cases[i].value) != 0))
			fail_msg("%s gave %s", cases[i].encoded, there ? value.data : "nothing");
	}
}

static void a_number_in_the_query_keeps_its_range(void **state)
{
	(void)state;
	char *const env[] = {(char *)"QUERY_STRING=hours=48&bad=4x&big=99", NULL};
	AUTO(request_release) struct request req;
	int64_t n = 0;
	request_begin(&req, env);
	assert_null(request_query_int(&req, "hours", 24, 1, 50, &n));
	assert_int_equal(n, 48);
	assert_null(request_query_int(&req, "none", 24, 1, 50, &n));
	assert_int_equal(n, 24);
	assert_int_equal(err_code(request_query_int(&req, "bad", 24, 1, 50, &n)), ERR_BAD_INPUT);
	assert_int_equal(err_code(request_query_int(&req, "big", 24, 1, 50, &n)), ERR_BAD_INPUT);
}

static void a_header_value_cannot_add_a_header(void **state)
{
	(void)state;
	AUTO(response_release) struct response res;
	AUTO(buf_release) struct buf out = BUF(1 << 16);
	response_begin(&res);
	response_redirect(&res, "/x\r\nSet-Cookie: a=b");
	response_write(&res, false, &out);
	assert_non_null(strstr(out.data, "Status: 303 See Other\r\n"));
	assert_null(strstr(out.data, "\nSet-Cookie"));
}

static void an_error_becomes_a_problem_with_the_old_member(void **state)
{
	(void)state;
	AUTO(response_release) struct response res;
	AUTO(buf_release) struct buf out = BUF(1 << 16);
	response_begin(&res);
	response_error(&res, err_new(ERR_NOT_FOUND, "there is no run 7"), "/api/runs/7");
	response_write(&res, false, &out);
	assert_non_null(strstr(out.data, "Status: 404 Not Found\r\n"));
	assert_non_null(strstr(out.data, "Content-Type: application/problem+json\r\n"));
	json_auto_t *json = json_loads(res.body.data, 0, NULL);
	assert_string_equal(json_string_value(json_object_get(json, "error")), "there is no run 7");
	assert_string_equal(
		json_string_value(json_object_get(json, "detail")), "there is no run 7");
	assert_string_equal(json_string_value(json_object_get(json, "instance")), "/api/runs/7");
	assert_string_equal(json_string_value(json_object_get(json, "title")), "Not Found");
	assert_int_equal(json_integer_value(json_object_get(json, "status")), 404);
}

static void our_own_trouble_is_not_told_in_words_of_the_inside(void **state)
{
	(void)state;
	AUTO(response_release) struct response res;
	AUTO(buf_release) struct buf out = BUF(1 << 16);
	response_begin(&res);
	response_error(&res, err_new(ERR_DB_AWAY, "socket /run/secret.sock"), "/");
	response_write(&res, false, &out);
	assert_non_null(strstr(out.data, "Status: 503 "));
	assert_non_null(strstr(out.data, "Retry-After: 5\r\n"));
	assert_null(strstr(out.data, "secret.sock"));
}

static void every_error_code_has_a_reason_phrase(void **state)
{
	(void)state;
	for (int code = ERR_NONE; code < ERR__MAX; code++)
		assert_string_not_equal(response_reason(err_http_status((enum err_code)code)), "");
}

static void head_and_not_modified_have_no_body(void **state)
{
	(void)state;
	AUTO(response_release) struct response res;
	AUTO(buf_release) struct buf out = BUF(1 << 16);
	response_begin(&res);
	assert_null(response_json(&res, json_pack("{s:s}", "status", "ok")));
	response_write(&res, true, &out);
	assert_non_null(strstr(out.data, "Content-Length: 16\r\n\r\n"));
	assert_null(strstr(out.data, "\"ok\""));
	buf_reset(&out);
	res.status = 304;
	response_write(&res, false, &out);
	assert_null(strstr(out.data, "Content-Length"));
	assert_null(strstr(out.data, "\"ok\""));
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_body_is_read_as_long_as_it_says),
		cmocka_unit_test(a_body_that_is_too_large_is_refused_before_it_is_read),
		cmocka_unit_test(a_lying_length_is_refused),
		cmocka_unit_test(headers_are_found_by_their_wire_name),
		cmocka_unit_test(form_values_are_decoded),
		cmocka_unit_test(a_number_in_the_query_keeps_its_range),
		cmocka_unit_test(a_header_value_cannot_add_a_header),
		cmocka_unit_test(an_error_becomes_a_problem_with_the_old_member),
		cmocka_unit_test(our_own_trouble_is_not_told_in_words_of_the_inside),
		cmocka_unit_test(every_error_code_has_a_reason_phrase),
		cmocka_unit_test(head_and_not_modified_have_no_body),
	};
	return cmocka_run_group_tests_name("request", tests, NULL, NULL);
}
