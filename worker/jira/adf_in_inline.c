/*
 * Atlassian documents to Markdown-like text: the inline nodes, one function each. Called by
 * adf_in.c.
 */
#include "worker/jira/adf_in_inline.h"

#include <string.h>
#include <time.h>

#include "lib/mem.h"
#include "lib/text.h"

const char *adf_attr(const json_t *n, const char *name)
{
	return json_string_value(json_object_get(json_object_get(n, "attrs"), name));
}

const char *adf_attr_or(const json_t *n, const char *a, const char *b, const char *otherwise)
{
	const char *s = adf_attr(n, a);
	if (!s || !*s)
		s = adf_attr(n, b);
	return s && *s ? s : otherwise;
}

static bool has_mark(const json_t *n, const char *type, const json_t **ret_mark)
{
	size_t i;
	json_t *mark;
	json_array_foreach (json_object_get(n, "marks"), i, mark) {
		const char *t = json_string_value(json_object_get(mark, "type"));
		if (t && strcmp(t, type) == 0) {
			*ret_mark = mark;
			return true;
		}
	}
	return false;
}

static void in_text(const json_t *n, struct buf *out)
{
	static const struct {
		const char *mark, *sign;
	} signs[] = {{"strong", "**"}, {"em", "*"}, {"strike", "~~"}, {"code", "`"}};
	const char *text = json_string_value(json_object_get(n, "text"));
	const json_t *mark = NULL;
	if (!text)
		return;
	const char *href = has_mark(n, "link", &mark) ? adf_attr(mark, "href") : NULL;
	bool named = href && strcmp(href, text) != 0;
	if (named)
		buf_addc(out, '[');
	for (size_t i = 0; i < ARRAY_LEN(signs); i++)
		if (has_mark(n, signs[i].mark, &mark))
			buf_adds(out, signs[i].sign);
	buf_adds(out, text);
	for (size_t i = ARRAY_LEN(signs); i-- > 0;)
		if (has_mark(n, signs[i].mark, &mark))
			buf_adds(out, signs[i].sign);
	if (named)
		buf_addf(out, "](%s)", href);
}

static void in_break(const json_t *n, struct buf *out)
{
	(void)n;
	buf_addc(out, '\n');
}

static void in_mention(const json_t *n, struct buf *out)
{
	const char *name = adf_attr_or(n, "text", "id", "someone");
	buf_addf(out, "%s%s", *name == '@' ? "" : "@", name);
}

static void in_emoji(const json_t *n, struct buf *out)
{
	buf_adds(out, adf_attr_or(n, "text", "shortName", ""));
}

/* A date's timestamp is milliseconds in a string. */
static void in_date(const json_t *n, struct buf *out)
{
	long long ms = 0;
	struct tm tm;
	char day[32];
	const char *stamp = adf_attr(n, "timestamp");
	time_t at = stamp && text_to_i64(stamp, &ms) ? (time_t)(ms / 1000) : 0;
	if (at != 0 && gmtime_r(&at, &tm) && strftime(day, sizeof day, "%Y-%m-%d", &tm) > 0)
		buf_adds(out, day);
	else
		buf_adds(out, stamp ? stamp : "");
}

static void in_status(const json_t *n, struct buf *out)
{
	buf_addf(out, "[%s]", adf_attr_or(n, "text", "text", ""));
}

static void in_card(const json_t *n, struct buf *out)
{
	const json_t *data = json_object_get(json_object_get(n, "attrs"), "data");
	const char *url = adf_attr(n, "url");
	if (!url)
		url = json_string_value(json_object_get(data, "url"));
	buf_adds(out, url ? url : "[card]");
}

static void in_media(const json_t *n, struct buf *out)
{
	buf_addf(out, "[attachment: %s]", adf_attr_or(n, "alt", "id", "file"));
}

static void in_extension(const json_t *n, struct buf *out)
{
	buf_addf(out, "[%s: %s]", "extension", adf_attr_or(n, "text", "extensionKey", "unknown"));
}

static void in_placeholder(const json_t *n, struct buf *out)
{
	buf_adds(out, adf_attr_or(n, "text", "text", ""));
}

static const struct {
	const char *type;
	void (*on)(const json_t *n, struct buf *out);
} inline_kinds[] = {
	{"text", in_text},
	{"hardBreak", in_break},
	{"mention", in_mention},
	{"emoji", in_emoji},
	{"date", in_date},
	{"status", in_status},
	{"inlineCard", in_card},
	{"blockCard", in_card},
	{"embedCard", in_card},
	{"media", in_media},
	{"mediaInline", in_media},
	{"inlineExtension", in_extension},
	{"extension", in_extension},
	{"bodiedExtension", in_extension},
	{"placeholder", in_placeholder},
};

bool adf_in_inline(const json_t *n, struct buf *out)
{
	const char *type = json_string_value(json_object_get(n, "type"));
	for (size_t i = 0; type && i < ARRAY_LEN(inline_kinds); i++) {
		if (strcmp(inline_kinds[i].type, type) == 0) {
			inline_kinds[i].on(n, out);
			return true;
		}
	}
	return false;
}
