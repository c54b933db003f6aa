/* Finds values in a JSON text by their place. Called by the providers with texts that jansson has
 * accepted, so a value's end is told by quotes and brackets alone. */
#include "worker/llm/raw.h"

#include <string.h>

static const char *skip_space(const char *p, const char *end)
{
	while (p < end && (*p == ' ' || *p == '\t' || *p == '\n' || *p == '\r'))
		p++;
	return p;
}

static const char *skip_string(const char *p, const char *end)
{
	for (p++; p < end && *p != '"'; p++)
		p += *p == '\\' && p + 1 < end;
	return p < end ? p + 1 : end;
}

static const char *skip_value(const char *p, const char *end)
{
	int depth = 0;
	while (p < end) {
		char c = *p;
		if (depth == 0 && (c == ',' || c == ']' || c == '}'))
			return p;
		p = c == '"' ? skip_string(p, end) : p + 1;
		depth += (c == '{' || c == '[') - (c == '}' || c == ']');
		if (depth == 0 && (c == '"' || c == '}' || c == ']'))
			return p;
	}
	return p;
}

/* The value at p; its end without white space, and in *after what follows its comma. */
static struct raw value_at(const char *p, const char *end, const char **after)
{
	const char *stop = skip_value(p, end);
	const char *comma = skip_space(stop, end);
	*after = comma < end && *comma == ',' ? skip_space(comma + 1, end) : comma;
	while (stop > p && strchr(" \t\r\n", stop[-1]))
		stop--;
	return (struct raw){p, (size_t)(stop - p)};
}

/* The first thing inside; NULL when the text does not begin with this bracket. */
static const char *enter(struct raw text, char bracket, const char **end)
{
	*end = text.data + text.len;
	const char *p = skip_space(text.data, *end);
	return p < *end && *p == bracket ? skip_space(p + 1, *end) : NULL;
}

bool raw_member(struct raw object, const char *name, struct raw *ret_value)
{
	const char *end, *p = enter(object, '{', &end);
	size_t name_len = strlen(name);
	bool found = false;
	while (p && p < end && *p == '"') {
		const char *name_end = skip_string(p, end);
		const char *colon = skip_space(name_end, end);
		bool is_it = (size_t)(name_end - p) == name_len + 2 &&
			     memcmp(p + 1, name, name_len) == 0;
		if (colon == end)
			break;
		struct raw value = value_at(skip_space(colon + 1, end), end, &p);
		if (is_it)
			*ret_value = value, found = true;
	}
	return found;
}

bool raw_item(struct raw array, size_t index, struct raw *ret_value)
{
	const char *end, *p = enter(array, '[', &end);
	while (p && p < end && *p != ']') {
		struct raw value = value_at(p, end, &p);
		if (index-- == 0) {
			*ret_value = value;
			return true;
		}
	}
	return false;
}

json_t *raw_parse(struct raw text, json_error_t *ret_error)
{
	json_t *value = json_loadb(text.data, text.len, JSON_ALLOW_NUL, ret_error);
	return value ? value
		     : json_loadb(text.data, text.len, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL,
			       ret_error);
}
