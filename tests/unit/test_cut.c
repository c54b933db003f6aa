/*
 * Recorded streams of the models (tests/unit/data/stream_*.sse: text, thinking, redacted thinking,
 * two tool calls, pings, characters of several bytes), cut at every byte: nothing of a cut stream
 * is an answer, nothing of it is run, and the next, whole stream is taken as if there had been no
 * other. The same streams in pieces of any size give the same answer. SOAK=1: through HTTP at every
 * byte too.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "tests/unit/canned.h"
#include "worker/llm/anthropic.h"
#include "worker/llm/openai.h"

#define HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"

/* A provider's parser: made, fed, asked whether it has seen the end, freed. */
#define PARSER(name) \
	static void *name##_make(llm_event_fn fn, void *arg) \
	{ \
		return name##_stream_new(fn, arg); \
	} \
	static err_t name##_feed(void *s, const char *data, size_t len) \
	{ \
		return name##_stream_feed(s, data, len); \
	} \
	static bool name##_is_complete(const void *s) \
	{ \
		return name##_stream_complete(s); \
	} \
	static void name##_free(void *s) \
	{ \
		name##_stream_free(s); \
	}
PARSER(anthropic)
PARSER(responses)
PARSER(chat)
#define PARSER_OF(name) name##_make, name##_feed, name##_is_complete, name##_free

static const struct recording {
	const char *file, *model;
	const char *base_url, *api; /* settings */
	int calls;
	void *(*make)(llm_event_fn fn, void *arg);
	err_t (*feed)(void *stream, const char *data, size_t len);
	bool (*is_complete)(const void *stream);
	void (*free)(void *stream);
} recordings[] = {
	{"tests/unit/data/stream_anthropic.sse", "claude-sonnet-5-5", "ANTHROPIC_BASE_URL",
		"AIRUNNER_OPENAI_API=responses", 2, PARSER_OF(anthropic)},
	{"tests/unit/data/stream_responses.sse", "gpt-6.1-terra", "OPENAI_BASE_URL",
		"AIRUNNER_OPENAI_API=responses", 2, PARSER_OF(responses)},
	{"tests/unit/data/stream_chat.sse", "gpt-6.1-terra", "OPENAI_BASE_URL",
		"AIRUNNER_OPENAI_API=chat", 2, PARSER_OF(chat)},
};

/* The recording with \n or \r\n at its line ends, and some lines more that mean nothing. */
static char *load(const struct recording *r, const char *line_end)
{
	AUTO(buf_release) struct buf file = BUF(1 << 20);
	struct buf out = BUF(1 << 20);
	assert_null(buf_read_file(&file, r->file));
	buf_addf(&out, ": a comment%s", line_end);
	for (const char *p = file.data; *p; p++) {
		if (*p == '\n')
			buf_adds(&out, line_end);
		else
			buf_addc(&out, *p);
	}
	return buf_take(&out);
}

static const char *const line_ends[] = {"\n", "\r\n"};

/* With \r\n the last event is whole when the \r of the empty line has come. */
static size_t whole_from(const char *stream)
{
	size_t len = strlen(stream);
	return stream[len - 2] == '\r' ? len - 1 : len;
}

/* ---- fed to the parser itself ---- */

struct got {
	struct buf blocks;
	int begins, ends;
};

static err_t note(void *arg, const struct llm_event *event)
{
	struct got *g = arg;
	g->begins += event->type == LLM_EVENT_BEGIN;
	g->ends += event->type == LLM_EVENT_END;
	if (event->type == LLM_EVENT_BLOCK)
		buf_addf(&g->blocks, "%s|%s|%s|%s\n", event->json, event->text ? event->text : "-",
			event->tool_id ? event->tool_id : "-",
			event->tool_input ? event->tool_input : "-");
	return NULL;
}

static uint32_t random_next(uint32_t *seed)
{
	*seed ^= *seed << 13;
	*seed ^= *seed >> 17;
	return *seed ^= *seed << 5;
}

/* max_piece 0: all at once; 1: byte by byte; else pieces of random sizes. */
static void feed(const struct recording *r, const char *data, size_t len, uint32_t max_piece,
	uint32_t seed, struct got *g)
{
	void *s = r->make(note, g);
	while (len > 0) {
		size_t n = max_piece ? 1 + random_next(&seed) % max_piece : len;
		n = n < len ? n : len;
		assert_null(r->feed(s, data, n));
		data += n;
		len -= n;
	}
	assert_int_equal(r->is_complete(s), g->ends);
	r->free(s);
}

static void check_pieces(const struct recording *r)
{
	struct got first = {.blocks = BUF(1 << 20)};
	for (size_t e = 0; e < ARRAY_LEN(line_ends); e++) {
		autofree char *stream = load(r, line_ends[e]);
		for (uint32_t max = 0; max < 100; max++) {
			struct got g = {.blocks = BUF(1 << 20)};
			feed(r, stream, strlen(stream), max, 20261122 + max, &g);
			assert_int_equal(g.begins, 1);
			assert_int_equal(g.ends, 1);
			if (!first.blocks.len)
				buf_adds(&first.blocks, g.blocks.data);
			assert_string_equal(g.blocks.data, first.blocks.data);
			buf_release(&g.blocks);
		}
	}
	assert_non_null(
		strstr(first.blocks.data, "|Grüße, 世界! 🦓 I look at both files. |"));
	assert_non_null(strstr(first.blocks.data, "ä/b.txt"));
	assert_non_null(strstr(first.blocks.data, "view_range"));
	buf_release(&first.blocks);
}

static void pieces_of_any_size_give_the_same_blocks(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recordings); i++)
		check_pieces(&recordings[i]);
}

static void check_cuts(const struct recording *r, const char *line_end)
{
	autofree char *stream = load(r, line_end);
	struct got whole = {.blocks = BUF(1 << 20)}, g = {.blocks = BUF(1 << 20)};
	feed(r, stream, strlen(stream), 0, 1, &whole);
	/* A byte more each time: what has been given on so far is what a cut here leaves. */
	void *s = r->make(note, &g);
	for (size_t len = 0; len < whole_from(stream); len++) {
		assert_null(r->feed(s, stream + len, len + 1 < whole_from(stream)));
		assert_int_equal(g.ends, 0);
		assert_false(r->is_complete(s));
		assert_memory_equal(g.blocks.data, whole.blocks.data, g.blocks.len);
	}
	r->free(s);
	buf_release(&g.blocks);
	for (size_t len = 0; len < whole_from(stream); len += 37) { /* let go of in any state */
		g = (struct got){.blocks = BUF(1 << 20)};
		feed(r, stream, len, 40, (uint32_t)len + 1, &g);
		assert_int_equal(g.ends, 0);
		buf_release(&g.blocks);
	}
	buf_release(&whole.blocks);
}

static void a_stream_cut_at_any_byte_has_no_end_and_whole_blocks_only(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recordings); i++)
		for (size_t e = 0; e < ARRAY_LEN(line_ends); e++)
			check_cuts(&recordings[i], line_ends[e]);
}

/* ---- through HTTP and the retries ---- */

static struct settings *settings_for(const struct recording *r, const char *url)
{
	autofree char *base = xasprintf("%s=%s", r->base_url, url);
	const char *overrides[] = {base, r->api, "AIRUNNER_RETRY_BASE_MS=1",
		"AIRUNNER_MODELS_PATH=etc/models.json", "AIRUNNER_LLM_STALL_S=5", NULL};
	struct settings_options o = {.program = PROGRAM_WORKER,
		.env_file = "/dev/null",
		.overrides = overrides,
		.default_db_user = "air_worker"};
	struct settings *set = NULL;
	assert_null(settings_load(&o, &set));
	return set;
}

static err_t ask(const struct recording *r, const char *const *streams, size_t count,
	struct llm_answer *ret_answer, size_t *ret_asked)
{
	autofree struct canned_reply *replies = xcalloc(count, sizeof *replies);
	for (size_t i = 0; i < count; i++)
		replies[i].raw = streams[i];
	struct canned *server = canned_start(replies, count);
	struct settings *set = settings_for(r, canned_url(server));
	AUTO(buf_release) struct buf prefix = BUF(1 << 16), first = BUF(1 << 16);
	struct llm llm;
	assert_null(llm_open(set, r->model, &llm));
	assert_null(llm_prefix(&llm, "You work.", NULL, 0, &prefix));
	llm_user_message(&llm, &(struct llm_part){.text = "Do this."}, 1, true, &first);
	struct llm_message message = {first.data, first.len, true, 1};
	struct llm_request req = {
		.prefix = prefix.data, .prefix_len = prefix.len, .messages = &message, .count = 1};
	err_t e = llm_ask(&llm, &req, ret_answer);
	*ret_asked = canned_count(server);
	canned_stop(server);
	llm_release(&llm);
	settings_free(set);
	redact_clear(); /* each load adds the key to what is masked */
	return e;
}

static bool same(const struct llm_answer *a, const struct llm_answer *b)
{
	bool is_same = a->calls.count == b->calls.count && a->stop == b->stop &&
		       a->blocks == b->blocks && strcmp(a->message.data, b->message.data) == 0 &&
		       strcmp(a->text.data, b->text.data) == 0 &&
		       a->cost_usd_micro == b->cost_usd_micro;
	for (size_t i = 0; is_same && i < a->calls.count; i++)
		is_same = strcmp(a->calls.items[i].raw, b->calls.items[i].raw) == 0 &&
			  strcmp(a->calls.items[i].id, b->calls.items[i].id) == 0;
	return is_same;
}

/* Cut, then whole: the answer is that of the whole stream alone, asked for twice. */
static void check_cut(
	const struct recording *r, const char *stream, size_t at, const struct llm_answer *whole)
{
	autofree char *full = xasprintf(HEAD "%s", stream);
	autofree char *cut = xasprintf(HEAD "%.*s", (int)at, stream);
	const char *const streams[] = {cut, full};
	AUTO(llm_answer_release) struct llm_answer answer;
	size_t asked;
	assert_null(ask(r, streams, 2, &answer, &asked));
	assert_int_equal(asked, at < whole_from(stream) ? 2 : 1);
	if (!same(&answer, whole))
		fail_msg("%s cut at %zu gives another answer", r->file, at);
}

static void a_cut_stream_is_asked_for_again_and_leaves_no_trace(void **state)
{
	(void)state;
	const char *soak = getenv("SOAK");
	size_t step = soak && strcmp(soak, "1") == 0 ? 1 : 211;
	for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
		const struct recording *r = &recordings[i];
		autofree char *stream = load(r, line_ends[1]);
		autofree char *full = xasprintf(HEAD "%s", stream);
		const char *const streams[] = {full};
		AUTO(llm_answer_release) struct llm_answer whole;
		size_t asked;
		assert_null(ask(r, streams, 1, &whole, &asked));
		assert_int_equal(whole.calls.count, r->calls);
		for (size_t at = 0; at <= strlen(stream); at += step)
			check_cut(r, stream, at, &whole);
		for (size_t back = 0; back < 4; back++)
			check_cut(r, stream, strlen(stream) - back, &whole);
	}
}

static void a_stream_that_is_always_cut_is_an_error_without_an_answer(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(recordings); i++) {
		const struct recording *r = &recordings[i];
		autofree char *stream = load(r, line_ends[0]);
		autofree char *cut = xasprintf(HEAD "%.*s", (int)strlen(stream) - 1, stream);
		const char *const streams[] = {cut};
		AUTO(llm_answer_release) struct llm_answer answer;
		size_t asked;
		assert_int_equal(err_code(ask(r, streams, 1, &answer, &asked)), ERR_NETWORK);
		assert_int_equal(asked, 1 + HTTP_RETRIES);
		assert_int_equal(answer.calls.count, 0);
		assert_int_equal(answer.message.len, 0);
	}
}

static int setup(void **state)
{
	(void)state;
	setenv("ANTHROPIC_API_KEY", "key-of-the-test", 1);
	setenv("OPENAI_API_KEY", "key-of-the-test", 1);
	return http_init() ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	http_exit();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(pieces_of_any_size_give_the_same_blocks),
		cmocka_unit_test(a_stream_cut_at_any_byte_has_no_end_and_whole_blocks_only),
		cmocka_unit_test(a_cut_stream_is_asked_for_again_and_leaves_no_trace),
		cmocka_unit_test(a_stream_that_is_always_cut_is_an_error_without_an_answer),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
