/* Anthropic's Messages API: what is sent, what is made of a stream, and the call with its retries.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/unit/anthropic_events.h"
#include "tests/unit/canned.h"
#include "worker/llm/anthropic.h"

static struct settings *set;

static struct settings *load(const char *url)
{
	autofree char *base = xasprintf("ANTHROPIC_BASE_URL=%s/v1/", url);
	const char *overrides[] = {base, "AIRUNNER_RETRY_BASE_MS=10",
		"AIRUNNER_MODELS_PATH=etc/models.json", "AIRUNNER_LLM_STALL_S=1", NULL};
	struct settings_options o = {.program = PROGRAM_WORKER,
		.env_file = "/dev/null",
		.overrides = overrides,
		.default_db_user = "air_worker"};
	struct settings *loaded = NULL;
	assert_null(settings_load(&o, &loaded));
	return loaded;
}

/* ---- requests ---- */

static char *join(const struct llm *llm, const struct llm_request *req)
{
	char tail[64];
	autofree struct http_piece *pieces = NULL;
	size_t n = anthropic_pieces(llm, req, tail, sizeof tail, &pieces);
	struct buf b = BUF(1 << 20);
	for (size_t i = 0; i < n; i++)
		buf_add(&b, pieces[i].data, pieces[i].len);
	return buf_take(&b);
}

static void cut_out(char *s, const char *what)
{
	for (char *p = s; (p = strstr(p, what));)
		memmove(p, p + strlen(what), strlen(p + strlen(what)) + 1);
}

static int count(const char *s, const char *what)
{
	int n = 0;
	for (; (s = strstr(s, what)); s += strlen(what))
		n++;
	return n;
}

struct talk {
	struct llm llm;
	struct buf prefix;
	struct buf bytes[10];
	struct llm_message messages[10];
	size_t count;
};

static void talk_add(
	struct talk *t, const struct llm_part *parts, size_t n, const char *raw, int blocks)
{
	struct buf *b = &t->bytes[t->count];
	*b = BUF(1 << 20);
	if (raw)
		buf_adds(b, raw);
	else
		llm_user_message(&t->llm, parts, n, t->count == 0, b);
	t->messages[t->count++] = (struct llm_message){b->data, b->len, !raw, blocks};
}

static void talk_begin(struct talk *t, const char *model)
{
	static const struct llm_tool tools[] = {
		{"view", "Shows \"a\" file.", "{\"type\":\"object\"}"}};
	*t = (struct talk){.prefix = BUF(1 << 16)};
	assert_null(llm_open(set, model, &t->llm));
	assert_null(llm_prefix(&t->llm, "You are\nit.", tools, 1, &t->prefix));
	const struct llm_part first = {.text = "Do this."};
	talk_add(t, &first, 1, NULL, 1);
}

static void talk_release(struct talk *t)
{
	llm_release(&t->llm);
	buf_release(&t->prefix);
	for (size_t i = 0; i < t->count; i++)
		buf_release(&t->bytes[i]);
}

static char *body(struct talk *t, size_t count_messages)
{
	struct llm_request req = {.prefix = t->prefix.data,
		.prefix_len = t->prefix.len,
		.messages = t->messages,
		.count = count_messages};
	return join(&t->llm, &req);
}

static void the_first_request_is_as_the_api_wants_it(void **state)
{
	(void)state;
	AUTO(talk_release) struct talk t;
	talk_begin(&t, "claude-sonnet-5-5");
	autofree char *s = body(&t, 1);
	assert_string_equal(s,
		"{\"model\":\"claude-sonnet-5-5\",\"stream\":true,"
		"\"thinking\":{\"type\":\"adaptive\"},\"output_config\":{\"effort\":\"high\"},"
		"\"tools\":[{\"name\":\"view\",\"description\":\"Shows \\\"a\\\" "
		"file.\",\"input_schema\":{\"type\":\"object\"}}],"
		"\"system\":[{\"type\":\"text\",\"text\":\"You "
		"are\\nit.\",\"cache_control\":{\"type\":\"ephemeral\"}}],"
		"\"messages\":[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"Do "
		"this.\",\"cache_control\":{\"type\":\"ephemeral\"}}]}],"
		"\"max_tokens\":32000}");
	json_auto_t *parsed = json_loads(s, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(parsed);
}

static void a_model_of_the_old_kind_gets_a_thinking_budget(void **state)
{
	(void)state;
	AUTO(talk_release) struct talk t;
	talk_begin(&t, "claude-haiku-4-5");
	assert_non_null(strstr(t.prefix.data,
		"\"thinking\":{\"type\":\"enabled\",\"budget_tokens\":8000},\"tools\""));
}

static void only_a_model_that_takes_it_is_made_to_call_a_tool(void **state)
{
	(void)state;
	static const struct {
		const char *model;
		bool is_forced;
	} cases[] = {{"claude-opus-4-8", true}, {"claude-sonnet-5-5", false},
		{"claude-haiku-4-5", false}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(talk_release) struct talk t;
		talk_begin(&t, cases[i].model);
		struct llm_request req = {.prefix = t.prefix.data,
			.prefix_len = t.prefix.len,
			.messages = t.messages,
			.count = 1,
			.must_call = true};
		autofree char *s = join(&t.llm, &req);
		assert_int_equal(
			strstr(s, "],\"tool_choice\":{\"type\":\"any\"},\"max_tokens\"") != NULL,
			cases[i].is_forced);
	}
}

static void planning_has_a_budget_of_its_own(void **state)
{
	(void)state;
	AUTO(talk_release) struct talk t;
	talk_begin(&t, "claude-haiku-4-5");
	t.llm.purpose = LLM_PLAN;
	AUTO(buf_release) struct buf prefix = BUF(1 << 16);
	assert_null(llm_prefix(&t.llm, "Plan.", NULL, 0, &prefix));
	assert_non_null(strstr(prefix.data, "\"budget_tokens\":10000}"));
}

static const struct llm_part results[] = {{"toolu_1", "1: int x;", false},
	{"toolu_2", "no such file", true}, {.text = "Come to an end."}};

static void each_request_is_a_byte_prefix_of_the_next_but_for_the_marks(void **state)
{
	(void)state;
	AUTO(talk_release) struct talk t;
	talk_begin(&t, "claude-sonnet-5-5");
	autofree char *before = NULL;
	for (int turn = 0; turn < 4; turn++) {
		autofree char *now = body(&t, t.count);
		assert_true(count(now, "cache_control") <= 4);
		json_auto_t *parsed = json_loads(now, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(parsed);
		cut_out(now, ",\"cache_control\":{\"type\":\"ephemeral\"}");
		*strstr(now, "],\"max_tokens\"") = '\0';
		if (before)
			assert_memory_equal(before, now, strlen(before));
		free(before);
		before = xstrdup(now);
		talk_add(&t, NULL, 0, MESSAGE, 4);
		talk_add(&t, results, 3, NULL, 3);
	}
}

static void the_newest_user_message_is_marked_and_the_one_before_when_far(void **state)
{
	(void)state;
	AUTO(talk_release) struct talk t;
	talk_begin(&t, "claude-sonnet-5-5");
	talk_add(&t, NULL, 0, MESSAGE, 4);
	talk_add(&t, results, 1, NULL, 1);
	talk_add(&t, NULL, 0, MESSAGE, 4);
	talk_add(&t, results, 3, NULL, 3);
	autofree char *near = body(&t, t.count);
	assert_int_equal(count(near, "{\"type\":\"ephemeral\"}"), 3); /* system, first, newest */
	assert_non_null(strstr(
		near, "Come to an end.\",\"cache_control\":{\"type\":\"ephemeral\"}}]}],\"max"));
	t.messages[3].blocks = 13; /* with the three of the last message: 16 */
	autofree char *far = body(&t, t.count);
	assert_int_equal(count(far, "{\"type\":\"ephemeral\"}"), 4);
	assert_non_null(strstr(far,
		"int x;\",\"cache_control\":{\"type\":\"ephemeral\"}}]},{\"role\":\"assistant\""));
}

/* ---- calls ---- */

static err_t ask(const struct canned_reply *replies, size_t n, struct llm_answer *a,
	size_t *ret_calls, char **ret_request)
{
	struct canned *server = canned_start(replies, n);
	struct settings *own = load(canned_url(server));
	struct talk t;
	talk_begin(&t, "claude-sonnet-5-5");
	t.llm.set = own;
	endpoint_release(&t.llm.at);
	assert_null(endpoint_of(own, &t.llm.profile, &t.llm.at));
	struct llm_request req = {.prefix = t.prefix.data,
		.prefix_len = t.prefix.len,
		.messages = t.messages,
		.count = 1};
	err_t e = llm_ask(&t.llm, &req, a);
	*ret_calls = canned_count(server);
	if (ret_request)
		*ret_request = xstrdup(canned_request(server, 0));
	talk_release(&t);
	settings_free(own);
	canned_stop(server);
	return e;
}

static void an_answer_is_kept_as_received(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = SSE_HEAD WHOLE, .chunk = 100}};
	AUTO(llm_answer_release) struct llm_answer a;
	autofree char *request = NULL;
	size_t calls;
	assert_null(ask(replies, 1, &a, &calls, &request));
	assert_string_equal(a.message.data, MESSAGE);
	assert_int_equal(a.blocks, 4);
	assert_string_equal(a.text.data, "H\xc3\xa4llo");
	assert_int_equal(a.calls.count, 1);
	assert_string_equal(a.calls.items[0].name, "view");
	assert_string_equal(
		json_string_value(json_object_get(a.calls.items[0].input, "path")), "a.c");
	assert_string_equal(a.request_id, "req_1");
	assert_true(a.cost_known);
	/* 5·2 + 10·2.5 + 20·4 + 100·0.1 + 42·10 */
	assert_int_equal(a.cost_usd_micro, 10 + 25 + 80 + 10 + 420);
	assert_ptr_equal(strstr(request, "POST /v1/messages HTTP/1.1\r\n"), request);
	assert_non_null(strstr(request, "\r\nanthropic-version: 2023-06-01\r\n"));
	assert_non_null(strstr(request, "\r\nx-api-key: key-of-the-test\r\n"));
	assert_null(strstr(request, "temperature"));
}

static void trouble_that_passes_is_asked_again_and_nothing_of_it_is_used(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = "HTTP/1.1 529 Busy\r\nContent-Length: 2\r\n\r\n{}"},
		{.raw = SSE_HEAD START TEXT EV(
			 "error", ",\"error\":{\"type\":\"overloaded_error\",\"message\":\"x\"}")},
		{.raw = SSE_HEAD START TOOL TEXT}, {.raw = SSE_HEAD WHOLE}};
	AUTO(llm_answer_release) struct llm_answer a;
	size_t calls;
	assert_null(ask(replies, 4, &a, &calls, NULL));
	assert_int_equal(calls, 4);
	assert_int_equal(a.tries, 4);
	assert_string_equal(a.message.data, MESSAGE);
	assert_int_equal(a.calls.count, 1);
}

static void a_stream_that_falls_silent_is_given_up(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = SSE_HEAD START TEXT, .hang_ms = 3000}, {.raw = SSE_HEAD WHOLE}};
	AUTO(llm_answer_release) struct llm_answer a;
	size_t calls;
	assert_null(ask(replies, 2, &a, &calls, NULL));
	assert_int_equal(calls, 2);
	assert_string_equal(a.message.data, MESSAGE);
}

static void refusals_for_good_are_not_asked_again(void **state)
{
	(void)state;
	static const struct {
		const char *head, *body;
		enum err_code code;
	} cases[] = {
		{"400 Bad",
			"{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"messages: "
			"wrong\"}}",
			ERR_OUTSIDE_FINAL},
		{"400 Bad",
			"{\"error\":{\"type\":\"invalid_request_error\",\"message\":\"prompt is "
			"too long: 9 tokens\"}}",
			ERR_NONE},
		{"401 No",
			"{\"error\":{\"type\":\"authentication_error\",\"message\":\"invalid "
			"x-api-key\"}}",
			ERR_UNAUTHORIZED},
		{"413 Large", "<html>", ERR_NONE},
		{"429 Slow",
			"{\"error\":{\"message\":\"m\",\"details\":{\"error_code\":\"enforced_"
			"spend_limit_reached\"}}}",
			ERR_SPENT},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *raw = xasprintf("HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
			cases[i].head, strlen(cases[i].body), cases[i].body);
		const struct canned_reply replies[] = {{.raw = raw}};
		AUTO(llm_answer_release) struct llm_answer a;
		size_t calls;
		assert_int_equal(err_code(ask(replies, 1, &a, &calls, NULL)), cases[i].code);
		assert_true(cases[i].code || a.stop == LLM_STOP_CONTEXT);
		assert_int_equal(calls, 1);
	}
}

static void a_stored_message_tells_its_calls(void **state)
{
	(void)state;
	AUTO(llm_calls_release) struct llm_calls calls = {0};
	struct llm llm = {.provider = &anthropic_provider};
	int blocks;
	assert_null(llm_read_message(&llm, MESSAGE, strlen(MESSAGE), &calls, &blocks));
	assert_int_equal(blocks, 4);
	assert_int_equal(calls.count, 1);
	assert_string_equal(calls.items[0].id, "toolu_1");
	assert_string_equal(calls.items[0].raw, "{\"path\": \"a.c\", \"n\": 1.0}");
	assert_int_equal(err_code(llm_read_message(&llm, "[", 1, &calls, &blocks)), ERR_INTERNAL);
}

static int setup(void **state)
{
	(void)state;
	setenv("ANTHROPIC_API_KEY", "key-of-the-test", 1);
	set = load("http://127.0.0.1:9");
	return http_init() ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	settings_free(set);
	http_exit();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_first_request_is_as_the_api_wants_it),
		cmocka_unit_test(a_model_of_the_old_kind_gets_a_thinking_budget),
		cmocka_unit_test(only_a_model_that_takes_it_is_made_to_call_a_tool),
		cmocka_unit_test(planning_has_a_budget_of_its_own),
		cmocka_unit_test(each_request_is_a_byte_prefix_of_the_next_but_for_the_marks),
		cmocka_unit_test(the_newest_user_message_is_marked_and_the_one_before_when_far),
		cmocka_unit_test(an_answer_is_kept_as_received),
		cmocka_unit_test(trouble_that_passes_is_asked_again_and_nothing_of_it_is_used),
		cmocka_unit_test(a_stream_that_falls_silent_is_given_up),
		cmocka_unit_test(refusals_for_good_are_not_asked_again),
		cmocka_unit_test(a_stored_message_tells_its_calls),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
