/*
 * What a run may use up: turns and time, with a notice before each limit, and a last one; the same
 * for money, whose limit worker/budget.c keeps. Pure functions over figures; who reads and stores
 * the figures is the caller's affair.
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
	int64_t max_ms, notice_ms;
};

/** Of the whole run: heal rounds and earlier attempts included. */
struct spent {
	int64_t turns;
	int64_t usd_micro;
	int64_t ms; /* since this attempt began */
};

struct limits limits_from(const struct settings *set);

/** Asked before each call. @return ERR_LIMIT with the figure, e.g. "the run's limit of 120 turns is
 * reached (AIRUNNER_MAX_TURNS)" */
err_t limits_check(const struct limits *limits, const struct spent *spent, int64_t elapsed_ms);

/** At this part of a limit the model is told a last time. */
#define LAST_NOTICE_PERCENT 90

/**
 * Which notices the last turn brought, as members for templates/prompts/nudge.md: turns {used,
 * max}, money {spent, max}, time {used, max}; ending when the soft line was crossed, last when the
 * limit itself is near.
 * @return false when there is none
 */
bool limits_notice(const struct limits *limits, const struct spent *before,
	const struct spent *after, json_t *data);

/** Did spending pass the line of the notice (0: there is none)? In micro-dollars. */
bool limits_money_notice(const struct limits *limits, int64_t before, int64_t after);

#endif
