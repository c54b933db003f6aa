/* Text from outside: what is kept, replaced, dropped and shortened. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/text.h"

#define FFFD "\xef\xbf\xbd"

static const struct {
	const char *in, *want;
} cleans[] = {
	{"", ""},
	{"plain äöü € 😀", "plain äöü € 😀"},
	{"a\r\nb\rc\td\n", "a\nbc\td\n"},
	{"bell\x07 back\x08 del\x7f", "bell back del"},
	{"\x1b[31mred\x1b[0m \x1b[1;4;38;5;9mx\x1b[K", "red x"},
	{"\x1b]0;title\x07text", "text"},
	{"\x1b]8;;http://x\x1b\\link\x1b]8;;\x1b\\", "link"},
	{"\x1b]never ended", "never ended"},
	{"\x1b(B\x1b=\x1b", ""},
	{"c1 \xc2\x9b"
	 "31m",
		"c1 31m"},
	{"\xff", FFFD},
	{"\xc0\xaf", FFFD FFFD},
	{"\xe0\x80\xaf", FFFD FFFD FFFD},
	{"\xed\xa0\x80", FFFD FFFD FFFD},
	{"\xf4\x90\x80\x80", FFFD FFFD FFFD FFFD},
	{"cut \xe2\x82", "cut " FFFD},
	{"cut \xf0\x9f\x98x", "cut " FFFD "x"},
};

static void clean_keeps_text_and_drops_controls(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(cleans); i++) {
		AUTO(buf_release) struct buf b = BUF(1024);
		text_clean(&b, cleans[i].in, strlen(cleans[i].in));
		assert_string_equal(b.data, cleans[i].want);
	}
}

static void clean_drops_nul_and_stays_inside_n(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf b = BUF(1024);
	text_clean(&b, "a\0b\x1b[", 4);
	assert_string_equal(b.data, "ab");
}

static void json_string_is_made_from_any_bytes(void **state)
{
	(void)state;
	for (unsigned seed = 0; seed < 2000; seed++) {
		char noise[40];
		srand(seed);
		for (size_t i = 0; i < sizeof noise; i++)
			noise[i] = (char)rand();
		json_t *v = text_jsonn(noise, sizeof noise);
		json_t *again = json_stringn(json_string_value(v), json_string_length(v));
		assert_non_null(again); /* jansson's own check: valid UTF-8 */
		json_decref(again);
		json_decref(v);
	}
	assert_true(json_is_null(text_json(NULL)));
}

static void middle_keeps_both_ends(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf b = BUF(1024);
	text_middle(&b, "0123456789", 10, 10);
	assert_string_equal(b.data, "0123456789");
	buf_reset(&b);
	text_middle(&b, "0123456789", 10, 4);
	assert_string_equal(b.data, "01\n… 6 characters left out …\n89");
}

static void middle_cuts_at_character_borders(void **state)
{
	(void)state;
	for (size_t max = 0; max < 20; max++) {
		AUTO(buf_release) struct buf b = BUF(1024);
		text_middle(&b, "€€€€€€€€€€", 30, max);
		json_t *v = json_stringn(b.data, b.len);
		assert_non_null(v);
		json_decref(v);
	}
	AUTO(buf_release) struct buf b = BUF(1024);
	text_middle(&b, "€€€€€€€€€€", 30, 13);
	assert_string_equal(b.data, "€€\n… 6 characters left out …\n€€");
}

static void numbers_are_whole_or_refused(void **state)
{
	(void)state;
	static const char *const bad[] = {
		"", "-", "+1", " 1", "1 ", "1.0", "0x1", "9223372036854775808"};
	long long v = 77;
	for (size_t i = 0; i < ARRAY_LEN(bad); i++)
		assert_false(text_to_i64(bad[i], &v));
	assert_int_equal(v, 77);
	assert_true(text_to_i64("-9223372036854775808", &v));
	assert_true(v == INT64_MIN);
	assert_true(text_to_i64("007", &v));
	assert_int_equal(v, 7);
}

static void comparing_ignores_case_only_where_said(void **state)
{
	(void)state;
	assert_true(text_ieq("In Progress", "IN progress"));
	assert_false(text_ieq("a", "ab"));
	assert_false(text_ieq("ab", "a"));
	assert_false(text_ieq(NULL, NULL));
	assert_true(text_starts("story/x", "story/"));
	assert_false(text_starts("st", "story/"));
	assert_true(text_ends("page.html", ".html"));
	assert_false(text_ends("l", ".html"));
	char s[] = "OD-1 Ä";
	text_lower(s);
	assert_string_equal(s, "od-1 Ä");
}

static void encodings_are_as_in_the_rfcs(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf b = BUF(1024);
	text_url_encode(&b, "a-Z_0.9~/ ?&=ä");
	assert_string_equal(b.data, "a-Z_0.9~%2F%20%3F%26%3D%C3%A4");
	buf_reset(&b);
	text_hex(&b, (const unsigned char *)"\x00\x7f\xff", 3);
	assert_string_equal(b.data, "007fff");
}

static void utf8_length_is_zero_for_broken_bytes(void **state)
{
	(void)state;
	assert_int_equal(text_utf8_len("a", 1), 1);
	assert_int_equal(text_utf8_len("€", 3), 3);
	assert_int_equal(text_utf8_len("€", 2), 0);
	assert_int_equal(text_utf8_len("", 0), 0);
	assert_int_equal(text_utf8_len("\x80", 1), 0);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(clean_keeps_text_and_drops_controls),
		cmocka_unit_test(clean_drops_nul_and_stays_inside_n),
		cmocka_unit_test(json_string_is_made_from_any_bytes),
		cmocka_unit_test(middle_keeps_both_ends),
		cmocka_unit_test(middle_cuts_at_character_borders),
		cmocka_unit_test(numbers_are_whole_or_refused),
		cmocka_unit_test(comparing_ignores_case_only_where_said),
		cmocka_unit_test(encodings_are_as_in_the_rfcs),
		cmocka_unit_test(utf8_length_is_zero_for_broken_bytes),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
