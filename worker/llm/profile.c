/* Model profiles and prices. Called by worker/llm/llm.c. */
#include "worker/llm/profile.h"

#include <math.h>
#include <stdio.h>
#include <string.h>
#include <time.h>

#include "lib/mem.h"

static const char *const modes[THINKING__MAX] = {
	[THINKING_NONE] = "none", [THINKING_ADAPTIVE] = "adaptive", [THINKING_ENABLED] = "enabled"};

void profile_release(struct profile *profile)
{
	free(profile->prices);
	*profile = (struct profile){0};
}

static void copy(char *out, size_t size, const json_t *from, const char *member)
{
	const char *s = json_string_value(json_object_get(from, member));
	if (s)
		snprintf(out, size, "%s", s);
}

static int64_t number(const json_t *from, const char *member, int64_t otherwise)
{
	const json_t *v = json_object_get(from, member);
	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}

/* Dollars to micro-dollars; a decimal of up to six places comes out exact. */
static bool money(const json_t *from, const char *member, int64_t *ret)
{
	const json_t *v = json_object_get(from, member);
	if (!json_is_number(v) || json_number_value(v) < 0 || json_number_value(v) > 1e6)
		return false;
	*ret = llround(json_number_value(v) * 1e6);
	return true;
}

static err_t read_price(const json_t *row, struct price *p)
{
	const struct {
		const char *name;
		int64_t *value;
	} members[] = {{"input", &p->input}, {"output", &p->output},
		{"cache_write_5m", &p->cache_write_5m}, {"cache_write_1h", &p->cache_write_1h},
		{"cache_read", &p->cache_read}};
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		if (!money(row, members[i].name, members[i].value))
			return err_new(ERR_CONFIG, "prices: \"%s\" must be dollars, 0 or more",
				members[i].name);
	copy(p->effective_from, sizeof p->effective_from, row, "effective_from");
	if (strlen(p->effective_from) != 10)
		return err_new(ERR_CONFIG, "prices: \"effective_from\" must be YYYY-MM-DD");
	p->up_to_tokens = number(row, "up_to_tokens", INT64_MAX);
	return NULL;
}

static err_t read_prices(const json_t *rows, struct profile *p)
{
	p->prices = xcalloc(json_array_size(rows), sizeof *p->prices);
	size_t i;
	json_t *row;
	json_array_foreach (rows, i, row) {
		ERR_TRY(read_price(row, &p->prices[i]));
		p->price_count = i + 1;
	}
	return NULL;
}

static err_t read_budgets(const json_t *from, struct profile *p)
{
	static const struct {
		const char *name;
		int64_t usual;
	} purposes[LLM_PURPOSE__MAX] = {
		[LLM_EXECUTE] = {"execute", 8000}, [LLM_PLAN] = {"plan", 10000}};
	for (int i = 0; i < LLM_PURPOSE__MAX; i++) {
		p->thinking_budget[i] = number(from, purposes[i].name, purposes[i].usual);
		if (p->thinking_budget[i] < 1024)
			return err_new(ERR_CONFIG,
				"thinking: \"budget\": \"%s\" must be 1024 or more",
				purposes[i].name);
	}
	return NULL;
}

static err_t read_thinking(const json_t *from, struct profile *p)
{
	const json_t *t = json_object_get(from, "thinking");
	const char *mode = json_string_value(json_object_get(t, "mode"));
	for (int i = 0; mode && i < THINKING__MAX; i++) {
		if (strcmp(mode, modes[i]) != 0)
			continue;
		p->thinking = (enum thinking_mode)i;
		copy(p->effort, sizeof p->effort, t, "effort");
		copy(p->more_effort, sizeof p->more_effort, t, "more_effort");
		return p->thinking == THINKING_ENABLED
			       ? read_budgets(json_object_get(t, "budget"), p)
			       : NULL;
	}
	return err_new(ERR_CONFIG, "thinking: \"mode\" must be adaptive, enabled or none");
}

static err_t read_edit_format(const json_t *from, struct profile *p)
{
	static const char *const formats[EDIT__MAX] = {
		[EDIT_STR_REPLACE] = "str_replace", [EDIT_PATCH] = "patch"};
	const char *name = json_string_value(json_object_get(from, "edit_format"));
	for (int i = 0; i < EDIT__MAX; i++) {
		if (name && strcmp(name, formats[i]) != 0)
			continue;
		p->edit_format = (enum edit_format)i; /* none is named: the first */
		return NULL;
	}
	return err_new(ERR_CONFIG, "\"edit_format\" must be str_replace or patch");
}

static err_t fill(const json_t *from, struct profile *p)
{
	ERR_TRY(read_thinking(from, p));
	ERR_TRY(read_edit_format(from, p));
	copy(p->provider, sizeof p->provider, from, "provider");
	copy(p->api, sizeof p->api, from, "api");
	copy(p->max_tokens, sizeof p->max_tokens, from, "max_tokens");
	p->max_output = number(from, "max_output", 0);
	p->context = number(from, "context", 0);
	p->min_cache_tokens = number(from, "min_cache_tokens", 1024);
	p->cache_ttl_s = number(from, "cache_ttl_s", 300);
	p->forced_tool_choice = json_is_true(json_object_get(from, "forced_tool_choice"));
	if (!*p->provider || p->max_output < 1024 || p->context < 8192)
		return err_new(ERR_CONFIG,
			"\"provider\", \"max_output\" (1024 or more) and \"context\" are needed");
	return read_prices(json_object_get(from, "prices"), p);
}

/* The entry of a model, also for its name without the date at the end. */
static const json_t *entry(const json_t *models, const char *model)
{
	const json_t *all = json_object_get(models, "models");
	const json_t *found = json_object_get(all, model);
	size_t len = strlen(model);
	if (found || len < 10 || model[len - 9] != '-' ||
		strspn(model + len - 8, "0123456789") != 8)
		return found;
	autofree char *name = xstrndup(model, len - 9);
	return json_object_get(all, name);
}

/* The family with the longest beginning of the name. */
static const json_t *family(const json_t *models, const char *model)
{
	const json_t *found = NULL, *all = json_object_get(models, "families");
	size_t longest = 0, i;
	json_t *one;
	json_array_foreach (all, i, one) {
		const char *begins = json_string_value(json_object_get(one, "begins"));
		size_t len = begins ? strlen(begins) : 0;
		if (len <= longest || strncmp(model, begins, len) != 0)
			continue;
		found = one;
		longest = len;
	}
	return found;
}

/* Nothing of the file is known by this name. */
static const json_t *guess(const json_t *models, const char *model, const char *provider)
{
	const json_t *found = family(models, model);
	if (!found)
		found = json_object_get(json_object_get(models, "defaults"), provider);
	return found ? found : json_object_get(models, "default");
}

/* Where the provider is; what the model's own entry says goes first. */
static void fill_provider(const json_t *models, struct profile *p)
{
	const json_t *row = json_object_get(json_object_get(models, "providers"), p->provider);
	if (!*p->api)
		copy(p->api, sizeof p->api, row, "api");
	copy(p->base_url, sizeof p->base_url, row, "base_url");
	copy(p->path, sizeof p->path, row, "path");
	copy(p->auth, sizeof p->auth, row, "auth");
	copy(p->key, sizeof p->key, row, "key");
}

err_t profile_read(const json_t *models, const char *file, const char *model, const char *provider,
	struct profile *ret_profile)
{
	struct profile p = {0};
	const json_t *found = entry(models, model);
	snprintf(p.model, sizeof p.model, "%s", model);
	err_t e = fill(found ? found : guess(models, model, provider), &p);
	if (e) {
		profile_release(&p);
		return err_in(e, "%s: %s", file, found ? model : "default");
	}
	fill_provider(models, &p);
	*ret_profile = p;
	return NULL;
}

/* A model of unknown name belongs to the provider whose setting names it. */
static const char *named_by(const struct settings *set, const char *model)
{
	bool is_other = strcmp(model, settings_str(set, S_OPENAI_MODEL)) == 0 &&
			strcmp(model, settings_str(set, S_ANTHROPIC_MODEL)) != 0;
	return is_other ? "openai" : "anthropic";
}

err_t profile_load(const struct settings *set, const char *model, struct profile *ret_profile)
{
	const char *path = settings_str(set, S_AIRUNNER_MODELS_PATH);
	autofree char *own = *path ? xstrdup(path) : settings_share_path(set, "models.json");
	json_error_t error;
	json_auto_t *models = json_load_file(own, 0, &error);
	if (!models)
		return err_new(ERR_CONFIG, "%s:%d: %s", own, error.line, error.text);
	return profile_read(models, own, model, named_by(set, model), ret_profile);
}

/* The newest price in force that day; of its tiers the smallest that holds the prompt. */
static const struct price *price_for(
	const struct profile *p, int64_t prompt_tokens, const char *day)
{
	const struct price *best = NULL;
	for (size_t i = 0; i < p->price_count; i++) {
		const struct price *row = &p->prices[i];
		if (strcmp(row->effective_from, day) > 0 || prompt_tokens > row->up_to_tokens)
			continue;
		int order = best ? strcmp(row->effective_from, best->effective_from) : 1;
		if (order > 0 || (order == 0 && row->up_to_tokens < best->up_to_tokens))
			best = row;
	}
	return best;
}

bool profile_cost(const struct profile *profile, const struct llm_usage *usage, const char *day,
	int64_t *ret_usd_micro)
{
	int64_t prompt = usage->fresh + usage->written_5m + usage->written_1h + usage->read;
	const struct price *p = price_for(profile, prompt, day);
	if (!p)
		return false;
	__int128 sum = (__int128)usage->fresh * p->input + (__int128)usage->output * p->output +
		       (__int128)usage->written_5m * p->cache_write_5m +
		       (__int128)usage->written_1h * p->cache_write_1h +
		       (__int128)usage->read * p->cache_read;
	*ret_usd_micro = (int64_t)((sum + 500000) / 1000000);
	return true;
}

static int64_t most(int64_t a, int64_t b)
{
	return a > b ? a : b;
}

/* Of a prompt of n tokens, in the tier that it falls into. */
static bool worst_of(const struct profile *profile, int64_t n, int64_t kept, const char *day,
	int64_t *input, int64_t *output_price)
{
	const struct price *p = price_for(profile, n, day);
	if (!p)
		return false;
	int64_t of_rest = most(most(p->input, p->cache_write_5m), p->cache_read);
	int64_t of_kept = most(of_rest, p->cache_write_1h);
	int64_t first = kept < n ? kept : n;
	__int128 sum = (__int128)first * of_kept + (__int128)(n - first) * of_rest;
	*input = most(*input, (int64_t)((sum + 999999) / 1000000));
	*output_price = most(*output_price, p->output);
	return true;
}

bool profile_worst(const struct profile *profile, int64_t kept, int64_t rest, const char *day,
	int64_t *ret_input, int64_t *ret_output_price)
{
	int64_t input = 0, output_price = 0;
	if (!worst_of(profile, kept + rest, kept, day, &input, &output_price))
		return false;
	for (size_t i = 0; i < profile->price_count; i++) /* smaller prompts may cost more */
		if (profile->prices[i].up_to_tokens < kept + rest)
			worst_of(profile, profile->prices[i].up_to_tokens, kept, day, &input,
				&output_price);
	*ret_input = input;
	*ret_output_price = output_price;
	return true;
}

void profile_today(char ret_day[11])
{
	time_t now = time(NULL);
	struct tm tm;
	strftime(ret_day, 11, "%Y-%m-%d", gmtime_r(&now, &tm));
}
