/* The table of troubles and the ladder. Called by the agent loop. */
#include "worker/agent/discipline.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"

static bool is_ping_pong(const struct watch *w, int times);
static bool is_repeat(const struct watch *w, int times);
static bool is_errors(const struct watch *w, int times);
static bool is_monologue(const struct watch *w, int times);

/* All thresholds; the first that fits counts. */
static const struct {
	const char *name;
	bool (*fits)(const struct watch *watch, int times);
	int times;       /* calls or answers */
	enum rung first; /* the lowest rung that can help */
	const char *words;
} troubles[TROUBLE__MAX] = {
	[TROUBLE_PING_PONG] = {"ping_pong", is_ping_pong, 5, RUNG_HINT,
		"makes the same two calls in turn, with the same results"},
	[TROUBLE_REPEAT] = {"repeat", is_repeat, 3, RUNG_HINT,
		"repeats the same call with the same result"},
	[TROUBLE_ERRORS] = {"errors", is_errors, 3, RUNG_HINT,
		"runs into the same error again and again"},
	/* it was told after each of them already */
	[TROUBLE_MONOLOGUE] = {"monologue", is_monologue, 3, RUNG_EFFORT,
		"answers without calling a tool"},
};

static const char *const rungs[RUNG__MAX] = {[RUNG_NONE] = "none",
	[RUNG_HINT] = "hint",
	[RUNG_EFFORT] = "effort",
	[RUNG_RESTART] = "restart",
	[RUNG_PERSON] = "person"};

static const struct watched_call *newest(const struct watch *w, size_t back)
{
	return &w->calls[w->count - 1 - back];
}

static bool is_same(const struct watched_call *a, const struct watched_call *b)
{
	return strcmp(a->act, b->act) == 0;
}

static bool is_ping_pong(const struct watch *w, int times)
{
	size_t n = (size_t)times;
	if (w->count < n || is_same(newest(w, 0), newest(w, 1)))
		return false;
	for (size_t i = 2; i < n; i++)
		if (!is_same(newest(w, i), newest(w, i % 2)))
			return false;
	return true;
}

static bool is_repeat(const struct watch *w, int times)
{
	int seen = 0;
	for (size_t i = 0; i < w->count; i++)
		seen += is_same(newest(w, i), newest(w, 0));
	return seen >= times;
}

static bool is_errors(const struct watch *w, int times)
{
	if (w->count < (size_t)times || !*newest(w, 0)->error)
		return false;
	for (int i = 1; i < times; i++)
		if (strcmp(newest(w, (size_t)i)->error, newest(w, 0)->error) != 0)
			return false;
	return true;
}

static bool is_monologue(const struct watch *w, int times)
{
	return w->silent >= times;
}

/* Of a text without its numbers. */
static void digest(const char *head, const char *text, const char *tail, char *ret_hex)
{
	AUTO(buf_release) struct buf b = BUF(64u << 20);
	char hex[SHA256_HEX_LEN + 1];
	buf_addf(&b, "%s\n", head);
	for (const char *p = text; *p; p++)
		if (!isdigit((unsigned char)*p))
			buf_addc(&b, *p);
		else if (p == text || !isdigit((unsigned char)p[-1]))
			buf_addc(&b, '#');
	buf_addf(&b, "\n%s", tail);
	crypto_sha256_hex(b.data, b.len, hex);
	snprintf(ret_hex, WATCH_DIGEST + 1, "%.*s", WATCH_DIGEST, hex);
}

static struct watched_call *add(struct watch *w)
{
	if (w->count == WATCH_KEPT)
		memmove(w->calls, w->calls + 1, --w->count * sizeof *w->calls);
	struct watched_call *call = &w->calls[w->count++];
	*call = (struct watched_call){0};
	return call;
}

void watch_call(struct watch *watch, const struct watch_event *e)
{
	struct watched_call *call = add(watch);
	autofree char *head = xasprintf("%s\n%s", e->tool, e->input);
	digest(head, e->result, e->after, call->act);
	if (e->is_error)
		digest(e->tool, e->result, "", call->error);
	snprintf(call->before, sizeof call->before, "%s", e->before);
	watch->silent = 0;
}

void watch_silence(struct watch *watch)
{
	watch->silent++;
}

/* The tree before the first of the calls that show the trouble. */
static void note_good(struct watch *w)
{
	if (*w->good || w->count == 0)
		return;
	size_t first = w->count - 1;
	for (size_t i = 0; i < w->count; i++)
		if (is_same(newest(w, i), newest(w, 0)) ||
			(*newest(w, 0)->error &&
				strcmp(newest(w, i)->error, newest(w, 0)->error) == 0))
			first = w->count - 1 - i;
	memcpy(w->good, w->calls[first].before, sizeof w->good);
}

void watch_forget(struct watch *watch)
{
	watch->count = 0;
	watch->silent = 0;
	watch->calm = 0;
}

enum trouble watch_turn(struct watch *watch, enum rung *ret_rung)
{
	if (++watch->calm >= CALM_TURNS && watch->rung == RUNG_HINT) {
		watch->rung = RUNG_NONE;
		*watch->good = '\0';
	}
	for (int i = TROUBLE_NONE + 1; i < TROUBLE__MAX; i++) {
		if (!troubles[i].fits(watch, troubles[i].times))
			continue;
		note_good(watch);
		if (watch->rung < RUNG_PERSON)
			watch->rung++;
		if (watch->rung < troubles[i].first)
			watch->rung = troubles[i].first;
		watch_forget(watch);
		*ret_rung = watch->rung;
		return (enum trouble)i;
	}
	return TROUBLE_NONE;
}

const char *trouble_words(enum trouble trouble)
{
	return troubles[trouble].words;
}

const char *trouble_name(enum trouble trouble)
{
	return troubles[trouble].name;
}

const char *rung_name(enum rung rung)
{
	return rungs[rung];
}

/* ---- stored ---- */

json_t *watch_json(const struct watch *w)
{
	json_t *calls = json_array();
	for (size_t i = 0; i < w->count; i++)
		json_array_append_new(calls, json_pack("[s,s,s]", w->calls[i].act,
						     w->calls[i].error, w->calls[i].before));
	return json_pack("{s:o,s:i,s:s,s:i,s:s}", "calls", calls, "silent", w->silent, "rung",
		rungs[w->rung], "calm", w->calm, "good", w->good);
}

static void copy(char *out, size_t size, const json_t *text)
{
	const char *s = json_string_value(text);
	snprintf(out, size, "%s", s ? s : "");
}

void watch_read(const json_t *json, struct watch *ret_watch)
{
	*ret_watch = (struct watch){0};
	size_t i;
	json_t *row;
	json_array_foreach (json_object_get(json, "calls"), i, row) {
		struct watched_call *call = add(ret_watch);
		copy(call->act, sizeof call->act, json_array_get(row, 0));
		copy(call->error, sizeof call->error, json_array_get(row, 1));
		copy(call->before, sizeof call->before, json_array_get(row, 2));
	}
	const char *rung = json_string_value(json_object_get(json, "rung"));
	for (int r = 0; rung && r < RUNG__MAX; r++)
		if (strcmp(rung, rungs[r]) == 0)
			ret_watch->rung = (enum rung)r;
	ret_watch->silent = (int)json_integer_value(json_object_get(json, "silent"));
	ret_watch->calm = (int)json_integer_value(json_object_get(json, "calm"));
	copy(ret_watch->good, sizeof ret_watch->good, json_object_get(json, "good"));
}

/* ---- commands that verify ---- */

static const char *const check_words[] = {"test", "tests", "check", "lint", "tsc", "eslint",
	"typecheck", "jest", "vitest", "mocha", "ava", "tap", "cypress", "playwright", "pytest",
	"unittest", "tox", "mypy", "ruff", "flake8", "py_compile", "phpunit", "rspec", "rake",
	"ctest", "build", "compile", "make", "cargo", "go", "mvn", "gradle", "gradlew", "dotnet",
	"node", "ts-node", "tsx", "deno", "bun", "python", "python3", "ruby", "php", "perl"};

static bool is_word_char(char c)
{
	return isalnum((unsigned char)c) || c == '_' || c == '-';
}

bool command_checks(const char *command)
{
	for (const char *p = command; *p;) {
		size_t n = 0;
		while (is_word_char(p[n]))
			n++;
		bool is_option = n > 0 && *p == '-';
		for (size_t i = 0; !is_option && i < ARRAY_LEN(check_words); i++)
			if (strlen(check_words[i]) == n && memcmp(check_words[i], p, n) == 0)
				return true;
		p += n ? n : 1;
	}
	return false;
}
