/* Limits of a run and the watch for repeated calls. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "worker/agent/limits.h"

static const struct limits limits = {.max_turns = 120,
	.notice_turns = 50,
	.max_usd_micro = 5000000,
	.notice_usd_micro = 3000000,
	.max_ms = 3600000};

static void each_limit_is_named_with_its_figure(void **state)
{
	(void)state;
	assert_null(limits_check(&limits, &(struct spent){119, 4999999}, 3599999));
	err_t e = limits_check(&limits, &(struct spent){120, 0}, 0);
	assert_int_equal(err_code(e), ERR_LIMIT);
	assert_string_equal(
		err_text(e), "the run's limit of 120 turns is reached (AIRUNNER_MAX_TURNS)");
	assert_null(limits_check(&limits, &(struct spent){0, 5010000}, 0)); /* the budget's */
	e = limits_check(&limits, &(struct spent){0, 0}, 3600000);
	assert_string_equal(
		err_text(e), "the run's limit of 60 minutes is reached (AIRUNNER_MAX_RUN_S)");
}

static bool notice(int64_t turns, int64_t usd_before, int64_t usd, const char *member)
{
	json_auto_t *data = json_object();
	bool is = limits_notice(
		&limits, &(struct spent){turns - 1, usd_before}, &(struct spent){turns, usd}, data);
	assert_int_equal(is, json_is_true(json_object_get(data, "ending")));
	return is && json_object_get(data, member);
}

static void a_notice_comes_once_when_its_line_is_crossed(void **state)
{
	(void)state;
	assert_false(notice(49, 0, 0, "turns"));
	assert_true(notice(50, 0, 0, "turns"));
	assert_false(notice(51, 0, 0, "turns"));
	assert_true(notice(9, 2999999, 3000000, "money"));
	assert_false(notice(9, 3000000, 3100000, "money"));
	struct limits none = limits;
	none.notice_usd_micro = 0;
	assert_false(limits_money_notice(&none, 0, 3000000));
	assert_true(limits_money_notice(&limits, 0, 3000000));
}

static void a_repeated_call_is_counted_until_something_changes(void **state)
{
	(void)state;
	struct repeats r = {0};
	assert_int_equal(repeats_note(&r, "view", "{}", "a"), 1);
	assert_int_equal(repeats_note(&r, "view", "{}", "b"), 1);
	assert_int_equal(repeats_note(&r, "view", "{}", "a"), 2);
	assert_int_equal(repeats_note(&r, "grep", "{}", "a"), 1);
	assert_int_equal(repeats_note(&r, "view", "{}", "a"), 3);
	repeats_reset(&r);
	assert_int_equal(repeats_note(&r, "view", "{}", "a"), 1);
}

static void many_other_calls_push_an_old_one_out(void **state)
{
	(void)state;
	struct repeats r = {0};
	repeats_note(&r, "view", "{}", "a");
	for (int i = 0; i < REPEATS_KEPT; i++) {
		char text[20];
		snprintf(text, sizeof text, "%d", i);
		assert_int_equal(repeats_note(&r, "view", text, "x"), 1);
	}
	assert_int_equal(repeats_note(&r, "view", "{}", "a"), 1);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_limit_is_named_with_its_figure),
		cmocka_unit_test(a_notice_comes_once_when_its_line_is_crossed),
		cmocka_unit_test(a_repeated_call_is_counted_until_something_changes),
		cmocka_unit_test(many_other_calls_push_an_old_one_out),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
