/*
 * Installs dependencies. Called by the steps baseline and verify. What is installed lies in the
 * tree's node_modules, which snapshots leave out.
 */
#include "worker/check/deps.h"

#include <stdio.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/check/finding.h"
#include "worker/check/modules.h"
#include "worker/check/package.h"
#include "worker/check/pattern.h"
#include "worker/git/tree_files.h"

#define LOG_MAX (1u << 20)
#define NODE_MS 20000

/* Options that a repository's .npmrc must not set: programs that npm itself would start. */
#define SAFE \
	"--ignore-scripts", "--no-audit", "--no-fund", "--prefer-offline", "--no-progress", \
		"--git=/usr/bin/git", "--script-shell=/bin/sh"

static const char *const ci[] = {"npm", "ci", SAFE, NULL};
static const char *const install[] = {"npm", "install", SAFE, "--no-package-lock", NULL};
static const char *const lock_only[] = {"npm", "install", SAFE, "--package-lock-only", NULL};

static struct pattern network_words = {
	"\\b(ENOTFOUND|EAI_AGAIN|ECONNREFUSED|ECONNRESET|ETIMEDOUT|ERR_SOCKET_TIMEOUT|EHOSTUNREACH|"
	"ENETUNREACH|UNABLE_TO_VERIFY_LEAF_SIGNATURE|SELF_SIGNED_CERT_IN_CHAIN|UNABLE_TO_GET_"
	"ISSUER_CERT"
	"_LOCALLY|CERT_HAS_EXPIRED|E5\\d\\d)\\b"};
static struct pattern error_line = {"^npm (?:ERR!|error) (?!A complete log|\\s*/|path )(.*)$"};
static struct pattern error_code = {"(?m)^npm (?:ERR!|error) code (\\w+)$"};

void deps_result_release(struct deps_result *result)
{
	json_decref(result->findings);
	result->findings = NULL;
	buf_release(&result->log);
}

err_t deps_node_version(struct sandbox *sandbox, char ret_version[32])
{
	const char *const argv[] = {"node", "--version", NULL};
	struct sandbox_command command = {.argv = argv, .timeout_ms = NODE_MS, .max_output = 200};
	AUTO(sandbox_result_release) struct sandbox_result result;
	ERR_TRY(sandbox_run(sandbox, &command, &result));
	if (result.exit_code != 0)
		return err_new(ERR_CONFIG,
			"node does not run in the sandbox (exit %d); install the "
			"packages nodejs and npm",
			result.exit_code);
	snprintf(ret_version, 32, "%.*s", (int)strcspn(result.output.data, "\n"),
		result.output.data);
	return NULL;
}

/* npm's own words, one line each, without the address of its log. */
static char *npm_words(const struct buf *log)
{
	struct buf out = BUF(800);
	struct lines lines = {log->data, log->data + log->len};
	const char *line;
	size_t len;
	while (lines_next(&lines, &line, &len)) {
		AUTO(match_release) struct match m = {0};
		if (!pattern_find(&error_line, line, len, 0, &m) || !*m.groups[1])
			continue;
		buf_addf(&out, "%s%s", out.len ? "\n" : "", m.groups[1]);
	}
	if (out.len == 0)
		text_middle(&out, log->data, log->len, 700);
	return buf_take(&out);
}

static err_t run_npm(const struct deps_request *r, const char *const *argv,
	struct deps_result *result, int *ret_exit)
{
	autofree char *cache =
		xasprintf("%.*s/npm-cache", (int)(strrchr(r->tree, '/') - r->tree), r->tree);
	if (mkdir(cache, 0700) != 0 && access(cache, W_OK) != 0)
		return err_errno("npm cache %s", cache);
	autofree char *cache_env = xasprintf("npm_config_cache=%s", cache);
	const char *const env[] = {cache_env, "CI=true", NULL};
	int64_t limit_s = settings_int(r->set, S_AIRUNNER_INSTALL_TIMEOUT_S);
	struct sandbox_command command = {.argv = argv,
		.env = env,
		.network = SANDBOX_INSTALL,
		.timeout_ms = limit_s * 1000,
		.max_output = LOG_MAX,
		.write_dir = cache,
		.alive = r->alive,
		.alive_arg = r->alive_arg};
	AUTO(sandbox_result_release) struct sandbox_result out;
	ERR_TRY(sandbox_run(r->sandbox, &command, &out));
	buf_reset(&result->log);
	text_clean(&result->log, out.output.data, out.output.len);
	result->ms += out.ms;
	result->ran = true;
	*ret_exit = out.exit_code;
	if (out.timed_out)
		return err_new(ERR_TIMEOUT,
			"npm %s did not end within %lld s; see why the registry is slow, or "
			"raise AIRUNNER_INSTALL_TIMEOUT_S",
			argv[1], (long long)limit_s);
	if (out.exit_code != 0 &&
		pattern_find(&network_words, result->log.data, result->log.len, 0, NULL)) {
		autofree char *words = npm_words(&result->log);
		return err_new(ERR_NETWORK,
			"npm %s cannot reach the registry: %s; see network, proxy and "
			"certificates (AIRUNNER_INSTALL_ENV)",
			argv[1], words);
	}
	return NULL;
}

static void add_refusal(const struct deps_request *r, struct deps_result *result, int exit_code)
{
	autofree char *words = npm_words(&result->log);
	autofree char *message =
		xasprintf("%s ended with %d: %s", result->command, exit_code, words);
	AUTO(match_release) struct match m = {0};
	bool has_code = pattern_find(&error_code, result->log.data, result->log.len, 0, &m);
	finding_add(result->findings, r->tree,
		&(struct finding){.check = "dependencies",
			.file = "package.json",
			.code = has_code ? m.groups[1] : "npm",
			.message = message});
}

static bool lags(const struct deps_result *result, int exit_code)
{
	AUTO(match_release) struct match m = {0};
	return exit_code != 0 &&
	       pattern_find(&error_code, result->log.data, result->log.len, 0, &m) &&
	       strcmp(m.groups[1], "EUSAGE") == 0;
}

static err_t install_all(const struct deps_request *r, struct deps_result *result, int *ret_exit)
{
	if (!package_lock(r->tree)) {
		result->command = "npm install";
		return run_npm(r, install, result, ret_exit);
	}
	result->command = "npm ci";
	ERR_TRY(run_npm(r, ci, result, ret_exit));
	if (!lags(result, *ret_exit))
		return NULL;
	if (r->sync_lock) { /* the change is to package.json: its lock file belongs to it */
		ERR_TRY(run_npm(r, lock_only, result, ret_exit));
		return *ret_exit != 0 ? NULL : run_npm(r, ci, result, ret_exit);
	}
	result->command = "npm install"; /* the base's lock file lags: it stays as it is */
	return run_npm(r, install, result, ret_exit);
}

/* What decides the installation, and what lies there now. "": it cannot be read. */
static char *stamp_text(const struct deps_request *r, const json_t *package)
{
	char key[65], seal[65];
	package_key(r->tree, package, r->node_version, key);
	return modules_seal(r->tree, seal) ? xasprintf("%s\n%s\n", key, seal) : xstrdup("");
}

static bool stamp_is(const char *path, const char *text)
{
	AUTO(buf_release) struct buf stamp = BUF(200);
	return *text && !buf_read_file(&stamp, path) && strcmp(stamp.data, text) == 0;
}

static err_t clear(const struct deps_request *r, const char *stamp)
{
	autofree char *modules = xasprintf("%s/node_modules", r->tree);
	if (unlink(stamp) != 0 && access(stamp, F_OK) == 0)
		return err_errno("remove %s", stamp);
	ERR_TRY(tree_files_remove(modules));
	return r->clear ? r->clear(r->clear_arg) : NULL;
}

err_t deps_install(const struct deps_request *r, struct deps_result *ret_result)
{
	*ret_result =
		(struct deps_result){.command = "", .findings = json_array(), .log = BUF(LOG_MAX)};
	json_auto_t *package = package_load(r->tree);
	if (!package || !package_needs_install(package))
		return NULL;
	autofree char *before = stamp_text(r, package);
	autofree char *stamp = xasprintf("%s.deps", r->tree);
	if (stamp_is(stamp, before) && tree_has(r->tree, "node_modules"))
		return NULL;
	ERR_TRY(clear(r, stamp));
	int exit_code = 0;
	ERR_TRY(install_all(r, ret_result, &exit_code));
	if (exit_code != 0) {
		add_refusal(r, ret_result, exit_code);
		return NULL;
	}
	autofree char *after = stamp_text(r, package); /* the lock file may be a new one */
	AUTO(buf_release) struct buf text = BUF(200);
	buf_adds(&text, after);
	return buf_write_file(&text, stamp, 0600);
}
