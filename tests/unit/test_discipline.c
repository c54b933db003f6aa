/* The watch over a model that does not get on. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/discipline.h"

static struct watch watch;

static int setup(void **state)
{
	(void)state;
	watch = (struct watch){0};
	return 0;
}

/* A turn with one call; trees are single letters. */
static enum trouble turn(const char *input, const char *result, const char *before,
	const char *after, bool is_error, enum rung *ret_rung)
{
	watch_call(&watch, &(struct watch_event){"view", input, result, before, after, is_error});
	return watch_turn(&watch, ret_rung);
}

static enum trouble call(const char *input, const char *result)
{
	enum rung rung;
	return turn(input, result, "t", "t", false, &rung);
}

static void the_third_same_call_is_a_repeat_also_with_others_between(void **state)
{
	(void)state;
	assert_int_equal(call("a", "1 ms"), TROUBLE_NONE);
	assert_int_equal(call("b", "x"), TROUBLE_NONE);
	assert_int_equal(call("c", "x"), TROUBLE_NONE);
	assert_int_equal(call("a", "22 ms"), TROUBLE_NONE);
	assert_int_equal(call("b", "y"), TROUBLE_NONE);
	assert_int_equal(call("a", "3 ms"), TROUBLE_REPEAT);
	assert_int_equal(call("a", "3 ms"), TROUBLE_NONE); /* counted anew */
}

static void another_result_or_another_tree_is_progress(void **state)
{
	(void)state;
	enum rung rung;
	for (int i = 0; i < 4; i++) {
		const char *const words[] = {"one", "two", "three", "four"};
		assert_int_equal(call("a", words[i]), TROUBLE_NONE);
	}
	for (int i = 0; i < 4; i++) {
		char tree[2] = {(char)('a' + i), 0};
		assert_int_equal(turn("test", "failed", tree, tree, false, &rung), TROUBLE_NONE);
	}
}

static void an_edit_made_and_taken_back_in_turn_is_ping_pong(void **state)
{
	(void)state;
	enum rung rung;
	assert_int_equal(call("look", "x"), TROUBLE_NONE);
	for (int i = 0; i < 4; i++)
		assert_int_equal(turn(i % 2 ? "back" : "forth", "done", i % 2 ? "new" : "old",
					 i % 2 ? "old" : "new", false, &rung),
			TROUBLE_NONE);
	assert_int_equal(turn("forth", "done", "old", "new", false, &rung), TROUBLE_PING_PONG);
	assert_string_equal(watch.good, "old"); /* before the first of them */
}

static void the_same_error_three_times_in_a_row_is_trouble_whatever_the_call(void **state)
{
	(void)state;
	enum rung rung;
	assert_int_equal(turn("a", "no match at 7", "t", "t", true, &rung), TROUBLE_NONE);
	assert_int_equal(turn("b", "no match at 9", "t", "t", true, &rung), TROUBLE_NONE);
	assert_int_equal(turn("x", "fine", "t", "t", false, &rung), TROUBLE_NONE);
	for (int i = 0; i < 2; i++) {
		char input[2] = {(char)('a' + i), 0};
		assert_int_equal(turn(input, "no match", "t", "t", true, &rung), TROUBLE_NONE);
	}
	assert_int_equal(turn("c", "no match", "t", "t", true, &rung), TROUBLE_ERRORS);
	assert_int_equal(rung, RUNG_HINT);
}

static void talk_goes_to_the_second_rung_at_once(void **state)
{
	(void)state;
	enum rung rung = RUNG_NONE;
	for (int i = 0; i < 2; i++) {
		watch_silence(&watch);
		assert_int_equal(watch_turn(&watch, &rung), TROUBLE_NONE);
	}
	watch_silence(&watch);
	assert_int_equal(watch_turn(&watch, &rung), TROUBLE_MONOLOGUE);
	assert_int_equal(rung, RUNG_EFFORT);
}

static enum rung next_rung(void)
{
	enum rung rung = RUNG_NONE;
	for (int i = 0; i < 3; i++)
		if (turn("a", "x", "t", "t", false, &rung) == TROUBLE_REPEAT)
			return rung;
	fail_msg("no trouble");
	return RUNG_NONE;
}

static void each_trouble_is_a_rung_and_the_last_is_a_person(void **state)
{
	(void)state;
	const enum rung wanted[] = {RUNG_HINT, RUNG_EFFORT, RUNG_RESTART, RUNG_PERSON, RUNG_PERSON};
	for (size_t i = 0; i < ARRAY_LEN(wanted); i++)
		assert_int_equal(next_rung(), wanted[i]);
}

static void calm(int turns)
{
	for (int i = 0; i < turns; i++) {
		char input[3] = {'z', (char)('a' + i), 0};
		assert_int_equal(call(input, input), TROUBLE_NONE);
	}
}

static void a_hint_is_forgotten_after_calm_turns_but_no_higher_rung(void **state)
{
	(void)state;
	assert_int_equal(next_rung(), RUNG_HINT);
	calm(CALM_TURNS);
	assert_int_equal(next_rung(), RUNG_HINT);
	assert_int_equal(next_rung(), RUNG_EFFORT);
	calm(CALM_TURNS);
	assert_int_equal(next_rung(), RUNG_RESTART);
}

static void stored_and_read_again_it_watches_on_where_it_was(void **state)
{
	(void)state;
	enum rung rung = RUNG_NONE;
	next_rung();
	assert_int_equal(call("q", "x"), TROUBLE_NONE);
	assert_int_equal(call("q", "x"), TROUBLE_NONE);
	for (int i = 0; i < 2; i++) {
		json_auto_t *json = watch_json(&watch);
		autofree char *text = json_dumps(json, JSON_COMPACT);
		json_auto_t *again = json_loads(text, 0, NULL);
		watch_read(again, &watch);
	}
	assert_int_equal(turn("q", "x", "t", "t", false, &rung), TROUBLE_REPEAT);
	assert_int_equal(rung, RUNG_EFFORT);
	watch_read(NULL, &watch);
	assert_int_equal(watch.rung, RUNG_NONE);
}

static void commands_that_check_are_told_by_their_words(void **state)
{
	(void)state;
	const char *const checks[] = {"npm test", "cd a && npx tsc --noEmit", "make check",
		"pytest -q", "./node_modules/.bin/eslint src", "node --check src.js",
		"npm run build"};
	const char *const others[] = {"ls -la", "cat testimony.txt", "git status", "echo --test",
		"grep -rn latest .", "sed -i s/a/b/ contest", ""};
	for (size_t i = 0; i < ARRAY_LEN(checks); i++)
		if (!command_checks(checks[i]))
			fail_msg("%s", checks[i]);
	for (size_t i = 0; i < ARRAY_LEN(others); i++)
		if (command_checks(others[i]))
			fail_msg("%s", others[i]);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(
			the_third_same_call_is_a_repeat_also_with_others_between, setup),
		cmocka_unit_test_setup(another_result_or_another_tree_is_progress, setup),
		cmocka_unit_test_setup(an_edit_made_and_taken_back_in_turn_is_ping_pong, setup),
		cmocka_unit_test_setup(
			the_same_error_three_times_in_a_row_is_trouble_whatever_the_call, setup),
		cmocka_unit_test_setup(talk_goes_to_the_second_rung_at_once, setup),
		cmocka_unit_test_setup(each_trouble_is_a_rung_and_the_last_is_a_person, setup),
		cmocka_unit_test_setup(
			a_hint_is_forgotten_after_calm_turns_but_no_higher_rung, setup),
		cmocka_unit_test_setup(stored_and_read_again_it_watches_on_where_it_was, setup),
		cmocka_unit_test_setup(commands_that_check_are_told_by_their_words, setup),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
