/* The table of tools. Called by the agent loop; the functions are in tool_*.c. */
#include "worker/agent/tools.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"

#define BIT(format) (1u << (format))

static err_t tool_words(struct tool_env *env, const json_t *input, struct tool_result *result);

/* clang-format off */
static const struct tool tools[] = {
	{.def = {"view",
		"Shows a file with line numbers, or a folder's entries. Long files come in pages: give from and to.",
		"{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"from\":{\"type\":\"integer\"},"
		"\"to\":{\"type\":\"integer\"}},\"required\":[\"path\"],\"additionalProperties\":false}"},
		.run = tool_view},
	{.def = {"grep",
		"Searches file contents by regular expression (PCRE); node_modules is left out. glob narrows by path, e.g. *.ts.",
		"{\"type\":\"object\",\"properties\":{\"pattern\":{\"type\":\"string\"},\"path\":{\"type\":\"string\"},"
		"\"glob\":{\"type\":\"string\"}},\"required\":[\"pattern\"],\"additionalProperties\":false}"},
		.run = tool_grep},
	{.def = {"str_replace",
		"Replaces a passage of a file. old must occur exactly once: copy whole lines, without line numbers.",
		"{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"old\":{\"type\":\"string\"},"
		"\"new\":{\"type\":\"string\"}},\"required\":[\"path\",\"old\",\"new\"],\"additionalProperties\":false}"},
		.run = tool_str_replace, .may_change = true, .formats = BIT(EDIT_STR_REPLACE)},
	{.def = {"create",
		"Writes a new file with its folders. An existing one is refused unless overwrite is true.",
		"{\"type\":\"object\",\"properties\":{\"path\":{\"type\":\"string\"},\"text\":{\"type\":\"string\"},"
		"\"overwrite\":{\"type\":\"boolean\"}},\"required\":[\"path\",\"text\"],\"additionalProperties\":false}"},
		.run = tool_create, .may_change = true, .formats = BIT(EDIT_STR_REPLACE)},
	{.def = {"apply_patch",
		"Adds, updates, moves and deletes files by one patch, or changes nothing: *** Begin Patch, then for each file "
		"*** Add File: path (lines with +), *** Update File: path (*** Move to: path; hunks after @@ line-of-function, "
		"each line with a space, - or +, three lines of context) or *** Delete File: path, then *** End Patch.",
		"{\"type\":\"object\",\"properties\":{\"patch\":{\"type\":\"string\"}},\"required\":[\"patch\"],"
		"\"additionalProperties\":false}"},
		.run = tool_patch, .may_change = true, .formats = BIT(EDIT_PATCH)},
	{.def = {"bash",
		"Runs a command at the top of the repository, without network, in a fresh shell each time. "
		"Nothing may wait for input or stay in the background.",
		"{\"type\":\"object\",\"properties\":{\"command\":{\"type\":\"string\"}},\"required\":[\"command\"],"
		"\"additionalProperties\":false}"},
		.run = tool_bash, .may_change = true},
	{.def = {"ask_human",
		"Ends the work with one question to the person who gave the task. Only when going on would be a guess.",
		"{\"type\":\"object\",\"properties\":{\"question\":{\"type\":\"string\"}},\"required\":[\"question\"],"
		"\"additionalProperties\":false}"},
		.run = tool_words, .end = TOOL_ASK},
	{.def = {"finish",
		"Ends the work: everything the task states is done. summary says in a few sentences what was changed and why.",
		"{\"type\":\"object\",\"properties\":{\"summary\":{\"type\":\"string\"}},\"required\":[\"summary\"],"
		"\"additionalProperties\":false}"},
		.run = tool_words, .end = TOOL_FINISH},
};
/* clang-format on */

const struct tool *tools_all(size_t *ret_count)
{
	*ret_count = ARRAY_LEN(tools);
	return tools;
}

const struct tool *tool_find(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		if (strcmp(tools[i].def.name, name) == 0)
			return &tools[i];
	return NULL;
}

struct llm_tool *tools_definitions(enum edit_format format, size_t *ret_count)
{
	struct llm_tool *defs = xcalloc(ARRAY_LEN(tools), sizeof *defs);
	*ret_count = 0;
	for (size_t i = 0; i < ARRAY_LEN(tools); i++)
		if (!tools[i].formats || tools[i].formats & BIT(format))
			defs[(*ret_count)++] = tools[i].def;
	return defs;
}

void tool_fail(struct tool_result *result, const char *fmt, ...)
{
	char text[2048];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(text, sizeof text, fmt, ap);
	va_end(ap);
	buf_adds(&result->text, text);
	result->is_error = true;
}

int tool_folder(const struct tool_env *env, const char **path)
{
	size_t n = strlen(TOOL_OUTPUT_DIR);
	if (strncmp(*path, TOOL_OUTPUT_DIR, n) != 0 || ((*path)[n] && (*path)[n] != '/'))
		return env->root_fd;
	*path += n;
	*path += strspn(*path, "/");
	if (!**path)
		*path = ".";
	return env->output_fd;
}

bool tool_has(const json_t *input, const char *name)
{
	const json_t *v = json_object_get(input, name);
	return v && !json_is_null(v);
}

const char *tool_arg(const json_t *input, const char *name, struct tool_result *result)
{
	const json_t *v = json_object_get(input, name);
	if (!json_is_string(v)) {
		tool_fail(result, "%s is missing: it must be a string", name);
		return NULL;
	}
	if (strlen(json_string_value(v)) != json_string_length(v)) {
		tool_fail(result, "%s holds a NUL character", name);
		return NULL;
	}
	return json_string_value(v);
}

/* finish and ask_human: the loop takes their words. */
static err_t tool_words(struct tool_env *env, const json_t *input, struct tool_result *result)
{
	(void)env;
	const char *name = tool_has(input, "question") ? "question" : "summary";
	const char *words = tool_arg(input, name, result);
	if (words && !words[strspn(words, " \t\n")])
		tool_fail(result, "%s is empty", name);
	else if (words)
		buf_addf(&result->text, "%s",
			strcmp(name, "question") == 0 ? "The question is put to a person."
						      : "The checks run on it now.");
	return NULL;
}
