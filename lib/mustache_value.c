/*
 * JSON values in templates: which are false, how they read, how HTML is escaped. Called by
 * mustache.c.
 */
#include "lib/mustache_value.h"

#include <math.h>
#include <stdio.h>
#include <stdlib.h>

#include "lib/mem.h"

/* What HTML text and attribute values in either quotes must not hold. */
static const char *entity(char c)
{
	switch (c) {
	case '&':
		return "&amp;";
	case '<':
		return "&lt;";
	case '>':
		return "&gt;";
	case '"':
		return "&quot;";
	case '\'':
		return "&#39;";
	default:
		return NULL;
	}
}

void mustache_add_html(struct buf *out, const char *s, size_t n)
{
	size_t done = 0;
	for (size_t i = 0; i < n; i++) {
		const char *text = entity(s[i]);
		if (!text)
			continue;
		buf_add(out, s + done, i - done);
		buf_adds(out, text);
		done = i + 1;
	}
	buf_add(out, s + done, n - done);
}

bool mustache_is_false(const json_t *value)
{
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_NULL:
	case JSON_FALSE:
		return true;
	case JSON_STRING:
		return json_string_length(value) == 0;
	case JSON_INTEGER:
		return json_integer_value(value) == 0;
	case JSON_REAL:
		return json_real_value(value) == 0;
	case JSON_ARRAY:
		return json_array_size(value) == 0;
	default:
		return false;
	}
}

/* The shortest decimal that reads back as the same number; whole ones without a point. */
static void add_real(struct buf *out, double v)
{
	char text[40];
	if (v == floor(v) && fabs(v) < 1e15) {
		buf_addf(out, "%.0f", v);
		return;
	}
	for (int digits = 15; digits <= 17; digits++) {
		snprintf(text, sizeof text, "%.*g", digits, v);
		if (strtod(text, NULL) == v)
			break;
	}
	buf_adds(out, text);
}

void mustache_add_plain(struct buf *out, const json_t *value)
{
	switch (value ? json_typeof(value) : JSON_NULL) {
	case JSON_NULL:
		return;
	case JSON_TRUE:
		buf_adds(out, "true");
		return;
	case JSON_FALSE:
		buf_adds(out, "false");
		return;
	case JSON_STRING:
		buf_add(out, json_string_value(value), json_string_length(value));
		return;
	case JSON_INTEGER:
		buf_addf(out, "%lld", (long long)json_integer_value(value));
		return;
	case JSON_REAL:
		add_real(out, json_real_value(value));
		return;
	default:
		break;
	}
	autofree char *dump = json_dumps(value, JSON_COMPACT);
	buf_adds(out, dump ? dump : "");
}
