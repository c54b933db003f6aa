/* Reads the output of tsc, eslint and builds. Called by the checks (check.c). Tests: parse_tests.c.
 */
#include "worker/check/parse.h"

#include <string.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "worker/check/finding.h"
#include "worker/check/pattern.h"

#define TAIL_LINES 25

static struct lines lines_of(const struct parse_input *in)
{
	return (struct lines){in->text, in->text + in->len};
}

static struct pattern tsc_line = {"^(?:(\\S.*?)\\((\\d+),(\\d+)\\): )?error (TS\\d+): (.*)$"};

void parse_tsc(const struct parse_input *in, json_t *findings)
{
	struct lines lines = lines_of(in);
	const char *line;
	size_t len;
	while (lines_next(&lines, &line, &len)) {
		AUTO(match_release) struct match m = {0};
		if (!pattern_find(&tsc_line, line, len, 0, &m))
			continue;
		AUTO(buf_release) struct buf message = BUF(FINDING_TEXT);
		buf_adds(&message, m.groups[5]);
		while (lines.at < lines.end && *lines.at == ' ' &&
			lines_next(&lines, &line, &len)) {
			buf_addc(&message, '\n');
			buf_add(&message, line, len);
		}
		finding_add(findings, in->tree,
			&(struct finding){.check = in->check,
				.file = m.groups[1],
				.line = match_int(&m, 2),
				.col = match_int(&m, 3),
				.code = m.groups[4],
				.message = message.data});
	}
}

static void add_eslint(
	const struct parse_input *in, const char *file, const json_t *message, json_t *findings)
{
	const char *rule = json_string_value(json_object_get(message, "ruleId"));
	const char *text = json_string_value(json_object_get(message, "message"));
	bool is_fatal = json_is_true(json_object_get(message, "fatal"));
	if (json_integer_value(json_object_get(message, "severity")) != 2 && !is_fatal)
		return;
	finding_add(findings, in->tree,
		&(struct finding){.check = in->check,
			.file = file,
			.line = (int)json_integer_value(json_object_get(message, "line")),
			.col = (int)json_integer_value(json_object_get(message, "column")),
			.code = rule       ? rule
				: is_fatal ? "parse-error"
					   : "",
			.message = text ? text : ""});
}

bool parse_eslint(const struct parse_input *in, json_t *findings)
{
	const char *begin = memchr(in->text, '[', in->len); /* warnings of node may stand before */
	if (!begin)
		return false;
	json_auto_t *files = json_loadb(
		begin, in->len - (size_t)(begin - in->text), JSON_DISABLE_EOF_CHECK, NULL);
	if (!json_is_array(files))
		return false;
	size_t i, k;
	json_t *file, *message;
	json_array_foreach (files, i, file) {
		const char *path = json_string_value(json_object_get(file, "filePath"));
		json_array_foreach (json_object_get(file, "messages"), k, message)
			add_eslint(in, path, message, findings);
	}
	return true;
}

/* Line by line; a line that only names a file is kept for the words that follow it. */
struct walk {
	const struct parse_input *in;
	json_t *findings;
	char *file; /* owned */
	int line, col;
};

enum shape { SHAPE_WHOLE, SHAPE_FILE, SHAPE_WORDS, SHAPE_ESLINT, SHAPE_WEBPACK };

/* Groups: WHOLE file, line, col, words. FILE file, line, col. WORDS words. ESLINT line, col, words,
 * rule. */
static struct {
	struct pattern pattern;
	enum shape shape;
} shapes[] = {
	{{"^(?:ERROR in |\\[eslint\\] "
	  ")?((?:\\./|/)?[\\w@.\\-+\\[\\]()/]+\\.\\w{1,6}):(\\d+):(\\d+):? "
	  "(?:- )?(?:error:? |✘ )?(\\S.*)$"},
		SHAPE_WHOLE},
	{{"^\\s+(\\d+):(\\d+)\\s+error\\s+(.*?)\\s\\s+(\\S+)$"}, SHAPE_ESLINT},
	{{"^(?:ERROR in |file://)?((?:\\./|/)[^\\s:()]*\\.\\w{1,6})(?::(\\d+)(?::(\\d+))?)?$"},
		SHAPE_FILE},
	{{"^(?:ERROR in )((?:\\./)?[^\\s:()]*\\.\\w{1,6}) (\\d+):(\\d+)"}, SHAPE_FILE},
	{{"^\\s*(?:Error: |error during build:\\s*)?((?:Module not found|Type error|Syntax "
	  "error|Parsing error"
	  "|\\w*Error(?: \\[\\w+\\])?|\\[vite[^\\]]*\\].*|Rollup failed.*|error):? .*)$"},
		SHAPE_WORDS},
};

static void add_walk(
	struct walk *w, const char *file, int line, int col, const char *code, const char *words)
{
	finding_add(w->findings, w->in->tree,
		&(struct finding){.check = w->in->check,
			.file = file,
			.line = line,
			.col = col,
			.code = code,
			.message = words});
}

static void keep_file(struct walk *w, char *file, int line, int col)
{
	free(w->file);
	w->file = file;
	w->line = line;
	w->col = col;
}

static void take_shape(struct walk *w, enum shape shape, struct match *m)
{
	switch (shape) {
	case SHAPE_WHOLE:
		add_walk(w, m->groups[1], match_int(m, 2), match_int(m, 3), NULL, m->groups[4]);
		break;
	case SHAPE_ESLINT:
		add_walk(w, w->file, match_int(m, 1), match_int(m, 2), m->groups[4], m->groups[3]);
		break;
	case SHAPE_FILE:
		keep_file(w, take(&m->groups[1]), match_int(m, 2), match_int(m, 3));
		break;
	default:
		add_walk(w, w->file, w->line, w->col, NULL, m->groups[1]);
		keep_file(w, NULL, 0, 0);
	}
}

void parse_any(const struct parse_input *in, json_t *findings)
{
	parse_tsc(in, findings);
	struct walk w = {.in = in, .findings = findings};
	struct lines lines = lines_of(in);
	const char *line;
	size_t len;
	while (lines_next(&lines, &line, &len)) {
		if (len > 2000 || pattern_find(&tsc_line, line, len, 0, NULL))
			continue;
		for (size_t i = 0; i < ARRAY_LEN(shapes); i++) {
			AUTO(match_release) struct match m = {0};
			if (!pattern_find(&shapes[i].pattern, line, len, 0, &m))
				continue;
			take_shape(&w, shapes[i].shape, &m);
			break;
		}
	}
	free(w.file);
}

void parse_tail(const struct parse_input *in, const char *code, json_t *findings)
{
	const char *end = in->text + in->len, *begin = end;
	for (int n = 0; begin > in->text; begin--)
		if (begin[-1] == '\n' && begin != end && ++n == TAIL_LINES)
			break;
	/* blank lines and npm's "> command" say nothing */
	while (begin < end && (*begin == '\n' || *begin == '>'))
		begin += strcspn(begin, "\n") + 1;
	bool empty = begin >= end;
	finding_add(findings, in->tree,
		&(struct finding){.check = in->check,
			.code = code,
			.message = empty ? "it failed and printed nothing" : begin,
			.message_len = empty ? 0 : (size_t)(end - begin)});
}
