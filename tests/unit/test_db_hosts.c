/* lib/db_hosts: how the list is read, which host is tried when. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <string.h>

#include <cmocka.h>

#include "lib/db_hosts.h"

#define SECOND 1000
#define MINUTE (60 * SECOND)

static struct db_hosts hosts;

static int three_hosts(void **state)
{
	(void)state;
	assert_null(db_hosts_parse("a:1,b:2,c:3", &hosts));
	return 0;
}

static int release(void **state)
{
	(void)state;
	db_hosts_release(&hosts);
	return 0;
}

static void assert_order(int64_t now_ms, size_t first, size_t second, size_t third)
{
	size_t order[3];
	db_hosts_order(&hosts, now_ms, order);
	assert_int_equal(order[0], first);
	assert_int_equal(order[1], second);
	assert_int_equal(order[2], third);
}

static void names_ports_and_ipv6_addresses_are_read(void **state)
{
	(void)state;
	assert_null(db_hosts_parse(" db1 , db2:3307,[::1]:3308,[fe80::2],", &hosts));
	assert_int_equal(hosts.count, 4);
	assert_string_equal(hosts.items[0].name, "db1");
	assert_int_equal(hosts.items[0].port, 3306);
	assert_int_equal(hosts.items[1].port, 3307);
	assert_string_equal(hosts.items[2].name, "::1");
	assert_int_equal(hosts.items[2].port, 3308);
	assert_string_equal(hosts.items[2].label, "[::1]:3308");
	assert_string_equal(hosts.items[3].name, "fe80::2");
	assert_int_equal(hosts.items[3].port, 3306);
	assert_int_equal(hosts.current, DB_HOST_NONE);
}

static void what_is_no_host_is_refused(void **state)
{
	(void)state;
	static const char *const wrong[] = {
		"a:", "a:x", "a:0", "a:65536", ":3306", "[::1", "a,b:z"};
	for (size_t i = 0; i < sizeof wrong / sizeof *wrong; i++)
		assert_int_equal(err_code(db_hosts_parse(wrong[i], &hosts)), ERR_CONFIG);
	assert_null(db_hosts_parse("", &hosts));
	assert_int_equal(hosts.count, 0);
}

static void hosts_are_tried_in_order_of_preference(void **state)
{
	(void)state;
	assert_order(0, 0, 1, 2);
}

static void a_host_that_failed_comes_last_for_half_a_minute(void **state)
{
	(void)state;
	db_hosts_good(&hosts, 0, SECOND);
	db_hosts_failed(&hosts, 0, 2 * SECOND);
	assert_int_equal(hosts.current, DB_HOST_NONE);
	assert_order(3 * SECOND, 1, 2, 0);
	assert_order(31 * SECOND, 1, 2, 0);
	assert_order(32 * SECOND, 0, 1, 2);
}

static void who_comes_and_goes_is_avoided_longer_each_time(void **state)
{
	(void)state;
	static const int64_t avoided_s[] = {30, 60, 120, 240, 480, 600, 600};
	int64_t now = SECOND;
	for (size_t i = 0; i < sizeof avoided_s / sizeof *avoided_s; i++) {
		db_hosts_good(&hosts, 0, now);
		db_hosts_failed(&hosts, 0, now += SECOND);
		assert_int_equal(hosts.items[0].avoid_until_ms, now + avoided_s[i] * SECOND);
	}
	db_hosts_good(&hosts, 0, now);
	db_hosts_failed(&hosts, 0, now += 10 * MINUTE); /* it was good for long: forgiven */
	assert_int_equal(hosts.items[0].avoid_until_ms, now + 30 * SECOND);
}

static void the_way_back_leads_to_a_better_host_only_when_it_may_be_tried(void **state)
{
	(void)state;
	assert_int_equal(db_hosts_better(&hosts, 0), DB_HOST_NONE);
	db_hosts_good(&hosts, 0, 0);
	db_hosts_failed(&hosts, 0, 0);
	db_hosts_failed(&hosts, 1, 10 * SECOND);
	db_hosts_good(&hosts, 2, 10 * SECOND);
	assert_int_equal(db_hosts_better(&hosts, 29 * SECOND), DB_HOST_NONE);
	assert_int_equal(db_hosts_better(&hosts, 30 * SECOND), 0);
	db_hosts_failed(&hosts, 0, 30 * SECOND);
	assert_int_equal(hosts.current, 2);
	assert_int_equal(db_hosts_better(&hosts, 45 * SECOND), 1);
	db_hosts_good(&hosts, 1, 45 * SECOND);
	assert_int_equal(db_hosts_better(&hosts, 46 * SECOND), DB_HOST_NONE);
	db_hosts_good(&hosts, 0, 46 * SECOND);
	assert_int_equal(db_hosts_better(&hosts, 60 * MINUTE), DB_HOST_NONE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_teardown(names_ports_and_ipv6_addresses_are_read, release),
		cmocka_unit_test_teardown(what_is_no_host_is_refused, release),
		cmocka_unit_test_setup_teardown(
			hosts_are_tried_in_order_of_preference, three_hosts, release),
		cmocka_unit_test_setup_teardown(
			a_host_that_failed_comes_last_for_half_a_minute, three_hosts, release),
		cmocka_unit_test_setup_teardown(
			who_comes_and_goes_is_avoided_longer_each_time, three_hosts, release),
		cmocka_unit_test_setup_teardown(
			the_way_back_leads_to_a_better_host_only_when_it_may_be_tried, three_hosts,
			release),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
