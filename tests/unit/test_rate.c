/* worker/rate: one bucket for all, pauses for all, waits that can be ended; what answers ask for.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/canned.h"
#include "tests/unit/with_db.h"
#include "worker/rate.h"
#include "worker/run.h"

#define PER_MINUTE 240 /* one in 250 ms */
#define RACE_MS 1500

static struct settings *set;
static struct db *db;

static const char *const overrides[] = {
	"AIRUNNER_RATE_CLAUDE=240", "AIRUNNER_RATE_JIRA=0", "AIRUNNER_DB_TIMEOUT_S=20", NULL};

/* All buckets with so many calls left. */
static void buckets(int left)
{
	autofree char *sql =
		xasprintf("UPDATE rate_buckets SET full_at = NOW(6) + INTERVAL %d MICROSECOND, "
			  "paused_until = '2000-01-01', reason = ''",
			(PER_MINUTE - left) * (60000000 / PER_MINUTE));
	with_db_sql(db, sql);
}

static int full(void **state)
{
	(void)state;
	buckets(PER_MINUTE);
	rate_use(db);
	rate_set_patience(0);
	return 0;
}

static err_t take_one(void)
{
	return rate_take(set, "anthropic", NULL, NULL);
}

static void a_full_bucket_gives_at_once_an_empty_one_in_its_time(void **state)
{
	(void)state;
	int64_t began_ms = monotonic_ms();
	assert_null(take_one());
	assert_true(monotonic_ms() - began_ms < 200);
	buckets(0);
	began_ms = monotonic_ms();
	assert_null(take_one());
	assert_null(take_one());
	int64_t ms = monotonic_ms() - began_ms;
	assert_true(ms >= 480 && ms < 900);
}

static void what_has_no_rate_costs_no_round_trip(void **state)
{
	(void)state;
	static const char questions[] =
		"SELECT VARIABLE_VALUE FROM information_schema.SESSION_STATUS "
		"WHERE VARIABLE_NAME = 'QUESTIONS'";
	long long before = with_db_number(db, questions);
	assert_null(rate_take(set, "jira", NULL, NULL));
	assert_null(rate_take(set, "git", NULL, NULL));
	rate_use(NULL);
	assert_null(take_one());
	assert_int_equal(with_db_number(db, questions), before + 1);
}

/* How many calls a process may make until RACE_MS are over. */
static int race(void)
{
	struct db *own = NULL;
	int calls = 0;
	if (db_open(set, &own))
		exit(255);
	rate_use(own);
	rate_set_patience(500);
	int64_t until_ms = monotonic_ms() + RACE_MS;
	while (monotonic_ms() < until_ms)
		calls += !take_one();
	db_close(own);
	return calls;
}

static void two_processes_take_no_more_than_what_is_left_and_the_rate(void **state)
{
	(void)state;
	buckets(40);
	int pipes[2], calls = 0;
	assert_int_equal(pipe(pipes), 0);
	int64_t began_ms = monotonic_ms();
	for (int i = 0; i < 2; i++) {
		if (fork() != 0)
			continue;
		int mine = race();
		_exit(write(pipes[1], &mine, sizeof mine) == sizeof mine ? 0 : 1);
	}
	for (int i = 0, mine; i < 2; i++) {
		assert_int_equal(read(pipes[0], &mine, sizeof mine), sizeof mine);
		assert_true(mine > 0);
		calls += mine;
	}
	int64_t ms = monotonic_ms() - began_ms;
	while (wait(NULL) > 0)
		;
	close(pipes[0]);
	close(pipes[1]);
	printf("# %d calls of two processes in %lld ms\n", calls, (long long)ms);
	assert_true(calls >= 40 + RACE_MS / 250 - 1);
	assert_true(calls <= 40 + ms / 250 + 1);
}

static struct http_response answer(long status, const char *headers, const char *body)
{
	struct http_response r = {.status = status, .headers = BUF(4096), .body = BUF(4096)};
	buf_adds(&r.headers, headers);
	buf_adds(&r.body, body);
	return r;
}

static void a_pause_that_one_is_told_holds_for_all(void **state)
{
	(void)state;
	AUTO(http_response_release)
	struct http_response r = answer(429, "retry-after: 1\n", "");
	struct db *other = NULL;
	assert_null(db_open(set, &other));
	rate_use(other);
	rate_note(set, "anthropic", &r);
	rate_use(db);
	int64_t began_ms = monotonic_ms();
	assert_null(take_one());
	assert_true(monotonic_ms() - began_ms >= 900);
	began_ms = monotonic_ms();
	assert_null(rate_take(set, "openai", NULL, NULL));
	assert_true(monotonic_ms() - began_ms < 300);
	db_close(other);
}

static void the_longer_of_two_pauses_holds(void **state)
{
	(void)state;
	AUTO(http_response_release)
	struct http_response longer = answer(429, "retry-after: 60\n", ""),
			     shorter AUTO(http_response_release) =
				     answer(429, "retry-after: 1\n", "");
	rate_note(set, "anthropic", &longer);
	rate_note(set, "anthropic", &shorter);
	assert_true(with_db_number(db, "SELECT TIMESTAMPDIFF(SECOND, NOW(3), paused_until) FROM "
				       "rate_buckets WHERE service = 'anthropic'") > 50);
}

static err_t cancelled(void *arg)
{
	return ++*(int *)arg > 1 ? err_new(ERR_CANCELLED, "cancelled") : NULL;
}

static void who_is_cancelled_waits_no_more(void **state)
{
	(void)state;
	int asked = 0;
	buckets(-100);
	int64_t began_ms = monotonic_ms();
	assert_int_equal(err_code(rate_take(set, "anthropic", cancelled, &asked)), ERR_CANCELLED);
	assert_true(monotonic_ms() - began_ms < 600);
}

static void a_wait_beyond_patience_is_told_and_takes_nothing(void **state)
{
	(void)state;
	static const char left[] = "SELECT TIMESTAMPDIFF(MICROSECOND, '2000-01-01', full_at) FROM "
				   "rate_buckets WHERE service = 'anthropic'";
	buckets(-40); /* ten seconds */
	rate_set_patience(2000);
	long long before = with_db_number(db, left);
	assert_int_equal(err_code(take_one()), ERR_RATE);
	assert_true(rate_parked_s() >= 9 && rate_parked_s() <= 11);
	assert_int_equal(with_db_number(db, left), before);
}

static void a_spent_provider_is_paused_until_its_word_or_a_quarter_of_an_hour(void **state)
{
	(void)state;
	static const char pause[] = "SELECT TIMESTAMPDIFF(SECOND, NOW(3), paused_until) FROM "
				    "rate_buckets WHERE service = 'anthropic'";
	char words[200], day[32];
	rate_note_spent(set, "anthropic", "You exceeded your current quota");
	long long s = with_db_number(db, pause);
	assert_true(s > 890 && s <= 900);
	assert_int_equal(err_code(take_one()), ERR_RATE);
	time_t then = time(NULL) + 7200;
	struct tm tm;
	strftime(day, sizeof day, "%Y-%m-%d at %H:%M", gmtime_r(&then, &tm));
	snprintf(words, sizeof words, "You will regain access on %s UTC.", day);
	rate_note_spent(set, "anthropic", words);
	s = with_db_number(db, pause);
	assert_true(s > 7100 && s <= 7200);
	assert_true(rate_parked_s() > 7100);
}

static void a_call_inside_a_transaction_is_our_own_defect(void **state)
{
	(void)state;
	assert_null(db_begin(db));
	assert_int_equal(err_code(take_one()), ERR_INTERNAL);
	db_rollback(db);
}

static void every_http_call_takes_and_its_answer_is_noted(void **state)
{
	(void)state;
	static const struct canned_reply reply = {
		"HTTP/1.1 429 Slow\r\nretry-after: 50\r\ncontent-length: 0\r\n\r\n", 0, 0, 0};
	struct canned *server = canned_start(&reply, 1);
	const struct http_request req = {
		.service = "anthropic", .method = "GET", .url = canned_url(server)};
	AUTO(http_response_release) struct http_response res = {0};
	buckets(0);
	int64_t began_ms = monotonic_ms();
	assert_null(http_try(set, &req, &res));
	assert_true(monotonic_ms() - began_ms >= 240);
	assert_int_equal(canned_count(server), 1);
	AUTO(http_response_release) struct http_response none = {0};
	rate_set_patience(2000);
	assert_int_equal(err_code(http_try(set, &req, &none)), ERR_RATE);
	assert_int_equal(canned_count(server), 1);
	canned_stop(server);
}

static void a_take_is_one_short_round_trip(void **state)
{
	(void)state;
	enum { TAKES = 200 };
	int64_t began_ms = monotonic_ms();
	for (int i = 0; i < TAKES; i++)
		assert_null(take_one());
	double ms = (double)(monotonic_ms() - began_ms) / TAKES;
	printf("# %.2f ms a take\n", ms);
	assert_true(ms < 50);
}

/* ---- what answers ask for ---- */

static char *in_s(int ahead_s)
{
	char text[64];
	time_t then = time(NULL) + ahead_s;
	struct tm tm;
	strftime(text, sizeof text, "%Y-%m-%dT%H:%M:%SZ", gmtime_r(&then, &tm));
	return xstrdup(text);
}

static void assert_pause(long status, const char *headers, const char *body, int s)
{
	const char *why;
	AUTO(http_response_release) struct http_response r = answer(status, headers, body);
	int64_t ms = rate_answer_pause_ms(&r, &why);
	if (llabs((long long)ms - s * 1000LL) > 1500 || (s == 0) != (ms == 0))
		fail_msg("%ld %s: %lld ms, not %d s", status, headers, (long long)ms, s);
}

static void answers_ask_for_pauses_in_the_ways_of_each_service(void **state)
{
	(void)state;
	autofree char *rfc = in_s(30);
	autofree char *past = in_s(-90);
	time_t then = time(NULL) + 90;
	char text[512];
	assert_pause(429, "retry-after: 7\n", "", 7);
	assert_pause(503, "retry-after: 7\n", "", 7);
	assert_pause(200, "retry-after: 7\n", "", 0);
	snprintf(text, sizeof text,
		"anthropic-ratelimit-requests-remaining: 0\nanthropic-ratelimit-requests-reset: "
		"%s\n",
		rfc);
	assert_pause(200, text, "", 30);
	assert_pause(429, text, "", 30);
	snprintf(text, sizeof text,
		"anthropic-ratelimit-tokens-remaining: 1000\nanthropic-ratelimit-tokens-reset: "
		"%s\n",
		rfc);
	assert_pause(200, text, "", 0);
	snprintf(text, sizeof text,
		"anthropic-ratelimit-tokens-remaining: 0\nanthropic-ratelimit-tokens-reset: %s\n",
		past);
	assert_pause(200, text, "", 0);
	assert_pause(200,
		"x-ratelimit-remaining-requests: 0\nx-ratelimit-reset-requests: 1m30s\n"
		"x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 20ms\n",
		"", 90);
	assert_pause(
		200, "x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: 6.5s\n", "", 7);
	assert_pause(
		200, "x-ratelimit-remaining-tokens: 0\nx-ratelimit-reset-tokens: soon\n", "", 0);
	snprintf(text, sizeof text, "x-ratelimit-remaining: 0\nx-ratelimit-reset: %lld\n",
		(long long)then);
	assert_pause(403, text, "", 90);
	assert_pause(403, "", "You have exceeded a secondary rate limit.", 60);
	assert_pause(403, "", "Resource not accessible by integration", 0);
	assert_pause(500, "", "", 0);
}

static void times_in_words_are_found(void **state)
{
	(void)state;
	autofree char *rfc = in_s(7200);
	autofree char *words = xasprintf("at 20:00 on %.10s at %.5s UTC", rfc, rfc + 11);
	int64_t ms = rate_words_pause_ms(words);
	assert_true(ms > 7100000 && ms <= 7200000);
	assert_int_equal(rate_words_pause_ms("in 2019, 2020-01-01 at 00:00"), 0);
	assert_int_equal(rate_words_pause_ms("20 calls; 2026 or 2026-13-01T00:00"), 0);
	assert_int_equal(rate_words_pause_ms(""), 0);
}

int main(void)
{
	struct settings *plain;
	db_close(with_db_open(&plain)); /* migrated */
	settings_free(plain);
	set = with_db_settings(overrides);
	if (db_open(set, &db) || http_init())
		return 1;
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(a_full_bucket_gives_at_once_an_empty_one_in_its_time, full),
		cmocka_unit_test_setup(what_has_no_rate_costs_no_round_trip, full),
		cmocka_unit_test_setup(
			two_processes_take_no_more_than_what_is_left_and_the_rate, full),
		cmocka_unit_test_setup(a_pause_that_one_is_told_holds_for_all, full),
		cmocka_unit_test_setup(the_longer_of_two_pauses_holds, full),
		cmocka_unit_test_setup(who_is_cancelled_waits_no_more, full),
		cmocka_unit_test_setup(a_wait_beyond_patience_is_told_and_takes_nothing, full),
		cmocka_unit_test_setup(
			a_spent_provider_is_paused_until_its_word_or_a_quarter_of_an_hour, full),
		cmocka_unit_test_setup(a_call_inside_a_transaction_is_our_own_defect, full),
		cmocka_unit_test_setup(every_http_call_takes_and_its_answer_is_noted, full),
		cmocka_unit_test_setup(a_take_is_one_short_round_trip, full),
		cmocka_unit_test(answers_ask_for_pauses_in_the_ways_of_each_service),
		cmocka_unit_test(times_in_words_are_found),
	};
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_exit();
	db_close(db);
	settings_free(set);
	return failed;
}
