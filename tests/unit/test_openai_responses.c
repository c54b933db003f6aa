/* OpenAI's Responses API: what is sent, what is made of a stream, and what errors mean. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/unit/canned.h"
#include "worker/llm/openai.h"

#define SSE_HEAD "HTTP/1.1 200 OK\r\nContent-Type: text/event-stream\r\nx-request-id: req_9\r\n\r\n"
#define EV(type, rest) \
	"event: " type "\ndata: {\"type\":\"" type "\",\"sequence_number\":1" rest "}\n\n"
#define REASONING \
	"{\"id\":\"rs_1\",\"type\":\"reasoning\",\"summary\":[],\"encrypted_content\":\"gAAA+/" \
	"=\"}"
#define MESSAGE_ITEM \
	"{\"id\":\"msg_1\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\"," \
	"\"content\":[{\"type\":\"output_text\",\"text\":\"H\xc3\xa4llo\",\"annotations\":[]}]}"
#define CALL_ITEM \
	"{\"id\":\"fc_1\",\"type\":\"function_call\",\"status\":\"completed\",\"call_id\":" \
	"\"call_1\",\"name\":\"view\",\"arguments\":\"{\\\"path\\\": \\\"a.c\\\"}\"}"
#define REFUSAL_ITEM \
	"{\"id\":\"msg_2\",\"type\":\"message\",\"status\":\"completed\",\"role\":\"assistant\"," \
	"\"content\":[{\"type\":\"refusal\",\"refusal\":\"I will not.\"}]}"
#define NEW_ITEM "{\"type\":\"new_kind\", \"x\":[1,2.50,1e2]}"
#define DONE(item) EV("response.output_item.done", ",\"output_index\":0,\"item\":" item)
#define START \
	EV("response.created", ",\"response\":{\"status\":\"in_progress\"}") \
	EV("response.in_progress", ",\"response\":{\"status\":\"in_progress\"}")
#define DELTAS \
	EV("response.output_item.added", ",\"item\":{\"type\":\"message\"}") \
	EV("response.output_text.delta", ",\"delta\":\"H\"") EV("response.new_event", ",\"z\":1")
#define USAGE \
	"\"usage\":{\"input_tokens\":135,\"input_tokens_details\":{\"cached_tokens\":100," \
	"\"cache_write_tokens\":30},\"output_tokens\":42,\"output_tokens_details\":{" \
	"\"reasoning_tokens\":7},\"total_tokens\":177}"
#define END \
	EV("response.completed", ",\"response\":{\"status\":\"completed\",\"output\":[]," USAGE "}")
#define INCOMPLETE(reason) \
	EV("response.incomplete", ",\"response\":{\"status\":\"incomplete\",\"incomplete_" \
				  "details\":{\"reason\":\"" reason "\"}," USAGE "}")
#define FAILED(code) \
	EV("response.failed", ",\"response\":{\"status\":\"failed\",\"error\":{\"code\":\"" code \
			      "\",\"message\":\"words\"}}")
#define WHOLE \
	START DONE(REASONING) \
	DELTAS DONE(MESSAGE_ITEM) DONE(NEW_ITEM) DONE(CALL_ITEM) END
#define MESSAGE "[" REASONING "," MESSAGE_ITEM "," NEW_ITEM "," CALL_ITEM "]"

static struct settings *load(const char *url)
{
	autofree char *base = xasprintf("OPENAI_BASE_URL=%s/v1/", url);
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

/* ---- a conversation ---- */

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

static void begin(struct talk *t, const char *url, const char *model)
{
	static const struct llm_tool tools[] = {
		{"view", "Shows \"a\" file.", "{\"type\":\"object\"}"}};
	*t = (struct talk){.prefix = BUF(1 << 16), .set = load(url)};
	assert_null(llm_open(t->set, model, &t->llm));
	strcpy(t->llm.cache_key, "run-7");
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

static char *joined(const struct talk *t)
{
	struct llm_request req = {.prefix = t->prefix.data,
		.prefix_len = t->prefix.len,
		.messages = t->messages,
		.count = t->count};
	autofree struct http_piece *pieces = NULL;
	static const char tail[] = "],\"max_output_tokens\":9}";
	size_t n = openai_pieces(&req, tail, strlen(tail), &pieces);
	struct buf b = BUF(1 << 20);
	for (size_t i = 0; i < n; i++)
		buf_add(&b, pieces[i].data, pieces[i].len);
	json_auto_t *parsed = json_loads(b.data, JSON_REJECT_DUPLICATES, NULL);
	assert_non_null(parsed);
	return buf_take(&b);
}

#define PREFIX \
	"{\"model\":\"gpt-6.1-terra\",\"stream\":true,\"store\":false," \
	"\"include\":[\"reasoning.encrypted_content\"],\"reasoning\":{\"effort\":\"medium\"}," \
	"\"prompt_cache_key\":\"run-7\",\"tools\":[{\"type\":\"function\",\"name\":\"view\"," \
	"\"description\":\"Shows \\\"a\\\" file.\",\"parameters\":{\"type\":\"object\"}," \
	"\"strict\":false}],\"instructions\":\"You are\\nit.\",\"input\":["
#define TASK "{\"type\":\"message\",\"role\":\"user\",\"content\":\"Do this.\"}"

static const struct llm_part results[] = {{"call_1", "1: int x;", false},
	{"call_2", "no such file", true}, {.text = "Come to an end."}};

static err_t ignore(void *arg, const struct llm_event *event)
{
	(void)arg;
	(void)event;
	return NULL;
}

static void items_go_back_as_they_came_and_each_request_begins_as_the_one_before(void **state)
{
	(void)state;
	AUTO(talk_release) struct talk t;
	begin(&t, "http://127.0.0.1:9", "gpt-6.1-terra");
	autofree char *one = joined(&t);
	assert_string_equal(one, PREFIX TASK "],\"max_output_tokens\":9}");
	add(&t, NULL, 0, MESSAGE);
	add(&t, results, 3, NULL);
	autofree char *two = joined(&t);
	assert_string_equal(two,
		PREFIX TASK "," REASONING "," MESSAGE_ITEM "," NEW_ITEM "," CALL_ITEM
			    ",{\"type\":\"function_call_output\",\"call_id\":\"call_1\",\"output\":"
			    "\"1: int x;\"},{\"type\":\"function_call_output\",\"call_id\":\"call_"
			    "2\",\"output\":\"Error: no such file\"},{\"type\":\"message\",\"role\""
			    ":\"user\",\"content\":\"Come to an end.\"}],\"max_output_tokens\":9}");
	assert_memory_equal(one, two, strlen(PREFIX TASK));
}

/* The last answer is one of a model that only talks. */
static void a_model_that_only_talks_is_made_to_call_a_tool(void **state)
{
	(void)state;
	static const struct {
		const char *model;
		bool must_call, is_forced;
	} cases[] = {{"gpt-6.1-terra", true, true}, {"gpt-6.1-terra", false, false},
		{"gpt-oss:20b", true, false}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		const struct canned_reply reply = {.raw = SSE_HEAD WHOLE};
		struct canned *server = canned_start(&reply, 1);
		AUTO(talk_release) struct talk t;
		begin(&t, canned_url(server), cases[i].model);
		struct llm_request req = {.prefix = t.prefix.data,
			.prefix_len = t.prefix.len,
			.messages = t.messages,
			.count = 1,
			.must_call = cases[i].must_call};
		struct http_response res = {0};
		bool can_retry;
		t.llm.provider->stream(&t.llm, &req, ignore, NULL, &res, &can_retry);
		const char *at =
			strstr(canned_request(server, 0), "],\"tool_choice\":\"required\",");
		assert_int_equal(at != NULL, cases[i].is_forced);
		http_response_release(&res);
		canned_stop(server);
	}
}

static void a_model_that_does_not_reason_is_not_asked_to(void **state)
{
	(void)state;
	AUTO(talk_release) struct talk t;
	begin(&t, "http://127.0.0.1:9", "gpt-4.1");
	assert_null(strstr(t.prefix.data, "reasoning"));
}

/* ---- streams ---- */

struct got {
	struct buf text;
	int begins, ends;
	enum llm_stop stop;
	char stop_name[64], detail[128], input[64];
	struct llm_usage usage;
};

static err_t note(void *arg, const struct llm_event *event)
{
	struct got *g = arg;
	g->begins += event->type == LLM_EVENT_BEGIN;
	if (event->type == LLM_EVENT_BLOCK)
		buf_addf(&g->text, "%s\n", event->json);
	if (event->type == LLM_EVENT_BLOCK && event->tool_id)
		snprintf(g->input, sizeof g->input, "%s", event->tool_input);
	if (event->type != LLM_EVENT_END)
		return NULL;
	g->ends++;
	g->stop = event->stop;
	g->usage = event->usage;
	snprintf(g->stop_name, sizeof g->stop_name, "%s", event->stop_name);
	snprintf(g->detail, sizeof g->detail, "%s", event->detail ? event->detail : "");
	return NULL;
}

static err_t feed_two(const char *stream, size_t len, size_t split, struct got *g)
{
	AUTO(responses_stream_freep) struct responses_stream *s = responses_stream_new(note, g);
	*g = (struct got){.text = BUF(10000)};
	err_t e = responses_stream_feed(s, stream, split);
	if (!e)
		e = responses_stream_feed(s, stream + split, len - split);
	assert_int_equal(g->ends, responses_stream_complete(s));
	return e;
}

static void a_stream_gives_the_same_items_at_every_split(void **state)
{
	(void)state;
	for (size_t split = 0; split <= strlen(WHOLE); split++) {
		struct got g;
		assert_null(feed_two(WHOLE, strlen(WHOLE), split, &g));
		assert_int_equal(g.begins, 1);
		assert_int_equal(g.stop, LLM_STOP_TOOLS);
		assert_string_equal(
			g.text.data, REASONING "\n" MESSAGE_ITEM "\n" NEW_ITEM "\n" CALL_ITEM "\n");
		assert_int_equal(g.usage.fresh, 5);
		assert_int_equal(g.usage.written_5m, 30);
		assert_int_equal(g.usage.read, 100);
		assert_int_equal(g.usage.output, 42);
		assert_int_equal(g.usage.thinking, 7);
		buf_release(&g.text);
	}
}

static void a_stream_cut_anywhere_has_no_end(void **state)
{
	(void)state;
	for (size_t len = 0; len < strlen(WHOLE); len++) {
		struct got g;
		assert_null(feed_two(WHOLE, len, len / 2, &g));
		assert_int_equal(g.ends, 0);
		buf_release(&g.text);
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
		{START DONE(MESSAGE_ITEM) END, LLM_STOP_END, ""},
		{START DONE(CALL_ITEM) INCOMPLETE("max_output_tokens"), LLM_STOP_OUTPUT, ""},
		{START DONE(CALL_ITEM) INCOMPLETE("what_is_to_come"), LLM_STOP_OUTPUT, ""},
		{START INCOMPLETE("content_filter"), LLM_STOP_REFUSAL,
			"the provider's content filter stopped it"},
		{START DONE(REFUSAL_ITEM) END, LLM_STOP_REFUSAL, "I will not."},
		{START FAILED("bio_policy"), LLM_STOP_REFUSAL, "words"},
		{EV("response.completed", ",\"response\":{\"output\":[" CALL_ITEM "]}"),
			LLM_STOP_TOOLS, ""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct got g;
		assert_null(feed_two(cases[i].stream, strlen(cases[i].stream), 9, &g));
		assert_int_equal(g.stop, cases[i].stop);
		assert_int_equal(responses_stop_of(g.stop_name), cases[i].stop);
		assert_string_equal(g.detail, cases[i].detail);
		buf_release(&g.text);
	}
}

/* The item's bytes are those that came: numbers of any size, white space, escapes. */
static void items_of_every_form_are_kept_to_the_byte(void **state)
{
	(void)state;
	static const char *const items[] = {
		"{\"type\": \"later\", \"n\":123456789012345678901234567890, \"r\":1.50e2,"
		"\"u\":\"\\u00e4\\u0000\",\"o\":{ }}",
		"{\"type\":\"reasoning\",\"id\":\"r\",\"summary\":[],\"encrypted_content\":\"a\\/"
		"b\"}",
		"{\"type\":\"function_call\",\"call_id\":\"c\",\"name\":\"view\",\"arguments\":\"{}"
		"\\u0000{\"}",
	};
	for (size_t i = 0; i < ARRAY_LEN(items); i++) {
		autofree char *stream = xasprintf(
			"data: {\"type\":\"response.created\"}\n\n"
			"data: {\"type\":\"response.output_item.done\",\"item\":%s}\n\n"
			"data: {\"type\":\"response.completed\",\"response\":{\"usage\":null}}\n\n",
			items[i]);
		autofree char *line = xasprintf("%s\n", items[i]);
		struct got g;
		assert_null(feed_two(stream, strlen(stream), 50, &g));
		assert_string_equal(g.text.data, line);
		assert_int_equal(g.usage.output, 0);
		if (g.stop == LLM_STOP_TOOLS) /* cut at its NUL it would be a call with {} */
			assert_string_equal(g.input, "null");
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
		{START FAILED("server_error"), ERR_OUTSIDE},
		{START FAILED("rate_limit_exceeded"), ERR_OUTSIDE},
		{START FAILED("context_length_exceeded"), ERR_CONTEXT},
		{START EV("error", ",\"code\":\"insufficient_quota\",\"message\":\"You exceeded\""),
			ERR_SPENT},
		{START EV("error", ",\"code\":\"new\",\"message\":\"x\""), ERR_OUTSIDE},
		{START EV("error", ",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
				   "\"Your input exceeds the context window of this model.\"}"),
			ERR_CONTEXT},
		{START EV("error", ",\"error\":{\"type\":\"invalid_request_error\",\"message\":"
				   "\"no\"}"),
			ERR_OUTSIDE_FINAL},
		{START "data: {\"type\":\n\n", ERR_OUTSIDE},
		{START DONE("{}"), ERR_OUTSIDE},
		{START DONE("{\"type\":\"function_call\",\"name\":\"view\"}"), ERR_OUTSIDE},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		struct got g;
		assert_int_equal(
			err_code(feed_two(cases[i].stream, strlen(cases[i].stream), 9, &g)),
			cases[i].code);
		buf_release(&g.text);
	}
}

/* ---- calls ---- */

static err_t ask(const struct canned_reply *replies, size_t n, struct llm_answer *a,
	size_t *ret_calls, char **ret_request)
{
	struct canned *server = canned_start(replies, n);
	struct talk t;
	begin(&t, canned_url(server), "gpt-6.1-terra");
	struct llm_request req = {.prefix = t.prefix.data,
		.prefix_len = t.prefix.len,
		.messages = t.messages,
		.count = 1};
	err_t e = llm_ask(&t.llm, &req, a);
	*ret_calls = canned_count(server);
	if (ret_request)
		*ret_request = xstrdup(canned_request(server, 0));
	talk_release(&t);
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
	assert_string_equal(a.calls.items[0].id, "call_1");
	assert_string_equal(
		json_string_value(json_object_get(a.calls.items[0].input, "path")), "a.c");
	assert_string_equal(a.request_id, "req_9");
	assert_true(a.cost_known);
	/* 5·1 + 30·1.25 + 100·0.05 + 42·5 = 257.5 */
	assert_int_equal(a.cost_usd_micro, 258);
	assert_ptr_equal(strstr(request, "POST /v1/responses HTTP/1.1\r\n"), request);
	assert_non_null(strstr(request, "\r\nauthorization: Bearer key-of-the-test\r\n"));
	assert_non_null(strstr(request, TASK "],\"max_output_tokens\":32000}"));
	assert_null(strstr(request, "temperature"));
}

static void trouble_that_passes_is_asked_again_and_nothing_of_it_is_used(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = "HTTP/1.1 503 Busy\r\nContent-Length: 2\r\n\r\n{}"},
		{.raw = SSE_HEAD START DONE(MESSAGE_ITEM) FAILED("server_error")},
		{.raw = SSE_HEAD START DONE(CALL_ITEM)}, {.raw = SSE_HEAD WHOLE}};
	AUTO(llm_answer_release) struct llm_answer a;
	size_t calls;
	assert_null(ask(replies, 4, &a, &calls, NULL));
	assert_int_equal(calls, 4);
	assert_string_equal(a.message.data, MESSAGE);
	assert_int_equal(a.calls.count, 1);
}

static void a_stream_that_falls_silent_is_given_up(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {
		{.raw = SSE_HEAD START DONE(CALL_ITEM), .hang_ms = 3000}, {.raw = SSE_HEAD WHOLE}};
	AUTO(llm_answer_release) struct llm_answer a;
	size_t calls;
	assert_null(ask(replies, 2, &a, &calls, NULL));
	assert_int_equal(calls, 2);
	assert_string_equal(a.message.data, MESSAGE);
}

#define ERROR(code, message) \
	"{\"error\":{\"message\":\"" message "\",\"type\":\"invalid_request_error\",\"param\":" \
	"null,\"code\":" code "}}"

static void refusals_for_good_are_not_asked_again(void **state)
{
	(void)state;
	static const struct {
		const char *head, *body;
		enum err_code code;
	} cases[] = {
		{"400 Bad", ERROR("null", "input: wrong"), ERR_OUTSIDE_FINAL},
		{"400 Bad", ERROR("\"context_length_exceeded\"", "x"), ERR_NONE},
		{"400 Bad",
			"{\"object\":\"error\",\"message\":\"This model's maximum context length "
			"is "
			"4096 tokens\",\"code\":400}",
			ERR_NONE},
		{"400 Bad",
			"{\"error\":{\"code\":400,\"message\":\"the request exceeds the available "
			"context size\",\"type\":\"exceed_context_size_error\"}}",
			ERR_NONE},
		{"500 Oh", "{\"error\":\"input length exceeds the context\"}", ERR_NONE},
		{"401 No", ERROR("\"invalid_api_key\"", "x"), ERR_UNAUTHORIZED},
		{"404 No", ERROR("\"model_not_found\"", "x"), ERR_NOT_FOUND},
		{"413 Large", "<html>", ERR_NONE},
		{"429 Slow", ERROR("\"insufficient_quota\"", "You exceeded"), ERR_SPENT},
		{"429 Slow", ERROR("\"credit_balance_exhausted\"", "x"), ERR_SPENT},
		{"402 Pay", "{}", ERR_SPENT},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *raw = xasprintf("HTTP/1.1 %s\r\nContent-Length: %zu\r\n\r\n%s",
			cases[i].head, strlen(cases[i].body), cases[i].body);
		const struct canned_reply replies[] = {{.raw = raw}};
		AUTO(llm_answer_release) struct llm_answer a;
		size_t calls;
		assert_int_equal(err_code(ask(replies, 1, &a, &calls, NULL)), cases[i].code);
		assert_int_equal(calls, 1);
		assert_true(cases[i].code || (a.stop == LLM_STOP_CONTEXT && a.cost_known));
		assert_true(cases[i].code ||
			    llm_stop_of(&(struct llm){.provider = &openai_responses_provider},
				    a.stop_name) == LLM_STOP_CONTEXT);
	}
}

static void a_refused_prompt_is_a_refusal_that_costs_nothing(void **state)
{
	(void)state;
	static const char body[] = ERROR("\"invalid_prompt\"", "your prompt was flagged");
	autofree char *raw =
		xasprintf("HTTP/1.1 400 Bad\r\nContent-Length: %zu\r\n\r\n%s", strlen(body), body);
	const struct canned_reply replies[] = {{.raw = raw}};
	AUTO(llm_answer_release) struct llm_answer a;
	size_t calls;
	assert_null(ask(replies, 1, &a, &calls, NULL));
	assert_int_equal(a.stop, LLM_STOP_REFUSAL);
	assert_string_equal(a.stop_name, "invalid_prompt");
	assert_string_equal(a.detail, "your prompt was flagged");
	assert_true(a.cost_known);
	assert_int_equal(a.cost_usd_micro, 0);
	assert_int_equal(a.message.len, 0);
}

static void an_answer_without_usage_has_no_known_cost(void **state)
{
	(void)state;
	const struct canned_reply replies[] = {{.raw = SSE_HEAD START DONE(MESSAGE_ITEM) EV(
							"response.completed", ",\"response\":{}")}};
	AUTO(llm_answer_release) struct llm_answer a;
	size_t calls;
	assert_null(ask(replies, 1, &a, &calls, NULL));
	assert_false(a.cost_known);
}

static void a_stored_message_tells_its_calls(void **state)
{
	(void)state;
	AUTO(llm_calls_release) struct llm_calls calls = {0};
	struct llm llm = {.provider = &openai_responses_provider};
	int blocks;
	assert_null(llm_read_message(&llm, MESSAGE, strlen(MESSAGE), &calls, &blocks));
	assert_int_equal(blocks, 4);
	assert_int_equal(calls.count, 1);
	assert_string_equal(calls.items[0].id, "call_1");
	assert_string_equal(calls.items[0].raw, "{\"path\": \"a.c\"}");
	assert_int_equal(err_code(llm_read_message(&llm, "{}", 2, &calls, &blocks)), ERR_INTERNAL);
}

static int setup(void **state)
{
	(void)state;
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
		cmocka_unit_test(
			items_go_back_as_they_came_and_each_request_begins_as_the_one_before),
		cmocka_unit_test(a_model_that_only_talks_is_made_to_call_a_tool),
		cmocka_unit_test(a_model_that_does_not_reason_is_not_asked_to),
		cmocka_unit_test(a_stream_gives_the_same_items_at_every_split),
		cmocka_unit_test(a_stream_cut_anywhere_has_no_end),
		cmocka_unit_test(every_end_is_told_apart_and_said_again_by_its_name),
		cmocka_unit_test(items_of_every_form_are_kept_to_the_byte),
		cmocka_unit_test(errors_inside_a_stream_are_told_apart),
		cmocka_unit_test(an_answer_is_kept_as_received),
		cmocka_unit_test(trouble_that_passes_is_asked_again_and_nothing_of_it_is_used),
		cmocka_unit_test(a_stream_that_falls_silent_is_given_up),
		cmocka_unit_test(refusals_for_good_are_not_asked_again),
		cmocka_unit_test(a_refused_prompt_is_a_refusal_that_costs_nothing),
		cmocka_unit_test(an_answer_without_usage_has_no_known_cost),
		cmocka_unit_test(a_stored_message_tells_its_calls),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
