/*
 * What a value may be by its setting's type, words and unit. Called by settings.c.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/settings_spec.h"
#include "lib/text.h"

#define WHOLE_MAX 2147483647 /* so that seconds can become milliseconds anywhere */
#define USD_DECIMALS 6

/* Settings that take none but these words. */
static const struct {
	enum setting id;
	const char *words;
} choices[] = {
	{S_LOG_LEVEL, "DEBUG INFO WARNING ERROR CRITICAL"},
	{S_LOG_FORMAT, "human json"},
	{S_AIRUNNER_ANTHROPIC_AUTH, "x-api-key bearer"},
	{S_AIRUNNER_TRACE, "http sql proc llm"},
};

static const char *const examples[] = {
	[SET_STR] = "text",
	[SET_INT] = "1",
	[SET_BOOL] = "true",
	[SET_USD] = "5.00",
	[SET_PATH] = "/var/lib/x",
	[SET_LIST] = "one,two",
};

static const char *const kinds[] = {
	[SET_INT] = "a whole number from 0 to 2147483647",
	[SET_BOOL] = "true or false",
	[SET_USD] = "an amount of dollars",
};

static bool parse_whole(const char *text, int64_t *ret_number)
{
	long long v;
	if (!text_to_i64(text, &v) || v < 0 || v > WHOLE_MAX)
		return false;
	*ret_number = v;
	return true;
}

static bool parse_bool(const char *text, int64_t *ret_number)
{
	static const struct {
		const char *word;
		bool value;
	} words[] = {{"1", true}, {"true", true}, {"yes", true}, {"y", true}, {"on", true},
		{"0", false}, {"false", false}, {"no", false}, {"n", false}, {"off", false}};
	for (size_t i = 0; i < ARRAY_LEN(words); i++)
		if (text_ieq(text, words[i].word)) {
			*ret_number = words[i].value;
			return true;
		}
	return false;
}

/* "5", "5.00", "0.000001": micro-dollars. No float in between, no rounding. */
static bool parse_usd(const char *text, int64_t *ret_number)
{
	size_t whole = strspn(text, "0123456789");
	const char *point = text + whole;
	size_t decimals = *point == '.' ? strspn(point + 1, "0123456789") : 0;
	const char *end = *point == '.' ? point + 1 + decimals : point;
	if (whole == 0 || whole > 9 || *end || decimals > USD_DECIMALS || (*point && !decimals))
		return false;
	int64_t v = 0;
	for (size_t i = 0; i < whole; i++)
		v = v * 10 + (text[i] - '0');
	for (size_t i = 0; i < USD_DECIMALS; i++)
		v = v * 10 + (i < decimals ? point[1 + i] - '0' : 0);
	*ret_number = v;
	return true;
}

static bool parse_number(enum setting_type type, const char *text, int64_t *ret_number)
{
	switch (type) {
	case SET_INT:
		return parse_whole(text, ret_number);
	case SET_BOOL:
		return parse_bool(text, ret_number);
	case SET_USD:
		return parse_usd(text, ret_number);
	default:
		return true;
	}
}

static bool is_word_of(const char *words, const char *word, size_t len)
{
	for (const char *p = words; *p; p += strcspn(p, " "), p += strspn(p, " ")) {
		autofree char *one = xstrndup(p, strcspn(p, " "));
		autofree char *other = xstrndup(word, len);
		if (text_ieq(one, other))
			return true;
	}
	return false;
}

/* One word, or, in a list, each of its words. */
static bool is_allowed(enum setting_type type, const char *words, const char *text)
{
	const char *stops = type == SET_LIST ? ", " : "";
	for (const char *p = text + strspn(text, stops); *p; p += strspn(p, stops)) {
		size_t len = *stops ? strcspn(p, stops) : strlen(p);
		if (!is_word_of(words, p, len))
			return false;
		p += len;
	}
	return *text || type == SET_LIST;
}

static err_t check_words(enum setting id, const char *text, const char *source)
{
	for (size_t i = 0; i < ARRAY_LEN(choices); i++)
		if (choices[i].id == id &&
			!is_allowed(setting_specs[id].type, choices[i].words, text))
			return err_new(ERR_CONFIG, "%s (%s): \"%s\" is none of: %s",
				setting_specs[id].name, source, text, choices[i].words);
	return NULL;
}

static err_t check_url(enum setting id, char *text, const char *source)
{
	if (strcmp(setting_specs[id].unit, "URL") != 0 || !*text)
		return NULL;
	if (!text_starts(text, "https://") && !text_starts(text, "http://"))
		return err_new(ERR_CONFIG,
			"%s (%s): \"%s\" is not an http(s) address; example: %s=%s",
			setting_specs[id].name, source, text, setting_specs[id].name,
			*setting_specs[id].def ? setting_specs[id].def : "https://example.com");
	for (size_t n = strlen(text); text[n - 1] == '/'; n--)
		text[n - 1] = '\0';
	return NULL;
}

err_t setting_value_parse(enum setting id, char *text, const char *source, int64_t *ret_number)
{
	const struct setting_spec *spec = &setting_specs[id];
	const char *shown = spec->flags & SET_SECRET ? "…" : text;
	int64_t number = 0;
	if (!parse_number(spec->type, text, &number))
		return err_new(ERR_CONFIG, "%s (%s): \"%s\" is not %s; example: %s=%s", spec->name,
			source, shown, kinds[spec->type], spec->name,
			*spec->def ? spec->def : examples[spec->type]);
	ERR_TRY(check_words(id, text, source));
	ERR_TRY(check_url(id, text, source));
	*ret_number = number;
	return NULL;
}
