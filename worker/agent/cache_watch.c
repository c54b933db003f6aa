/* Judging what came from the cache. Called by ask.c. */
#include "worker/agent/cache_watch.h"

static const struct {
	const char *name, *words;
} causes[CACHE_CAUSE__MAX] = {
	[CACHE_FINE] = {"fine", ""},
	[CACHE_BELOW_MINIMUM] = {"below_minimum",
		"the prompt is shorter than what the model caches"},
	[CACHE_GAP] = {"gap", "more time lay between two requests than the cache lives"},
	[CACHE_MANY_BLOCKS] = {"many_blocks",
		"more was added at once than the provider looks back for what it has"},
	[CACHE_LOST] = {"lost", "the provider lost it"},
};

static enum cache_cause judge(
	const struct cache_watch *before, const struct profile *profile, int64_t gap_ms, int blocks)
{
	if (before->prompt < profile->min_cache_tokens)
		return CACHE_BELOW_MINIMUM;
	if (gap_ms >= profile->cache_ttl_s * 1000)
		return CACHE_GAP;
	return blocks > CACHE_LOOK_BACK ? CACHE_MANY_BLOCKS : CACHE_LOST;
}

enum cache_cause cache_watch_note(struct cache_watch *watch, const struct profile *profile,
	const struct llm_usage *u, int64_t asked_ms, int blocks, int *ret_percent)
{
	const struct cache_watch before = *watch;
	watch->prompt = u->fresh + u->written_5m + u->written_1h + u->read;
	watch->asked_ms = asked_ms;
	*ret_percent = 100;
	if (before.prompt == 0)
		return CACHE_FINE;
	*ret_percent = (int)(100 * u->read / before.prompt);
	if (*ret_percent >= CACHE_SHARE_PERCENT)
		return CACHE_FINE;
	return judge(&before, profile, asked_ms - before.asked_ms, blocks);
}

const char *cache_cause_words(enum cache_cause cause)
{
	return causes[cause].words;
}

const char *cache_cause_name(enum cache_cause cause)
{
	return causes[cause].name;
}
