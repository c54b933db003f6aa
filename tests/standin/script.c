/* Scripts: loading, matching, choosing the turn. Called by anthropic.c and openai.c. */
#define _GNU_SOURCE
#include "tests/standin/script.h"

#include <glob.h>
#include <regex.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/mem.h"
#include "tests/standin/world.h"

static json_t *scripts; /* first match wins */

json_t *script_list(void)
{
	if (!scripts)
		scripts = json_array();
	return scripts;
}

static err_t check(const json_t *script)
{
	const json_t *turns = json_object_get(script, "turns");
	if (!json_is_array(turns) || json_array_size(turns) == 0)
		return err_new(ERR_BAD_INPUT, "script \"%s\": turns is no array or empty",
			jstr(script, "name", "?"));
	const char *regex = jstr(script, "regex", NULL);
	regex_t compiled;
	if (!regex)
		return NULL;
	if (regcomp(&compiled, regex, REG_EXTENDED | REG_NOSUB) != 0)
		return err_new(ERR_BAD_INPUT, "script: bad regex %s", regex);
	regfree(&compiled);
	return NULL;
}

static err_t add(const json_t *given, size_t *at)
{
	size_t i;
	json_t *script;
	json_array_foreach (given, i, script)
		ERR_TRY(add(script, at));
	if (json_is_array(given))
		return NULL;
	ERR_TRY(check(given));
	json_array_insert_new(script_list(), (*at)++, json_deep_copy(given));
	return NULL;
}

err_t script_add(const json_t *given)
{
	size_t at = 0;
	return add(given, &at);
}

static err_t load_file(const char *path)
{
	json_error_t e;
	json_t *file = json_load_file(path, 0, &e);
	if (!file)
		return err_new(ERR_CONFIG, "%s:%d: %s", path, e.line, e.text);
	size_t at = json_array_size(script_list());
	err_t failed = add(file, &at);
	json_decref(file);
	return err_in(failed, "%s", path);
}

static err_t load_path(const char *path)
{
	struct stat st;
	if (stat(path, &st) != 0)
		return err_errno("%s", path);
	if (!S_ISDIR(st.st_mode))
		return load_file(path);
	autofree char *pattern = xasprintf("%s/*.json", path);
	glob_t found = {0};
	err_t e = NULL;
	if (glob(pattern, 0, NULL, &found) == 0) {
		for (size_t i = 0; i < found.gl_pathc && !e; i++)
			e = load_file(found.gl_pathv[i]);
	}
	globfree(&found);
	return e;
}

err_t script_load(const json_t *paths)
{
	if (json_is_string(paths))
		return load_path(json_string_value(paths));
	size_t i;
	json_t *path;
	json_array_foreach (paths, i, path)
		ERR_TRY(load_path(json_string_value(path)));
	return NULL;
}

err_t script_reset(void)
{
	json_array_clear(script_list());
	return script_load(config_top("scripts"));
}

static bool contains_all(const char *text, const json_t *words)
{
	if (json_is_string(words))
		return strstr(text, json_string_value(words)) != NULL;
	size_t i;
	json_t *word;
	json_array_foreach (words, i, word) {
		if (!strstr(text, json_string_value(word)))
			return false;
	}
	return true;
}

static bool matches_regex(const char *text, const char *regex)
{
	regex_t compiled;
	if (!regex)
		return true;
	if (regcomp(&compiled, regex, REG_EXTENDED | REG_NOSUB) != 0)
		return false;
	bool found = regexec(&compiled, text, 0, NULL, 0) == 0;
	regfree(&compiled);
	return found;
}

static bool matches(const json_t *script, const char *model, const char *text)
{
	const char *not = jstr(script, "not", NULL);
	return strstr(model, jstr(script, "model", "")) && !(not &&strstr(text, not )) &&
	       contains_all(text, json_object_get(script, "match")) &&
	       matches_regex(text, jstr(script, "regex", NULL));
}

static json_t *fixed_turn(const char *text)
{
	static json_t *kept; /* one at a time: used before the next call */
	json_decref(kept);
	kept = json_pack("{s:s}", "text", text);
	return kept;
}

json_t *script_turn(const char *model, const char *text, size_t turn, const char **ret_name)
{
	size_t i;
	json_t *script;
	json_array_foreach (script_list(), i, script) {
		if (!matches(script, model, text))
			continue;
		*ret_name = jstr(script, "name", "(unnamed)");
		json_t *turns = json_object_get(script, "turns");
		if (turn < json_array_size(turns))
			return json_array_get(turns, turn);
		const char *then = jstr(script, "then", "finish");
		if (strcmp(then, "repeat_last") == 0)
			return json_array_get(turns, json_array_size(turns) - 1);
		return strcmp(then, "error") == 0 ? NULL : fixed_turn("Done.");
	}
	*ret_name = "(none)";
	return fixed_turn("No script.");
}

const json_t *script_fault(json_t *turn)
{
	json_t *fault = json_object_get(turn, "fault");
	int64_t left = fault ? jint(fault, "count", 1) : 0;
	if (left == 0)
		return NULL;
	if (left > 0)
		json_object_set_new(fault, "count", json_integer(left - 1));
	return fault;
}
