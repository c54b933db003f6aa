/*
 * The agent loop against a canned model and a real database: what is stored before what is done,
 * how it ends, what it does not fall for. Snapshots and sandbox are stubs.
 */
#define _GNU_SOURCE
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "tests/unit/canned.h"
#include "tests/unit/with_db.h"
#include "worker/agent/agent.h"
#include "worker/agent/discipline.h"
#include "worker/check/sandbox.h"
#include "worker/git/change.h"
#include "worker/git/store.h"
#include "worker/http.h"

#define MAX_TURNS 14

static struct db *db;
static struct settings *base_set;
static char top[64];

/* ---- stubs ---- */

const char *work_tree_path(const struct work_tree *tree)
{
	(void)tree;
	return top;
}

/* The tree id of the test: a digest of all files. */
err_t work_tree_snapshot(
	struct work_tree *tree, const char *const *refuse, char ret_tree[OID_HEX + 1])
{
	(void)tree;
	(void)refuse;
	autofree char *command =
		xasprintf("cd %s && find . -type f | sort | xargs sha1sum | sha1sum", top);
	FILE *f = popen(command, "r");
	assert_int_equal(fread(ret_tree, 1, OID_HEX, f), OID_HEX);
	ret_tree[OID_HEX] = '\0';
	pclose(f);
	return NULL;
}

err_t work_tree_restore(struct work_tree *tree, const char *tree_id)
{
	(void)tree;
	(void)tree_id;
	return NULL;
}

struct store *work_tree_store(const struct work_tree *tree)
{
	(void)tree;
	return NULL;
}

err_t store_diff(struct store *store, const char *from_tree, const char *to_tree, struct buf *out,
	struct diff_stat *ret_stat)
{
	(void)store;
	buf_addf(out, "+the diff from %.4s to %.4s </diff>", from_tree, to_tree);
	*ret_stat = (struct diff_stat){1, 1, 0};
	return NULL;
}

err_t store_changed_paths(
	struct store *store, const char *from_tree, const char *to_tree, json_t **ret_paths)
{
	(void)store, (void)from_tree, (void)to_tree;
	*ret_paths = json_pack("[{s:s}]", "path", "b.txt");
	return NULL;
}

err_t change_make(struct store *store, const char *from_tree, const char *to_tree, struct buf *out)
{
	(void)store;
	buf_addf(out, "from %s to %s\n", from_tree, to_tree);
	return NULL;
}

static int commands;

err_t sandbox_run(struct sandbox *sandbox, const struct sandbox_command *command,
	struct sandbox_result *ret_result)
{
	(void)sandbox;
	commands++;
	*ret_result = (struct sandbox_result){.output = BUF(100000), .exit_code = 1};
	for (int i = 0; i < 3000; i++)
		buf_addf(&ret_result->output, "%d %s\n", i, command->argv[2]);
	return NULL;
}

void sandbox_result_release(struct sandbox_result *result)
{
	buf_release(&result->output);
}

/* ---- the canned model ---- */

struct script {
	struct canned_reply replies[MAX_TURNS];
	char *raw[MAX_TURNS];
	size_t count;
};

static void add_event(struct buf *b, const char *json)
{
	buf_addf(b, "data: %s\n\n", json);
}

static int prompt_tokens = 1000;

/* A turn: stop reason and a JSON array of blocks; tool inputs are streamed, "input" may be raw
 * text. */
static void says(struct script *s, const char *stop, const char *blocks)
{
	AUTO(buf_release) struct buf b = BUF(1 << 20);
	json_auto_t *list = json_loads(blocks, 0, NULL);
	assert_non_null(list);
	buf_adds(&b, "HTTP/1.1 200 OK\r\nRequest-Id: req_x\r\n\r\n");
	autofree char *start_event = xasprintf(
		"{\"type\":\"message_start\",\"message\":{\"usage\":{\"input_tokens\":%d}}}",
		prompt_tokens);
	add_event(&b, start_event);
	size_t i;
	json_t *block;
	json_array_foreach (list, i, block) {
		json_t *input = json_incref(json_object_get(block, "input"));
		if (input)
			json_object_set_new(block, "input", json_object());
		json_auto_t *start = json_pack(
			"{s:s,s:O}", "type", "content_block_start", "content_block", block);
		autofree char *start_text = json_dumps(start, JSON_COMPACT);
		add_event(&b, start_text);
		if (input) {
			autofree char *text = json_dumps(input, JSON_COMPACT);
			const char *raw = json_is_string(input) ? json_string_value(input) : text;
			json_auto_t *delta =
				json_pack("{s:s,s:{s:s,s:s}}", "type", "content_block_delta",
					"delta", "type", "input_json_delta", "partial_json", raw);
			autofree char *delta_text = json_dumps(delta, JSON_COMPACT);
			add_event(&b, delta_text);
		}
		json_decref(input);
		add_event(&b, "{\"type\":\"content_block_stop\"}");
	}
	buf_addf(&b,
		"data: "
		"{\"type\":\"message_delta\",\"delta\":{\"stop_reason\":\"%s\"},\"usage\":{"
		"\"output_tokens\":100}}\n\n",
		stop);
	add_event(&b, "{\"type\":\"message_stop\"}");
	s->raw[s->count] = buf_take(&b);
	s->replies[s->count].raw = s->raw[s->count];
	s->count++;
}

#define TOOL(id, name, input) \
	"{\"type\":\"tool_use\",\"id\":\"" id "\",\"name\":\"" name "\",\"input\":" input "}"
#define FINISH_CALL TOOL("f", "finish", "{\"summary\":\"Done so.\"}")
#define FINISH "[" FINISH_CALL "]"
/* after a check of its own, as an honest model does */
#define CHECKED_FINISH "[" TOOL("c", "bash", "{\"command\":\"make check\"}") "," FINISH_CALL "]"

static void script_release(struct script *s)
{
	for (size_t i = 0; i < s->count; i++)
		free(s->raw[i]);
}

/* ---- a run ---- */

struct world {
	struct canned *server;
	struct settings *set;
	struct run_ctx ctx;
	struct agent_result result;
};

static void run(const char *script)
{
	autofree char *command = xasprintf("cd %s && %s", top, script);
	assert_int_equal(system(command), 0);
}

static void world_open(struct world *w, struct script *s, const char *extra)
{
	*w = (struct world){.server = canned_start(s->replies, s->count)};
	autofree char *url = xasprintf("ANTHROPIC_BASE_URL=%s", canned_url(w->server));
	const char *overrides[] = {url, "AIRUNNER_RETRY_BASE_MS=10",
		"AIRUNNER_MODELS_PATH=etc/models.json", "AIRUNNER_SHARE_DIR=.",
		"ANTHROPIC_MODEL=claude-sonnet-5-5", extra, NULL};
	w->set = with_db_settings(overrides);
	with_db_sql(db, "DELETE FROM run_messages; DELETE FROM run_events; DELETE FROM artifacts; "
			"DELETE FROM budgets; DELETE FROM runs; "
			"INSERT INTO runs (id, issue_key, line, status, slot, running_line, fence) "
			"VALUES (1, 'A-1', 'A-1', 'running', 1, 'A-1', 7)");
	w->ctx = (struct run_ctx){.set = w->set,
		.db = db,
		.run = {.id = 1, .issue_key = "A-1", .fence = 7},
		.state = json_object(),
		.step = "edit",
		.stage = STAGE_EXECUTING,
		.started_ms = monotonic_ms()};
	strcpy(top, "/tmp/airunner-test-XXXXXX");
	assert_non_null(mkdtemp(top));
	run("echo one >a.txt");
}

static void world_close(struct world *w)
{
	agent_result_release(&w->result);
	json_decref(w->ctx.state);
	settings_free(w->set);
	canned_stop(w->server);
	autofree char *command = xasprintf("rm -rf %s %s.output", top, top);
	assert_int_equal(system(command), 0);
}

static enum err_code work(struct world *w, const char *text)
{
	agent_result_release(&w->result);
	err_t e = agent_work(&w->ctx, text, &w->result);
	if (e)
		print_message("           (%s)\n", err_text(e));
	return err_code(e);
}

static const char *body(struct world *w, size_t i)
{
	const char *s = strstr(canned_request(w->server, i), "\r\n\r\n");
	return s ? s + 4 : "";
}

/* ---- tests ---- */

static void a_task_is_worked_to_its_finish_and_every_turn_is_stored(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use",
		"[{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"c2ln\"},{\"type\":"
		"\"text\",\"text\":\"I look.\"}," TOOL(
			"t1", "view", "{\"path\":\"a.txt\"}") "," TOOL("t2", "create",
			"{\"path\":\"b.txt\",\"text\":\"two\"}") "]");
	says(&s, "tool_use", CHECKED_FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_int_equal(w.result.end, AGENT_FINISHED);
	assert_string_equal(w.result.summary, "Done so.");
	assert_int_equal(w.result.turns, 2);
	run("test \"$(cat b.txt)\" = two");
	assert_non_null(strstr(body(&w, 1),
		"{\"role\":\"user\",\"content\":[{\"type\":\"tool_result\",\"tool_use_id\":\"t1\","
		"\"content\":\"1: one\\n\"},"
		"{\"type\":\"tool_result\",\"tool_use_id\":\"t2\",\"content\":\"b.txt: written, 1 "
		"lines\",\"cache_control\":{\"type\":\"ephemeral\"}}]}"));
	assert_non_null(strstr(
		body(&w, 1), "{\"type\":\"thinking\",\"thinking\":\"\",\"signature\":\"c2ln\"}"));
	/* prefix, task, answer, results, answer, result of finish */
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_messages WHERE conv = 1"), 6);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_messages WHERE role = "
					    "'assistant' AND request_id = 'req_x' "
					    "AND fresh_tokens = 1000 AND output_tokens = 100 AND "
					    "cost_usd_micro = 3000"),
		2);
	assert_int_equal(
		with_db_number(db, "SELECT LENGTH(tree) FROM run_messages WHERE seq = 2"), 40);
	assert_int_equal(
		with_db_number(db, "SELECT turns * 100000 + cost_usd_micro FROM runs"), 206000);
	assert_int_equal(with_db_number(db, "SELECT input_tokens + output_tokens FROM runs"), 2200);
}

static void each_request_begins_with_the_bytes_of_the_one_before(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	for (int i = 0; i < 6; i++) {
		autofree char *turn = xasprintf("[{\"type\":\"tool_use\",\"id\":\"t%d\",\"name\":"
						"\"bash\",\"input\":{\"command\":\"x%d\"}}]",
			i, i);
		says(&s, "tool_use", turn);
	}
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	static const char mark[] = ",\"cache_control\":{\"type\":\"ephemeral\"}";
	autofree char *before = NULL;
	for (size_t i = 0; i < 7; i++) {
		autofree char *now = xstrdup(body(&w, i));
		for (char *p; (p = strstr(now, mark));)
			memmove(p, p + strlen(mark), strlen(p + strlen(mark)) + 1);
		*strstr(now, "],\"max_tokens\"") = '\0';
		assert_true(!before || strncmp(before, now, strlen(before)) == 0);
		free(before);
		before = take(&now);
	}
}

static void finishing_without_a_change_is_told_apart(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_int_equal(w.result.end, AGENT_UNCHANGED);
}

static void a_question_ends_the_work_and_calls_after_it_are_not_run(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use",
		"[" TOOL("q", "ask_human", "{\"question\":\"Red or blue?\"}") "," TOOL(
			"t", "create", "{\"path\":\"x\",\"text\":\"x\"}") "]");
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_int_equal(w.result.end, AGENT_QUESTION);
	assert_string_equal(w.result.question, "Red or blue?");
	run("test ! -e x");
}

static int64_t events(const char *like)
{
	autofree char *sql =
		xasprintf("SELECT COUNT(*) FROM run_events WHERE message LIKE '%s'", like);
	return with_db_number(db, sql);
}

static void answers_without_a_tool_call_are_reminded_and_then_climb_the_ladder(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	for (int i = 0; i < 9; i++)
		says(&s, "end_turn",
			i == 1 ? "[]" : "[{\"type\":\"text\",\"text\":\"All done!\"}]");
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_QUESTION);
	assert_int_equal(canned_count(w.server), 9);
	assert_non_null(strstr(body(&w, 1), "You answered without calling a tool."));
	assert_null(strstr(body(&w, 2), "\"content\":[]"));
	assert_non_null(strstr(body(&w, 2), "\"effort\":\"high\""));
	assert_non_null(strstr(body(&w, 3), "\"effort\":\"xhigh\""));
	assert_non_null(strstr(body(&w, 3), "it answers without calling a tool"));
	assert_null(strstr(body(&w, 3), "\"role\":\"assistant\""));
	assert_int_equal(events("The model answers without calling a tool: %"), 3);
}

static void add_views(struct script *s, int count)
{
	for (int i = 0; i < count; i++)
		says(s, "tool_use", "[" TOOL("t", "view", "{\"path\":\"a.txt\"}") "]");
}

static void a_call_that_repeats_climbs_the_ladder_to_a_person(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	add_views(&s, 12);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_QUESTION);
	assert_int_equal(canned_count(w.server), 12);
	assert_null(strstr(body(&w, 2), "again and again"));
	assert_non_null(strstr(body(&w, 3), "You make the same call again and again"));
	assert_non_null(strstr(body(&w, 6), "\"effort\":\"xhigh\""));
	assert_non_null(strstr(body(&w, 6), "went round in circles"));
	assert_non_null(strstr(body(&w, 9), "the work tree was set back"));
	assert_non_null(strstr(body(&w, 9), "\"effort\":\"xhigh\""));
	assert_int_equal(with_db_number(db, "SELECT MAX(conv) FROM run_messages"), 3);
	assert_int_equal(events("The model repeats the same call with the same result: %"), 4);
	assert_int_equal(events("A new conversation with claude-sonnet-5-5: %"), 2);
}

/* The same calls, killed after each stored message: rows, requests and end must not differ. */
static void a_ladder_that_is_killed_at_every_turn_ends_the_same(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	add_views(&s, 12);
	AUTO(world_close) struct world w;
	world_open(&w, &s, "AIRUNNER_MAX_TURNS=1");
	settings_free(w.set);
	enum err_code code = ERR_LIMIT;
	for (int turns = 1; turns < 20 && code == ERR_LIMIT; turns++) {
		autofree char *url = xasprintf("ANTHROPIC_BASE_URL=%s", canned_url(w.server));
		autofree char *max = xasprintf("AIRUNNER_MAX_TURNS=%d", turns);
		const char *overrides[] = {url, "AIRUNNER_MODELS_PATH=etc/models.json",
			"AIRUNNER_SHARE_DIR=.", "ANTHROPIC_MODEL=claude-sonnet-5-5", max, NULL};
		if (turns > 1)
			settings_free(w.set);
		redact_clear(); /* each loading adds its secrets */
		w.ctx.set = w.set = with_db_settings(overrides);
		code = work(&w, "Do it.");
		/* the notes as the journal has them */
		json_t *edit = json_object_get(w.ctx.state, "edit");
		autofree char *text = json_dumps(edit, JSON_COMPACT);
		json_object_set_new(w.ctx.state, "edit", json_loads(text, 0, NULL));
	}
	assert_int_equal(code, ERR_QUESTION);
	assert_int_equal(canned_count(w.server), 12);
	assert_int_equal(with_db_number(db, "SELECT MAX(conv) FROM run_messages"), 3);
	assert_int_equal(events("The model repeats the same call with the same result: %"), 4);
}

static void finish_without_a_check_is_asked_for_twice(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("t", "create", "{\"path\":\"b.txt\",\"text\":\"two\"}") "]");
	says(&s, "tool_use", "[" TOOL("l", "bash", "{\"command\":\"ls -la\"}") "," FINISH_CALL "]");
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_int_equal(canned_count(w.server), 3);
	const char *told =
		strstr(body(&w, 2), "\"tool_use_id\":\"f\",\"content\":\"Not finished yet");
	assert_non_null(told);
	assert_non_null(strstr(told, "- b.txt"));
	assert_string_equal(w.result.summary, "Done so.");
}

static void a_conversation_near_its_context_is_summed_up_and_followed_by_a_new_one(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	for (int i = 0; i < 3; i++) {
		autofree char *turn = xasprintf("[{\"type\":\"tool_use\",\"id\":\"t%d\",\"name\":"
						"\"bash\",\"input\":{\"command\":\"x%d\"}}]",
			i, i);
		prompt_tokens = i < 2 ? 1000 : 7000;
		says(&s, "tool_use", turn);
	}
	prompt_tokens = 1000;
	says(&s, "end_turn",
		"[{\"type\":\"thinking\",\"thinking\":\"private\",\"signature\":\"c2ln\"},{"
		"\"type\":"
		"\"text\",\"text\":\"I made b and c.\"}]");
	says(&s, "tool_use", FINISH);
	char models[] = "/tmp/airunner-models-XXXXXX";
	close(mkstemp(models));
	autofree char *small = xasprintf(
		"sed 's/\"context\": 1000000, \"min_cache_tokens\": 512/\"context\": 12000, "
		"\"min_cache_tokens\": 512/' etc/models.json >%s",
		models);
	assert_int_equal(system(small), 0);
	autofree char *path = xasprintf("AIRUNNER_MODELS_PATH=%s", models);
	AUTO(world_close) struct world w;
	world_open(&w, &s, path);
	run_state_set(&w.ctx, "context", json_pack("{s:s}", "text", "Do it."));
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	unlink(models);
	assert_int_equal(canned_count(w.server), 5);
	assert_null(strstr(body(&w, 2), "comes near the end"));
	assert_non_null(strstr(body(&w, 3), "comes near the end of what you can hold"));
	assert_non_null(strstr(body(&w, 3), "\"max_tokens\":8000}"));
	assert_non_null(strstr(body(&w, 4), "I made b and c."));
	assert_null(strstr(body(&w, 4), "private"));
	assert_null(strstr(body(&w, 4), "\"role\":\"assistant\""));
	assert_non_null(strstr(body(&w, 4), "\"max_tokens\":32000}"));
	assert_int_equal(events("A new conversation%grew too long"), 1);
	assert_int_equal(with_db_number(db, "SELECT turns FROM runs"), 5);
}

static void the_limit_of_turns_counts_the_whole_run(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("t", "bash", "{\"command\":\"a\"}") "]");
	says(&s, "tool_use", "[" TOOL("t", "bash", "{\"command\":\"b\"}") "]");
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, "AIRUNNER_MAX_TURNS=52");
	with_db_sql(db, "UPDATE runs SET turns = 49");
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_non_null(strstr(body(&w, 1), "{\"type\":\"text\",\"text\":\"Notice: 50 of at most "
					    "52 turns are used.\\nCome to an end"));
	assert_int_equal(with_db_number(db, "SELECT turns FROM runs"), 52);
	w.ctx.heal_round = 1;
	assert_int_equal(work(&w, "Heal it."), ERR_LIMIT);
	assert_int_equal(canned_count(w.server), 3);
}

static void the_limit_of_money_ends_the_run(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("t", "bash", "{\"command\":\"a\"}") "]");
	AUTO(world_close) struct world w;
	/* 0.003 a turn; 4096 tokens, the least to ask for, are 0.04, the bytes 0.02 and 0.025 more
	 * a turn */
	world_open(&w, &s, "AIRUNNER_MAX_RUN_USD=0.15");
	assert_int_equal(work(&w, "Do it."), ERR_LIMIT);
	assert_in_range(canned_count(w.server), 2, 20);
	assert_int_equal(with_db_number(db, "SELECT cost_usd_micro FROM runs"),
		3000 * (long long)canned_count(w.server));
	assert_null(strstr(body(&w, 0), "\"max_tokens\":32000}"));
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM llm_calls WHERE state <> "
					    "'settled' OR cost_usd_micro <> 3000"),
		0);
}

/* What was sent and not answered may have been billed; what was refused was not. */
static void each_try_that_may_be_billed_is_charged(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", FINISH);
	char *whole = s.raw[0];
	autofree char *cut = xstrndup(whole, (size_t)(strstr(whole, "message_stop") - whole) - 20);
	struct canned_reply replies[] = {{.raw = "HTTP/1.1 529 Busy\r\n\r\n{}"}, {.raw = cut},
		{.raw = "HTTP/1.1 200 OK\r\n\r\n"}, {.raw = whole}};
	struct script four = {.count = 4};
	memcpy(four.replies, replies, sizeof replies);
	AUTO(world_close) struct world w;
	world_open(&w, &four, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	/* the cut one: 1000 tokens in, 32000 out; the empty one: in full */
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM llm_calls"), 3);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM llm_calls WHERE state = "
					    "'estimated' AND cost_usd_micro = 2000 + 320000"),
		1);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM llm_calls WHERE state = "
					    "'estimated' AND cost_usd_micro = reserved_usd_micro"),
		1);
	assert_int_equal(with_db_number(db, "SELECT SUM(cost_usd_micro) FROM llm_calls"),
		with_db_number(db, "SELECT cost_usd_micro FROM runs"));
	assert_int_equal(with_db_number(db,
				 "SELECT COUNT(*) FROM run_events WHERE message LIKE '%estimate%'"),
		2);
}

static void a_refused_call_costs_nothing(void **state)
{
	(void)state;
	struct script s = {.count = 1, .replies = {{.raw = "HTTP/1.1 400 Bad\r\n\r\n{}"}}};
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_OUTSIDE_FINAL);
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM llm_calls WHERE state = 'released'"), 1);
	assert_int_equal(with_db_number(db, "SELECT SUM(spent_usd_micro + reserved_usd_micro) FROM "
					    "budgets"),
		0);
}

static void passing_the_notice_is_told_with_figures(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	for (int i = 0; i < 3; i++)
		says(&s, "tool_use",
			i == 0   ? "[" TOOL("t", "bash", "{\"command\":\"a\"}") "]"
			: i == 1 ? "[" TOOL("t", "bash", "{\"command\":\"b\"}") "]"
				 : FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, "AIRUNNER_NOTICE_RUN_USD=0.006");
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM run_events WHERE message = 'The run "
				   "has spent 0.006000 USD, more than its notice of 0.01 USD; "
				   "its limit is 5.00 USD'"),
		1);
}

static void a_cut_answer_runs_nothing_and_is_asked_again_with_more_room(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "max_tokens",
		"[" TOOL("t", "create",
			"\"{\\\"path\\\":\\\"cut.txt\\\",\\\"text\\\":\\\"hal\"") "]");
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	run("test ! -e cut.txt");
	assert_null(strstr(body(&w, 1), "cut.txt"));
	assert_non_null(strstr(body(&w, 1), "was cut at the output limit"));
	assert_non_null(strstr(body(&w, 1), "\"max_tokens\":64000}"));
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_messages WHERE stop_reason = "
					    "'max_tokens' AND LENGTH(content) = 0"),
		1);
}

static void a_refusal_without_another_model_is_a_persons_question(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "refusal", "[{\"type\":\"text\",\"text\":\"No.\"}]");
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_QUESTION);
	assert_int_equal(with_db_number(db, "SELECT turns FROM runs"), 1);
}

static void wrong_calls_are_answered_with_an_error(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use",
		"[" TOOL("a", "fly", "{}") "," TOOL("b", "view", "\"{broken\"") "," TOOL(
			"c", "view", "{\"path\":\"/etc/passwd\"}") "]");
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_non_null(
		strstr(body(&w, 1), "\"content\":\"there is no tool fly\",\"is_error\":true}"));
	assert_non_null(strstr(
		body(&w, 1), "\"content\":\"the input is not a JSON object\",\"is_error\":true}"));
	assert_non_null(strstr(body(&w, 1), "it is absolute; name it from the top"));
}

static void a_heal_round_goes_on_with_the_conversation(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("t", "create", "{\"path\":\"b.txt\",\"text\":\"two\"}") "]");
	says(&s, "tool_use", CHECKED_FINISH);
	says(&s, "tool_use", CHECKED_FINISH);
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	w.ctx.heal_round = 1;
	assert_int_equal(work(&w, "Heal it."), ERR_NONE);
	assert_int_equal(w.result.end, AGENT_FINISHED);
	assert_int_equal(with_db_number(db, "SELECT MAX(conv) FROM run_messages"), 1);
	assert_non_null(strstr(body(&w, 2), "Do it."));
	assert_non_null(
		strstr(body(&w, 2), "{\"type\":\"text\",\"text\":\"Heal it.\",\"cache_control\""));
	/* another attempt: the work tree was set back, so the story begins anew */
	w.ctx.heal_round = 0;
	json_object_clear(w.ctx.state);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_int_equal(with_db_number(db, "SELECT MAX(conv) FROM run_messages"), 2);
	assert_null(strstr(body(&w, 3), "Heal it."));
}

static void calls_without_a_result_get_one_when_the_work_goes_on(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("t", "create", "{\"path\":\"b.txt\",\"text\":\"two\"}") "]");
	says(&s, "tool_use", CHECKED_FINISH);
	says(&s, "tool_use", CHECKED_FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	with_db_sql(
		db, "DELETE FROM run_messages WHERE seq = 5"); /* as if killed before the results */
	w.ctx.heal_round = 1;
	assert_int_equal(work(&w, "Heal it."), ERR_NONE);
	assert_non_null(strstr(body(&w, 2),
		"\"tool_use_id\":\"f\",\"content\":\"Not run: the worker was "
		"interrupted.\",\"is_error\":true},{\"type\":\"text\",\"text\":\"Heal it.\""));
}

/* A round that was killed after the rows up to seq. */
static void kill_after(struct world *w, int seq)
{
	autofree char *sql = xasprintf("DELETE FROM run_messages WHERE seq > %d", seq);
	with_db_sql(db, sql);
	json_object_set_new(json_object_get(w->ctx.state, "edit"), "ended", json_false());
}

static void a_resumed_round_answers_open_calls_and_says_its_text_once(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("t", "create", "{\"path\":\"b.txt\",\"text\":\"two\"}") "]");
	says(&s, "tool_use", CHECKED_FINISH);
	says(&s, "tool_use", CHECKED_FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	kill_after(&w, 4); /* prefix, task, answer, results, answer */
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_int_equal(w.result.end, AGENT_FINISHED); /* by the tree before the kill */
	assert_int_equal(with_db_number(db, "SELECT MAX(conv) FROM run_messages"), 1);
	const char *said = strstr(body(&w, 2), "Do it.");
	assert_non_null(said);
	assert_null(strstr(said + 1, "Do it."));
	assert_non_null(strstr(said, "\"tool_use_id\":\"f\",\"content\":\"Not run: the worker was "
				     "interrupted.\",\"is_error\":true"));
}

static void a_request_without_an_answer_is_sent_again_as_it_was(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("t", "create", "{\"path\":\"b.txt\",\"text\":\"two\"}") "]");
	says(&s, "tool_use", CHECKED_FINISH);
	says(&s, "tool_use", CHECKED_FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	kill_after(&w, 3);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_string_equal(body(&w, 1), body(&w, 2));
}

static void a_round_that_the_model_has_ended_is_not_asked_again(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("q", "ask_human", "{\"question\":\"Red or blue?\"}") "]");
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_int_equal(w.result.end, AGENT_QUESTION);
	assert_string_equal(w.result.question, "Red or blue?");
	assert_int_equal(canned_count(w.server), 1);
}

static void a_refused_answer_of_before_the_kill_still_ends_the_run(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "refusal", "[{\"type\":\"text\",\"text\":\"No.\"}]");
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_QUESTION);
	assert_int_equal(work(&w, "Do it."), ERR_QUESTION);
	assert_int_equal(canned_count(w.server), 1);
}

static void a_new_conversation_begins_from_task_diff_calls_and_findings(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("t", "create", "{\"path\":\"b.txt\",\"text\":\"two\"}") "]");
	says(&s, "tool_use", CHECKED_FINISH);
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	run_state_set(&w.ctx, "checkout", json_pack("{s:s}", "base_tree", "base"));
	run_state_set(&w.ctx, "context", json_pack("{s:s}", "text", "Do it."));
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	json_object_set_new(
		run_state_get(&w.ctx, "edit"), "summary", json_string(w.result.summary));
	with_db_sql(db, "UPDATE run_messages SET content = 'another' WHERE seq = 0");
	w.ctx.heal_round = 1;
	assert_int_equal(work(&w, "Heal it."), ERR_NONE);
	const char *said = body(&w, 2);
	const char *const parts[] = {"Do it.", "called away", "<diff>\\n+the diff from base to ",
		"< /diff>", "<summary>\\nDone so.", "- create {\\\"path\\\":\\\"b.txt\\\"",
		"Believe the files", "Heal it."};
	for (size_t i = 0; i < ARRAY_LEN(parts); i++) {
		said = strstr(said, parts[i]);
		if (!said)
			fail_msg("%s is not there, or not in this order", parts[i]);
	}
	assert_null(strstr(body(&w, 2), "\"role\":\"assistant\""));
	assert_int_equal(run_state_i64(&w.ctx, "edit.conv"), 2);
	assert_int_equal(run_state_i64(&w.ctx, "edit.said"), 1);
	assert_string_equal(run_state_str(&w.ctx, "edit.model"), "claude-sonnet-5-5");
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM run_events WHERE message LIKE 'A new "
				   "conversation with claude-sonnet-5-5: the worker%'"),
		1);
	json_t *switches = run_state_get(&w.ctx, "edit.switches");
	assert_int_equal(json_array_size(switches), 1);
	assert_string_equal(
		json_string_value(json_object_get(json_array_get(switches, 0), "reason")),
		"prompt");
}

static void nothing_is_asked_or_stored_once_the_run_is_not_ours(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	with_db_sql(db, "UPDATE runs SET fence = 8");
	assert_int_equal(work(&w, "Do it."), ERR_FENCE);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_messages"), 0);
	with_db_sql(db, "UPDATE runs SET fence = 7, cancel_at = NOW(3)");
	assert_int_equal(work(&w, "Do it."), ERR_CANCELLED);
	assert_int_equal(canned_count(w.server), 0);
}

static void secrets_are_masked_and_long_output_is_cut_but_kept(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use",
		"[" TOOL("a", "view", "{\"path\":\"secret.txt\"}") "," TOOL(
			"b", "bash", "{\"command\":\"long\"}") "]");
	says(&s, "tool_use",
		"[" TOOL("a", "view",
			"{\"path\":\"/output/1-1.txt\",\"from\":2490,\"to\":2510}") "," TOOL("b",
			"grep", "{\"pattern\":\"^1234 \",\"path\":\"/output\"}") "," TOOL("c",
			"view", "{\"path\":\"/output/../a.txt\"}") "," TOOL("d", "create",
			"{\"path\":\"/output/x\",\"text\":\"x\"}") "]");
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	run("echo 'token ghp_0123456789abcdef' >secret.txt");
	redact_add("GH_TOKEN", "ghp_0123456789abcdef");
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	assert_null(strstr(body(&w, 1), "ghp_0123456789abcdef"));
	assert_non_null(strstr(body(&w, 1), "token [redacted GH_TOKEN]"));
	assert_non_null(strstr(body(&w, 1), "left out"));
	assert_non_null(strstr(body(&w, 1), "[exit code 1]"));
	assert_non_null(strstr(body(&w, 1), "bytes are in /output/1-1.txt: view, grep"));
	assert_true(strlen(body(&w, 1)) < 30000);
	assert_non_null(strstr(body(&w, 2), "2500: 2499 long"));
	assert_non_null(strstr(body(&w, 2), "1-1.txt:1235: 1234 long"));
	assert_true(with_db_number(db, "SELECT bytes FROM artifacts WHERE kind = 'tool_output'") >
		    20000);
	assert_null(strstr(body(&w, 2), "1: one"));
	assert_non_null(strstr(body(&w, 2), "/output/x is refused: it is absolute"));
	redact_clear();
}

static void kept_outputs_come_back_when_the_work_goes_on_elsewhere(void **state)
{
	(void)state;
	AUTO(script_release) struct script s = {0};
	says(&s, "tool_use", "[" TOOL("b", "bash", "{\"command\":\"long\"}") "]");
	says(&s, "tool_use", FINISH);
	says(&s, "tool_use",
		"[" TOOL("a", "view",
			"{\"path\":\"/output/1-1.txt\",\"from\":2000,\"to\":2001}") "]");
	says(&s, "tool_use", FINISH);
	AUTO(world_close) struct world w;
	world_open(&w, &s, NULL);
	assert_int_equal(work(&w, "Do it."), ERR_NONE);
	autofree char *command = xasprintf("rm -rf %s.output", top);
	assert_int_equal(system(command), 0);
	w.ctx.heal_round = 1;
	assert_int_equal(work(&w, "Heal it."), ERR_NONE);
	assert_non_null(strstr(body(&w, 3), "2000: 1999 long\\n2001: 2000 long"));
}

static int setup(void **state)
{
	(void)state;
	setenv("ANTHROPIC_API_KEY", "key-of-the-test", 1);
	db = with_db_open(&base_set);
	return http_init() ? -1 : 0;
}

static int teardown(void **state)
{
	(void)state;
	db_close(db);
	settings_free(base_set);
	http_exit();
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_task_is_worked_to_its_finish_and_every_turn_is_stored),
		cmocka_unit_test(each_request_begins_with_the_bytes_of_the_one_before),
		cmocka_unit_test(finishing_without_a_change_is_told_apart),
		cmocka_unit_test(a_question_ends_the_work_and_calls_after_it_are_not_run),
		cmocka_unit_test(
			answers_without_a_tool_call_are_reminded_and_then_climb_the_ladder),
		cmocka_unit_test(a_call_that_repeats_climbs_the_ladder_to_a_person),
		cmocka_unit_test(a_ladder_that_is_killed_at_every_turn_ends_the_same),
		cmocka_unit_test(finish_without_a_check_is_asked_for_twice),
		cmocka_unit_test(
			a_conversation_near_its_context_is_summed_up_and_followed_by_a_new_one),
		cmocka_unit_test(the_limit_of_turns_counts_the_whole_run),
		cmocka_unit_test(the_limit_of_money_ends_the_run),
		cmocka_unit_test(each_try_that_may_be_billed_is_charged),
		cmocka_unit_test(a_refused_call_costs_nothing),
		cmocka_unit_test(passing_the_notice_is_told_with_figures),
		cmocka_unit_test(a_cut_answer_runs_nothing_and_is_asked_again_with_more_room),
		cmocka_unit_test(a_refusal_without_another_model_is_a_persons_question),
		cmocka_unit_test(wrong_calls_are_answered_with_an_error),
		cmocka_unit_test(a_heal_round_goes_on_with_the_conversation),
		cmocka_unit_test(calls_without_a_result_get_one_when_the_work_goes_on),
		cmocka_unit_test(a_resumed_round_answers_open_calls_and_says_its_text_once),
		cmocka_unit_test(a_request_without_an_answer_is_sent_again_as_it_was),
		cmocka_unit_test(a_round_that_the_model_has_ended_is_not_asked_again),
		cmocka_unit_test(a_refused_answer_of_before_the_kill_still_ends_the_run),
		cmocka_unit_test(a_new_conversation_begins_from_task_diff_calls_and_findings),
		cmocka_unit_test(nothing_is_asked_or_stored_once_the_run_is_not_ours),
		cmocka_unit_test(secrets_are_masked_and_long_output_is_cut_but_kept),
		cmocka_unit_test(kept_outputs_come_back_when_the_work_goes_on_elsewhere),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
