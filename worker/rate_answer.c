/*
 * Which pause an answer asks for. Called by worker/rate.c.
 * Sources: docs.github.com rest/using-the-rest-api/rate-limits-for-the-rest-api (403 or 429,
 * retry-after, x-ratelimit-reset in epoch seconds, else a minute); platform.claude.com
 * api/rate-limits (reset in RFC 3339); OpenAI guides/rate-limits (reset as "6m0s");
 * developer.atlassian.com cloud/jira/platform/rate-limiting (reset in ISO 8601). 2026-11-22.
 */
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/rate.h"

#define SECONDARY_MS 60000
#define EPOCH_LEAST 1000000000 /* a smaller number of seconds is a duration */

static const struct {
	const char *remaining, *reset;
} limits[] = {
	{"anthropic-ratelimit-requests-remaining", "anthropic-ratelimit-requests-reset"},
	{"anthropic-ratelimit-input-tokens-remaining", "anthropic-ratelimit-input-tokens-reset"},
	{"anthropic-ratelimit-output-tokens-remaining", "anthropic-ratelimit-output-tokens-reset"},
	{"anthropic-ratelimit-tokens-remaining", "anthropic-ratelimit-tokens-reset"},
	{"x-ratelimit-remaining-requests", "x-ratelimit-reset-requests"},
	{"x-ratelimit-remaining-tokens", "x-ratelimit-reset-tokens"},
	{"x-ratelimit-remaining", "x-ratelimit-reset"},
};

static int64_t until_ms(int64_t epoch_s)
{
	int64_t ahead_s = epoch_s - (int64_t)time(NULL);
	return ahead_s > 0 ? ahead_s * 1000 : 0;
}

/* "2026-12-01T00:00:00Z", "2026-12-01 at 00:00": what is between is not looked at; UTC. */
static bool read_date(const char *s, int64_t *ret_epoch_s)
{
	struct tm tm = {0};
	char between[8];
	int n = sscanf(s, "%4d-%2d-%2d%7[T at,]%2d:%2d:%2d", &tm.tm_year, &tm.tm_mon, &tm.tm_mday,
		between, &tm.tm_hour, &tm.tm_min, &tm.tm_sec);
	if (n < 6 || tm.tm_year < 2000 || tm.tm_mon < 1 || tm.tm_mon > 12)
		return false;
	tm.tm_year -= 1900;
	tm.tm_mon--;
	*ret_epoch_s = timegm(&tm);
	return true;
}

/* A duration as Go writes it: "1h2m3s", "1.5s", "20ms". @return -1 when it is none */
static int64_t read_duration_ms(const char *s)
{
	static const struct {
		const char *unit;
		double ms;
	} units[] = {{"ms", 1}, {"h", 3600000}, {"m", 60000}, {"s", 1000}};
	double total = 0;
	while (*s) {
		char *end;
		double n = strtod(s, &end);
		size_t u = 0;
		while (u < ARRAY_LEN(units) && !text_starts(end, units[u].unit))
			u++;
		if (end == s || n < 0 || n > 1e9 || u == ARRAY_LEN(units))
			return -1;
		total += n * units[u].ms;
		s = end + strlen(units[u].unit);
	}
	return (int64_t)total;
}

static int64_t read_reset_ms(const char *value)
{
	int64_t epoch_s;
	long long number;
	if (read_date(value, &epoch_s))
		return until_ms(epoch_s);
	if (text_to_i64(value, &number))
		return number >= EPOCH_LEAST ? until_ms(number) : number > 0 ? number * 1000 : 0;
	int64_t ms = read_duration_ms(value);
	return ms > 0 ? ms : 0;
}

/* http_response_header() lends its value until the next call: this one is the caller's. */
static char *header(const struct http_response *response, const char *name)
{
	const char *value = http_response_header(response, name);
	return value ? xstrdup(value) : NULL;
}

static int64_t limit_ms(const struct http_response *response, const char **ret_why)
{
	int64_t longest = 0;
	for (size_t i = 0; i < ARRAY_LEN(limits); i++) {
		autofree char *remaining = header(response, limits[i].remaining);
		autofree char *reset = header(response, limits[i].reset);
		if (!remaining || !reset || strcmp(remaining, "0") != 0)
			continue;
		int64_t ms = read_reset_ms(reset);
		if (ms <= longest)
			continue;
		longest = ms;
		*ret_why = limits[i].remaining;
	}
	return longest;
}

static bool refuses(long status)
{
	return status == 403 || status == 429 || status == 503 || status == 529;
}

int64_t rate_answer_pause_ms(const struct http_response *response, const char **ret_why)
{
	*ret_why = "";
	int64_t wish = refuses(response->status) ? http_wished_wait_ms(response) : -1;
	if (wish > 0) {
		*ret_why = "retry-after";
		return wish;
	}
	int64_t limit = limit_ms(response, ret_why);
	if (limit > 0)
		return limit;
	const char *body = response->body.data ? response->body.data : "";
	if ((response->status != 403 && response->status != 429) ||
		!strstr(body, "secondary rate limit"))
		return 0;
	*ret_why = "secondary rate limit";
	return SECONDARY_MS;
}

int64_t rate_words_pause_ms(const char *words)
{
	int64_t epoch_s;
	for (const char *p = strstr(words, "20"); p; p = strstr(p + 1, "20"))
		if (read_date(p, &epoch_s))
			return until_ms(epoch_s);
	return 0;
}
