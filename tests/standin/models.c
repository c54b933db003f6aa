/* The table of Claude models. Called by the Anthropic checks and the cache. */
#define _GNU_SOURCE
#include "tests/standin/models.h"

#include <string.h>

#include "lib/mem.h"

#define ALWAYS \
	(MODEL_THINKS | MODEL_NO_PREFILL | MODEL_OMITS | MODEL_NO_SAMPLING | MODEL_XHIGH | \
		MODEL_EFFORT)
#define NEWEST (ALWAYS | MODEL_PRESERVED | MODEL_NO_FORCED | MODEL_MID_SYSTEM)
#define FOUR_SEVEN (MODEL_NO_PREFILL | MODEL_OMITS | MODEL_NO_SAMPLING | MODEL_XHIGH | MODEL_EFFORT)
#define ADAPTIVE_OR_NOT (THINK_ADAPTIVE | THINK_DISABLED)
#define M1 1000000
#define K(n) ((n)*1000L)

/* clang-format off */
const struct model models[] = {
	/* id                 accepted thinking                      flags                                       effort   min   output  context */
	{"claude-fable-5-2",  THINK_ADAPTIVE,                        NEWEST,                                     "high",   512, K(128), M1, "fable"},
	{"claude-fable-5-1",  THINK_ADAPTIVE,                        NEWEST,                                     "high",   512, K(128), M1, "fable"},
	{"claude-fable-5",    THINK_ADAPTIVE,                        ALWAYS | MODEL_MID_SYSTEM,                  "high",   512, K(128), M1, "fable"},
	{"claude-mythos-5-2", THINK_ADAPTIVE,                        NEWEST & ~(unsigned)MODEL_NO_FORCED,        "high",   512, K(128), M1, "mythos"},
	{"claude-mythos-5-1", THINK_ADAPTIVE,                        NEWEST & ~(unsigned)MODEL_NO_FORCED,        "high",   512, K(128), M1, "mythos"},
	{"claude-mythos-5",   THINK_ADAPTIVE,                        ALWAYS,                                     "high",   512, K(128), M1, "mythos"},
	{"claude-opus-5-5",   THINK_ADAPTIVE,                        NEWEST,                                     "medium", 1024, K(128), M1, "opus"},
	{"claude-opus-5",     ADAPTIVE_OR_NOT,                       ALWAYS | MODEL_MID_SYSTEM | MODEL_DISABLED_TO_HIGH, "high", 512, K(128), M1, "opus"},
	{"claude-sonnet-5-5", THINK_ADAPTIVE | THINK_BETWEEN_TOOLS,  NEWEST,                                     "high",   512, K(128), M1, "sonnet"},
	{"claude-sonnet-5",   ADAPTIVE_OR_NOT,                       ALWAYS,                                     "high",   1024, K(128), M1, "sonnet"},
	{"claude-haiku-5-5",  ADAPTIVE_OR_NOT,                       ALWAYS | MODEL_PRESERVED,                   "medium", 1024, K(128), M1, "haiku"},
	{"claude-opus-4-8",   ADAPTIVE_OR_NOT,                       FOUR_SEVEN | MODEL_MID_SYSTEM,              "high",   1024, K(128), M1, "opus"},
	{"claude-opus-4-7",   ADAPTIVE_OR_NOT,                       FOUR_SEVEN,                                 "high",   2048, K(128), M1, "opus"},
	{"claude-opus-4-6",   ADAPTIVE_OR_NOT | THINK_ENABLED,       MODEL_NO_PREFILL | MODEL_EFFORT,            "high",   4096, K(128), M1, "opus"},
	{"claude-sonnet-4-6", ADAPTIVE_OR_NOT | THINK_ENABLED,       MODEL_NO_PREFILL | MODEL_EFFORT,            "high",   1024, K(128), M1, "sonnet"},
	{"claude-opus-4-5",   THINK_ENABLED | THINK_DISABLED,        MODEL_EFFORT,                               "high",   4096, K(64),  K(200), "opus"},
	{"claude-sonnet-4-5", THINK_ENABLED | THINK_DISABLED,        0,                                          NULL,     1024, K(64),  K(200), "sonnet"},
	{"claude-haiku-4-5",  THINK_ENABLED | THINK_DISABLED,        0,                                          NULL,     4096, K(64),  K(200), "haiku"},
};
/* clang-format on */
const size_t models_count = ARRAY_LEN(models);

static bool is_date(const char *s)
{
	return s[0] == '-' && strlen(s) == 9 && strspn(s + 1, "0123456789") == 8;
}

const struct model *model_find(const char *id)
{
	for (size_t i = 0; i < models_count; i++) {
		size_t n = strlen(models[i].id);
		if (strncmp(models[i].id, id, n) == 0 && (id[n] == '\0' || is_date(id + n)))
			return &models[i];
	}
	return NULL;
}
