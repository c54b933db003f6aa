/* Address ranges. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cgi/cidr.h"
#include "lib/mem.h"

static void addresses_are_found_in_their_ranges(void **state)
{
	(void)state;
	static const struct {
		const char *list, *address;
		bool inside;
	} cases[] = {
		{"127.0.0.1", "127.0.0.1", true},
		{"127.0.0.1", "127.0.0.2", false},
		{"10.0.0.0/8", "10.255.1.2", true},
		{"10.0.0.0/8", "11.0.0.1", false},
		{"192.168.4.0/22", "192.168.7.255", true},
		{"192.168.4.0/22", "192.168.8.0", false},
		{"0.0.0.0/0", "8.8.8.8", true},
		{"0.0.0.0/0", "::1", false},
		{"::/0", "8.8.8.8", false},
		{"::1", "::1", true},
		{"2001:db8::/33", "2001:db8:7fff::1", true},
		{"2001:db8::/33", "2001:db8:8000::1", false},
		{"fd00::/8 , 10.0.0.0/8", "10.1.1.1", true},
		{"10.0.0.0/8", "::ffff:10.1.1.1", true},
		{"::ffff:10.1.1.1", "10.1.1.1", true},
		{"", "127.0.0.1", false},
		{"127.0.0.1", "", false},
		{"127.0.0.1", "unix:", false},
		{"127.0.0.1", "127.0.0.1 ", false},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		if (cidr_list_contains(cases[i].list, cases[i].address) != cases[i].inside)
			fail_msg("%s in %s", cases[i].address, cases[i].list);
	}
}

static void an_entry_that_is_no_range_is_named(void **state)
{
	(void)state;
	static const char *const bad[] = {"10.0.0.0/33", "::/129", "10.0.0/8", "localhost",
		"1.2.3.4/", "1.2.3.4/-1", "1.2.3.4/x", "1.2.3.4/8/8"};
	assert_null(cidr_list_check(""));
	assert_null(cidr_list_check("127.0.0.1, ::1/128,10.0.0.0/8"));
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		autofree char *list = xasprintf("127.0.0.1,%s", bad[i]);
		assert_int_equal(err_code(cidr_list_check(list)), ERR_CONFIG);
		assert_false(cidr_list_contains(bad[i], "1.2.3.4"));
	}
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(addresses_are_found_in_their_ranges),
		cmocka_unit_test(an_entry_that_is_no_range_is_named),
	};
	return cmocka_run_group_tests_name("cidr", tests, NULL, NULL);
}
