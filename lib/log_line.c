/*
 * Forms of a log line: human and JSON. Called by log.c alone, which masks the message before and
 * writes the line afterwards.
 */
#include "lib/log_line.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"

static const struct {
	const char *name, *colour;
} levels[LOG__MAX] = {
	[LOG_DEBUG_] = {"DEBUG", "\x1b[36m"},
	[LOG_INFO_] = {"INFO", "\x1b[32m"},
	[LOG_WARNING_] = {"WARNING", "\x1b[33m"},
	[LOG_ERROR_] = {"ERROR", "\x1b[31m"},
	[LOG_CRITICAL_] = {"CRITICAL", "\x1b[1;31m"},
};

const char *log_level_name(enum log_level level)
{
	return levels[level].name;
}

/* What could move the cursor, end the line or turn the reading direction is written as \u…. */
static bool is_harmful(unsigned c)
{
	return c < 0x20 || (c >= 0x7f && c < 0xa0) || c == 0x2028 || c == 0x2029 ||
	       (c >= 0x202a && c <= 0x202e) || (c >= 0x2066 && c <= 0x2069);
}

static unsigned code_point(const unsigned char *p, size_t len)
{
	unsigned c = len == 1 ? p[0] : p[0] & (0xff >> (len + 1));
	for (size_t i = 1; i < len; i++)
		c = c << 6 | (p[i] & 0x3f);
	return c;
}

static void add_harmful(struct buf *out, unsigned c)
{
	switch (c) {
	case '\n':
		buf_adds(out, "\\n");
		break;
	case '\t':
		buf_adds(out, "\\t");
		break;
	default:
		buf_addf(out, c < 0x100 ? "\\x%02x" : "\\u%04x", c);
	}
}

/* keep: harmless where the caller escapes them himself. Bytes that are not UTF-8 become \xNN. */
static void add_escaped_but(struct buf *out, const char *s, size_t n, const char *keep)
{
	for (size_t i = 0; i < n;) {
		size_t len = text_utf8_len(s + i, n - i);
		unsigned c = len ? code_point((const unsigned char *)s + i, len) : 0;
		if (len == 0)
			buf_addf(out, "\\x%02x", (unsigned char)s[i]);
		else if (is_harmful(c) && !(c && c < 0x80 && strchr(keep, (int)c)))
			add_harmful(out, c);
		else
			buf_add(out, s + i, len);
		i += len ? len : 1;
	}
}

static void add_escaped(struct buf *out, const char *s)
{
	add_escaped_but(out, s, strlen(s), "");
}

static void add_field(struct buf *out, const char *name, const json_t *value)
{
	buf_addc(out, ' ');
	add_escaped(out, name);
	buf_addc(out, '=');
	const char *text = json_string_value(value);
	if (text && *text && !strpbrk(text, " \t\r\n\"=")) {
		add_escaped(out, text);
		return;
	}
	autofree char *dump = json_dumps(value, JSON_ENCODE_ANY | JSON_COMPACT);
	if (dump)
		add_escaped(out, dump);
}

static void add_word(struct buf *out, const char *name, const char *value)
{
	if (!value)
		return;
	buf_addf(out, " %s=", name);
	add_escaped(out, value);
}

void log_line_human(struct buf *out, const struct log_line *line)
{
	struct tm tm;
	gmtime_r(&line->at.tv_sec, &tm);
	char when[32];
	strftime(when, sizeof when, "%Y-%m-%d %H:%M:%S", &tm);
	const char *name = levels[line->level].name;
	if (line->colour)
		buf_addf(out, "%s[%s]\x1b[0m %s", levels[line->level].colour, name, when);
	else
		buf_addf(out, "[%s] %s", name, when);
	if (line->run_id)
		buf_addf(out, " run=%lld", (long long)line->run_id);
	add_word(out, "issue", line->issue_key);
	add_word(out, "worker", line->worker);
	buf_adds(out, " - ");
	add_escaped(out, line->message);
	const char *key;
	json_t *value;
	json_object_foreach ((json_t *)line->fields, key, value)
		add_field(out, key, value);
	if (line->duration_ms >= 0)
		buf_addf(out, " (%lldms)", (long long)line->duration_ms);
	redact_buf(out);
}

static void rfc3339(const struct timespec *at, char ret_text[48])
{
	struct tm tm;
	gmtime_r(&at->tv_sec, &tm);
	size_t n = strftime(ret_text, 48, "%Y-%m-%dT%H:%M:%S", &tm);
	snprintf(ret_text + n, 48 - n, ".%03dZ", (int)(at->tv_nsec / 1000000));
}

static json_t *json_line(const struct log_line *line)
{
	char when[48];
	rfc3339(&line->at, when);
	AUTO(buf_release) struct buf message = BUF(LOG_MESSAGE_LIMIT);
	add_escaped_but(&message, line->message, strlen(line->message), "\n\t");
	json_t *o = json_object();
	json_object_set_new(o, "timestamp", json_string(when));
	json_object_set_new(o, "level", json_string(levels[line->level].name));
	json_object_set_new(o, "logger", text_json(line->logger));
	json_object_set_new(o, "message", text_jsonn(message.data, message.len));
	if (line->run_id)
		json_object_set_new(o, "run_id", json_integer(line->run_id));
	if (line->issue_key)
		json_object_set_new(o, "issue_key", text_json(line->issue_key));
	if (line->worker)
		json_object_set_new(o, "worker_id", text_json(line->worker));
	if (line->duration_ms >= 0)
		json_object_set_new(o, "duration_ms", json_integer(line->duration_ms));
	if (line->fields)
		json_object_set(o, "context", (json_t *)line->fields);
	return o;
}

void log_line_json(struct buf *out, const struct log_line *line)
{
	json_t *plain = json_line(line), *masked = redact_json(plain);
	autofree char *text = json_dumps(masked, JSON_COMPACT);
	if (text && strlen(text) >= LOG_LINE_LIMIT) { /* half a line would be no JSON */
		json_object_set_new(masked, "context", json_string("too large for a log line"));
		free(text);
		text = json_dumps(masked, JSON_COMPACT);
	}
	json_decref(masked);
	json_decref(plain);
	buf_adds(out, text ? text : "{}");
}
