/* Chat Completions, OpenAI's and those of compatible servers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/unit/canned.h"
#include "worker/llm/openai.h"

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\n\r\n"
#define CHUNK(choice) \
	"data: {\"id\":\"c\",\"choices\":[{\"index\":0," choice "}],\"usage\":null}\n\n"
#define DELTA(delta) CHUNK("\"delta\":{" delta "},\"finish_reason\":null")
#define FINISH(reason) CHUNK("\"delta\":{},\"finish_reason\":\"" reason "\"")
#define CALL(call) DELTA("\"tool_calls\":[{" call "}]")
#define USAGE \
	"data: {\"choices\":[],\"usage\":{\"prompt_tokens\":135,\"completion_tokens\":42," \
	"\"prompt_tokens_details\":{\"cached_tokens\":100},\"completion_tokens_details\":{" \
	"\"reasoning_tokens\":7}}}\n\n"
#define DONE "data: [DONE]\n\n"
#define TEXT \
	DELTA("\"role\":\"assistant\",\"content\":\"\",\"refusal\":null") \
	": keep-alive\n\n" DELTA("\"reasoning_content\":\"hm\"") \
		DELTA("\"content\":\"H\xc3\xa4\"") DELTA("\"content\":\"llo\"")
#define CALLS \
	CALL("\"index\":0,\"id\":\"call_1\",\"type\":\"function\",\"function\":{\"name\":" \
	     "\"view\"," \
	     "\"arguments\":\"\"}") \
	CALL("\"index\":0,\"function\":{\"arguments\":\"{\\\"path\\\": \"}") \
	CALL("\"index\":1,\"id\":\"call_2\",\"function\":{\"name\":\"grep\",\"arguments\":\"{}" \
	     "\"}") \
	CALL("\"index\":0,\"function\":{\"arguments\":\"\\\"a.c\\\"}\"}")
#define WHOLE TEXT CALLS FINISH("tool_calls") USAGE DONE
#define MESSAGE \
	"[{\"role\":\"assistant\",\"content\":\"H\xc3\xa4llo\",\"tool_calls\":[{\"id\":\"call_" \
	"1\"," \
	"\"type\":\"function\",\"function\":{\"name\":\"view\",\"arguments\":\"{\\\"path\\\": " \
	"\\\"a.c\\\"}\"}},{\"id\":\"call_2\",\"type\":\"function\",\"function\":{\"name\":" \
	"\"grep\"," \
	"\"arguments\":\"{}\"}}]}]"

static struct settings *load(const char *url)
{
	autofree char *base = xasprintf("OPENAI_BASE_URL=%s", url);
	const char *overrides[] = {base, "OPENAI_MODEL=qwen3-coder:30b",
		"AIRUNNER_OPENAI_AUTH=none", "AIRUNNER_RETRY_BASE_MS=10",
		"AIRUNNER_MODELS_PATH=etc/models.json", "AIRUNNER_LLM_STALL_S=1", NULL};
	struct settings_options o = {.program = PROGRAM_WORKER,
		.env_file = "/dev/null",
		.overrides = overrides,
		.default_db_user = "air_worker"};
	struct settings *loaded = NULL;
	assert_null(settings_load(&o, &loaded));
	return loaded;
}

struct talk {
	struct settings *set;
	struct llm llm;
	struct buf prefix;
	struct buf bytes[10];
	struct llm_message messages[10];
	size_t count;
};

static void add(struct talk *t, const struct llm_part *parts, size_t n, const char *raw)
{
	struct buf *b = &t->bytes[t->count];
	*b = BUF(1 << 20);
	if (raw)
		buf_adds(b, raw);
	else
		llm_user_message(&t->llm, parts, n, t->count == 0, b);
	t->messages[t->count++] = (struct llm_message){b->data, b->len, !raw, 1};
}

static void begin(struct talk *t, const char *url)
{
	static const struct llm_tool tools[] = {
		{"view", "Shows \"a\" file.", "{\"type\":\"object\"}"}};
	*t = (struct talk){.prefix = BUF(1 << 16), .set = load(url)};
	assert_null(llm_open(t->set, "qwen3-coder:30b", &t->llm));
	assert_null(llm_prefix(&t->llm, "You are\nit.", tools, 1, &t->prefix));
	const struct llm_part first = {.text = "Do this."};
	add(t, &first, 1, NULL);
}

static void talk_release(struct talk *t)
{
	llm_release(&t->llm);
	buf_release(&t->prefix);
	for (size_t i = 0; i < t->count; i++)
		buf_release(&t->bytes[i]);
	settings_free(t->set);
}

/* ---- requests ---- */

static err_t ask(struct talk *t, const struct canned_reply *replies, size_t n, struct llm_answer *a,
	size_t *ret_calls, char **ret_request)
{
	struct canned *server = canned_start(replies, n);
	struct settings *own = load(canned_url(server));
	t->llm.set = own;
	endpoint_release(&t->llm.at);
	assert_null(endpoint_of(own, &t->llm.profile, &t->llm.at));
	struct llm_request req = {.prefix = t->prefix.data,
		.prefix_len = t->prefix.len,
		.messages = t->messages,
		.count = t->count};
	err_t e = llm_ask(&t->llm, &req, a);
	*ret_calls = canned_count(server);
	if (ret_request)
		*ret_request = xstrdup(canned_request(server, 0));
	t->llm.set = t->set;
	settings_free(own);
	canned_stop(server);
	return e;
}

#define PREFIX \
	"{\"model\":\"qwen3-coder:30b\",\"stream\":true,\"stream_options\":{\"include_usage\":" \
	"true},\"tools\":[{\"type\":\"function\",\"function\":{\"name\":\"view\",\"description\":" \
	"\"Shows \\\"a\\\" file.\",\"parameters\":{\"type\":\"object\"}}}],\"messages\":[{" \
	"\"role\":\"system\",\"content\":\"You are\\nit.\"},{\"role\":\"user\",\"content\":\"Do " \
	"this.\"}"

static void three_turns_are_sent_as_compatible_servers_take_them(void **state)
{
	(void)state;
	static const struct llm_part results[] = {{"call_1", "1: int x;", false},
		{"call_2", "no such file", true}, {.text = "Come to an end."}};
	const struct canned_reply replies[] = {{.raw = SSE_HEAD WHOLE, .chunk = 50}};
	AUTO(talk_release) struct talk t;
	begin(&t, "http://127.0.0.1:9");
	autofree char *before = NULL;
	for (int turn = 0; turn < 3; turn++) {
		AUTO(llm_answer_release) struct llm_answer a;
		autofree char *request = NULL;
		size_t calls;
		assert_null(ask(&t, replies, 1, &a, &calls, &request));
		assert_string_equal(a.message.data, MESSAGE);
		assert_string_equal(a.text.data, "H\xc3\xa4llo");
		assert_int_equal(a.calls.count, 2);
		assert_string_equal(a.calls.items[1].name, "grep");
		char *body = strstr(request, "\r\n\r\n") + 4;
		json_auto_t *parsed = json_loads(body, JSON_REJECT_DUPLICATES, NULL);
		assert_non_null(parsed);
		char *tail = strstr(body, "],\"max_tokens\":8192}");
		assert_non_null(tail);
		*tail = '\0';
		if (turn == 0)
			assert_string_equal(body, PREFIX);
		else
			assert_memory_equal(body, before, strlen(before));
		free(before);
		before = xstrdup(body);
		assert_ptr_equal(
			strstr(request, "POST /v1/chat/completions HTTP/1.1\r\n"), request);
		assert_null(strstr(request, "uthorization:"));
		assert_null(strstr(request, "api-key:"));
		add(&t, NULL, 0, a.message.data);
		add(&t, results, 3, NULL);
	}
	assert_non_null(strstr(before, "{\"role\":\"tool\",\"tool_call_id\":\"call_1\",\"content\":"
				       "\"1: int x;\"},{\"role\":"
				       "\"tool\",\"tool_call_id\":\"call_2\",\"content\":\"Error: "
				       "no such file\"},{\"role\":"
				       "\"user\",\"content\":\"Come to an end.\"}"));
}

/* ---- streams ---- */

struct got {
	struct buf json, calls;
	int ends;
	enum llm_stop stop;
	char stop_name[64], detail[128];
	struct llm_usage usage;
};

static err_t note(void *arg, const struct llm_event *event)
{
	struct got *g = arg;
	if (event->type == LLM_EVENT_BLOCK && *event->json)
		buf_addf(&g->json, "[%s]", event->json);
	if (event->type == LLM_EVENT_BLOCK && event->tool_id)
		buf_addf(&g->calls, "%s %s %s;", event->tool_id, event->tool_name,
			event->tool_input);
	if (event->type != LLM_EVENT_END)
		return NULL;
	g->ends++;
	g->stop = event->stop;
	g->usage = event->usage;
	snprintf(g->stop_name, sizeof g->stop_name, "%s", event->stop_name);
	snprintf(g->detail, sizeof g->detail, "%s", event->detail ? event->detail : "");
	return NULL;
}

static void got_release(struct got *g)
{
	buf_release(&g->json);
	buf_release(&g->calls);
}

static err_t feed_two(const char *stream, size_t len, size_t split, struct got *g)
{
	AUTO(chat_stream_freep) struct chat_stream *s = chat_stream_new(note, g);
	*g = (struct got){.json = BUF(10000), .calls = BUF(10000)};
	err_t e = chat_stream_feed(s, stream, split);
	if (!e)
		e = chat_stream_feed(s, stream + split, len - split);
	assert_int_equal(g->ends, chat_stream_complete(s));
	return e;
}

static void a_stream_gives_the_same_message_at_every_split(void **state)
{
	(void)state;
	for (size_t split = 0; split <= strlen(WHOLE); split++) {
		AUTO(got_release) struct got g;
		assert_null(feed_two(WHOLE, strlen(WHOLE), split, &g));
		assert_string_equal(g.json.data, MESSAGE);
		assert_int_equal(g.stop, LLM_STOP_TOOLS);
		assert_true(g.usage.is_known);
		assert_int_equal(g.usage.fresh, 35);
		assert_int_equal(g.usage.read, 100);
		assert_int_equal(g.usage.output, 42);
		assert_int_equal(g.usage.thinking, 7);
	}
}

static void a_stream_cut_anywhere_has_no_end(void **state)
{
	(void)state;
	for (size_t len = 0; len < strlen(WHOLE); len++) {
		AUTO(got_release) struct got g;
		assert_null(feed_two(WHOLE, len, len / 2, &g));
		assert_int_equal(g.ends, 0);
		assert_string_equal(g.calls.data, "");
	}
}

static void every_end_is_told_apart_and_said_again_by_its_name(void **state)
{
	(void)state;
	static const struct {
		const char *stream;
		enum llm_stop stop;
		const char *detail;
	} cases[] = {
		{TEXT FINISH("stop") DONE, LLM_STOP_END, ""},
		{TEXT FINISH("eos_token") DONE, LLM_STOP_END, ""},
		{CALLS FINISH("stop") DONE, LLM_STOP_TOOLS, ""},
		{CALLS FINISH("function_call") DONE, LLM_STOP_TOOLS, ""},
		{CALLS FINISH("length") DONE, LLM_STOP_OUTPUT, ""},
		{CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"view\",\"arguments\":"
		      "\"{\\\"pa\"}") FINISH("abort") DONE,
			LLM_STOP_OUTPUT, ""},
		{FINISH("content_filter") DONE, LLM_STOP_REFUSAL, ""},
		{DELTA("\"refusal\":\"I will \"") DELTA("\"refusal\":\"not.\"") FINISH("stop") DONE,
			LLM_STOP_REFUSAL, "I will not."},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(got_release) struct got g;
		assert_null(feed_two(cases[i].stream, strlen(cases[i].stream), 9, &g));
		assert_int_equal(g.stop, cases[i].stop);
		assert_int_equal(chat_stop_of(g.stop_name), cases[i].stop);
		assert_string_equal(g.detail, cases[i].detail);
		assert_false(g.usage.is_known);
	}
}

static void calls_of_servers_that_leave_things_out_are_kept_apart(void **state)
{
	(void)state;
	static const struct {
		const char *stream, *calls;
	} cases[] = {
		/* no index, whole calls */
		{CALL("\"id\":\"a\",\"function\":{\"name\":\"view\",\"arguments\":\"{}\"}")
				CALL("\"id\":\"b\",\"function\":{\"name\":\"grep\",\"arguments\":"
				     "\"{}\"}"),
			"a view {};b grep {};"},
		/* the same index for all */
		{CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"view\",\"arguments\":"
		      "\"{}\"}") CALL("\"index\":0,\"id\":\"b\",\"function\":{\"name\":\"grep\","
				      "\"arguments\":\"{}\"}"),
			"a view {};b grep {};"},
		/* no id; arguments as an object, or none */
		{CALL("\"index\":0,\"function\":{\"name\":\"view\",\"arguments\":{\"path\":\"a\"}}")
				CALL("\"index\":1,\"id\":\"\",\"function\":{\"name\":\"grep\"}"),
			"call_0 view {\"path\":\"a\"};call_1 grep {};"},
		/* the id again in each piece */
		{CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"view\",\"arguments\":"
		      "\"{\"}") CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"view\","
				     "\"arguments\":\"}\"}"),
			"a view {};"},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(got_release) struct got g;
		autofree char *s = xasprintf("%s%s", cases[i].stream, FINISH("tool_calls") DONE);
		assert_null(feed_two(s, strlen(s), 9, &g));
		assert_string_equal(g.calls.data, cases[i].calls);
	}
}

static void arguments_that_are_no_object_are_told_to_us_and_not_sent_back(void **state)
{
	(void)state;
	static const char s[] = CALL("\"index\":0,\"id\":\"a\",\"function\":{\"name\":\"view\","
				     "\"arguments\":\"{broken\"}") FINISH("tool_calls") DONE;
	AUTO(got_release) struct got g;
	assert_null(feed_two(s, strlen(s), 9, &g));
	assert_string_equal(g.calls.data, "a view {broken;");
	assert_non_null(strstr(g.json.data, "\"content\":null"));
	assert_non_null(strstr(g.json.data, "\"arguments\":\"{}\""));
	AUTO(llm_calls_release) struct llm_calls calls = {0};
	struct llm llm = {.provider = &openai_chat_provider};
	int blocks;
	assert_null(llm_read_message(&llm, g.json.data, g.json.len, &calls, &blocks));
	assert_int_equal(calls.count, 1);
	assert_string_equal(calls.items[0].id, "a");
}

static void a_nul_and_numbers_of_any_size_do_not_hide_the_rest(void **state)
{
	(void)state;
	static const char stream[] =
		"data: "
		"{\"created\":123456789012345678901234567890,\"choices\":[{\"index\":0,\"delta\":{"
		"\"tool_calls\":[{\"index\":0,\"id\":\"c\",\"function\":{\"name\":\"view\","
		"\"arguments\":\"{}\\u0000{\"}}]},\"finish_reason\":\"tool_calls\"}],\"usage\":"
		"null}\n\n"
		"data: [DONE]\n\n";
	struct got g;
	assert_null(feed_two(stream, strlen(stream), 30, &g));
	assert_string_equal(g.calls.data, "c view null;");
	got_release(&g);
}

static void errors_inside_a_stream_are_told_apart(void **state)
{
	(void)state;
	static const struct {
		const char *stream;
		enum err_code code;
	} cases[] = {
		{TEXT "data: {\"error\":{\"message\":\"overloaded\",\"code\":500}}\n\n",
			ERR_OUTSIDE},
		{TEXT "data: {\"error\":\"input length exceeds the maximum context length\"}\n\n",
			ERR_CONTEXT},
		{TEXT "data: {\"error\":{\"code\":\"insufficient_quota\"}}\n\n", ERR_SPENT},
		{TEXT "data: {\"id\":\n\n", ERR_OUTSIDE},
		{TEXT DONE, ERR_OUTSIDE},
		{DONE, ERR_OUTSIDE},
		{CALL("\"index\":0,\"id\":\"a\"") FINISH("stop") DONE, ERR_OUTSIDE},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(got_release) struct got g;
		assert_int_equal(
			err_code(feed_two(cases[i].stream, strlen(cases[i].stream), 9, &g)),
			cases[i].code);
	}
}

/* ---- calls ---- */

static void a_server_without_usage_or_price_has_no_known_cost(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = SSE_HEAD TEXT FINISH("stop") DONE}};
	AUTO(talk_release) struct talk t;
	begin(&t, "http://127.0.0.1:9");
	AUTO(llm_answer_release) struct llm_answer a;
	size_t calls;
	assert_null(ask(&t, replies, 1, &a, &calls, NULL));
	assert_false(a.cost_known);
	assert_string_equal(a.request_id, "");
}

static void an_error_in_the_stream_is_asked_again_and_nothing_of_it_is_used(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = SSE_HEAD TEXT CALLS "data: {\"error\":{\"message\":\"engine died\"}}\n\n"},
		{.raw = SSE_HEAD TEXT CALLS FINISH("stop")}, {.raw = SSE_HEAD WHOLE}};
	AUTO(talk_release) struct talk t;
	begin(&t, "http://127.0.0.1:9");
	AUTO(llm_answer_release) struct llm_answer a;
	size_t calls;
	assert_null(ask(&t, replies, 3, &a, &calls, NULL));
	assert_int_equal(calls, 3);
	assert_int_equal(a.calls.count, 2);
	assert_string_equal(a.message.data, MESSAGE);
}

static int setup(void **state)
{
	(void)state;
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
		cmocka_unit_test(three_turns_are_sent_as_compatible_servers_take_them),
		cmocka_unit_test(a_stream_gives_the_same_message_at_every_split),
		cmocka_unit_test(a_stream_cut_anywhere_has_no_end),
		cmocka_unit_test(every_end_is_told_apart_and_said_again_by_its_name),
		cmocka_unit_test(calls_of_servers_that_leave_things_out_are_kept_apart),
		cmocka_unit_test(arguments_that_are_no_object_are_told_to_us_and_not_sent_back),
		cmocka_unit_test(a_nul_and_numbers_of_any_size_do_not_hide_the_rest),
		cmocka_unit_test(errors_inside_a_stream_are_told_apart),
		cmocka_unit_test(a_server_without_usage_or_price_has_no_known_cost),
		cmocka_unit_test(an_error_in_the_stream_is_asked_again_and_nothing_of_it_is_used),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
