/* The SSE parser: the events must be the same however the bytes are cut. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/sse.h"

/* Appends "[name|data]" for each event. */
static void feed(struct sse *sse, const char *data, size_t len, struct buf *out)
{
	while (len > 0) {
		bool complete = false;
		assert_null(sse_feed(sse, &data, &len, &complete));
		if (complete)
			buf_addf(out, "[%s|%s]", sse->event.data, sse->data.data);
	}
}

static void check(const char *stream, const char *expected)
{
	size_t len = strlen(stream);
	for (size_t a = 0; a <= len; a++) {
		for (size_t b = a; b <= len; b++) {
			AUTO(sse_release) struct sse sse;
			AUTO(buf_release) struct buf out = BUF(10000);
			sse_init(&sse, 1000);
			feed(&sse, stream, a, &out);
			feed(&sse, stream + a, b - a, &out);
			feed(&sse, stream + b, len - b, &out);
			assert_string_equal(out.data, expected);
		}
	}
}

static void events_are_the_same_at_every_split(void **state)
{
	(void)state;
	check("event: message_start\ndata: {\"a\":1}\n\n: ping\n\nevent: x\ndata: two\ndata: "
	      "lines\n\n",
		"[message_start|{\"a\":1}][x|two\nlines]");
}

static void all_three_line_ends_are_known(void **state)
{
	(void)state;
	check("event: a\r\ndata: 1\r\n\r\nevent: b\rdata: 2\r\revent: c\ndata: 3\n\n",
		"[a|1][b|2][c|3]");
}

/* A byte at a time, and with line ends that change in the middle of an event. */
static void bytes_one_by_one_give_the_same_events(void **state)
{
	(void)state;
	static const char *const streams[] = {"event: a\r\ndata: 1\r\n\r\ndata: 2\r\n\r\n",
		"event: a\ndata: 1\r\n\ndata: 2\r\r\n", "event: a\rdata: 1\n\r\ndata: 2\r\n\n",
		"event: a\ndata: 1\r\n\ndata: 2\n\n"};
	for (size_t i = 0; i < ARRAY_LEN(streams); i++) {
		AUTO(sse_release) struct sse sse;
		AUTO(buf_release) struct buf out = BUF(10000);
		sse_init(&sse, 1000);
		for (const char *p = streams[i]; *p; p++)
			feed(&sse, p, 1, &out);
		assert_string_equal(out.data, "[a|1][|2]");
	}
}

static void odd_fields_are_read_as_the_standard_says(void **state)
{
	(void)state;
	check("\xef\xbb\xbfid: 7\nretry: 5\ndata:no space\ndata:  two\n\ndata\n\nevent: "
	      "lost\n\ndata: x: y\n\ndata: unfinished\n",
		"[|no space\n two][|][|x: y]");
}

static void an_event_over_the_limit_is_an_error(void **state)
{
	(void)state;
	AUTO(sse_release) struct sse sse;
	sse_init(&sse, 8);
	const char *data = "data: 123456789\n\n";
	size_t len = strlen(data);
	bool complete;
	assert_int_equal(err_code(sse_feed(&sse, &data, &len, &complete)), ERR_TOO_LARGE);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(events_are_the_same_at_every_split),
		cmocka_unit_test(all_three_line_ends_are_known),
		cmocka_unit_test(bytes_one_by_one_give_the_same_events),
		cmocka_unit_test(odd_fields_are_read_as_the_standard_says),
		cmocka_unit_test(an_event_over_the_limit_is_an_error),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
