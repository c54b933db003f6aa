/* Canonical forms. Called by cache.c and history.c. */
#define _GNU_SOURCE
#include "tests/standin/canon.h"

#include <string.h>

#include "lib/mem.h"
#include "tests/standin/world.h"

json_t *canon_content(const json_t *content)
{
	if (json_is_string(content))
		return json_pack("[{s:s, s:O}]", "type", "text", "text", (json_t *)content);
	return json_is_array(content) ? json_incref((json_t *)content) : json_array();
}

char *canon_block_text(const json_t *block)
{
	json_t *copy = json_copy((json_t *)block);
	json_object_del(copy, "cache_control");
	char *text = json_dumps(copy, JSON_COMPACT);
	json_decref(copy);
	return text ? text : xstrdup("");
}

static bool meaningless(const char *name, const json_t *value)
{
	return json_is_null(value) || strcmp(name, "cache_control") == 0 ||
	       strcmp(name, "caller") == 0;
}

static json_t *bare_block(const json_t *block)
{
	json_t *copy = json_copy((json_t *)block), *value;
	const char *name;
	void *next;
	json_object_foreach_safe(copy, next, name, value)
	{
		if (meaningless(name, value))
			json_object_del(copy, name);
	}
	return copy;
}

char *canon_value_text(const json_t *content, int without_thinking)
{
	json_t *blocks = canon_content(content), *bare = json_array(), *block;
	size_t i;
	json_array_foreach (blocks, i, block) {
		if (!without_thinking || !strstr(jstr(block, "type", ""), "thinking"))
			json_array_append_new(bare, bare_block(block));
	}
	char *text = json_dumps(bare, JSON_COMPACT | JSON_SORT_KEYS);
	json_decref(blocks);
	json_decref(bare);
	return text ? text : xstrdup("");
}
