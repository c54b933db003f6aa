/* Model profiles and prices. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/llm/profile.h"

static json_t *models;

static int setup(void **state)
{
	(void)state;
	models = json_load_file("etc/models.json", 0, NULL);
	return models ? 0 : -1;
}

static int teardown(void **state)
{
	(void)state;
	json_decref(models);
	return 0;
}

static int64_t cost(const char *model, const char *day, struct llm_usage usage)
{
	AUTO(profile_release) struct profile p;
	int64_t micro = -1;
	assert_null(profile_read(models, "models.json", model, "anthropic", &p));
	return profile_cost(&p, &usage, day, &micro) ? micro : -1;
}

static void a_call_costs_what_the_price_list_says(void **state)
{
	(void)state;
	/* sonnet 5.5: 2 in, 10 out, 2.50 and 4 written, 0.10 read */
	const struct llm_usage usage = {.fresh = 1000,
		.written_5m = 2000,
		.written_1h = 3000,
		.read = 50000,
		.output = 700,
		.thinking = 600};
	assert_int_equal(
		cost("claude-sonnet-5-5", "2026-11-22", usage), 2000 + 5000 + 12000 + 5000 + 7000);
}

static void effort_to_spare_and_the_life_of_the_cache_are_the_model_s(void **state)
{
	(void)state;
	AUTO(profile_release) struct profile claude;
	AUTO(profile_release) struct profile gpt;
	assert_null(profile_read(models, "models.json", "claude-sonnet-5-5", "anthropic", &claude));
	assert_null(profile_read(models, "models.json", "gpt-6.1-terra", "openai", &gpt));
	assert_string_equal(claude.more_effort, "xhigh");
	assert_int_equal(claude.cache_ttl_s, 300); /* where nothing is said */
	assert_string_equal(gpt.more_effort, "high");
	assert_int_equal(gpt.cache_ttl_s, 1800);
}

static void prices_change_on_their_day(void **state)
{
	(void)state;
	const struct llm_usage usage = {.read = 1000000};
	assert_int_equal(cost("claude-sonnet-5-5", "2026-10-06", usage), 200000);
	assert_int_equal(cost("claude-sonnet-5-5", "2026-10-07", usage), 100000);
	assert_int_equal(cost("claude-sonnet-5-5", "2025-12-31", usage), -1);
}

static void a_large_prompt_costs_its_own_tier(void **state)
{
	(void)state;
	assert_int_equal(cost("claude-haiku-5-5", "2026-11-22",
				 (struct llm_usage){.fresh = 40000, .read = 60000}),
		4000 + 600);
	assert_int_equal(cost("claude-haiku-5-5", "2026-11-22",
				 (struct llm_usage){.fresh = 40001, .read = 60000}),
		20001 + 3000); /* 20000.5 is rounded once */
}

static void an_unlisted_model_is_usable_but_has_no_price(void **state)
{
	(void)state;
	AUTO(profile_release) struct profile p;
	assert_null(profile_read(models, "models.json", "claude-next-9", "anthropic", &p));
	assert_int_equal(p.thinking, THINKING_ADAPTIVE);
	assert_string_equal(p.provider, "anthropic");
	assert_string_equal(p.model, "claude-next-9");
	int64_t micro;
	assert_false(profile_cost(&p, &(struct llm_usage){.fresh = 1}, "2026-11-22", &micro));
}

static void a_name_with_its_date_is_the_same_model(void **state)
{
	(void)state;
	AUTO(profile_release) struct profile p;
	assert_null(
		profile_read(models, "models.json", "claude-haiku-4-5-20251001", "anthropic", &p));
	assert_int_equal(p.thinking, THINKING_ENABLED);
	assert_int_equal(p.thinking_budget[LLM_EXECUTE], 8000);
	assert_int_equal(p.thinking_budget[LLM_PLAN], 10000);
	assert_string_equal(p.effort, "");
	assert_string_equal(p.model, "claude-haiku-4-5-20251001");
}

static void an_unlisted_name_gets_the_family_it_begins_with(void **state)
{
	(void)state;
	static const struct {
		const char *model, *named_by, *provider, *api, *max_tokens;
		enum thinking_mode thinking;
	} cases[] = {
		{"gpt-9-nova", "anthropic", "openai", "responses", "", THINKING_ADAPTIVE},
		{"gpt-4.1-mini", "anthropic", "openai", "responses", "", THINKING_NONE},
		{"gpt-oss:20b", "anthropic", "openai", "chat", "max_tokens", THINKING_NONE},
		{"o3-pro", "openai", "openai", "responses", "", THINKING_ADAPTIVE},
		{"qwen3-coder:30b", "openai", "openai", "chat", "max_tokens", THINKING_NONE},
		{"qwen3-coder:30b", "anthropic", "anthropic", "messages", "", THINKING_ADAPTIVE},
		{"gpt-6.1-terra", "anthropic", "openai", "responses", "", THINKING_ADAPTIVE},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		AUTO(profile_release) struct profile p;
		assert_null(
			profile_read(models, "models.json", cases[i].model, cases[i].named_by, &p));
		assert_string_equal(p.provider, cases[i].provider);
		assert_string_equal(p.api, cases[i].api);
		assert_string_equal(p.max_tokens, cases[i].max_tokens);
		assert_int_equal(p.thinking, cases[i].thinking);
		assert_int_equal(p.price_count > 0, strcmp(p.model, "gpt-6.1-terra") == 0);
	}
}

static void every_listed_model_can_be_read(void **state)
{
	(void)state;
	const char *model;
	json_t *entry;
	json_object_foreach (json_object_get(models, "models"), model, entry) {
		AUTO(profile_release) struct profile p;
		assert_null(profile_read(models, "models.json", model, "anthropic", &p));
		assert_true(p.price_count > 0);
	}
}

static void a_wrong_entry_is_named(void **state)
{
	(void)state;
	json_auto_t *bad =
		json_loads("{\"models\":{\"m\":{\"provider\":\"anthropic\",\"thinking\":"
			   "{\"mode\":\"adaptive\"},\"max_output\":9999,\"context\":99999,"
			   "\"prices\":[{\"effective_from\":\"2026-01-01\",\"input\":1}]}}}",
			0, NULL);
	struct profile p;
	err_t e = profile_read(bad, "models.json", "m", "anthropic", &p);
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_string_equal(
		err_text(e), "models.json: m: prices: \"output\" must be dollars, 0 or more");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_call_costs_what_the_price_list_says),
		cmocka_unit_test(effort_to_spare_and_the_life_of_the_cache_are_the_model_s),
		cmocka_unit_test(prices_change_on_their_day),
		cmocka_unit_test(a_large_prompt_costs_its_own_tier),
		cmocka_unit_test(an_unlisted_model_is_usable_but_has_no_price),
		cmocka_unit_test(a_name_with_its_date_is_the_same_model),
		cmocka_unit_test(an_unlisted_name_gets_the_family_it_begins_with),
		cmocka_unit_test(every_listed_model_can_be_read),
		cmocka_unit_test(a_wrong_entry_is_named),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
