/*
 * Which requests the Messages API refuses, apart from the messages themselves. Sources:
 * facts/llm.md A1, A3, A6; the words are the service's where they are known.
 */
#define _GNU_SOURCE
#include "tests/standin/anthropic.h"

#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/world.h"

const char *refuse(const char *fmt, ...)
{
	static _Thread_local char words[1024];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(words, sizeof(words), fmt, ap);
	va_end(ap);
	return words;
}

enum member_use { ALWAYS_OK = 0, NOT_COUNTING = 1, SAMPLING = 2, BETA = 4, NEEDED = 8 };

static const struct member {
	const char *name;
	json_type type;
	json_type other;
	unsigned use;
} members[] = {
	{"model", JSON_STRING, JSON_STRING, NEEDED},
	{"messages", JSON_ARRAY, JSON_ARRAY, NEEDED},
	{"max_tokens", JSON_INTEGER, JSON_INTEGER, NOT_COUNTING | NEEDED},
	{"system", JSON_STRING, JSON_ARRAY, 0},
	{"tools", JSON_ARRAY, JSON_ARRAY, 0},
	{"tool_choice", JSON_OBJECT, JSON_OBJECT, 0},
	{"thinking", JSON_OBJECT, JSON_OBJECT, 0},
	{"output_config", JSON_OBJECT, JSON_OBJECT, 0},
	{"cache_control", JSON_OBJECT, JSON_OBJECT, 0},
	{"speed", JSON_STRING, JSON_STRING, 0},
	{"stop_sequences", JSON_ARRAY, JSON_ARRAY, NOT_COUNTING},
	{"stream", JSON_TRUE, JSON_FALSE, NOT_COUNTING},
	{"metadata", JSON_OBJECT, JSON_OBJECT, NOT_COUNTING},
	{"service_tier", JSON_STRING, JSON_STRING, NOT_COUNTING},
	{"inference_geo", JSON_STRING, JSON_STRING, NOT_COUNTING},
	{"container", JSON_STRING, JSON_OBJECT, NOT_COUNTING},
	{"diagnostics", JSON_OBJECT, JSON_OBJECT, NOT_COUNTING},
	{"temperature", JSON_INTEGER, JSON_REAL, SAMPLING | NOT_COUNTING},
	{"top_p", JSON_INTEGER, JSON_REAL, SAMPLING | NOT_COUNTING},
	{"top_k", JSON_INTEGER, JSON_INTEGER, SAMPLING | NOT_COUNTING},
	{"context_management", JSON_OBJECT, JSON_OBJECT, BETA},
	{"mcp_servers", JSON_ARRAY, JSON_ARRAY, BETA},
	{"fallbacks", JSON_STRING, JSON_ARRAY, BETA},
};

static const struct member *member_of(const struct ask *ask, const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const struct member *m = &members[i];
		if (strcmp(m->name, name) != 0)
			continue;
		bool sampling_gone = strcmp(ask->version, "2023-06-01") != 0;
		bool known = !((m->use & NOT_COUNTING) && ask->count_only) &&
			     !((m->use & SAMPLING) && sampling_gone) &&
			     !((m->use & BETA) && !ask->betas);
		return known ? m : NULL;
	}
	return NULL;
}

const char *check_members(const struct ask *ask)
{
	if (!json_is_object(ask->json))
		return "The request body is not valid JSON: expected an object";
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)ask->json, name, value) {
		const struct member *m = member_of(ask, name);
		if (!m)
			return refuse("%s: Extra inputs are not permitted", name);
		json_type is = json_typeof(value);
		if (is != m->type && is != m->other && !(json_is_null(value) && !(m->use & NEEDED)))
			return refuse("%s: Input should be a valid %s", name,
				m->type == JSON_ARRAY    ? "list"
				: m->type == JSON_STRING ? "string"
				: m->type == JSON_OBJECT ? "dictionary"
				: m->type == JSON_TRUE   ? "boolean"
							 : "integer");
	}
	for (size_t i = 0; i < ARRAY_LEN(members); i++) {
		const struct member *m = &members[i];
		bool needed = (m->use & NEEDED) && !((m->use & NOT_COUNTING) && ask->count_only);
		if (needed && !json_object_get(ask->json, m->name))
			return refuse("%s: Field required", m->name);
	}
	return NULL;
}

static const char *check_sampling(const struct ask *ask)
{
	if (!(ask->model->flags & MODEL_NO_SAMPLING))
		return NULL;
	const json_t *t = json_object_get(ask->json, "temperature");
	const json_t *p = json_object_get(ask->json, "top_p");
	if (json_is_number(t) && json_number_value(t) != 1.0)
		return "`temperature` is deprecated for this model.";
	if (json_is_number(p) && json_number_value(p) < 0.99)
		return "`top_p` is deprecated for this model.";
	if (json_is_number(json_object_get(ask->json, "top_k")))
		return "`top_k` is deprecated for this model.";
	return NULL;
}

static unsigned thinking_type(const char *type)
{
	static const struct {
		const char *name;
		unsigned bit;
	} types[] = {{"adaptive", THINK_ADAPTIVE}, {"disabled", THINK_DISABLED},
		{"enabled", THINK_ENABLED}, {"between_tools", THINK_BETWEEN_TOOLS}};
	for (size_t i = 0; i < ARRAY_LEN(types); i++) {
		if (strcmp(types[i].name, type) == 0)
			return types[i].bit;
	}
	return 0;
}

static const char *check_budget(const struct ask *ask, const json_t *thinking)
{
	int64_t budget = jint(thinking, "budget_tokens", -1);
	if (budget < 0)
		return "thinking.enabled.budget_tokens: Field required";
	if (budget < 1024)
		return "thinking.enabled.budget_tokens: Input should be greater than or equal to "
		       "1024";
	if (!ask->count_only && budget >= jint(ask->json, "max_tokens", 0))
		return "`max_tokens` must be greater than `thinking.budget_tokens`. Please consult "
		       "our "
		       "documentation at https://docs.claude.com/en/docs/build-with-claude/"
		       "extended-thinking#max-tokens-and-context-window-size";
	return NULL;
}

static const char *check_mode(const struct ask *ask)
{
	const json_t *thinking = json_object_get(ask->json, "thinking");
	if (!json_is_object(thinking))
		return NULL;
	const char *type = jstr(thinking, "type", "");
	unsigned bit = thinking_type(type);
	if (!bit)
		return refuse(
			"thinking: Input tag '%s' found using 'type' does not match any of the "
			"expected tags: 'adaptive', 'between_tools', 'disabled', 'enabled'",
			type);
	if (bit == THINK_ENABLED && !(ask->model->thinking & bit))
		return "\"thinking.type.enabled\" is not supported for this model. Use "
		       "\"thinking.type.adaptive\" and \"output_config.effort\" to control "
		       "thinking "
		       "behavior.";
	if (!(ask->model->thinking & bit))
		return refuse("\"thinking.type.%s\" is not supported for this model.", type);
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)thinking, name, value) {
		bool known = strcmp(name, "type") == 0 ||
			     (strcmp(name, "display") == 0 && bit != THINK_DISABLED) ||
			     (strcmp(name, "block_binding") == 0 && ask->betas) ||
			     (strcmp(name, "budget_tokens") == 0 && bit == THINK_ENABLED);
		if (!known)
			return refuse("thinking.%s.%s: Extra inputs are not permitted", type, name);
	}
	return bit == THINK_ENABLED ? check_budget(ask, thinking) : NULL;
}

static const char *check_effort(const struct ask *ask)
{
	const char *effort = jstr(json_object_get(ask->json, "output_config"), "effort", NULL);
	if (!effort)
		return NULL;
	if (!(ask->model->flags & MODEL_EFFORT))
		return "This model does not support the effort parameter.";
	static const char *const levels[] = {"low", "medium", "high", "xhigh", "max"};
	size_t i = 0;
	while (i < ARRAY_LEN(levels) && strcmp(levels[i], effort) != 0)
		i++;
	if (i == ARRAY_LEN(levels))
		return "output_config.effort: Input should be 'low', 'medium', 'high', 'xhigh' or "
		       "'max'";
	bool xhigh_ok = ask->model->flags & MODEL_XHIGH;
	bool old = !(ask->model->flags & MODEL_NO_PREFILL); /* opus-4-5: low, medium, high */
	if ((i == 3 && !xhigh_ok) || (i == 4 && old))
		return refuse("This model does not support effort level '%s'.", effort);
	const char *type = jstr(json_object_get(ask->json, "thinking"), "type", "");
	if ((ask->model->flags & MODEL_DISABLED_TO_HIGH) && i > 2 && strcmp(type, "disabled") == 0)
		return refuse(
			"\"thinking.type.disabled\" is not supported with effort '%s'.", effort);
	return NULL;
}

static const char *check_choice(const struct ask *ask)
{
	const char *type = jstr(json_object_get(ask->json, "tool_choice"), "type", "auto");
	bool forced = strcmp(type, "any") == 0 || strcmp(type, "tool") == 0;
	if (!forced)
		return NULL;
	bool manual =
		strcmp(jstr(json_object_get(ask->json, "thinking"), "type", ""), "enabled") == 0;
	if ((ask->model->flags & MODEL_NO_FORCED) || manual)
		return "Thinking may not be enabled when tool_choice forces tool use.";
	return NULL;
}

const char *check_thinking(const struct ask *ask)
{
	const char *bad = check_sampling(ask);
	bad = bad ? bad : check_mode(ask);
	bad = bad ? bad : check_effort(ask);
	bad = bad ? bad : check_choice(ask);
	int64_t most = jint(ask->json, "max_tokens", 0);
	if (!bad && most > ask->model->max_output)
		bad = refuse(
			"max_tokens: %lld > %ld, which is the maximum allowed number of output "
			"tokens for %s",
			(long long)most, ask->model->max_output, jstr(ask->json, "model", ""));
	if (!bad && most < 0)
		bad = "max_tokens: Input should be greater than or equal to 0";
	return bad;
}

bool ask_thinks(const struct ask *ask)
{
	const char *usual = ask->model->flags & MODEL_THINKS ? "adaptive" : "disabled";
	return strcmp(jstr(json_object_get(ask->json, "thinking"), "type", usual), "disabled") != 0;
}

bool ask_shows_thinking(const struct ask *ask)
{
	const char *usual = ask->model->flags & MODEL_OMITS ? "omitted" : "summarized";
	return strcmp(jstr(json_object_get(ask->json, "thinking"), "display", usual), "omitted") !=
	       0;
}
