/*
 * Reservations and settlements against a real database: what is promised, what is refused, and that
 * many connections at once neither overspend a cap nor lock each other out.
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
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"
#include "tests/unit/with_db.h"
#include "worker/budget.h"

#define RACERS 8
#define RACE_CALLS 25
#define ONE_USD 1000000

static struct db *db;
static struct settings *base_set;
static json_t *models;

/* ---- a run and its request ---- */

struct world {
	struct settings *set;
	struct run_ctx ctx;
	struct repo_config repo;
	struct llm llm;
	struct llm_request request;
	char text[20000];
	struct llm_message message;
};

static err_t always(void *arg)
{
	(void)arg;
	return NULL;
}

static void add_run(int id, int repo, const char *issue)
{
	autofree char *sql = xasprintf("INSERT INTO runs (id, issue_key, line, repo_id, status, "
				       "slot, running_line, fence) "
				       "VALUES (%d, '%s', 'L-%d', %d, 'running', %d, 'L-%d', 7)",
		id, issue, id, repo, id, id);
	with_db_sql(db, sql);
}

static void clear(void)
{
	with_db_sql(db,
		"DELETE FROM run_events; DELETE FROM run_messages; DELETE FROM llm_calls; DELETE "
		"FROM budgets; "
		"DELETE FROM runs; DELETE FROM repos WHERE id > 0; "
		"INSERT INTO repos (id, address) VALUES (1, 'one'), (2, 'two'), (3, 'three')");
}

static void use_model(struct world *w, const char *model)
{
	profile_release(&w->llm.profile);
	assert_null(profile_read(models, "models.json", model, "anthropic", &w->llm.profile));
}

/* Run 1 of issue A-1 in repository 1; caps as overrides, at most eight. */
static void world_open(struct world *w, const char *const *overrides)
{
	*w = (struct world){.set = with_db_settings(overrides)};
	clear();
	add_run(1, 1, "A-1");
	w->ctx = (struct run_ctx){.set = w->set,
		.db = db,
		.run = {.id = 1, .issue_key = "A-1", .fence = 7},
		.started_ms = monotonic_ms()};
	memset(w->text, 'x', sizeof w->text);
	w->message = (struct llm_message){.data = w->text, .len = 9743, .is_user = true};
	w->request = (struct llm_request){
		.prefix = w->text, .messages = &w->message, .count = 1, .alive = always};
	use_model(w, "claude-sonnet-5-5");
}

static void world_close(struct world *w)
{
	profile_release(&w->llm.profile);
	settings_free(w->set);
}

static err_t reserve(struct world *w, int64_t wanted, struct budget_call *ret)
{
	return budget_reserve(&w->ctx, &w->llm, 1, &w->request, wanted, ret);
}

/* An answer of that cost, -1: the model has no price. */
static void answer_on(struct db *on, int run, int64_t call, int seq, int64_t cost, int64_t tokens)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	assert_null(db_query(on, Q_ANSWER_STORE, /* plainly: no collision is made good */
		DB_ARGS(db_i64(run), db_i64(7), db_i64(call), db_i64(1), db_i64(seq), db_str("m"),
			db_blob("x", 1), db_str("tool_use"), db_str("req"), db_i64(tokens),
			db_i64(0), db_i64(0), db_i64(0), db_i64(0),
			cost < 0 ? db_null() : db_i64(cost), db_i64(tokens), db_i64(1)),
		&rows));
	assert_true(db_rows_next(rows));
	assert_int_equal(db_rows_i64(rows, "ours"), 1);
}

static long long budget(const char *scope, const char *column)
{
	autofree char *sql =
		xasprintf("SELECT SUM(%s) FROM budgets WHERE scope = '%s'", column, scope);
	return with_db_number(db, sql);
}

static void assert_scopes(const char *column, long long value)
{
	static const char *const names[] = {"day", "repo", "issue", "run"};
	for (size_t i = 0; i < ARRAY_LEN(names); i++)
		assert_int_equal(budget(names[i], column), value);
}

/* ---- one call ---- */

static void a_call_reserves_its_worst_case_in_every_scope_and_the_answer_settles_it(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	world_open(&w, NULL);
	assert_null(reserve(&w, 32000, &call));
	/* 9744 bytes before the marks that last an hour at 4 USD, 256 at 2.50; 32000 tokens at 10
	 */
	const int64_t most = 9744 * 4 + 256 * 5 / 2 + 320000;
	assert_int_equal(call.reserved, most);
	assert_int_equal(call.max_tokens, 32000);
	assert_scopes("reserved_usd_micro", most);
	assert_scopes("spent_usd_micro", 0);
	answer_on(db, 1, call.id, 1, 1234, 10);
	assert_scopes("reserved_usd_micro", 0);
	assert_scopes("spent_usd_micro", 1234);
	assert_scopes("estimated_usd_micro", 0);
	assert_int_equal(with_db_number(db, "SELECT cost_usd_micro FROM runs"), 1234);
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM llm_calls WHERE state = 'settled' "
				   "AND cost_usd_micro = 1234 AND open_run IS NULL"),
		1);
}

static void an_answer_and_its_cost_are_stored_together_or_not_at_all(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	world_open(&w, NULL);
	with_db_sql(db, "INSERT INTO run_messages (run_id, conv, seq, role, content) "
			"VALUES (1, 1, 1, 'user', 'x')");
	assert_null(reserve(&w, 32000, &call));
	err_t e = budget_query(db, Q_ANSWER_STORE,
		DB_ARGS(db_i64(1), db_i64(7), db_i64(call.id), db_i64(1), db_i64(1), db_str("m"),
			db_blob("x", 1), db_str("s"), db_str("r"), db_i64(1), db_i64(0), db_i64(0),
			db_i64(1), db_i64(0), db_i64(99), db_i64(1), db_i64(1)),
		&rows);
	assert_int_equal(err_code(e), ERR_DB_DUPLICATE); /* there is such a message */
	assert_scopes("spent_usd_micro", 0);
	assert_scopes("reserved_usd_micro", call.reserved);
	assert_int_equal(with_db_number(db, "SELECT turns FROM runs"), 0);
}

static void a_call_that_was_not_billed_gives_all_back(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	world_open(&w, NULL);
	assert_null(reserve(&w, 32000, &call));
	assert_null(budget_release(&w.ctx, &call));
	assert_int_equal(call.id, 0);
	assert_null(budget_release(&w.ctx, &call)); /* a second time does nothing */
	assert_scopes("reserved_usd_micro", 0);
	assert_scopes("spent_usd_micro", 0);
	assert_int_equal(with_db_number(db, "SELECT cost_usd_micro FROM runs"), 0);
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM llm_calls WHERE state = 'released'"), 1);
}

static void a_cut_stream_costs_its_own_input_and_all_of_max_tokens(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	int64_t charged;
	world_open(&w, NULL);
	assert_null(reserve(&w, 32000, &call));
	const struct llm_usage began = {.fresh = 100, .read = 2000, .output = 1};
	assert_null(budget_estimate(&w.ctx, &w.llm, &call, &began, &charged));
	assert_int_equal(charged, 200 + 200 + 320000);
	assert_scopes("spent_usd_micro", charged);
	assert_scopes("estimated_usd_micro", charged);
	assert_null(reserve(&w, 32000, &call));
	int64_t in_full = call.reserved, more;
	assert_null(budget_estimate(&w.ctx, &w.llm, &call, NULL, &more));
	assert_int_equal(more, in_full);
	assert_scopes("spent_usd_micro", charged + in_full);
	assert_scopes("reserved_usd_micro", 0);
	assert_int_equal(with_db_number(db, "SELECT cost_usd_micro FROM runs"), charged + in_full);
}

static void a_call_left_open_is_settled_in_full_by_the_next_one(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call lost, call;
	world_open(&w, NULL);
	assert_null(reserve(&w, 32000, &lost));
	with_db_sql(db, "UPDATE runs SET fence = 8"); /* killed, and taken up again */
	w.ctx.run.fence = 8;
	assert_null(reserve(&w, 32000, &call));
	assert_int_equal(call.lost, lost.reserved);
	assert_scopes("spent_usd_micro", lost.reserved);
	assert_scopes("estimated_usd_micro", lost.reserved);
	assert_scopes("reserved_usd_micro", call.reserved);
	assert_int_equal(with_db_number(db, "SELECT cost_usd_micro FROM runs"), lost.reserved);
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM llm_calls WHERE state = 'estimated'"), 1);
}

static void the_parent_settles_what_ended_runs_left_open_and_nothing_else(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call one, two;
	world_open(&w, NULL);
	add_run(2, 1, "A-2");
	assert_null(reserve(&w, 32000, &one));
	w.ctx.run.id = 2;
	assert_null(reserve(&w, 32000, &two));
	with_db_sql(db, "UPDATE runs SET status = 'cancelled', slot = NULL, running_line = NULL "
			"WHERE id = 1");
	assert_null(budget_sweep(db));
	assert_int_equal(budget("day", "spent_usd_micro"), one.reserved);
	assert_int_equal(budget("day", "reserved_usd_micro"), two.reserved);
	assert_int_equal(
		with_db_number(db, "SELECT cost_usd_micro FROM runs WHERE id = 1"), one.reserved);
	assert_null(budget_sweep(db));
	assert_int_equal(budget("day", "spent_usd_micro"), one.reserved);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_events WHERE run_id = 1 AND "
					    "message LIKE '%at most 0.359616 USD' AND "
					    "JSON_VALUE(meta, '$.estimated') = 1"),
		1);
}

static void nothing_is_reserved_for_a_run_that_is_not_ours(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	world_open(&w, NULL);
	with_db_sql(db, "UPDATE runs SET fence = 8");
	assert_int_equal(err_code(reserve(&w, 32000, &call)), ERR_FENCE);
	with_db_sql(db, "UPDATE runs SET fence = 7, cancel_at = NOW(3)");
	assert_int_equal(err_code(reserve(&w, 32000, &call)), ERR_CANCELLED);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM llm_calls"), 0);
}

/* ---- caps ---- */

static void the_answers_limit_shrinks_to_what_the_cap_leaves(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	world_open(&w, (const char *[]){"AIRUNNER_MAX_RUN_USD=0.2", NULL});
	assert_null(reserve(&w, 32000, &call));
	assert_int_equal(call.max_tokens, (200000 - 39616) / 10);
	assert_true(call.reserved <= 200000 && call.reserved > 199980);
}

static const struct {
	const char *setting, *text;
} refusals[] = {
	{"AIRUNNER_MAX_RUN_USD=0.1",
		"the run's limit of 0.10 USD is reached: 0.050000 USD are spent, and the next call "
		"may cost 0.080576 USD or more (AIRUNNER_MAX_RUN_USD)"},
	{"AIRUNNER_MAX_ISSUE_USD=0.1",
		"the limit of the issue, over all its runs, of 0.10 USD is reached: 0.050000 USD "
		"are spent, and the next call may cost 0.080576 USD or more "
		"(AIRUNNER_MAX_ISSUE_USD)"},
	{"AIRUNNER_MAX_REPO_DAY_USD=0.1",
		"the repository's limit of the day of 0.10 USD is reached: 0.050000 USD are spent, "
		"and the next call may cost 0.080576 USD or more; it begins anew on "},
	{"AIRUNNER_MAX_DAY_USD=0.1",
		"the whole system's limit of the day of 0.10 USD is reached: 0.050000 USD are "
		"spent, and the next call may cost 0.080576 USD or more; it begins anew on "},
};

static void each_cap_refuses_with_its_figures_and_its_setting(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(refusals); i++) {
		AUTO(world_close) struct world w;
		struct budget_call call;
		world_open(&w, (const char *[]){refusals[i].setting, NULL});
		assert_null(reserve(&w, 32000, &call));
		answer_on(db, 1, call.id, 1, 50000, 0);
		err_t e = reserve(&w, 32000, &call);
		assert_int_equal(err_code(e), ERR_LIMIT);
		autofree char *start = xstrndup(err_text(e), strlen(refusals[i].text));
		assert_string_equal(start, refusals[i].text);
		assert_scopes("reserved_usd_micro", 0);
	}
}

static void a_day_cap_counts_other_runs_and_a_run_cap_does_not(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	world_open(
		&w, (const char *[]){"AIRUNNER_MAX_DAY_USD=0.5", "AIRUNNER_MAX_RUN_USD=0.5",
			    "AIRUNNER_MAX_ISSUE_USD=0.5", "AIRUNNER_MAX_REPO_DAY_USD=0.5", NULL});
	assert_null(reserve(&w, 4096, &call));
	answer_on(db, 1, call.id, 1, 450000, 0);
	add_run(2, 2, "A-2");
	w.ctx.run.id = 2;
	err_t e = reserve(&w, 4096, &call);
	assert_int_equal(err_code(e), ERR_LIMIT);
	assert_non_null(strstr(err_text(e), "the whole system's limit of the day"));
	with_db_sql(db, "UPDATE budgets SET name = '2020-01-01' WHERE scope = 'day'");
	assert_null(reserve(&w, 4096, &call)); /* another day */
}

static void a_cap_of_zero_is_none_and_a_repository_may_have_its_own(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	world_open(&w, (const char *[]){"AIRUNNER_MAX_DAY_USD=0", "AIRUNNER_MAX_RUN_USD=0",
			       "AIRUNNER_MAX_ISSUE_USD=0", "AIRUNNER_MAX_REPO_DAY_USD=0", NULL});
	with_db_sql(db, "INSERT INTO budgets (scope, name, spent_usd_micro) VALUES "
			"('run', '1', 999000000)");
	assert_null(reserve(&w, 32000, &call));
	assert_null(budget_release(&w.ctx, &call));
	w.repo = (struct repo_config){
		.max_day_usd_micro = 60000, .max_issue_usd_micro = -1, .max_run_usd_micro = -1};
	w.ctx.repo = &w.repo;
	err_t e = reserve(&w, 32000, &call);
	assert_int_equal(err_code(e), ERR_LIMIT);
	assert_non_null(strstr(err_text(e), "the repository's limit of the day of 0.06 USD"));
	assert_int_equal(budget_caps(w.set, &w.repo).issue, 0);
}

static void a_model_without_a_price_is_counted_in_tokens(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	world_open(&w, (const char *[]){"AIRUNNER_MAX_RUN_TOKENS=60000", NULL});
	use_model(&w, "a-model-of-our-own");
	assert_null(reserve(&w, 32000, &call));
	assert_int_equal(call.reserved, 10000 + 32000);
	assert_scopes("reserved_tokens", 42000);
	assert_scopes("reserved_usd_micro", 0);
	answer_on(db, 1, call.id, 1, -1, 30000);
	assert_scopes("spent_tokens", 30000);
	assert_scopes("reserved_tokens", 0);
	assert_null(reserve(&w, 32000, &call));
	assert_int_equal(call.max_tokens, 60000 - 30000 - 10000);
	answer_on(db, 1, call.id, 2, -1, 25000);
	err_t e = reserve(&w, 32000, &call);
	assert_int_equal(err_code(e), ERR_LIMIT);
	assert_string_equal(err_text(e),
		"the run's limit of 60000 tokens for models without a price is reached: 55000 are "
		"used, and the next call may use 14096 or more (AIRUNNER_MAX_RUN_TOKENS)");
	use_model(&w, "claude-sonnet-5-5"); /* another model, in mid-run */
	assert_null(reserve(&w, 32000, &call));
}

/* ---- waiting for the room that others' calls take ---- */

static struct budget_call others;
static int asked;

static err_t end_the_other(void *arg)
{
	(void)arg;
	if (asked++ == 1)
		answer_on(db, 2, others.id, 1, 1000, 0);
	return NULL;
}

static void room_that_only_calls_under_way_take_is_waited_for(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	struct budget_call call;
	world_open(&w, (const char *[]){"AIRUNNER_MAX_DAY_USD=0.4", NULL});
	add_run(2, 2, "A-2");
	w.ctx.run.id = 2;
	assert_null(reserve(&w, 32000, &others));
	w.ctx.run.id = 1;
	w.request.alive = end_the_other;
	asked = 0;
	assert_null(reserve(&w, 32000, &call));
	assert_true(asked >= 2);
	assert_int_equal(call.max_tokens, 32000);
}

/* ---- never more than promised ---- */

static const char *const tried[] = {"claude-sonnet-5-5", "claude-haiku-5-5", "claude-opus-4-5",
	"claude-fable-5-1", "gpt-6.1-terra", "gpt-6.1-sol"};

/* Any way in which a provider may count a request of these bytes. */
static struct llm_usage any_usage(int64_t kept, int64_t rest, int64_t max_tokens)
{
	int64_t tokens = random() % 3 ? kept + rest : 1 + random() % (kept + rest);
	struct llm_usage u = {.output = random() % 3 ? max_tokens : random() % (max_tokens + 1)};
	u.written_1h = random() % 2 ? (tokens < kept ? tokens : kept) : 0;
	int64_t left = tokens - u.written_1h;
	u.written_5m = random() % 2 ? left : random() % (left + 1);
	left -= u.written_5m;
	u.read = random() % (left + 1);
	u.fresh = left - u.read;
	return u;
}

static void no_usage_within_bytes_and_max_tokens_costs_more_than_was_reserved(void **state)
{
	(void)state;
	srandom(4711);
	for (size_t m = 0; m < ARRAY_LEN(tried); m++) {
		AUTO(profile_release) struct profile p;
		assert_null(profile_read(models, "models.json", tried[m], "anthropic", &p));
		for (int i = 0; p.price_count && i < 20000; i++) {
			int64_t kept = 1 + random() % 200000, rest = random() % 400000, input,
				price;
			int64_t max_tokens = 1 + random() % 64000, cost;
			assert_true(profile_worst(&p, kept, rest, "2026-11-22", &input, &price));
			int64_t reserved = input + (max_tokens * price + 999999) / 1000000;
			struct llm_usage u = any_usage(kept, rest, max_tokens);
			assert_true(profile_cost(&p, &u, "2026-11-22", &cost));
			if (cost > reserved)
				fail_msg("%s: %lld + %lld bytes, %lld tokens: %lld > %lld",
					tried[m], (long long)kept, (long long)rest,
					(long long)max_tokens, (long long)cost,
					(long long)reserved);
		}
	}
}

/* The database grants tokens: what it grants never costs more than what it reserved for it. */
static void what_a_cap_leaves_is_never_overspent_by_a_greedy_model(void **state)
{
	(void)state;
	AUTO(world_close) struct world w;
	world_open(&w, (const char *[]){"AIRUNNER_MAX_RUN_USD=1.234567", NULL});
	int64_t spent = 0;
	int calls = 0;
	srandom(42);
	for (;; calls++) {
		struct budget_call call;
		w.message.len = (size_t)(1 + random() % 15000);
		err_t e = reserve(&w, 32000, &call);
		if (e) {
			assert_int_equal(err_code(e), ERR_LIMIT);
			break;
		}
		int64_t kept, rest, cost;
		llm_request_bytes(&w.request, &kept, &rest);
		struct llm_usage u = any_usage(kept, rest, call.max_tokens);
		assert_true(profile_cost(&w.llm.profile, &u, "2026-11-22", &cost));
		assert_true(cost <= call.reserved);
		answer_on(db, 1, call.id, calls + 1, cost, 0);
		spent += cost;
	}
	assert_true(calls >= 4);
	assert_true(spent <= 1234567);
	assert_scopes("spent_usd_micro", spent);
	assert_scopes("reserved_usd_micro", 0);
	assert_int_equal(with_db_number(db, "SELECT SUM(cost_usd_micro) FROM llm_calls"), spent);
}

/* ---- many at once ---- */

/* One worker: runs of several repositories and issues in turn, as fast as it can. */
static int race(int n)
{
	struct settings *set = NULL;
	struct db *own = with_db_open(&set);
	unsigned seed = (unsigned)n + 1;
	for (int i = 0; i < RACE_CALLS; i++) {
		AUTO(db_rows_freep) struct db_rows *rows = NULL;
		int run = 100 + n * 3 + i % 3;
		int64_t input = rand_r(&seed) % 20000;
		/* plainly: a deadlock would be an error here */
		err_t e = db_query(own, Q_MONEY_RESERVE,
			DB_ARGS(db_i64(run), db_i64(7), db_i64(1), db_str("m"), db_i64(1),
				db_i64(input), db_i64(10000000), db_i64(3000), db_i64(1),
				db_i64(2 * ONE_USD), db_i64(ONE_USD), db_i64(ONE_USD),
				db_i64(ONE_USD)),
			&rows);
		if (e) {
			fprintf(stderr, "racer %d: %s\n", n, err_text(e));
			return 1;
		}
		db_rows_next(rows);
		if (!db_rows_i64(rows, "granted"))
			continue;
		answer_on(own, run, db_rows_i64(rows, "call_id"), i + 1,
			rand_r(&seed) % 2 ? db_rows_i64(rows, "amount")
					  : rand_r(&seed) % (db_rows_i64(rows, "amount") + 1),
			0);
	}
	db_close(own);
	settings_free(set);
	return 0;
}

static void eight_workers_at_once_do_not_overspend_and_do_not_deadlock(void **state)
{
	(void)state;
	clear();
	for (int i = 0; i < RACERS * 3; i++) {
		autofree char *issue = xasprintf("A-%d", i % 4);
		add_run(100 + i, 1 + i % 3, issue);
	}
	long long deadlocks = with_db_number(db,
		"SELECT variable_value FROM information_schema.global_status WHERE "
		"variable_name = 'INNODB_DEADLOCKS'");
	pid_t pids[RACERS];
	for (int i = 0; i < RACERS; i++) {
		pids[i] = fork();
		if (pids[i] == 0)
			_exit(race(i));
	}
	for (int i = 0; i < RACERS; i++) {
		int status = -1;
		assert_int_equal(waitpid(pids[i], &status, 0), pids[i]);
		assert_int_equal(status, 0);
	}
	long long day = budget("day", "spent_usd_micro");
	assert_true(day <= 2 * ONE_USD);
	assert_true(day > 2 * ONE_USD - 60000); /* it was a race for the last cents */
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM budgets WHERE reserved_usd_micro "
				   "<> 0 OR (scope <> 'day' AND spent_usd_micro > 1000000)"),
		0);
	static const char *const sums[] = {"repo", "issue", "run"};
	for (size_t i = 0; i < ARRAY_LEN(sums); i++)
		assert_int_equal(budget(sums[i], "spent_usd_micro"), day);
	assert_int_equal(with_db_number(db, "SELECT SUM(cost_usd_micro) FROM llm_calls"), day);
	assert_int_equal(with_db_number(db, "SELECT SUM(cost_usd_micro) FROM runs"), day);
	assert_int_equal(
		with_db_number(db, "SELECT variable_value FROM information_schema.global_status "
				   "WHERE variable_name = 'INNODB_DEADLOCKS'"),
		deadlocks);
}

static int setup(void **state)
{
	(void)state;
	models = json_load_file("etc/models.json", 0, NULL);
	db = with_db_open(&base_set);
	return models ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(models);
	db_close(db);
	settings_free(base_set);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(
			a_call_reserves_its_worst_case_in_every_scope_and_the_answer_settles_it),
		cmocka_unit_test(an_answer_and_its_cost_are_stored_together_or_not_at_all),
		cmocka_unit_test(a_call_that_was_not_billed_gives_all_back),
		cmocka_unit_test(a_cut_stream_costs_its_own_input_and_all_of_max_tokens),
		cmocka_unit_test(a_call_left_open_is_settled_in_full_by_the_next_one),
		cmocka_unit_test(the_parent_settles_what_ended_runs_left_open_and_nothing_else),
		cmocka_unit_test(nothing_is_reserved_for_a_run_that_is_not_ours),
		cmocka_unit_test(the_answers_limit_shrinks_to_what_the_cap_leaves),
		cmocka_unit_test(each_cap_refuses_with_its_figures_and_its_setting),
		cmocka_unit_test(a_day_cap_counts_other_runs_and_a_run_cap_does_not),
		cmocka_unit_test(a_cap_of_zero_is_none_and_a_repository_may_have_its_own),
		cmocka_unit_test(a_model_without_a_price_is_counted_in_tokens),
		cmocka_unit_test(room_that_only_calls_under_way_take_is_waited_for),
		cmocka_unit_test(no_usage_within_bytes_and_max_tokens_costs_more_than_was_reserved),
		cmocka_unit_test(what_a_cap_leaves_is_never_overspent_by_a_greedy_model),
		cmocka_unit_test(eight_workers_at_once_do_not_overspend_and_do_not_deadlock),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
