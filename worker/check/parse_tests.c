/*
 * Reads what test runners print: which tests failed, how many ran. One reader per runner, each sees
 * every line; a text may hold several runners' output (npm test && npm run e2e). Called by the step
 * test and its baseline.
 */
#define _GNU_SOURCE
#include <ctype.h>
#include <string.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "worker/check/finding.h"
#include "worker/check/parse.h"
#include "worker/check/pattern.h"

#define DETAIL_LINES 14

struct reader {
	const struct parse_input *in;
	json_t *findings;
	struct test_counts *counts;
	struct lines rest;  /* what follows the current line */
	char *heading;      /* TAP: last `# …` line; owned */
	bool in_spec_list;  /* node:test's "failing tests:" */
	bool in_mocha_list; /* after mocha's "n failing" */
};

static struct pattern place = {
	"(?:file://)?(/?(?:[^\\s:()'\"/]+/)*[^\\s:()'\"/]+\\.\\w{1,5}):(\\d+):(\\d+)"};
static struct pattern chaff = {
	"node:internal|node_modules/|^\\s*at |^\\s*stack: |^\\s*(---|\\.\\.\\.)$"
	"|^\\s*(duration_ms|failureType|type|code|location|at): "};

/* The first place in the details that is the repository's own. */
static void find_place(const char *text, size_t len, struct match *ret_place)
{
	struct lines lines = {text, text + len};
	const char *line;
	size_t n;
	while (lines_next(&lines, &line, &n)) {
		if (memmem(line, n, "node_modules/", 13) || memmem(line, n, "node:internal", 13))
			continue;
		if (pattern_find(&place, line, n, 0, ret_place))
			return;
	}
}

static void add_failure(struct reader *r, const char *name, const char *details, size_t details_len)
{
	AUTO(match_release) struct match at = {0};
	find_place(details, details_len, &at);
	AUTO(buf_release) struct buf message = BUF(FINDING_TEXT * 2);
	buf_adds(&message, name);
	struct lines lines = {details, details + details_len};
	const char *line;
	size_t n;
	for (int kept = 0; kept < DETAIL_LINES && lines_next(&lines, &line, &n);) {
		if (n == 0 || pattern_find(&chaff, line, n, 0, NULL))
			continue;
		buf_addc(&message, '\n');
		buf_add(&message, line, n);
		kept++;
	}
	finding_add(r->findings, r->in->tree,
		&(struct finding){.check = r->in->check,
			.file = at.groups[1],
			.line = match_int(&at, 2),
			.col = match_int(&at, 3),
			.code = "test-failed",
			.message = message.data,
			.key = name});
}

/* Lines from here to the first that the stop pattern matches (or `most` lines). */
static size_t block(struct reader *r, struct pattern *stop, int most)
{
	const char *begin = r->rest.at;
	struct lines lines = r->rest;
	const char *line;
	size_t n;
	while (most-- > 0 && lines_next(&lines, &line, &n) && !pattern_find(stop, line, n, 0, NULL))
		r->rest = lines;
	return (size_t)(r->rest.at - begin);
}

static void count(int *n, int add)
{
	*n = (*n < 0 ? 0 : *n) + add;
}

static struct pattern tap_heading = {"^\\s*# (?:Subtest: )?(.+)$"};
static struct pattern tap_not_ok = {"^\\s*not ok\\b(?: (\\d+))?(?: -)?\\s*(.*?)\\s*$"};
static struct pattern tap_excused = {"(?i)# (TODO|SKIP)\\b"};
static struct pattern tap_parent = {"failureType: 'subtestsFailed'"};
static struct pattern tap_block_end = {"^\\s*\\.\\.\\.$|^\\s*(not )?ok \\d|^\\S"};
static struct pattern total_line = {"^(?:#|ℹ) (tests|pass|fail)\\s+(\\d+)$"};

static bool read_tap(struct reader *r, const char *line, size_t len)
{
	AUTO(match_release) struct match m = {0};
	if (pattern_find(&total_line, line, len, 0, &m)) {
		bool is_all = strcmp(m.groups[1], "tests") == 0,
		     is_pass = strcmp(m.groups[1], "pass") == 0;
		count(is_all      ? &r->counts->run
			: is_pass ? &r->counts->passed
				  : &r->counts->failed,
			match_int(&m, 2));
		return true;
	}
	if (pattern_find(&tap_heading, line, len, 0, &m)) {
		free(r->heading);
		r->heading = take(&m.groups[1]);
		return true;
	}
	if (!pattern_find(&tap_not_ok, line, len, 0, &m))
		return false;
	const char *details = r->rest.at;
	size_t details_len = block(r, &tap_block_end, 60);
	if (pattern_find(&tap_excused, line, len, 0, NULL) ||
		pattern_find(&tap_parent, details, details_len, 0, NULL))
		return true;
	bool bare = !*m.groups[2] || strcmp(m.groups[2], "(unnamed assert)") == 0;
	bool same = r->heading && strcmp(r->heading, m.groups[2]) == 0;
	autofree char *name = xasprintf("%s%s%s", r->heading && !same ? r->heading : "",
		r->heading && !same && !bare ? " > " : "", bare && r->heading ? "" : m.groups[2]);
	add_failure(r, *name ? name : "a test without a name", details, details_len);
	return true;
}

static struct pattern spec_list = {"^✖ failing tests:"};
static struct pattern spec_failure = {"^✖ (.+?)(?: \\([\\d.]+ms\\))?$"};
static struct pattern spec_end = {"^✖ |^test at |^$"};

static bool read_spec(struct reader *r, const char *line, size_t len)
{
	AUTO(match_release) struct match m = {0};
	if (pattern_find(&spec_list, line, len, 0, NULL)) {
		r->in_spec_list = true;
		return true;
	}
	if (!r->in_spec_list || !pattern_find(&spec_failure, line, len, 0, &m))
		return false;
	const char *details = r->rest.at;
	size_t details_len = block(r, &spec_end, 60);
	if (!pattern_find(&tap_excused, line, len, 0, NULL))
		add_failure(r, m.groups[1], details, details_len);
	return true;
}

static struct pattern jest_failure = {"^  ● (?!Console$)(.+)$"};
static struct pattern jest_end = {"^  ● |^(Test Suites|Tests|PASS|FAIL)\\b"};
static struct pattern jest_total = {
	"^\\s*Tests:?\\s+(?:(\\d+) failed(?:, | \\| )?)?(?:\\d+ (?:skipped|todo)(?:, | \\| ))*"
	"(?:(\\d+) passed)?.*?(?:(\\d+) total|\\((\\d+)\\))$"};

static bool read_jest(struct reader *r, const char *line, size_t len)
{
	AUTO(match_release) struct match m = {0};
	if (pattern_find(&jest_total, line, len, 0, &m)) { /* vitest's line too */
		count(&r->counts->failed, match_int(&m, 1));
		count(&r->counts->passed, match_int(&m, 2));
		count(&r->counts->run, match_int(&m, 3) + match_int(&m, 4));
		return true;
	}
	if (!pattern_find(&jest_failure, line, len, 0, &m))
		return false;
	const char *details = r->rest.at;
	add_failure(r, m.groups[1], details, block(r, &jest_end, 60));
	return true;
}

static struct pattern vitest_failure = {"^\\s*FAIL\\s+(\\S+(?: > .+| \\[ .+ \\]))$"};
static struct pattern vitest_end = {"^\\s*FAIL\\s|^⎯|^ Test Files"};

static bool read_vitest(struct reader *r, const char *line, size_t len)
{
	AUTO(match_release) struct match m = {0};
	if (!pattern_find(&vitest_failure, line, len, 0, &m))
		return false;
	const char *details = r->rest.at;
	add_failure(r, m.groups[1], details, block(r, &vitest_end, 40));
	return true;
}

static struct pattern mocha_total = {"^  (\\d+) (passing|failing)\\b"};
static struct pattern mocha_failure = {"^  \\d+\\) (.+)$"};
static struct pattern mocha_end = {"^  \\d+\\) "};

static bool read_mocha(struct reader *r, const char *line, size_t len)
{
	AUTO(match_release) struct match m = {0};
	if (pattern_find(&mocha_total, line, len, 0, &m)) {
		bool is_failing = strcmp(m.groups[2], "failing") == 0;
		r->in_mocha_list = is_failing;
		count(is_failing ? &r->counts->failed : &r->counts->passed, match_int(&m, 1));
		count(&r->counts->run, match_int(&m, 1));
		return true;
	}
	if (!r->in_mocha_list || !pattern_find(&mocha_failure, line, len, 0, &m))
		return false;
	AUTO(buf_release) struct buf name = BUF(500);
	buf_adds(&name, m.groups[1]);
	const char *details = r->rest.at, *next;
	size_t details_len = block(r, &mocha_end, 60), n;
	struct lines titles = {details, details + details_len};
	while (name.data[name.len ? name.len - 1 : 0] != ':' && lines_next(&titles, &next, &n) &&
		n > 0) {
		while (n > 0 && isspace((unsigned char)*next))
			next++, n--;
		buf_addc(&name, ' ');
		buf_add(&name, next, n);
	}
	add_failure(r, name.data, titles.at, (size_t)(titles.end - titles.at));
	return true;
}

static bool (*const readers[])(struct reader *r, const char *line, size_t len) = {
	read_tap, read_spec, read_jest, read_vitest, read_mocha};

void parse_tests(const struct parse_input *in, json_t *findings, struct test_counts *ret_counts)
{
	*ret_counts = (struct test_counts){-1, -1, -1};
	struct reader r = {.in = in,
		.findings = findings,
		.counts = ret_counts,
		.rest = {in->text, in->text + in->len}};
	const char *line;
	size_t len;
	while (lines_next(&r.rest, &line, &len))
		for (size_t i = 0; len < 4000 && i < ARRAY_LEN(readers); i++)
			if (readers[i](&r, line, len))
				break;
	free(r.heading);
}
