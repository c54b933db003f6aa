/* Import resolution of changed files, in a few milliseconds. Called by the check "imports"
 * (check.c). */
#include "worker/check/imports.h"

#include <ctype.h>
#include <stdio.h>
#include <string.h>
#include <sys/stat.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/check/finding.h"
#include "worker/check/package.h"
#include "worker/check/pattern.h"

#define SOURCE_MAX (2u << 20)
#define ALIASES_MAX (256u << 10)

static const char *const sources[] = {".js", ".jsx", ".mjs", ".cjs", ".ts", ".tsx", ".mts", ".cts"};
static const char *const endings[] = {"", ".ts", ".tsx", ".d.ts", ".js", ".jsx", ".mjs", ".cjs",
	".mts", ".cts", ".json", ".vue", ".svelte", "/index.ts", "/index.tsx", "/index.d.ts",
	"/index.js", "/index.jsx", "/index.mjs", "/index.cjs", "/package.json"};
/* TypeScript is imported by the name of what it becomes. */
static const struct {
	const char *written, *meant;
} renamed[] = {{".js", ".ts"}, {".js", ".tsx"}, {".jsx", ".tsx"}, {".mjs", ".mts"},
	{".cjs", ".cts"}, {".js", ".d.ts"}};
static const char *const builtins[] = {"assert", "async_hooks", "buffer", "child_process",
	"cluster", "console", "constants", "crypto", "dgram", "diagnostics_channel", "dns",
	"domain", "events", "fs", "http", "http2", "https", "inspector", "module", "net", "os",
	"path", "perf_hooks", "process", "punycode", "querystring", "readline", "repl", "stream",
	"string_decoder", "sys", "timers", "tls", "trace_events", "tty", "url", "util", "v8", "vm",
	"wasi", "worker_threads", "zlib"};
static const char *const alias_files[] = {"tsconfig.json", "jsconfig.json", "tsconfig.base.json",
	"tsconfig.app.json", "vite.config.ts", "vite.config.js", "vite.config.mjs",
	"webpack.config.js", "babel.config.js", ".babelrc"};

static struct pattern import_forms = {
	"(?:\\b(?:import|export)\\s+(?:type\\s+)?[\\w$*{},\\s]*?\\bfrom\\s*|\\bimport\\s*(?=['\"])"
	"|\\b(?:require|import)\\s*\\(\\s*(?=['\"][^'\"\\n]+['\"]\\s*[,)]))(['\"])([^'\"\\n]+)\\1"};

struct where {
	const char *check, *tree, *file;
	const json_t *package;
	json_t *findings;
};

bool imports_applies(const char *file)
{
	for (size_t i = 0; i < ARRAY_LEN(sources); i++)
		if (text_ends(file, sources[i]))
			return true;
	return false;
}

/* Blanks comments, the inside of template strings and quotes in strings: what stands there is not
 * read. */
static void blank_comments(char *s, size_t n)
{
	char quote = 0; /* ' " ` / (line comment) * (block comment) */
	for (size_t i = 0; i < n; i++) {
		char c = s[i], next = i + 1 < n ? s[i + 1] : 0;
		if (quote == 0) {
			if (c == '\'' || c == '"' || c == '`')
				quote = c;
			else if (c == '/' && (next == '/' || next == '*') &&
				 (i == 0 || s[i - 1] != '\\'))
				quote = next, s[i] = ' ', s[i + 1] = ' ';
			continue;
		}
		bool ends = quote == '*'   ? c == '*' && next == '/'
			    : quote == '/' ? c == '\n'
					   : c == quote || (c == '\n' && quote != '`');
		if (quote == '*' && ends)
			s[i + 1] = ' ';
		if ((quote == '*' || quote == '/' || quote == '`') && c != '\n' && c != '`')
			s[i] = ' ';
		if ((quote == '\'' && c == '"') || (quote == '"' && c == '\''))
			s[i] = ' ';
		if (c == '\\' && next != '\n' && quote != '*' && quote != '/')
			i++;
		else if (ends)
			quote = 0;
	}
}

static bool is_there(const char *path, bool dir_too)
{
	struct stat st;
	return stat(path, &st) == 0 && (dir_too || S_ISREG(st.st_mode));
}

static bool path_resolves(const char *path)
{
	for (size_t i = 0; i < ARRAY_LEN(endings); i++) {
		autofree char *tried = xasprintf("%s%s", path, endings[i]);
		if (is_there(tried, false))
			return true;
	}
	for (size_t i = 0; i < ARRAY_LEN(renamed); i++) {
		if (!text_ends(path, renamed[i].written))
			continue;
		int stem = (int)(strlen(path) - strlen(renamed[i].written));
		autofree char *tried = xasprintf("%.*s%s", stem, path, renamed[i].meant);
		if (is_there(tried, false))
			return true;
	}
	return false;
}

/* Relative to the file; what a loader is told after ? or ! is cut. */
static bool relative_resolves(const struct where *w, const char *spec)
{
	const char *slash = strrchr(w->file, '/');
	int dir_len = slash ? (int)(slash - w->file) : 0;
	autofree char *path =
		xasprintf("%s/%.*s/%.*s", w->tree, dir_len, w->file, (int)strcspn(spec, "?"), spec);
	return path_resolves(path);
}

static char *package_of(const char *spec)
{
	const char *slash = strchr(spec, '/');
	if (*spec == '@' && slash)
		slash = strchr(slash + 1, '/');
	return slash ? xstrndup(spec, (size_t)(slash - spec)) : xstrdup(spec);
}

/* node_modules of the file's folder and of each above it, up to the tree's top. */
static bool is_installed(const struct where *w, const char *package)
{
	autofree char *dir = xstrdup(w->file);
	for (;;) {
		char *slash = strrchr(dir, '/');
		*(slash ? slash : dir) = '\0';
		const char *sep = *dir ? "/" : "";
		autofree char *path =
			xasprintf("%s/%s%snode_modules/%s", w->tree, dir, sep, package);
		autofree char *types =
			xasprintf("%s/%s%snode_modules/@types/%s", w->tree, dir, sep, package);
		if (is_there(path, true) || is_there(types, true))
			return true;
		if (!slash)
			return false;
	}
}

/* Does a file that sets aliases or a base folder name the word with which the import begins? */
static bool may_be_alias(const struct where *w, const char *spec)
{
	if (strchr("@~#$%", *spec) && (spec[1] == '/' || *spec == '#' || *spec == '$'))
		return true;
	autofree char *first = xstrndup(spec, strcspn(spec, "/"));
	for (size_t i = 0; i < ARRAY_LEN(alias_files); i++) {
		AUTO(buf_release) struct buf text = BUF(ALIASES_MAX);
		if (!tree_read(w->tree, alias_files[i], &text))
			continue;
		if (strstr(text.data, first) || strstr(text.data, "\"baseUrl\""))
			return true;
	}
	return false;
}

static bool is_builtin(const char *package)
{
	for (size_t i = 0; i < ARRAY_LEN(builtins); i++)
		if (strcmp(package, builtins[i]) == 0)
			return true;
	return false;
}

static bool bare_resolves(const struct where *w, const char *spec)
{
	const char *colon = strchr(spec, ':'); /* node:fs, virtual:x, https://… */
	if (colon || *spec == '/' || *spec == '\0' || strchr(spec, '!'))
		return true;
	autofree char *package = package_of(spec);
	const char *own = json_string_value(json_object_get(w->package, "name"));
	return is_builtin(package) || (own && strcmp(own, package) == 0) ||
	       is_installed(w, package) || package_depends(w->package, package) ||
	       may_be_alias(w, spec);
}

static void check_one(const struct where *w, const char *spec, int line)
{
	bool relative = text_starts(spec, "./") || text_starts(spec, "../") ||
			strcmp(spec, ".") == 0 || strcmp(spec, "..") == 0;
	if (relative ? relative_resolves(w, spec) : bare_resolves(w, spec))
		return;
	autofree char *package = package_of(spec);
	autofree char *message =
		relative ? xasprintf("'%s' leads to no file", spec)
			 : xasprintf("package '%s' is neither installed nor named in package.json",
				   package);
	finding_add(w->findings, w->tree,
		&(struct finding){.check = w->check,
			.file = w->file,
			.line = line,
			.code = relative ? "unresolved" : "not-installed",
			.message = message});
}

void imports_check(const char *check, const char *tree, const char *file, const json_t *package,
	json_t *findings)
{
	struct where w = {check, tree, file, package, findings};
	AUTO(buf_release) struct buf source = BUF(SOURCE_MAX);
	if (!tree_read(tree, file, &source) || source.len == 0)
		return;
	blank_comments(source.data, source.len);
	int line = 1;
	size_t counted = 0;
	for (size_t from = 0;;) {
		AUTO(match_release) struct match m = {0};
		if (!pattern_find(&import_forms, source.data, source.len, from, &m))
			return;
		for (; counted < m.start; counted++)
			line += source.data[counted] == '\n';
		check_one(&w, m.groups[2], line);
		from = m.end;
	}
}
