/* The Claude models and what each accepts (facts/llm.md A1, A6, A7). */
#ifndef STANDIN_MODELS_H
#define STANDIN_MODELS_H

#include <stdbool.h>
#include <stddef.h>

enum thinking_type {
	THINK_ADAPTIVE = 1,
	THINK_DISABLED = 2,
	THINK_ENABLED = 4,
	THINK_BETWEEN_TOOLS = 8,
};

enum model_flag {
	MODEL_THINKS = 1,    /* thinking is on when the request does not say */
	MODEL_PRESERVED = 2, /* replayed thinking is bound to the conversation */
	MODEL_NO_FORCED = 4, /* tool_choice any and tool are refused */
	MODEL_NO_PREFILL = 8,
	MODEL_OMITS = 16,       /* thinking.display is omitted when the request does not say */
	MODEL_MID_SYSTEM = 32,  /* role "system" inside the conversation */
	MODEL_NO_SAMPLING = 64, /* old API version: temperature 1.0 and top_p >= 0.99 only */
	MODEL_XHIGH = 128,
	MODEL_EFFORT = 256,
	MODEL_DISABLED_TO_HIGH = 512, /* thinking disabled goes with effort up to high */
};

struct model {
	const char *id;
	unsigned thinking; /* accepted types */
	unsigned flags;
	const char *default_effort;
	size_t min_cache_tokens;
	long max_output;
	long context;
	const char *line; /* for GET /v1/models */
};

/** By id, also with a date behind it (-20250929). NULL: unknown */
const struct model *model_find(const char *id);
extern const struct model models[];
extern const size_t models_count;

#endif
