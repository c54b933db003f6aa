/* What is made of a stream of Anthropic's: whole blocks in their own bytes, whatever is to come. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/unit/anthropic_events.h"
#include "worker/llm/anthropic.h"

static int count(const char *s, const char *what)
{
	int n = 0;
	for (; (s = strstr(s, what)); s += strlen(what))
		n++;
	return n;
}

struct got {
	struct buf text;
	int begins, ends, calls;
	char input[200], stop_name[64];
	struct llm_event end;
};

static err_t note(void *arg, const struct llm_event *event)
{
	struct got *g = arg;
	if (event->type == LLM_EVENT_BEGIN)
		g->begins++;
	if (event->type == LLM_EVENT_BLOCK)
		buf_addf(&g->text, "%s\n", event->json);
	if (event->type == LLM_EVENT_BLOCK && event->tool_id) {
		g->calls++;
		snprintf(g->input, sizeof g->input, "%s", event->tool_input);
	}
	if (event->type == LLM_EVENT_END) {
		g->ends++, g->end = *event;
		snprintf(g->stop_name, sizeof g->stop_name, "%s", event->stop_name);
	}
	return NULL;
}

static err_t feed_two(const char *stream, size_t len, size_t split, struct got *g)
{
	AUTO(anthropic_stream_freep) struct anthropic_stream *s = anthropic_stream_new(note, g);
	err_t e = anthropic_stream_feed(s, stream, split);
	if (!e)
		e = anthropic_stream_feed(s, stream + split, len - split);
	assert_int_equal(g->ends, anthropic_stream_complete(s));
	return e;
}

static void a_stream_gives_the_same_blocks_at_every_split(void **state)
{
	(void)state;
	for (size_t split = 0; split <= strlen(WHOLE); split++) {
		struct got g = {.text = BUF(10000)};
		assert_null(feed_two(WHOLE, strlen(WHOLE), split, &g));
		assert_int_equal(g.begins, 1);
		assert_int_equal(g.ends, 1);
		assert_int_equal(g.end.stop, LLM_STOP_TOOLS);
		assert_int_equal(g.end.usage.fresh, 5);
		assert_int_equal(g.end.usage.written_5m, 10);
		assert_int_equal(g.end.usage.written_1h, 20);
		assert_int_equal(g.end.usage.read, 100);
		assert_int_equal(g.end.usage.output, 42);
		assert_int_equal(g.end.usage.thinking, 7);
		assert_int_equal(count(g.text.data, "\n"), 4);
		buf_release(&g.text);
	}
}

static void a_stream_cut_anywhere_has_no_end(void **state)
{
	(void)state;
	/* The last byte is the second line end of message_stop: without it the event is not whole.
	 */
	for (size_t len = 0; len < strlen(WHOLE); len++) {
		struct got g = {.text = BUF(10000)};
		assert_null(feed_two(WHOLE, len, len / 2, &g));
		assert_int_equal(g.ends, 0);
		buf_release(&g.text);
	}
}

static void errors_inside_a_stream_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *stream;
		enum err_code code;
	} cases[] = {
		{START EV("error",
			 ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"Overloaded\"}"),
			ERR_OUTSIDE},
		{START EV("error",
			 ",\"error\":{\"type\":\"invalid_request_error\",\"message\":\"no\"}"),
			ERR_OUTSIDE_FINAL},
		{START "data: {\"type\":\n\n", ERR_OUTSIDE},
		{START EV("content_block_delta", ",\"delta\":{}"), ERR_OUTSIDE},
		{END("end_turn"), ERR_OUTSIDE},
		{START EV("error", ",\"error\":{\"type\":\"new_error\",\"message\":\"x\"}"),
			ERR_OUTSIDE},
		{START START, ERR_OUTSIDE},
		{START OPEN(0, "\"type\":\"text\",\"text\":\"\"")
				OPEN(1, "\"type\":\"text\",\"text\":\"\""),
			ERR_OUTSIDE},
		{START OPEN(0, "\"type\":\"text\",\"text\":\"\"") CLOSE(1), ERR_OUTSIDE},
		{START OPEN(0, "\"type\":\"text\",\"text\":\"\"")
				DELTA(1, "text_delta", "text", "lost"),
			ERR_OUTSIDE},
		{START OPEN(0, "\"type\":\"text\",\"text\":\"\"") END("end_turn"), ERR_OUTSIDE},
		{START TEXT EV("message_stop", ""), ERR_OUTSIDE}, /* cut or not: nobody knows */
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct got g = {.text = BUF(10000)};
		assert_int_equal(
			err_code(feed_two(cases[i].stream, strlen(cases[i].stream), 9, &g)),
			cases[i].code);
		buf_release(&g.text);
	}
}

/* The blocks that a stream between a beginning and an end is made of, a line each. */
static void gives(const char *middle, const char *blocks)
{
	autofree char *stream = xasprintf("%s%s%s", START, middle, END("tool_use"));
	for (size_t split = 0; split < strlen(stream); split += 7) {
		struct got g = {.text = BUF(10000)};
		assert_null(feed_two(stream, strlen(stream), split, &g));
		assert_string_equal(g.text.data, blocks);
		buf_release(&g.text);
	}
}

static void blocks_of_unknown_kinds_are_kept_to_the_byte(void **state)
{
	(void)state;
	gives(OPEN(0, "\"type\": \"later\", \"n\":123456789012345678901234567890, \"r\":1.50e2,"
		      "\"u\":\"\\u00e4\\u0000\",\"o\":{ },\"d\":0.1") CLOSE(0),
		"{\"type\": \"later\", \"n\":123456789012345678901234567890, \"r\":1.50e2,"
		"\"u\":\"\\u00e4\\u0000\",\"o\":{ },\"d\":0.1}\n");
	gives(OPEN(0, "\"type\":\"redacted_thinking\",\"data\":\"a\\/b=\"") CLOSE(0),
		"{\"type\":\"redacted_thinking\",\"data\":\"a\\/b=\"}\n");
	gives(OPEN(0, "\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"") CLOSE(0),
		"{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"\"}\n");
}

/* Its input comes in pieces, like that of our tools, but it is not ours to run. */
static void a_servers_tool_call_keeps_its_input_and_is_not_run(void **state)
{
	(void)state;
	static const char stream[] = START OPEN(
		0, "\"type\":\"server_tool_use\",\"id\":\"srv_1\",\"name\":\"web\",\"input\":{}")
		DELTA(0, "input_json_delta", "partial_json", "{\\\"q\\\": ")
			DELTA(0, "input_json_delta", "partial_json", "7.0}") CLOSE(0)
				END("pause_turn");
	struct got g = {.text = BUF(10000)};
	assert_null(feed_two(stream, strlen(stream), 40, &g));
	assert_string_equal(g.text.data, "{\"type\":\"server_tool_use\",\"id\":\"srv_1\","
					 "\"name\":\"web\",\"input\":{\"q\": 7.0}}\n");
	assert_int_equal(g.calls, 0);
	assert_int_equal(g.end.stop, LLM_STOP_PAUSE);
	buf_release(&g.text);
}

static void nuls_in_a_text_are_kept(void **state)
{
	(void)state;
	gives(OPEN(0, "\"type\":\"text\",\"text\":\"\"") DELTA(0, "text_delta", "text", "\\u0000a")
			DELTA(0, "text_delta", "text", "b\\u0000") CLOSE(0),
		"{\"type\":\"text\",\"text\":\"\\u0000ab\\u0000\"}\n");
	gives(OPEN(0, "\"type\":\"text\",\"text\":\"\"") CLOSE(0), "\n"); /* empty: not sent back */
}

/* A tool's input in each odd form: the bytes that are kept, and whether the call can be run. */
static void inputs_of_every_form_are_kept_or_refused(void **state)
{
	(void)state;
	static const struct {
		const char *piece, *kept;
		bool runs;
	} cases[] = {
		{"", "{}", true}, {"{}", "{}", true},
		{"{\\\"n\\\":123456789012345678901234567890}",
			"{\"n\":123456789012345678901234567890}", true},
		{"{\\\"n\\\":-0.10}", "{\"n\":-0.10}", true},
		{"{\\\"s\\\":\\\"a\\\\u0000b\\\"}", "{\"s\":\"a\\u0000b\"}", true},
		{"{\\\"half", "{}", false}, {"[1]", "{}", false}, {"null", "{}", false},
		{"{}\\u0000{", "{}", false}, /* a NUL between the pieces of the text itself */
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(llm_calls_release) struct llm_calls calls = {0};
		autofree char *stream = xasprintf(
			START OPEN(0,
				"\"type\":\"tool_use\",\"id\":\"t\",\"name\":\"view\",\"input\":{}")
				DELTA(0, "input_json_delta", "partial_json", "%s") CLOSE(0)
					END("tool_use"),
			cases[i].piece);
		autofree char *kept = xasprintf("{\"type\":\"tool_use\",\"id\":\"t\",\"name\":"
						"\"view\",\"input\":%s}\n",
			cases[i].kept);
		struct got g = {.text = BUF(10000)};
		assert_null(feed_two(stream, strlen(stream), 11, &g));
		assert_string_equal(g.text.data, kept);
		llm_calls_add(&calls, "t", "view", g.input);
		assert_int_equal(calls.items[0].input != NULL, cases[i].runs);
		buf_release(&g.text);
	}
}

static void usage_may_be_null_missing_or_absurd(void **state)
{
	(void)state;
	static const char stream[] = EV("message_start",
		",\"message\":{\"usage\":{\"input_tokens\":5,\"cache_creation_input_tokens\":null,"
		"\"cache_read_input_tokens\":null,\"cache_creation\":null,\"output_tokens\":1}}")
		EV("message_delta",
			",\"delta\":{\"stop_reason\":\"a_reason_of_next_year\"},\"usage\":{"
			"\"input_tokens\":null,\"cache_read_input_tokens\":-4,"
			"\"output_tokens\":123456789012345678901234567890,"
			"\"output_tokens_details\":null}") EV("message_stop", "");
	struct got g = {.text = BUF(10000)};
	assert_null(feed_two(stream, strlen(stream), 9, &g));
	assert_int_equal(g.end.usage.fresh, 5);
	assert_int_equal(g.end.usage.read, 0);
	assert_int_equal(g.end.usage.written_5m + g.end.usage.written_1h, 0);
	assert_int_equal(g.end.usage.output, 1000000000);
	assert_int_equal(g.end.stop, LLM_STOP_END);
	assert_string_equal(g.stop_name, "a_reason_of_next_year");
	buf_release(&g.text);
	static const char none[] = EV("message_start", "") EV("message_delta",
		",\"delta\":{\"stop_reason\":\"end_turn\"}") EV("message_stop", "");
	struct got h = {.text = BUF(10000)};
	assert_null(feed_two(none, strlen(none), 9, &h));
	assert_int_equal(h.end.usage.fresh + h.end.usage.output, 0);
	buf_release(&h.text);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_stream_gives_the_same_blocks_at_every_split),
		cmocka_unit_test(a_stream_cut_anywhere_has_no_end),
		cmocka_unit_test(errors_inside_a_stream_are_told_apart),
		cmocka_unit_test(blocks_of_unknown_kinds_are_kept_to_the_byte),
		cmocka_unit_test(a_servers_tool_call_keeps_its_input_and_is_not_run),
		cmocka_unit_test(nuls_in_a_text_are_kept),
		cmocka_unit_test(inputs_of_every_form_are_kept_or_refused),
		cmocka_unit_test(usage_may_be_null_missing_or_absurd),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
