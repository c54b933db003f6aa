/*
 * What is known about a model: etc/models.json (or AIRUNNER_MODELS_PATH). A model that is not in
 * the file gets the profile of the family whose name it begins with, else its provider's default,
 * and has no price: its cost is unknown, never zero.
 */
#ifndef AIRUNNER_PROFILE_H
#define AIRUNNER_PROFILE_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/settings.h"

/** What a conversation is for: how much is thought. */
enum llm_purpose { LLM_EXECUTE, LLM_PLAN, LLM_PURPOSE__MAX };

/** How a model is asked to change files: worker/agent/tools.c. */
enum edit_format { EDIT_STR_REPLACE, EDIT_PATCH, EDIT__MAX };

enum thinking_mode { THINKING_NONE, THINKING_ADAPTIVE, THINKING_ENABLED, THINKING__MAX };

/** Tokens of one call. The whole prompt is fresh + written + read. */
struct llm_usage {
	int64_t fresh;
	int64_t written_5m, written_1h;
	int64_t read;
	int64_t output; /* includes thinking */
	int64_t thinking;
	bool is_known; /* false: the provider did not say; nothing can be said of the cost */
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
	char api[16]; /* "messages", "responses", "chat"; "": the provider's usual one */
	char base_url[256], path[128], auth[16];
	char key[32];        /* the provider whose key it takes */
	char max_tokens[32]; /* name of the member that limits the output (chat) */
	enum thinking_mode thinking;
	char effort[16];      /* "" : not sent */
	char more_effort[16]; /* for a model that does not get on; "": there is none */
	int64_t thinking_budget[LLM_PURPOSE__MAX];
	int64_t max_output;       /* most the model takes for max_tokens */
	int64_t context;          /* tokens */
	int64_t min_cache_tokens; /* shorter prefixes are not cached */
	int64_t cache_ttl_s;      /* how long the cache keeps what was read or written */
	bool forced_tool_choice;  /* it can be made to call a tool */
	enum edit_format edit_format;
	struct price *prices; /* owned */
	size_t price_count;
};

/**
 * Finds a model; a name with a date at its end (-20251101) also matches the entry without it.
 * @param provider  whose a model of unknown name is: that of the setting that names it
 * @return ERR_CONFIG naming file, model and member
 */
err_t profile_load(const struct settings *set, const char *model, struct profile *ret_profile);
err_t profile_read(const json_t *models, const char *file, const char *model, const char *provider,
	struct profile *ret_profile);
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
