/* The prompt cache. Called by anthropic.c; keeps entries in memory only. */
#define _GNU_SOURCE
#include "tests/standin/cache.h"

#include <stdio.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/mem.h"
#include "tests/standin/canon.h"
#include "tests/standin/world.h"

#define MARKS_MAX 4
#define LOOK_BACK 20

struct block {
	char hash[SHA256_HEX_LEN + 1]; /* of everything up to and with this block */
	size_t bytes;                  /* likewise */
	json_t *json;
	int64_t ttl_ms; /* 0: no mark */
	char path[64];
};

struct blocks {
	struct block *v;
	size_t n;
	const char *model;
};

static json_t *entries; /* hash: {ttl_ms, expires_ms, readable_ms} */
static _Thread_local char problem[512];

static void blocks_release(struct blocks *b)
{
	for (size_t i = 0; i < b->n; i++)
		json_decref(b->v[i].json);
	free(b->v);
}

static int64_t ttl_of(const json_t *holder)
{
	const json_t *mark = json_object_get(holder, "cache_control");
	if (!json_is_object(mark))
		return 0;
	return strcmp(jstr(mark, "ttl", "5m"), "1h") == 0 ? 3600000 : 300000;
}

/* salt: what else of the request this part of the prefix depends on. */
static void add(struct blocks *b, const json_t *json, const char *path, const char *salt)
{
	b->v = xrealloc(b->v, (b->n + 1) * sizeof(*b->v));
	struct block *last = &b->v[b->n], *before = b->n ? last - 1 : NULL;
	autofree char *text = canon_block_text(json);
	autofree char *all = xasprintf("%s|%s|%s", before ? before->hash : b->model, salt, text);
	crypto_sha256_hex(all, strlen(all), last->hash);
	last->bytes = (before ? before->bytes : 0) + strlen(text);
	last->json = json_incref((json_t *)json);
	last->ttl_ms = ttl_of(json);
	snprintf(last->path, sizeof(last->path), "%s", path);
	b->n++;
}

/* What a change of loses the messages' part: tool_choice, thinking, effort, output format. */
static char *message_salt(const json_t *request, const struct model *model)
{
	const json_t *thinking = json_object_get(request, "thinking");
	const json_t *output = json_object_get(request, "output_config");
	const char *usual = model && (model->flags & MODEL_THINKS) ? "adaptive" : "disabled";
	const char *effort = jstr(output, "effort", model ? model->default_effort : NULL);
	autofree char *choice =
		json_dumps(json_object_get(request, "tool_choice"), JSON_COMPACT | JSON_SORT_KEYS);
	autofree char *format =
		json_dumps(json_object_get(output, "format"), JSON_COMPACT | JSON_SORT_KEYS);
	return xasprintf("%s|%s|%lld|%s|%s",
		choice && strcmp(choice, "{\"type\":\"auto\"}") ? choice : "",
		jstr(thinking, "type", usual), (long long)jint(thinking, "budget_tokens", 0),
		effort ? effort : "", format ? format : "");
}

static void add_messages(struct blocks *b, const json_t *request, const struct model *model)
{
	autofree char *salt = message_salt(request, model);
	size_t i, j;
	json_t *message, *block;
	json_array_foreach (json_object_get(request, "messages"), i, message) {
		json_t *content = canon_content(json_object_get(message, "content"));
		json_array_foreach (content, j, block) {
			char path[64];
			snprintf(path, sizeof(path), "messages.%zu.content.%zu", i, j);
			autofree char *here = xasprintf("%s|%s%s", i + j == 0 ? salt : "",
				jstr(message, "role", ""), j == 0 ? "^" : "");
			add(b, block, path, here);
		}
		json_decref(content);
	}
}

static void collect(const json_t *request, const struct model *model, struct blocks *ret)
{
	*ret = (struct blocks){.model = model ? model->id : ""};
	size_t i;
	json_t *part;
	char path[64];
	json_array_foreach (json_object_get(request, "tools"), i, part) {
		snprintf(path, sizeof(path), "tools.%zu", i);
		add(ret, part, path, "tool");
	}
	json_t *system = canon_content(json_object_get(request, "system"));
	json_array_foreach (system, i, part) {
		snprintf(path, sizeof(path), "system.%zu", i);
		add(ret, part, path, "system");
	}
	json_decref(system);
	add_messages(ret, request, model);
	if (ttl_of(request) && ret->n && !ret->v[ret->n - 1].ttl_ms)
		ret->v[ret->n - 1].ttl_ms = ttl_of(request);
}

static const char *mark_problem(const struct block *b)
{
	static const char *const barred[] = {"thinking", "redacted_thinking"};
	const char *type = jstr(b->json, "type", "");
	for (size_t i = 0; i < ARRAY_LEN(barred); i++) {
		if (strcmp(type, barred[i]) != 0)
			continue;
		snprintf(problem, sizeof(problem),
			"%s.%s.cache_control: Extra inputs are not permitted", b->path, type);
		return problem;
	}
	if (strcmp(type, "text") == 0 && !*jstr(b->json, "text", "")) {
		snprintf(problem, sizeof(problem),
			"%s.cache_control: cache_control cannot be set for empty text blocks",
			b->path);
		return problem;
	}
	return NULL;
}

const char *cache_problem(const json_t *request)
{
	AUTO(blocks_release) struct blocks all;
	collect(request, NULL, &all);
	size_t marks = 0;
	int64_t before = 0;
	for (size_t i = 0; i < all.n; i++) {
		const struct block *b = &all.v[i];
		if (!b->ttl_ms)
			continue;
		marks++;
		if (before && b->ttl_ms > before) {
			snprintf(problem, sizeof(problem),
				"%s.cache_control.ttl: a ttl='1h' cache_control block must not "
				"come after "
				"a ttl='5m' cache_control block. Note that blocks are processed in "
				"the "
				"following order: `tools`, `system`, `messages`.",
				b->path);
			return problem;
		}
		before = b->ttl_ms;
		if (mark_problem(b))
			return problem;
	}
	if (marks <= MARKS_MAX)
		return NULL;
	snprintf(problem, sizeof(problem),
		"A maximum of 4 blocks with cache_control may be provided. Found %zu.", marks);
	return problem;
}

static json_t *live_entry(const char *hash, int64_t now_ms)
{
	json_t *e = json_object_get(entries, hash);
	bool live = e && jint(e, "readable_ms", 0) <= now_ms && jint(e, "expires_ms", 0) > now_ms;
	return live ? e : NULL;
}

/* Index of the longest cached prefix plus one; 0: none. */
static size_t find_hit(const struct blocks *all, int64_t now_ms)
{
	for (size_t i = all->n; i-- > 0;) {
		if (!all->v[i].ttl_ms)
			continue;
		for (size_t back = 0; back < LOOK_BACK && back <= i; back++) {
			if (live_entry(all->v[i - back].hash, now_ms))
				return i - back + 1;
		}
	}
	return 0;
}

/* Reading keeps every entry of the prefix alive from this request's start. */
static void refresh(const struct blocks *all, size_t hit, int64_t begun_ms)
{
	for (size_t i = 0; i < hit; i++) {
		json_t *e = live_entry(all->v[i].hash, begun_ms);
		if (e)
			json_object_set_new(
				e, "expires_ms", json_integer(begun_ms + jint(e, "ttl_ms", 0)));
	}
}

static int64_t tokens_to(const struct blocks *all, size_t count)
{
	return count ? (int64_t)all->v[count - 1].bytes / 4 : 0;
}

void cache_use(const json_t *request, const struct model *model, int64_t begun_ms,
	int64_t readable_ms, struct cache_usage *ret)
{
	AUTO(blocks_release) struct blocks all;
	collect(request, model, &all);
	if (!entries)
		entries = json_object();
	size_t done = find_hit(&all, begun_ms);
	refresh(&all, done, begun_ms);
	*ret = (struct cache_usage){.total = tokens_to(&all, all.n), .read = tokens_to(&all, done)};
	for (size_t i = done; i < all.n; i++) {
		const struct block *b = &all.v[i];
		int64_t upto = tokens_to(&all, i + 1);
		if (!b->ttl_ms || upto < (int64_t)model->min_cache_tokens)
			continue;
		json_object_set_new(entries, b->hash,
			json_pack("{s:I, s:I, s:I}", "ttl_ms", (json_int_t)b->ttl_ms, "expires_ms",
				(json_int_t)(begun_ms + b->ttl_ms), "readable_ms",
				(json_int_t)readable_ms));
		int64_t *written = b->ttl_ms == 3600000 ? &ret->written_1h : &ret->written_5m;
		*written += upto - tokens_to(&all, done);
		done = i + 1;
	}
	ret->input = ret->total - tokens_to(&all, done);
}

int64_t cache_count(const json_t *request, const struct model *model)
{
	AUTO(blocks_release) struct blocks all;
	collect(request, model, &all);
	return tokens_to(&all, all.n);
}

void cache_clear(void)
{
	json_decref(entries);
	entries = NULL;
}
