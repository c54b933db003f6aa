/*
 * The prompt cache as Anthropic describes it (facts/llm.md A7). A request is a row of blocks:
 * tools, system, messages; a block's hash covers model and everything before it, without the
 * cache marks themselves. One token is four bytes of the blocks' compact JSON.
 */
#ifndef STANDIN_CACHE_H
#define STANDIN_CACHE_H

#include <jansson.h>
#include <stdint.h>

#include "tests/standin/models.h"

struct cache_usage {
	int64_t total; /* whole prompt */
	int64_t input; /* neither read from nor written to the cache */
	int64_t read;
	int64_t written_5m;
	int64_t written_1h;
};

/** NULL when the marks are lawful, else the 400's words (valid until the next call). */
const char *cache_problem(const json_t *request);

/**
 * Reads and writes the cache for one request.
 * @param begun_ms     its start: lifetimes count from there
 * @param readable_ms  when its answer begins: entries it writes can be read from then on
 */
void cache_use(const json_t *request, const struct model *model, int64_t begun_ms,
	int64_t readable_ms, struct cache_usage *ret_usage);

/** Prompt tokens without touching the cache. */
int64_t cache_count(const json_t *request, const struct model *model);
void cache_clear(void);

#endif
