/* Where a provider is reached: settings before models.json, keys for whom they are meant. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <cmocka.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/llm/endpoint.h"

static struct settings *load(const char *one, const char *two)
{
	const char *overrides[] = {one, one ? two : NULL, NULL};
	struct settings_options o = {.program = PROGRAM_WORKER,
		.env_file = "/dev/null",
		.overrides = overrides,
		.default_db_user = "air_worker"};
	struct settings *set = NULL;
	assert_null(settings_load(&o, &set));
	return set;
}

static err_t find(const struct profile *p, const char *one, const char *two, char *ret_text)
{
	struct settings *set = load(one, two);
	struct endpoint at = {0};
	err_t e = endpoint_of(set, p, &at);
	if (!e) {
		const char *before, *header = endpoint_header(&at, &before);
		sprintf(ret_text, "%s %s %s %s%s%s", at.service, at.api, at.url,
			header ? header : "-", header ? ": " : "", header ? before : "");
		strcat(ret_text, header ? at.key : "");
		assert_true(endpoint_is_usable(&at) == (!header || *at.key));
	}
	endpoint_release(&at);
	settings_free(set);
	return e;
}

static void settings_say_where_and_how(void **state)
{
	(void)state;
	static const struct {
		struct profile profile;
		const char *one, *two, *wanted;
	} cases[] = {
		{{.provider = "anthropic"}, NULL, NULL,
			"anthropic messages https://api.anthropic.com/v1/messages x-api-key: "
			"key-a"},
		{{.provider = "anthropic"}, "ANTHROPIC_BASE_URL=http://h:1/x/v1/",
			"AIRUNNER_ANTHROPIC_AUTH=Bearer",
			"anthropic messages http://h:1/x/v1/messages authorization: Bearer key-a"},
		{{.provider = "openai"}, NULL, NULL,
			"openai responses https://api.openai.com/v1/responses authorization: "
			"Bearer "
			"key-o"},
		{{.provider = "openai", .api = "chat"}, "OPENAI_BASE_URL=http://localhost:11434",
			"AIRUNNER_OPENAI_AUTH=none",
			"openai chat http://localhost:11434/v1/chat/completions -"},
		{{.provider = "openai"}, "OPENAI_BASE_URL=https://x.example/openai/",
			"AIRUNNER_OPENAI_API=chat",
			"openai chat https://x.example/openai/chat/completions authorization: "
			"Bearer "
			"key-o"},
		{{.provider = "openai"}, "AIRUNNER_OPENAI_PATH=/llm?api-version=1",
			"AIRUNNER_OPENAI_AUTH=api-key",
			"openai responses https://api.openai.com/v1/llm?api-version=1 api-key: "
			"key-o"},
		{{.provider = "own", .api = "chat", .base_url = "http://h:2/v1"}, NULL, NULL,
			"own chat http://h:2/v1/chat/completions -"},
		{{.provider = "own",
			 .api = "messages",
			 .base_url = "http://h:2",
			 .path = "/m",
			 .auth = "x-api-key",
			 .key = "anthropic"},
			NULL, NULL, "own messages http://h:2/m x-api-key: key-a"},
		{{.provider = "own", .api = "chat", .base_url = "http://h:2/a", .auth = "bearer"},
			NULL, NULL,
			"own chat http://h:2/a/chat/completions authorization: Bearer "},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[512];
		assert_null(find(&cases[i].profile, cases[i].one, cases[i].two, text));
		assert_string_equal(text, cases[i].wanted);
	}
}

static void what_cannot_be_reached_is_named(void **state)
{
	(void)state;
	static const struct {
		struct profile profile;
		const char *one, *words;
	} cases[] = {
		{{.provider = "openai"}, "AIRUNNER_OPENAI_API=soap", "interface \"soap\""},
		{{.provider = "openai"}, "AIRUNNER_OPENAI_AUTH=basic", "authentication \"basic\""},
		{{.provider = "own", .api = "chat"}, NULL, "no \"base_url\""},
		{{.provider = "own", .base_url = "http://h"}, NULL, "interface \"\""},
	};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		char text[512];
		err_t e = find(&cases[i].profile, cases[i].one, NULL, text);
		assert_int_equal(err_code(e), ERR_CONFIG);
		assert_non_null(strstr(err_text(e), cases[i].words));
	}
}

int main(void)
{
	setenv("OPENAI_API_KEY", "key-o", 1);
	setenv("ANTHROPIC_API_KEY", "key-a", 1);
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(settings_say_where_and_how),
		cmocka_unit_test(what_cannot_be_reached_is_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
