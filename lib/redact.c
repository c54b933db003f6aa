/*
 * Masks known secrets in text. Each secret is spelled in all its forms; every window of GRAM bytes
 * of every form goes into one hash table. Scanning looks up each window of the text: overlapping
 * hits join to one masked run, which gives "any 12 bytes of a secret" for free. Forms shorter than
 * a window are searched one by one. Called by the log, the outbox, the conversation store.
 */
#define _GNU_SOURCE
#include "lib/redact.h"

#include <stdbool.h>
#include <stdint.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

#define GRAM 12     /* bytes of a secret that are masked wherever they stand together */
#define VALUE_MIN 8 /* shorter values would mask ordinary words */
#define VALUE_MAX 16384
#define SECRETS_MAX 64
#define FILTER_BITS 65536

struct form {
	char *text; /* owned */
	size_t len;
	unsigned char secret; /* index of its name */
};

struct slot {
	const char *gram; /* into a form; NULL: empty */
	unsigned char secret;
};

static struct {
	char *names[SECRETS_MAX];
	size_t names_count;
	struct form *forms;
	size_t forms_count;
	struct slot *slots; /* open addressing, a power of two, at most half full */
	size_t slots_count, grams_count;
	uint64_t
		filter[FILTER_BITS / 64]; /* by hash: no bit, no gram; small enough for the cache */
} all;

/* ---- the table of windows ---- */

static size_t hash(const char *p)
{
	uint64_t a;
	uint32_t b;
	memcpy(&a, p, sizeof a);
	memcpy(&b, p + sizeof a, sizeof b);
	a = (a ^ ((uint64_t)b << 29)) * 0x9e3779b97f4a7c15u;
	return (size_t)(a ^ (a >> 32));
}

static struct slot *find(const char *gram)
{
	size_t mask = all.slots_count - 1, i = hash(gram) & mask;
	while (all.slots[i].gram && memcmp(all.slots[i].gram, gram, GRAM) != 0)
		i = (i + 1) & mask;
	return &all.slots[i];
}

static void put(const char *gram, unsigned char secret)
{
	struct slot *slot = find(gram);
	if (slot->gram)
		return;
	*slot = (struct slot){.gram = gram, .secret = secret};
	all.grams_count++;
	size_t h = hash(gram);
	all.filter[h % FILTER_BITS / 64] |= (uint64_t)1 << (h % 64);
}

static void reserve(size_t more)
{
	if (2 * (all.grams_count + more) <= all.slots_count)
		return;
	struct slot *old = all.slots;
	size_t old_count = all.slots_count;
	all.slots_count = old_count ? old_count : 1024;
	while (2 * (all.grams_count + more) > all.slots_count)
		all.slots_count *= 2;
	all.slots = xcalloc(all.slots_count, sizeof *all.slots);
	all.grams_count = 0;
	for (size_t i = 0; i < old_count; i++)
		if (old[i].gram)
			put(old[i].gram, old[i].secret);
	free(old);
}

/* ---- the forms of a secret ---- */

static void add_form(const char *text, size_t len)
{
	if (len < VALUE_MIN)
		return;
	unsigned char secret = (unsigned char)(all.names_count - 1);
	for (size_t i = 0; i < all.forms_count; i++)
		if (all.forms[i].len == len && memcmp(all.forms[i].text, text, len) == 0)
			return;
	char *copy = xmalloc(len);
	memcpy(copy, text, len);
	all.forms = xrealloc(all.forms, (all.forms_count + 1) * sizeof *all.forms);
	all.forms[all.forms_count++] = (struct form){.text = copy, .len = len, .secret = secret};
	if (len < GRAM)
		return;
	reserve(len - GRAM + 1);
	for (size_t i = 0; i + GRAM <= len; i++)
		put(copy + i, secret);
}

/*
 * The base64 characters that depend on the value alone when `before` unknown bytes (0 to 2) stand
 * before it in their group of three, as in base64("user:" value).
 */
static void add_base64(const char *value, size_t len, size_t before, const char *last_two)
{
	static const char digits[] =
		"ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789";
	AUTO(buf_release) struct buf out = BUF(2 * VALUE_MAX);
	size_t first_bit = before * 8, bits = (before + len) * 8;
	for (size_t bit = (first_bit + 5) / 6 * 6; bit + 6 <= bits; bit += 6) {
		size_t at = bit / 8 - before, shift = bit % 8;
		unsigned two = (unsigned)(unsigned char)value[at] << 8;
		if (at + 1 < len)
			two |= (unsigned char)value[at + 1];
		unsigned v = two >> (10 - shift) & 63;
		buf_addc(&out, v < 62 ? digits[v] : last_two[v - 62]);
	}
	add_form(out.data, out.len);
}

static void add_hex(const char *value, size_t len, const char *digits)
{
	AUTO(buf_release) struct buf out = BUF(2 * VALUE_MAX);
	for (size_t i = 0; i < len; i++) {
		buf_addc(&out, digits[(unsigned char)value[i] >> 4]);
		buf_addc(&out, digits[(unsigned char)value[i] & 15]);
	}
	add_form(out.data, out.len);
}

/* RFC 3986 wants %2F; many libraries write %2f. */
static void add_url_encoded(const char *value)
{
	AUTO(buf_release) struct buf out = BUF(3 * VALUE_MAX);
	text_url_encode(&out, value);
	add_form(out.data, out.len);
	for (size_t i = 0; i + 2 < out.len; i++) {
		if (out.data[i] != '%')
			continue;
		char pair[] = {out.data[i + 1], out.data[i + 2], '\0'};
		text_lower(pair);
		memcpy(out.data + i + 1, pair, 2);
	}
	add_form(out.data, out.len);
}

static void add_json_escaped(const char *value)
{
	json_t *string = json_string(value); /* NULL when the value is not UTF-8: no such form */
	autofree char *quoted = json_dumps(string, JSON_ENCODE_ANY);
	json_decref(string);
	if (quoted)
		add_form(quoted + 1, strlen(quoted) - 2);
}

static void add_reversed(const char *value, size_t len)
{
	autofree char *out = xmalloc(len);
	for (size_t i = 0; i < len; i++)
		out[i] = value[len - 1 - i];
	add_form(out, len);
}

void redact_add(const char *name, const char *value)
{
	size_t len = strlen(value);
	if (len < VALUE_MIN)
		return;
	if (len > VALUE_MAX || all.names_count == SECRETS_MAX)
		abort(); /* a secret that is not masked must not be used */
	all.names[all.names_count++] = xstrdup(name);
	add_form(value, len);
	for (size_t before = 0; before < 3; before++) {
		add_base64(value, len, before, "+/");
		add_base64(value, len, before, "-_");
	}
	add_url_encoded(value);
	add_json_escaped(value);
	add_hex(value, len, "0123456789abcdef");
	add_hex(value, len, "0123456789ABCDEF");
	add_reversed(value, len);
}

/* ---- masking ---- */

struct marks {
	unsigned char
		*secret; /* per byte of the text: 1 + index of the secret, 0 free; NULL: no hit */
	size_t len;
};

static void mark(struct marks *marks, size_t from, size_t to, unsigned char secret)
{
	if (!marks->secret)
		marks->secret = xcalloc(marks->len, 1);
	for (size_t i = from; i < to; i++)
		if (!marks->secret[i])
			marks->secret[i] = secret + 1;
}

static void mark_grams(const char *s, size_t n, struct marks *marks)
{
	if (all.slots_count == 0)
		return;
	size_t marked = 0;
	for (size_t i = 0; i + GRAM <= n; i++) {
		size_t h = hash(s + i);
		if (!(all.filter[h % FILTER_BITS / 64] >> (h % 64) & 1))
			continue;
		const struct slot *slot = find(s + i);
		if (!slot->gram)
			continue;
		mark(marks, i > marked ? i : marked, i + GRAM, slot->secret);
		marked = i + GRAM;
	}
}

static void mark_short_forms(const char *s, size_t n, struct marks *marks)
{
	for (size_t i = 0; i < all.forms_count; i++) {
		const struct form *form = &all.forms[i];
		if (form->len >= GRAM)
			continue;
		const char *p = s;
		while ((p = memmem(p, n - (size_t)(p - s), form->text, form->len))) {
			mark(marks, (size_t)(p - s), (size_t)(p - s) + form->len, form->secret);
			p += form->len;
		}
	}
}

static bool continues(const char *s, size_t at)
{
	return ((unsigned char)s[at] & 0xc0) == 0x80;
}

/* A run must not cut UTF-8 characters: it takes them along. */
static void widen(const char *s, struct marks *marks)
{
	for (size_t i = 1; i < marks->len; i++)
		if (marks->secret[i - 1] && !marks->secret[i] && continues(s, i))
			marks->secret[i] = marks->secret[i - 1];
	for (size_t i = marks->len; i-- > 1;)
		if (marks->secret[i] && !marks->secret[i - 1] && continues(s, i))
			marks->secret[i - 1] = marks->secret[i];
}

static int copy_masked(const char *s, const struct marks *marks, struct buf *out)
{
	int count = 0;
	for (size_t i = 0, end; i < marks->len; i = end) {
		unsigned char secret = marks->secret[i];
		for (end = i + 1; end < marks->len && !marks->secret[end] == !secret; end++)
			;
		if (secret) {
			buf_addf(out, "[redacted %s]", all.names[secret - 1]);
			count++;
		} else {
			buf_add(out, s + i, end - i);
		}
	}
	return count;
}

/* Writes the masked text to out; 0 and nothing written when there is nothing to mask. */
static int mask(const char *s, size_t n, struct buf *out)
{
	struct marks marks = {.len = n};
	mark_grams(s, n, &marks);
	mark_short_forms(s, n, &marks);
	if (!marks.secret)
		return 0;
	widen(s, &marks);
	int count = copy_masked(s, &marks, out);
	free(marks.secret);
	return count;
}

int redact_buf(struct buf *b)
{
	struct buf out = BUF(b->limit);
	int count = mask(b->data, b->len, &out);
	if (count == 0)
		return 0;
	out.cut |= b->cut;
	buf_release(b);
	*b = out;
	return count;
}

char *redact_str(const char *s)
{
	AUTO(buf_release) struct buf out = BUF(SIZE_MAX / 2);
	return mask(s, strlen(s), &out) ? buf_take(&out) : xstrdup(s);
}

static json_t *masked_string(json_t *string)
{
	AUTO(buf_release) struct buf out = BUF(SIZE_MAX / 2);
	if (!mask(json_string_value(string), json_string_length(string), &out))
		return json_incref(string);
	return text_jsonn(out.data, out.len);
}

static json_t *masked_object(json_t *object)
{
	json_t *out = json_object();
	const char *key;
	json_t *member;
	json_object_foreach (object, key, member) {
		autofree char *masked_key = redact_str(key);
		json_object_set_new_nocheck(out, masked_key, redact_json(member));
	}
	return out;
}

json_t *redact_json(json_t *value)
{
	if (json_is_string(value))
		return masked_string(value);
	if (json_is_object(value))
		return masked_object(value);
	if (!json_is_array(value))
		return json_incref(value);
	json_t *out = json_array(), *member;
	size_t i;
	json_array_foreach (value, i, member)
		json_array_append_new(out, redact_json(member));
	return out;
}

void redact_clear(void)
{
	for (size_t i = 0; i < all.names_count; i++)
		free(all.names[i]);
	for (size_t i = 0; i < all.forms_count; i++) {
		explicit_bzero(all.forms[i].text, all.forms[i].len);
		free(all.forms[i].text);
	}
	free(all.forms);
	free(all.slots);
	memset(&all, 0, sizeof all);
}
