/* lib/buf and lib/err: limits, ring, texts that may not break JSON. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/err.h"
#include "lib/mem.h"

static void buffer_keeps_what_fits_and_says_that_it_cut(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf b = BUF(5);
	buf_adds(&b, "abc");
	assert_false(buf_cut(&b));
	buf_adds(&b, "defg");
	assert_true(buf_cut(&b));
	assert_string_equal(b.data, "abcde");
	buf_reset(&b);
	assert_false(buf_cut(&b));
	assert_string_equal(b.data, "");
}

static void buffer_formats_long_texts(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf b = BUF(10000);
	buf_addf(&b, "%0*d|%s", 3000, 7, "end");
	assert_int_equal(b.len, 3004);
	assert_string_equal(b.data + 2999, "7|end");
}

static void buffer_hands_over(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf b = BUF(100);
	autofree char *empty = buf_take(&b);
	assert_string_equal(empty, "");
	buf_adds(&b, "x");
	autofree char *x = buf_take(&b);
	assert_string_equal(x, "x");
	assert_int_equal(b.len, 0);
}

static void file_is_replaced_whole_with_its_mode(void **state)
{
	(void)state;
	char path[] = "/tmp/test_buf_XXXXXX";
	close(mkstemp(path));
	AUTO(buf_release) struct buf b = BUF(100), back = BUF(100), tiny = BUF(3);
	buf_adds(&b, "secret");
	assert_null(buf_write_file(&b, path, 0600));
	struct stat st;
	assert_int_equal(stat(path, &st), 0);
	assert_int_equal(st.st_mode & 0777, 0600);
	assert_null(buf_read_file(&back, path));
	assert_string_equal(back.data, "secret");
	assert_int_equal(err_code(buf_read_file(&tiny, path)), ERR_TOO_LARGE);
	unlink(path);
	assert_int_equal(err_code(buf_read_file(&back, path)), ERR_NOT_FOUND);
}

static void error_says_where(void **state)
{
	(void)state;
	err_t e = err_in(err_in(err_new(ERR_NETWORK, "reset"), "push"), "run %d", 7);
	assert_int_equal(err_code(e), ERR_NETWORK);
	assert_string_equal(err_text(e), "run 7: push: reset");
	assert_null(err_in(NULL, "nothing"));
}

static void error_text_is_valid_utf8_on_one_line(void **state)
{
	(void)state;
	assert_string_equal(err_text(err_new(ERR_IO, "a\nb\xff\xc3")), "a b??");
	assert_string_equal(err_text(err_new(ERR_IO, "gr\xc3\xbc\xc3\x9f")), "gr\xc3\xbc\xc3\x9f");
	char text[3 * ERR_TEXT_MAX + 1] = "";
	for (int i = 0; i < ERR_TEXT_MAX; i++)
		memcpy(text + 3 * i, "\xe2\x82\xac", 4);
	const char *cut = err_text(err_new(ERR_IO, "%s", text));
	assert_int_equal(strlen(cut), ERR_TEXT_MAX - 1);
}

static void every_code_has_a_name_and_a_status(void **state)
{
	(void)state;
	for (int code = 0; code < ERR__MAX; code++) {
		assert_non_null(err_code_name((enum err_code)code));
		assert_in_range(err_http_status((enum err_code)code), 200, 599);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(buffer_keeps_what_fits_and_says_that_it_cut),
		cmocka_unit_test(buffer_formats_long_texts),
		cmocka_unit_test(buffer_hands_over),
		cmocka_unit_test(file_is_replaced_whole_with_its_mode),
		cmocka_unit_test(error_says_where),
		cmocka_unit_test(error_text_is_valid_utf8_on_one_line),
		cmocka_unit_test(every_code_has_a_name_and_a_status),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
