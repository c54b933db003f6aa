/* Limits of a run and their notices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/limits.h"

static const struct limits limits = {.max_turns = 120,
	.notice_turns = 50,
	.max_usd_micro = 5000000,
	.notice_usd_micro = 3000000,
	.max_ms = 3600000,
	.notice_ms = 2700000};

static void each_limit_is_named_with_its_figure(void **state)
{
	(void)state;
	assert_null(limits_check(&limits, &(struct spent){119, 4999999, 0}, 3599999));
	err_t e = limits_check(&limits, &(struct spent){120, 0, 0}, 0);
	assert_int_equal(err_code(e), ERR_LIMIT);
	assert_string_equal(
		err_text(e), "the run's limit of 120 turns is reached (AIRUNNER_MAX_TURNS)");
	assert_null(limits_check(&limits, &(struct spent){0, 5010000, 0}, 0)); /* the budget's */
	assert_true(limits_money_notice(&limits, 0, 3000000));
	assert_false(limits_money_notice(&limits, 3000000, 3100000));
	assert_false(limits_money_notice(&(struct limits){0}, 0, 3000000)); /* 0: never */
	e = limits_check(&limits, &(struct spent){0, 0, 0}, 3600000);
	assert_string_equal(
		err_text(e), "the run's limit of 60 minutes is reached (AIRUNNER_MAX_RUN_S)");
}

static const struct spent spent_before = {49, 2999999, 2699999};

/* The members of the notice that a turn brings, as "turns 50 of 120; ending". */
static void expect(struct spent after, const char *wanted)
{
	json_auto_t *data = json_object();
	AUTO(buf_release) struct buf text = BUF(1000);
	bool is = limits_notice(&limits, &spent_before, &after, data);
	const char *name;
	json_t *value;
	json_object_foreach (data, name, value) {
		const json_t *used = json_object_get(value, "used");
		if (json_is_integer(used))
			buf_addf(&text, "%s %d; ", name, (int)json_integer_value(used));
		else if (json_is_object(value))
			buf_addf(&text, "%s %s of %s; ", name,
				json_string_value(used ? used : json_object_get(value, "spent")),
				json_string_value(json_object_get(value, "max")));
		else
			buf_adds(&text, name);
	}
	assert_string_equal(text.data, wanted);
	assert_int_equal(is, *wanted != '\0');
}

static void a_notice_comes_when_a_line_is_crossed_and_not_again(void **state)
{
	(void)state;
	expect(spent_before, "");
	expect((struct spent){50, 2999999, 2699999}, "turns 50; ending");
	expect((struct spent){49, 3000000, 2699999}, "money 3.00 of 5.00; ending");
	expect((struct spent){49, 2999999, 2700000}, "time 45 of 60; ending");
	json_auto_t *data = json_object();
	assert_false(limits_notice(&limits, &(struct spent){50, 3000000, 2700000},
		&(struct spent){51, 3100000, 2800000}, data));
}

static void a_last_notice_comes_shortly_before_a_limit(void **state)
{
	(void)state;
	expect((struct spent){108, 2999999, 2699999}, "turns 108; last");
	expect((struct spent){107, 2999999, 3240000}, "turns 107; time 54 of 60; last");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_limit_is_named_with_its_figure),
		cmocka_unit_test(a_notice_comes_when_a_line_is_crossed_and_not_again),
		cmocka_unit_test(a_last_notice_comes_shortly_before_a_limit),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
