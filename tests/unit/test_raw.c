/* Values in their own bytes. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <jansson.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/llm/raw.h"

#define RAW(text) ((struct raw){text, strlen(text)})

/* The text is copied without its end, so that a sanitizer sees each byte read beyond. */
static void member_is(const char *text, const char *name, const char *expected)
{
	size_t len = strlen(text);
	char *copy = malloc(len ? len : 1);
	assert_non_null(copy);
	memcpy(copy, text, len);
	struct raw value = {0};
	bool found = raw_member((struct raw){copy, len}, name, &value);
	assert_int_equal(found, expected != NULL);
	if (expected) {
		assert_int_equal(value.len, strlen(expected));
		assert_memory_equal(value.data, expected, value.len);
	}
	free(copy);
}

static void a_members_value_is_found_in_its_own_bytes(void **state)
{
	(void)state;
	static const char text[] =
		" { \"a\" : 1.50 , \"b\":{\"c\":[1,{\"a\":2}],\"}\":\"]\"}\n,"
		"\"s\":\"x\\\"y,}\\\\\", \"big\":123456789012345678901234567890 ,"
		"\"l\":[ ],\"n\":null }";
	member_is(text, "a", "1.50");
	member_is(text, "b", "{\"c\":[1,{\"a\":2}],\"}\":\"]\"}");
	member_is(text, "s", "\"x\\\"y,}\\\\\"");
	member_is(text, "big", "123456789012345678901234567890");
	member_is(text, "l", "[ ]");
	member_is(text, "n", "null");
	member_is(text, "c", NULL);
	member_is("{}", "a", NULL);
	member_is("[\"a\",1]", "a", NULL);
	member_is("{\"a\":1,\"a\":2}", "a", "2");
}

static void items_are_found_by_their_place(void **state)
{
	(void)state;
	static const char text[] = "[1, \"a,b\" ,[2,3],{\"x\":[4]} ,-5e+9]";
	static const char *const items[] = {"1", "\"a,b\"", "[2,3]", "{\"x\":[4]}", "-5e+9"};
	struct raw value;
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		assert_true(raw_item(RAW(text), i, &value));
		assert_int_equal(value.len, strlen(items[i]));
		assert_memory_equal(value.data, items[i], value.len);
	}
	assert_false(raw_item(RAW(text), ARRAY_LEN(items), &value));
	assert_false(raw_item(RAW("[]"), 0, &value));
	assert_false(raw_item(RAW("{\"a\":1}"), 0, &value));
}

/* Whatever is handed in, nothing outside of it is read. */
static void a_text_that_breaks_off_is_not_left(void **state)
{
	(void)state;
	static const char text[] = "{\"a\":{\"b\":[1,\"\\\"\"]},\"c\":\"d\\\\\"}";
	for (size_t len = 0; len <= strlen(text); len++) {
		autofree char *cut = xstrndup(text, len);
		char *copy = malloc(len ? len : 1);
		assert_non_null(copy);
		memcpy(copy, cut, len);
		struct raw value = {0};
		(void)raw_member((struct raw){copy, len}, "c", &value);
		assert_true(!value.data ||
			    (value.data >= copy && value.data + value.len <= copy + len));
		(void)raw_item((struct raw){copy, len}, 1, &value);
		free(copy);
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_members_value_is_found_in_its_own_bytes),
		cmocka_unit_test(items_are_found_by_their_place),
		cmocka_unit_test(a_text_that_breaks_off_is_not_left),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
