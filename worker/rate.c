/* Token buckets and pauses of outside services. Called by worker/http.c, llm.c, the outbox. */
#include "worker/rate.h"

#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/run.h"

#define SPENT_MS 900000
#define PAUSE_MAX_MS (24 * 3600000LL) /* a strange header stops nobody for ever */
#define REASON_MAX 255

static const struct {
	const char *service;
	enum setting rate;
} rates[] = {
	{"jira", S_AIRUNNER_RATE_JIRA},
	{"github", S_AIRUNNER_RATE_GITHUB},
	{"anthropic", S_AIRUNNER_RATE_CLAUDE},
	{"openai", S_AIRUNNER_RATE_OPENAI},
};

static struct {
	struct db *db;
	int64_t patience_ms;
	int64_t parked_until_ms; /* CLOCK_MONOTONIC */
} rate;

struct place {
	bool taken;
	int64_t wait_ms;
	char reason[REASON_MAX + 1];
};

void rate_use(struct db *db)
{
	rate.db = db;
	rate.parked_until_ms = 0;
}

void rate_set_patience(int64_t ms)
{
	rate.patience_ms = ms;
}

/* Calls a minute; 0: none are counted. */
static int64_t rate_of(const struct settings *set, const char *service)
{
	for (size_t i = 0; rate.db && i < ARRAY_LEN(rates); i++)
		if (strcmp(rates[i].service, service) == 0)
			return settings_int(set, rates[i].rate);
	return 0;
}

static void park(int64_t ms)
{
	int64_t until_ms = monotonic_ms() + ms;
	if (until_ms > rate.parked_until_ms)
		rate.parked_until_ms = until_ms;
}

int64_t rate_parked_s(void)
{
	int64_t ms = rate.parked_until_ms - monotonic_ms();
	return ms > 0 ? (ms + 999) / 1000 : 0;
}

static err_t ask(const char *service, int64_t per_minute, int64_t most_ms, struct place *place)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(rate.db, Q_RATE_TAKE,
		DB_ARGS(db_str(service), db_i64(per_minute), db_i64(most_ms), db_i64(place->taken)),
		&rows));
	if (!db_rows_next(rows))
		return err_new(ERR_INTERNAL, "%s has no bucket", service);
	place->taken = db_rows_i64(rows, "taken");
	place->wait_ms = db_rows_i64(rows, "wait_ms");
	snprintf(place->reason, sizeof place->reason, "%s", db_rows_str(rows, "reason"));
	return NULL;
}

static err_t too_long(const char *service, const struct place *place)
{
	park(place->wait_ms);
	return err_new(ERR_RATE, "%s may not be called for %lld s%s%s", service,
		(long long)(place->wait_ms + 999) / 1000, *place->reason ? ": " : "",
		place->reason);
}

err_t rate_take(const struct settings *set, const char *service, http_alive_fn alive, void *arg)
{
	int64_t per_minute = rate_of(set, service);
	int64_t most_ms = rate.patience_ms ? rate.patience_ms : HTTP_MAX_WAIT_MS;
	struct place place = {0};
	if (per_minute <= 0)
		return NULL;
	if (db_in_transaction(rate.db))
		return err_new(ERR_INTERNAL, "a call of %s inside a transaction", service);
	for (;;) {
		ERR_TRY(ask(service, per_minute, most_ms, &place));
		if (place.taken && place.wait_ms == 0)
			return NULL;
		if (place.wait_ms > most_ms)
			return too_long(service, &place);
		log_debug("%s: waiting %lld ms for a call%s%s", service, (long long)place.wait_ms,
			*place.reason ? ": " : "", place.reason);
		ERR_TRY(http_wait(place.wait_ms, alive, arg));
	}
}

/* A pause that cannot be written holds for this process alone, by the retry policy. */
static void pause_all(
	const struct settings *set, const char *service, int64_t ms, const char *reason)
{
	if (ms > PAUSE_MAX_MS)
		ms = PAUSE_MAX_MS;
	log_info("%s is paused for %lld ms: %s", service, (long long)ms, reason);
	if (rate_of(set, service) <= 0)
		return;
	err_t e = db_exec(rate.db, Q_RATE_PAUSE,
		DB_ARGS(db_i64(ms * 1000), db_str(reason), db_i64(ms * 1000), db_str(service)),
		NULL);
	if (e)
		log_warning("%s", err_text(e));
}

void rate_note(
	const struct settings *set, const char *service, const struct http_response *response)
{
	const char *why;
	int64_t ms = rate_answer_pause_ms(response, &why);
	if (ms <= 0)
		return;
	char reason[REASON_MAX + 1];
	snprintf(reason, sizeof reason, "status %ld, %s", response->status, why);
	if (response->status / 100 != 2)
		park(ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS);
	pause_all(set, service, ms, reason);
}

void rate_note_spent(const struct settings *set, const char *service, const char *words)
{
	AUTO(buf_release) struct buf reason = BUF(REASON_MAX);
	int64_t ms = rate_words_pause_ms(words);
	if (ms <= 0)
		ms = SPENT_MS;
	park(ms < PAUSE_MAX_MS ? ms : PAUSE_MAX_MS);
	text_clean(&reason, words, strnlen(words, REASON_MAX - 3));
	pause_all(set, service, ms, reason.data);
}
