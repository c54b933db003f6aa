/*
 * What a run may use up: turns and time, and when it is told that it nears an end, of its money too
 * (which worker/budget.c keeps the limit of). Pure functions over figures; who reads and stores the
 * figures is the caller's affair.
 */
#ifndef AIRUNNER_LIMITS_H
#define AIRUNNER_LIMITS_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/settings.h"

struct limits {
	int64_t max_turns, notice_turns;
	int64_t max_usd_micro, notice_usd_micro;
	int64_t max_ms;
};

/** Of the whole run: heal rounds and earlier attempts included. */
struct spent {
	int64_t turns;
	int64_t usd_micro;
};

struct limits limits_from(const struct settings *set);

/** Asked before each call. @return ERR_LIMIT with the figure, e.g. "the run's limit of 120 turns is
 * reached (AIRUNNER_MAX_TURNS)" */
err_t limits_check(const struct limits *limits, const struct spent *spent, int64_t elapsed_ms);

/**
 * Which notices the last turn brought, as members for templates/prompts/nudge.md:
 * turns {used, max}, money {spent, max}.
 * @return false when there is none
 */
bool limits_notice(const struct limits *limits, const struct spent *before,
	const struct spent *after, json_t *data);

/** Did spending pass the line of the notice (0: there is none)? In micro-dollars. */
bool limits_money_notice(const struct limits *limits, int64_t before, int64_t after);

/*
 * Calls that bring nothing new: the same tool with the same input and the same result, counted as
 * long as the work tree stays as it is.
 */
#define REPEATS_KEPT 64
#define REPEATS_HINT 3
#define REPEATS_END 6

struct repeats {
	struct {
		unsigned char digest[32];
		int count;
	} seen[REPEATS_KEPT];
	int next;
};

/** @return how often this very call has had this very result */
int repeats_note(struct repeats *repeats, const char *tool, const char *input, const char *result);
void repeats_reset(struct repeats *repeats);

#endif
