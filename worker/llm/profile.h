/*
 * What is known about a model: etc/models.json (or AIRUNNER_MODELS_PATH). A model that is not in
 * the file gets the file's default profile and has no price: its cost is unknown, never zero.
 */
#ifndef AIRUNNER_PROFILE_H
#define AIRUNNER_PROFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/settings.h"

enum thinking_mode { THINKING_NONE, THINKING_ADAPTIVE, THINKING_ENABLED, THINKING__MAX };

/** Tokens of one call. The whole prompt is fresh + written + read. */
struct llm_usage {
	int64_t fresh;
	int64_t written_5m, written_1h;
	int64_t read;
	int64_t output; /* includes thinking */
	int64_t thinking;
};

/** Prices in micro-dollars per million tokens. */
struct price {
	char effective_from[11]; /* YYYY-MM-DD, UTC */
	int64_t up_to_tokens;    /* prompt size, INT64_MAX: any */
	int64_t input, output, cache_write_5m, cache_write_1h, cache_read;
};

struct profile {
	char model[64];
	char provider[32];
	enum thinking_mode thinking;
	char effort[16]; /* "" : not sent */
	int64_t thinking_budget;
	int64_t max_output;       /* most the model takes for max_tokens */
	int64_t context;          /* tokens */
	int64_t min_cache_tokens; /* shorter prefixes are not cached */
	bool preserved_thinking, forced_tool_choice;
	char edit_format[16];
	bool is_listed;
	struct price *prices; /* owned */
	size_t price_count;
};

/**
 * Finds a model; a name with a date at its end (-20251101) also matches the entry without it.
 * @return ERR_CONFIG naming file, model and member
 */
err_t profile_load(const struct settings *set, const char *model, struct profile *ret_profile);
err_t profile_read(
	const json_t *models, const char *file, const char *model, struct profile *ret_profile);
void profile_release(struct profile *profile);

/**
 * Cost of one call in micro-dollars, rounded to the nearest one, by the price of that day and
 * prompt size.
 * @param day  YYYY-MM-DD
 * @return false when the model has no price for it
 */
bool profile_cost(const struct profile *profile, const struct llm_usage *usage, const char *day,
	int64_t *ret_usd_micro);

/**
 * The most that a call may cost, of every tier that its prompt may fall into: a token per byte,
 * what is kept longest at the dearest of its prices, the rest at the dearest of the others.
 * @param kept, rest       bytes of the request: those before the marks that last an hour, the
 * others
 * @param ret_input        micro-dollars, rounded up
 * @param ret_output_price  micro-dollars per million tokens
 * @return false when the model has no price that day
 */
bool profile_worst(const struct profile *profile, int64_t kept, int64_t rest, const char *day,
	int64_t *ret_input, int64_t *ret_output_price);

/** The day that prices are looked up by: YYYY-MM-DD, UTC. */
void profile_today(char ret_day[11]);

#endif
