/* Regular expressions of tables. Called by the parsers of tool output and by classify(). */
#define PCRE2_CODE_UNIT_WIDTH 8
#include "worker/check/pattern.h"

#include <pcre2.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"

static pcre2_code *compiled(struct pattern *p)
{
	int code;
	PCRE2_SIZE at;
	if (!p->code)
		p->code = pcre2_compile(
			(PCRE2_SPTR)p->text, PCRE2_ZERO_TERMINATED, 0, &code, &at, NULL);
	if (!p->code)
		abort(); /* a table of ours is wrong: the unit tests reach every pattern */
	return p->code;
}

bool pattern_find(
	struct pattern *p, const char *subject, size_t len, size_t from, struct match *ret_match)
{
	pcre2_code *code = compiled(p);
	pcre2_match_data *data = pcre2_match_data_create_from_pattern(code, NULL);
	if (!data)
		abort();
	int count = pcre2_match(code, (PCRE2_SPTR)subject, len, from, 0, data, NULL);
	if (count > 0 && ret_match) {
		PCRE2_SIZE *at = pcre2_get_ovector_pointer(data);
		*ret_match = (struct match){.start = at[0], .end = at[1]};
		for (int i = 0; i < count && i < PATTERN_GROUPS; i++)
			if (at[2 * i] != PCRE2_UNSET)
				ret_match->groups[i] =
					xstrndup(subject + at[2 * i], at[2 * i + 1] - at[2 * i]);
	}
	pcre2_match_data_free(data);
	return count > 0;
}

void match_release(struct match *m)
{
	for (size_t i = 0; i < PATTERN_GROUPS; i++)
		free(m->groups[i]);
	*m = (struct match){0};
}

int match_int(const struct match *m, int group)
{
	return m->groups[group] ? atoi(m->groups[group]) : 0;
}

bool lines_next(struct lines *lines, const char **ret_line, size_t *ret_len)
{
	if (lines->at >= lines->end)
		return false;
	const char *stop = memchr(lines->at, '\n', (size_t)(lines->end - lines->at));
	*ret_line = lines->at;
	*ret_len = (size_t)((stop ? stop : lines->end) - lines->at);
	lines->at = stop ? stop + 1 : lines->end;
	if (*ret_len > 0 && (*ret_line)[*ret_len - 1] == '\r')
		(*ret_len)--;
	return true;
}
