/*
 * Text from outside made safe: UTF-8, control characters, lengths. Called wherever bytes from a
 * request, a tool, a model or a file enter JSON, the database or a log. Masks nothing (redact.c).
 */
#include "lib/text.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

#define REPLACEMENT "\xef\xbf\xbd" /* U+FFFD */
#define OSC_MAX 4096               /* an escape string longer than this is not taken for one */

/* Lead bytes and what their second byte may be: no overlong forms, surrogates or > U+10FFFF. */
static const struct {
	unsigned char first, last; /* lead byte */
	unsigned char low, high;   /* second byte */
	unsigned char len;
} utf8_leads[] = {
	{0xc2, 0xdf, 0x80, 0xbf, 2},
	{0xe0, 0xe0, 0xa0, 0xbf, 3},
	{0xe1, 0xec, 0x80, 0xbf, 3},
	{0xed, 0xed, 0x80, 0x9f, 3},
	{0xee, 0xef, 0x80, 0xbf, 3},
	{0xf0, 0xf0, 0x90, 0xbf, 4},
	{0xf1, 0xf3, 0x80, 0xbf, 4},
	{0xf4, 0xf4, 0x80, 0x8f, 4},
};

/* Length of the sequence that the lead byte at p begins, with the broken case told by *ret_valid:
 * then it is the number of bytes that one replacement character stands for. */
static size_t utf8_step(const unsigned char *p, size_t n, bool *ret_valid)
{
	*ret_valid = true;
	if (p[0] < 0x80)
		return 1;
	*ret_valid = false;
	for (size_t i = 0; i < ARRAY_LEN(utf8_leads); i++) {
		if (p[0] < utf8_leads[i].first || p[0] > utf8_leads[i].last)
			continue;
		if (n < 2 || p[1] < utf8_leads[i].low || p[1] > utf8_leads[i].high)
			return 1;
		size_t have = 2;
		while (have < utf8_leads[i].len && have < n && (p[have] & 0xc0) == 0x80)
			have++;
		*ret_valid = have == utf8_leads[i].len;
		return have;
	}
	return 1;
}

size_t text_utf8_len(const char *s, size_t n)
{
	bool valid;
	size_t len = n ? utf8_step((const unsigned char *)s, n, &valid) : 0;
	return n && valid ? len : 0;
}

/* CSI: parameters, intermediates, one final byte. */
static size_t csi_len(const unsigned char *p, size_t n)
{
	size_t i = 2;
	while (i < n && p[i] >= 0x20 && p[i] <= 0x3f)
		i++;
	return i < n && p[i] >= 0x40 && p[i] <= 0x7e ? i + 1 : i;
}

/* OSC, DCS and kin: up to BEL or ESC \. Without an end on its line only the introducer goes, so
 * that two bytes cannot hide the rest of a log. */
static size_t escape_string_len(const unsigned char *p, size_t n)
{
	for (size_t i = 2; i < n && i < OSC_MAX && p[i] != '\n'; i++) {
		if (p[i] == 0x07)
			return i + 1;
		if (p[i] == 0x1b && i + 1 < n && p[i + 1] == '\\')
			return i + 2;
	}
	return 2;
}

/* Bytes of the escape sequence at p, whose first byte is ESC. */
static size_t escape_len(const unsigned char *p, size_t n)
{
	if (n < 2)
		return 1;
	if (p[1] == '[')
		return csi_len(p, n);
	if (strchr("]PX^_", p[1]) && p[1])
		return escape_string_len(p, n);
	size_t i = 1;
	while (i < n && p[i] >= 0x20 && p[i] <= 0x2f)
		i++;
	return i < n && p[i] >= 0x30 && p[i] <= 0x7e ? i + 1 : i;
}

static bool is_c1(const unsigned char *p, size_t len)
{
	return len == 2 && p[0] == 0xc2 && p[1] < 0xa0;
}

/* Handles what is not plain text at p. @return bytes used */
static size_t clean_special(struct buf *out, const unsigned char *p, size_t n)
{
	if (p[0] == 0x1b)
		return escape_len(p, n);
	if (p[0] < 0x20 || p[0] == 0x7f)
		return 1;
	bool valid;
	size_t len = utf8_step(p, n, &valid);
	if (!valid)
		buf_adds(out, REPLACEMENT);
	else if (!is_c1(p, len))
		buf_add(out, p, len);
	return len;
}

void text_clean(struct buf *out, const char *s, size_t n)
{
	const unsigned char *p = (const unsigned char *)s;
	for (size_t i = 0; i < n;) {
		size_t run = i;
		while (run < n &&
			((p[run] >= 0x20 && p[run] < 0x7f) || p[run] == '\n' || p[run] == '\t'))
			run++;
		buf_add(out, s + i, run - i);
		i = run;
		if (i < n)
			i += clean_special(out, p + i, n - i);
	}
}

json_t *text_jsonn(const char *s, size_t n)
{
	AUTO(buf_release) struct buf b = BUF(3 * n + 1);
	text_clean(&b, s, n);
	json_t *v = json_stringn_nocheck(b.data, b.len);
	if (!v)
		abort(); /* valid UTF-8 by now: only memory can be out */
	return v;
}

json_t *text_json(const char *s)
{
	return s ? text_jsonn(s, strlen(s)) : json_null();
}

static bool is_border(const char *s, size_t n, size_t at)
{
	return at >= n || ((unsigned char)s[at] & 0xc0) != 0x80;
}

void text_middle(struct buf *out, const char *s, size_t n, size_t max)
{
	if (n <= max) {
		buf_add(out, s, n);
		return;
	}
	size_t head = (max + 1) / 2, tail = n - max / 2;
	while (head > 0 && !is_border(s, n, head))
		head--;
	while (tail < n && !is_border(s, n, tail))
		tail++;
	size_t left_out = 0;
	for (size_t i = head; i < tail; i++)
		left_out += is_border(s, n, i);
	buf_add(out, s, head);
	buf_addf(out, "\n… %zu characters left out …\n", left_out);
	buf_add(out, s + tail, n - tail);
}

/* tolower() asks the locale. */
static char lower(char c)
{
	return c >= 'A' && c <= 'Z' ? (char)(c - 'A' + 'a') : c;
}

bool text_ieq(const char *a, const char *b)
{
	if (!a || !b)
		return false;
	while (*a && lower(*a) == lower(*b))
		a++, b++;
	return *a == '\0' && *b == '\0';
}

bool text_starts(const char *s, const char *prefix)
{
	return strncmp(s, prefix, strlen(prefix)) == 0;
}

bool text_ends(const char *s, const char *suffix)
{
	size_t n = strlen(s), m = strlen(suffix);
	return n >= m && memcmp(s + n - m, suffix, m) == 0;
}

void text_lower(char *s)
{
	for (; *s; s++)
		*s = lower(*s);
}

bool text_to_i64(const char *s, long long *ret_value)
{
	const char *digits = s + (*s == '-');
	if (!*digits || digits[strspn(digits, "0123456789")])
		return false;
	errno = 0;
	long long v = strtoll(s, NULL, 10);
	if (errno)
		return false;
	*ret_value = v;
	return true;
}

void text_hex(struct buf *out, const unsigned char *p, size_t n)
{
	for (size_t i = 0; i < n; i++) {
		buf_addc(out, "0123456789abcdef"[p[i] >> 4]);
		buf_addc(out, "0123456789abcdef"[p[i] & 15]);
	}
}

void text_url_encode(struct buf *out, const char *s)
{
	for (const unsigned char *p = (const unsigned char *)s; *p; p++) {
		bool plain = (*p >= 'a' && *p <= 'z') || (*p >= 'A' && *p <= 'Z') ||
			     (*p >= '0' && *p <= '9') || strchr("-._~", *p);
		if (plain)
			buf_addc(out, (char)*p);
		else
			buf_addf(out, "%%%02X", *p);
	}
}
