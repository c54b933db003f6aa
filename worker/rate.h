/*
 * Calls a minute to each outside service, shared by all workers on all machines through the
 * database (AIRUNNER_RATE_…, table rate_buckets), and the pauses that services ask for.
 * worker/http.c takes before each try and notes each answer; nobody else needs to, but who opens
 * the database says so (rate_use). A service whose rate is 0 costs no round trip.
 */
#ifndef AIRUNNER_RATE_H
#define AIRUNNER_RATE_H

#include "lib/db.h"
#include "worker/http.h"

/** From now on this process takes through db; NULL: every call goes at once. Borrowed, not inside a
 * transaction while a call is made. */
void rate_use(struct db *db);

/**
 * Longest wait before a call, for what may not take long (a row of the outbox that is being sent).
 * @param ms  0: the usual two minutes
 */
void rate_set_patience(int64_t ms);

/**
 * Takes one call of the service and waits for its turn, asking alive meanwhile.
 * @param service  of struct http_request
 * @return ERR_RATE when the wait is longer than the patience (rate_parked_s() tells how long;
 * nothing was taken), what alive returned, ERR_DB_AWAY: a call whose result cannot be kept is not
 * made
 */
err_t rate_take(const struct settings *set, const char *service, http_alive_fn alive, void *arg);

/** An answer came: a pause that it asks for (retry-after, an empty limit) holds for all workers. */
void rate_note(
	const struct settings *set, const char *service, const struct http_response *response);

/** The provider's spending limit is reached: it is paused until the time in its words, or for a
 * quarter of an hour. */
void rate_note_spent(const struct settings *set, const char *service, const char *words);

/** How long a run waits that ended by ERR_RATE or ERR_SPENT: until the longest pause met is over; 0
 * when none was. */
int64_t rate_parked_s(void);

/* ---- what answers say (worker/rate_answer.c) ---- */

/** The pause that an answer asks for in ms, 0 when none. ret_why: the header that says so. */
int64_t rate_answer_pause_ms(const struct http_response *response, const char **ret_why);

/** "2026-12-01 at 00:00" or "2026-12-01T00:00:00Z" somewhere in words: ms from now, 0 when none. */
int64_t rate_words_pause_ms(const char *words);

#endif
