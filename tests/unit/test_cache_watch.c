/* What should have come from the cache, and why it did not. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>

#include "worker/agent/cache_watch.h"

static const struct profile profile = {.min_cache_tokens = 512, .cache_ttl_s = 300};

static enum cache_cause after(int64_t before, int64_t read, int64_t gap_ms, int blocks)
{
	struct cache_watch w = {0};
	int percent;
	const struct llm_usage first = {.written_5m = before};
	assert_int_equal(cache_watch_note(&w, &profile, &first, 1000000, 3, &percent), CACHE_FINE);
	const struct llm_usage second = {.read = read, .written_5m = before - read + 900};
	return cache_watch_note(&w, &profile, &second, 1000000 + gap_ms, blocks, &percent);
}

static void what_was_sent_before_is_to_be_read(void **state)
{
	(void)state;
	assert_int_equal(after(10000, 10000, 1000, 4), CACHE_FINE);
	assert_int_equal(after(10000, 9500, 1000, 4), CACHE_FINE);
	assert_int_equal(after(10000, 9499, 1000, 4), CACHE_LOST);
}

static void the_cause_is_named_where_it_can_be_known(void **state)
{
	(void)state;
	assert_int_equal(after(400, 0, 1000, 4), CACHE_BELOW_MINIMUM);
	assert_int_equal(after(10000, 2000, 300000, 4), CACHE_GAP);
	assert_int_equal(after(10000, 2000, 299999, 4), CACHE_LOST);
	assert_int_equal(after(10000, 2000, 1000, 21), CACHE_MANY_BLOCKS);
	assert_int_equal(after(10000, 2000, 1000, 20), CACHE_LOST);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(what_was_sent_before_is_to_be_read),
		cmocka_unit_test(the_cause_is_named_where_it_can_be_known),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
