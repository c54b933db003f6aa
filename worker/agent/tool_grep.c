/* grep: PCRE2 over the work tree, in process. Called through the table in tools.c. */
#define PCRE2_CODE_UNIT_WIDTH 8
#include <fnmatch.h>
#include <pcre2.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/tree_file.h"
#include "worker/agent/tools.h"

#define MAX_FILES 20000
#define MAX_FILE (8u << 20)
#define MAX_HITS 100
#define MAX_SHOWN 200      /* bytes of a line */
#define SEARCH_MS 10000    /* all lines together */
#define MATCH_LIMIT 200000 /* steps of the matcher: a runaway pattern gives up */

struct search {
	pcre2_code *code;
	pcre2_match_data *match;
	pcre2_match_context *limits;
	const char *glob;
	struct buf *out;
	int64_t until_ms;
	int hits;
	bool gave_up, late;
};

static void search_release(struct search *s)
{
	pcre2_match_data_free(s->match);
	pcre2_match_context_free(s->limits);
	pcre2_code_free(s->code);
}

static bool search_open(struct search *s, const char *pattern, struct tool_result *result)
{
	int code;
	PCRE2_SIZE at;
	s->code = pcre2_compile((PCRE2_SPTR)pattern, PCRE2_ZERO_TERMINATED,
		PCRE2_UTF | PCRE2_MATCH_INVALID_UTF, &code, &at, NULL);
	if (!s->code) {
		PCRE2_UCHAR words[200];
		pcre2_get_error_message(code, words, sizeof words);
		tool_fail(result, "the pattern is wrong at character %zu: %s", (size_t)at, words);
		return false;
	}
	s->match = pcre2_match_data_create_from_pattern(s->code, NULL);
	s->limits = pcre2_match_context_create(NULL);
	if (!s->match || !s->limits)
		abort();
	pcre2_set_match_limit(s->limits, MATCH_LIMIT);
	return true;
}

/* A glob without / is for the name; ** also stands for no folder at all. */
static bool glob_fits(const char *glob, const char *path)
{
	const char *name = strrchr(path, '/');
	if (!strchr(glob, '/'))
		return fnmatch(glob, name ? name + 1 : path, 0) == 0;
	if (fnmatch(glob, path, 0) == 0)
		return true;
	const char *any = strstr(glob, "**/");
	if (!any)
		return false;
	autofree char *less = xasprintf("%.*s%s", (int)(any - glob), glob, any + 3);
	return fnmatch(less, path, 0) == 0;
}

static void search_file(struct search *s, const char *path, const struct buf *content)
{
	const char *p = content->data, *end = p + content->len;
	for (size_t number = 1; p < end && s->hits < MAX_HITS; number++) {
		s->late = number % 64 == 0 && monotonic_ms() > s->until_ms;
		if (s->late)
			return;
		const char *stop = memchr(p, '\n', (size_t)(end - p));
		size_t len = stop ? (size_t)(stop - p) : (size_t)(end - p);
		int rc = pcre2_match(s->code, (PCRE2_SPTR)p, len, 0, 0, s->match, s->limits);
		if (rc >= 0) {
			s->hits++;
			buf_addf(s->out, "%s:%zu: %.*s%s\n", path, number,
				(int)(len < MAX_SHOWN ? len : MAX_SHOWN), p,
				len > MAX_SHOWN ? " [line cut]" : "");
		} else if (rc != PCRE2_ERROR_NOMATCH) {
			s->gave_up = true;
			return;
		}
		p += len + 1;
	}
}

static void search_all(int root_fd, struct search *s, const struct tree_list *list)
{
	AUTO(buf_release) struct buf content = BUF(MAX_FILE);
	for (size_t i = 0; i < list->count && s->hits < MAX_HITS && !s->gave_up && !s->late; i++) {
		const char *path = list->paths[i];
		s->late = monotonic_ms() > s->until_ms;
		if (s->glob && !glob_fits(s->glob, path))
			continue;
		buf_reset(&content);
		err_t e = tree_file_read(root_fd, path, strlen(path), &content);
		if (!e && !tree_file_is_binary(&content)) /* too large or odd: passed over */
			search_file(s, path, &content);
	}
}

err_t tool_grep(struct tool_env *env, const json_t *input, struct tool_result *result)
{
	const char *pattern = tool_arg(input, "pattern", result);
	const char *path = !pattern                  ? NULL
			   : tool_has(input, "path") ? tool_arg(input, "path", result)
						     : ".";
	AUTO(search_release)
	struct search s = {.out = &result->text, .until_ms = monotonic_ms() + SEARCH_MS};
	if (path && tool_has(input, "glob"))
		s.glob = tool_arg(input, "glob", result);
	if (!path || result->is_error || !search_open(&s, pattern, result))
		return NULL;
	AUTO(tree_list_release) struct tree_list list = {0};
	int root_fd = tool_folder(env, &path);
	err_t e = tree_list_walk(root_fd, path, strlen(path), MAX_FILES, &list);
	if (e) {
		tool_fail(result, "%s", err_text(e));
		return NULL;
	}
	search_all(root_fd, &s, &list);
	if (s.gave_up)
		tool_fail(result, "the pattern takes too long; make it simpler");
	else if (s.late)
		tool_fail(result, "the search takes too long; make pattern or path narrower");
	else if (s.hits == MAX_HITS)
		buf_addf(&result->text, "[the first %d places; narrow the search for more]\n",
			MAX_HITS);
	else if (s.hits == 0)
		buf_adds(&result->text, "[no match]");
	return NULL;
}
