/*
 * What of each request should have come from the provider's cache, and why it did not. Of a
 * conversation's requests after the first, nearly everything that the one before held is read from
 * the cache; a share below CACHE_SHARE_PERCENT of that is worth an event. Pure functions over
 * figures.
 */
#ifndef AIRUNNER_CACHE_WATCH_H
#define AIRUNNER_CACHE_WATCH_H

#include <stdbool.h>
#include <stdint.h>

#include "worker/llm/profile.h"

#define CACHE_SHARE_PERCENT 95
#define CACHE_LOOK_BACK 20 /* blocks: how far a provider looks for what it has (llm.md A7) */

enum cache_cause {
	CACHE_FINE,
	CACHE_BELOW_MINIMUM, /* the prompt is too short to be cached */
	CACHE_GAP,           /* longer between two requests than the cache lives */
	CACHE_MANY_BLOCKS,   /* more added at once than the provider looks back */
	CACHE_LOST,          /* none of these: the provider lost it */
	CACHE_CAUSE__MAX
};

struct cache_watch {
	int64_t prompt;   /* tokens of the request before; 0: none in this conversation yet */
	int64_t asked_ms; /* when it was sent, any clock */
	unsigned told;    /* causes that had their event, a bit each */
};

/**
 * Notes a request and judges it.
 * @param blocks  content blocks added since the request before
 * @param ret_percent  read of what could have been read
 */
enum cache_cause cache_watch_note(struct cache_watch *watch, const struct profile *profile,
	const struct llm_usage *usage, int64_t asked_ms, int blocks, int *ret_percent);

const char *cache_cause_words(enum cache_cause cause);
const char *cache_cause_name(enum cache_cause cause); /* "gap" …, for events */

#endif
