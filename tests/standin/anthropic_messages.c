/*
 * Are tools and messages lawful? Names, roles, blocks, tool calls with their results, no prefill.
 * Sources: facts/llm.md A1, A3. Called by anthropic.c.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <string.h>

#include "lib/mem.h"
#include "tests/standin/anthropic.h"
#include "tests/standin/canon.h"
#include "tests/standin/world.h"

static bool is_type(const json_t *block, const char *type)
{
	return strcmp(jstr(block, "type", ""), type) == 0;
}

static bool good_name(const char *s)
{
	size_t n = strlen(s), i = 0;
	while (i < n && (isalnum((unsigned char)s[i]) || s[i] == '_' || s[i] == '-'))
		i++;
	return n >= 1 && n <= 64 && i == n;
}

static const char *check_tool(const json_t *tool, size_t i)
{
	static const char *const known[] = {"name", "description", "input_schema", "strict",
		"cache_control", "defer_loading", "input_examples", "eager_input_streaming", "type",
		"allowed_callers"};
	const char *type = jstr(tool, "type", "custom"), *name;
	if (strcmp(type, "custom") != 0)
		return jstr(tool, "name", NULL) ? NULL
						: refuse("tools.%zu.name: Field required", i);
	json_t *value;
	json_object_foreach ((json_t *)tool, name, value) {
		size_t k = 0;
		while (k < ARRAY_LEN(known) && strcmp(known[k], name) != 0)
			k++;
		if (k == ARRAY_LEN(known))
			return refuse(
				"tools.%zu.custom.%s: Extra inputs are not permitted", i, name);
	}
	if (!good_name(jstr(tool, "name", "")))
		return refuse("tools.%zu.custom.name: String should match pattern "
			      "'^[a-zA-Z0-9_-]{1,64}$'",
			i);
	const json_t *schema = json_object_get(tool, "input_schema");
	if (!schema)
		return refuse("tools.%zu.custom.input_schema: Field required", i);
	if (strcmp(jstr(schema, "type", ""), "object") != 0)
		return refuse("tools.%zu.custom.input_schema.type: Input should be 'object'", i);
	return NULL;
}

const char *check_tools(const struct ask *ask)
{
	const json_t *tools = json_object_get(ask->json, "tools");
	size_t i;
	json_t *tool;
	json_array_foreach (tools, i, tool) {
		const char *bad = check_tool(tool, i);
		if (bad)
			return bad;
		for (size_t j = 0; j < i; j++) {
			if (!strcmp(jstr(json_array_get(tools, j), "name", ""),
				    jstr(tool, "name", "")))
				return "tools: Tool names must be unique.";
		}
	}
	return NULL;
}

/* Which members a block of a type must have, and in whose messages it may stand. */
static const struct block_kind {
	const char *type;
	const char *needed[3];
	bool user, assistant;
} block_kinds[] = {
	{"text", {"text"}, true, true},
	{"image", {"source"}, true, false},
	{"document", {"source"}, true, true},
	{"tool_result", {"tool_use_id"}, true, false},
	{"search_result", {"content"}, true, false},
	{"tool_use", {"id", "name", "input"}, false, true},
	{"thinking", {"thinking", "signature"}, false, true},
	{"redacted_thinking", {"data"}, false, true},
};

static const char *check_block(
	const struct ask *ask, const json_t *b, const char *role, size_t m, size_t i)
{
	const char *type = jstr(b, "type", "");
	bool user = strcmp(role, "assistant") != 0;
	const struct block_kind *kind = NULL;
	for (size_t k = 0; k < ARRAY_LEN(block_kinds); k++) {
		if (strcmp(block_kinds[k].type, type) == 0)
			kind = &block_kinds[k];
	}
	if (!kind)
		return user ? refuse("messages.%zu.content.%zu: Input tag '%s' found using 'type' "
				     "does "
				     "not match any of the expected tags",
				      m, i, type)
			    : NULL; /* what scripts emitted as unknown comes back */
	bool new_api = strcmp(ask->version, "2023-06-01") != 0;
	bool barred = user ? !kind->user : !kind->assistant;
	barred |= new_api && !user && strcmp(type, "document") == 0;
	if (barred)
		return refuse(
			"messages.%zu.content.%zu: `%s` blocks are not allowed in %s messages", m,
			i, type, role);
	for (size_t k = 0; k < ARRAY_LEN(kind->needed) && kind->needed[k]; k++) {
		if (!json_object_get(b, kind->needed[k]))
			return refuse("messages.%zu.content.%zu.%s.%s: Field required", m, i, type,
				kind->needed[k]);
	}
	const char *text = jstr(b, "text", "");
	if (strcmp(type, "text") == 0 && !*text)
		return "messages: text content blocks must be non-empty";
	if (strcmp(type, "text") == 0 && !text[strspn(text, " \t\r\n")])
		return "messages: text content blocks must contain non-whitespace text";
	if (strcmp(type, "tool_use") == 0 && !json_is_object(json_object_get(b, "input")))
		return refuse("messages.%zu.content.%zu.tool_use.input: Input should be a valid "
			      "dictionary",
			m, i);
	return NULL;
}

static bool result_for(const json_t *content, const char *id)
{
	size_t i;
	json_t *b;
	json_array_foreach (content, i, b) {
		if (!is_type(b, "tool_result"))
			return false; /* results come first */
		if (strcmp(jstr(b, "tool_use_id", ""), id) == 0)
			return true;
	}
	return false;
}

/* Every tool call of message m is answered at the head of the next message. */
static const char *check_calls(const json_t *content, const json_t *next, size_t m)
{
	size_t i;
	json_t *b;
	json_array_foreach (content, i, b) {
		const char *id = jstr(b, "id", "");
		if (is_type(b, "tool_use") && !result_for(next, id))
			return refuse(
				"messages.%zu: `tool_use` ids were found without `tool_result` "
				"blocks immediately after: %s. Each `tool_use` block must have a "
				"corresponding `tool_result` block in the next message.",
				m, id);
	}
	return NULL;
}

/* Every result of message m belongs to a call of the message before, once. */
static const char *check_results(const json_t *content, const json_t *before, size_t m)
{
	size_t i, j;
	json_t *b, *call;
	json_array_foreach (content, i, b) {
		if (!is_type(b, "tool_result"))
			continue;
		const char *id = jstr(b, "tool_use_id", "");
		bool found = false;
		json_array_foreach (before, j, call)
			found |= is_type(call, "tool_use") && !strcmp(jstr(call, "id", ""), id);
		if (!found)
			return refuse(
				"messages.%zu.content.%zu: unexpected `tool_use_id` found in "
				"`tool_result` blocks: %s. Each `tool_result` block must have a "
				"corresponding `tool_use` block in the previous message.",
				m, i, id);
		for (j = 0; j < i; j++) {
			if (!strcmp(jstr(json_array_get(content, j), "tool_use_id", ""), id))
				return refuse(
					"messages.%zu.content.%zu: each tool_use must have a "
					"single "
					"result. Found multiple `tool_result` blocks with id: %s",
					m, i, id);
		}
	}
	return NULL;
}

static const char *check_role(const struct ask *ask, const json_t *message, size_t m)
{
	const char *role = jstr(message, "role", "");
	if (strcmp(role, "user") == 0)
		return NULL;
	if (strcmp(role, "assistant") == 0)
		return m == 0 ? "messages: first message must use the \"user\" role" : NULL;
	if (strcmp(role, "system") == 0 && m > 0 && (ask->model->flags & MODEL_MID_SYSTEM))
		return NULL;
	if (strcmp(role, "system") == 0)
		return "messages: Unexpected role \"system\". The Messages API accepts a top-level "
		       "`system` parameter, not \"system\" as an input message role.";
	return refuse("messages.%zu.role: Input should be 'user' or 'assistant'", m);
}

static const char *check_message(
	const struct ask *ask, const json_t *message, const json_t *content, size_t m)
{
	const char *bad = check_role(ask, message, m);
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)message, name, value) {
		if (!bad && strcmp(name, "role") != 0 && strcmp(name, "content") != 0)
			bad = refuse("messages.%zu.%s: Extra inputs are not permitted", m, name);
	}
	if (bad)
		return bad;
	if (!json_object_get(message, "content"))
		return refuse("messages.%zu.content: Field required", m);
	if (json_array_size(content) == 0)
		return refuse("messages.%zu: %s messages must have non-empty content", m,
			jstr(message, "role", ""));
	size_t i;
	json_array_foreach (content, i, value) {
		bad = check_block(ask, value, jstr(message, "role", ""), m, i);
		if (bad)
			return bad;
	}
	return NULL;
}

const char *check_messages(const struct ask *ask)
{
	const json_t *messages = json_object_get(ask->json, "messages");
	size_t n = json_array_size(messages);
	if (n == 0)
		return "messages: at least one message is required";
	const char *bad = NULL;
	json_t *before = json_array(), *content = NULL;
	for (size_t m = 0; m < n && !bad; m++) {
		const json_t *message = json_array_get(messages, m);
		content = canon_content(json_object_get(message, "content"));
		json_t *next =
			canon_content(json_object_get(json_array_get(messages, m + 1), "content"));
		bad = check_message(ask, message, content, m);
		bad = bad ? bad : check_results(content, before, m);
		if (!bad && strcmp(jstr(message, "role", ""), "assistant") == 0)
			bad = check_calls(content, next, m);
		json_decref(next);
		json_decref(before);
		before = content;
	}
	json_decref(before);
	const char *last = jstr(json_array_get(messages, n - 1), "role", "");
	if (!bad && strcmp(last, "assistant") == 0 && (ask->model->flags & MODEL_NO_PREFILL))
		bad = "This model does not support assistant message prefill. The conversation "
		      "must end "
		      "with a user message.";
	return bad;
}
