/* Settings: order of the places, types, names, secrets, what each program sees, what is printed. */
#define _GNU_SOURCE
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/settings.h"

static char folder[] = "/tmp/airunner-settings-XXXXXX";

static char *write_file(const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	AUTO(buf_release) struct buf b = BUF(100000);
	buf_adds(&b, text);
	assert_null(buf_write_file(&b, path, 0600));
	return take(&path);
}

static void drop_file(const char *name)
{
	autofree char *path = xasprintf("%s/%s", folder, name);
	unlink(path);
}

static int begin(void **state)
{
	(void)state;
	autofree char *output =
		xstrdup(getenv("CMOCKA_MESSAGE_OUTPUT")); /* read again after each test */
	clearenv();
	if (output)
		setenv("CMOCKA_MESSAGE_OUTPUT", output, 1);
	setenv("AIRUNNER_ENV_FILE", "", 1); /* whatever this machine has in /etc */
	redact_clear();
	return 0;
}

static struct settings *load(enum program program, const char *env_file, const char *const *flags)
{
	struct settings *set = NULL;
	err_t e = settings_load(&(struct settings_options){.program = program,
					.env_file = env_file,
					.overrides = flags,
					.default_db_user = "air_worker"},
		&set);
	assert_string_equal(err_text(e), "");
	return set;
}

static void load_fails(
	enum program program, const char *env_file, const char *flag, const char *want)
{
	struct settings *set = NULL;
	const char *const flags[] = {flag, NULL};
	err_t e = settings_load(
		&(struct settings_options){
			.program = program, .env_file = env_file, .overrides = flags},
		&set);
	assert_int_equal(err_code(e), ERR_CONFIG);
	if (!strstr(err_text(e), want))
		assert_string_equal(err_text(e), want);
	assert_null(set);
}

static void base_branch_is(
	const char *env_file, const char *const *flags, const char *value, const char *source)
{
	AUTO(settings_freep) struct settings *set = load(PROGRAM_WORKER, env_file, flags);
	assert_string_equal(settings_str(set, S_BASE_BRANCH), value);
	assert_non_null(strstr(settings_source(set, S_BASE_BRANCH), source));
}

/* From the last place to the first: each one added hides those before. */
static void places_are_asked_in_order(void **state)
{
	(void)state;
	base_branch_is(NULL, NULL, "main", "default");
	autofree char *env_file = write_file("env", "# x\nBASE_BRANCH=by-env-file\n");
	base_branch_is(env_file, NULL, "by-env-file", "/env:2");
	setenv("AIRUNNER_ENV_FILE", env_file, 1);
	base_branch_is(NULL, NULL, "by-env-file", "/env:2");
	autofree char *credential = write_file("BASE_BRANCH", "by-credential\n");
	setenv("CREDENTIALS_DIRECTORY", folder, 1);
	base_branch_is(NULL, NULL, "by-credential", "credential ");
	autofree char *named = write_file("named", "by-named-file\n");
	setenv("BASE_BRANCH_FILE", named, 1);
	base_branch_is(NULL, NULL, "by-named-file", "BASE_BRANCH_FILE ");
	unsetenv("BASE_BRANCH_FILE");
	setenv("BASE_BRANCH", "by-environment", 1);
	base_branch_is(NULL, NULL, "by-environment", "environment");
	base_branch_is(NULL, (const char *const[]){"BASE_BRANCH=old", "BASE_BRANCH=by=flag", NULL},
		"by=flag", "flag");
	drop_file("env");
	drop_file("BASE_BRANCH");
	drop_file("named");
}

static void value_and_file_must_agree(void **state)
{
	(void)state;
	autofree char *path = write_file("named", "same");
	setenv("BASE_BRANCH_FILE", path, 1);
	setenv("BASE_BRANCH", "same", 1);
	base_branch_is(NULL, NULL, "same", "environment");
	setenv("BASE_BRANCH", "", 1); /* empty: as good as not set beside the file */
	base_branch_is(NULL, NULL, "same", "environment");
	setenv("BASE_BRANCH", "other", 1);
	load_fails(PROGRAM_WORKER, NULL, NULL,
		"BASE_BRANCH and BASE_BRANCH_FILE (environment) are both set and differ");
	unsetenv("BASE_BRANCH");
	setenv("BASE_BRANCH_FILE", "/nonexistent/x", 1);
	load_fails(PROGRAM_WORKER, NULL, NULL, "BASE_BRANCH_FILE: /nonexistent/x: no such file");
	unsetenv("BASE_BRANCH_FILE");
	autofree char *text = xasprintf("BASE_BRANCH_FILE=%s\n", path);
	autofree char *env_file = write_file("env", text);
	base_branch_is(env_file, NULL, "same", "/env:1, BASE_BRANCH_FILE ");
	drop_file("named");
	drop_file("env");
}

static void files_lose_one_line_end(void **state)
{
	(void)state;
	static const struct {
		const char *text, *value;
	} files[] = {{"x", "x"}, {"x\n", "x"}, {"x\r\n", "x"}, {"x\n\n", "x\n"}, {" x \n", " x "},
		{"\n", ""}};
	for (size_t i = 0; i < ARRAY_LEN(files); i++) {
		autofree char *path = write_file("named", files[i].text);
		setenv("BASE_BRANCH_FILE", path, 1);
		base_branch_is(NULL, NULL, files[i].value, "environment");
	}
	drop_file("named");
}

static void env_file_must_exist_when_named(void **state)
{
	(void)state;
	load_fails(PROGRAM_WORKER, "/nonexistent/env", NULL, "/nonexistent/env: no such file");
	setenv("AIRUNNER_ENV_FILE", "/nonexistent/env2", 1);
	load_fails(PROGRAM_WORKER, NULL, NULL, "/nonexistent/env2: no such file");
	base_branch_is("", NULL, "main", "default");
}

/* clang-format off */
static const struct { const char *name, *text; enum setting id; int64_t want; } numbers[] = {
	{"AIRUNNER_MAX_RUNS", "7", S_AIRUNNER_MAX_RUNS, 7},
	{"AIRUNNER_MAX_RUNS", "0", S_AIRUNNER_MAX_RUNS, 0},
	{"AIRUNNER_MAX_RUNS", "", S_AIRUNNER_MAX_RUNS, 4}, /* the default */
	{"AIRUNNER_MAX_RUN_USD", "5", S_AIRUNNER_MAX_RUN_USD, 5000000},
	{"AIRUNNER_MAX_RUN_USD", "5.00", S_AIRUNNER_MAX_RUN_USD, 5000000},
	{"AIRUNNER_MAX_RUN_USD", "0.000001", S_AIRUNNER_MAX_RUN_USD, 1},
	{"AIRUNNER_MAX_RUN_USD", "1234.5", S_AIRUNNER_MAX_RUN_USD, 1234500000},
	{"AIRUNNER_MAX_RUN_USD", "", S_AIRUNNER_MAX_RUN_USD, 5000000},
};
static const struct { const char *name, *text, *want; } faults[] = {
	{"AIRUNNER_MAX_RUNS", "many", "AIRUNNER_MAX_RUNS (environment): \"many\" is not a whole number from 0 to "
		"2147483647; example: AIRUNNER_MAX_RUNS=4"},
	{"AIRUNNER_MAX_RUNS", "-1", "not a whole number"},
	{"AIRUNNER_MAX_RUNS", "1.5", "not a whole number"},
	{"AIRUNNER_MAX_RUNS", "2147483648", "not a whole number"},
	{"AIRUNNER_MAX_RUNS", "4 ", "not a whole number"},
	{"AIRUNNER_MAX_RUN_USD", "$5", "\"$5\" is not an amount of dollars; example: AIRUNNER_MAX_RUN_USD=5.00"},
	{"AIRUNNER_MAX_RUN_USD", "5.", "not an amount"},
	{"AIRUNNER_MAX_RUN_USD", ".5", "not an amount"},
	{"AIRUNNER_MAX_RUN_USD", "0.0000001", "not an amount"},
	{"AIRUNNER_MAX_RUN_USD", "1e3", "not an amount"},
	{"AIRUNNER_MAX_RUN_USD", "12345678901", "not an amount"},
	{"USE_SMART_QUEUE", "maybe", "\"maybe\" is not true or false; example: USE_SMART_QUEUE=true"},
	{"LOG_LEVEL", "loud", "\"loud\" is none of: DEBUG INFO WARNING ERROR CRITICAL"},
	{"LOG_LEVEL", "", "is none of"},
	{"LOG_FORMAT", "xml", "\"xml\" is none of: human json"},
	{"AIRUNNER_TRACE", "http,everything", "is none of: http sql proc llm"},
	{"JIRA_BASE_URL", "site.atlassian.net", "is not an http(s) address; example: JIRA_BASE_URL=https://"},
};
/* clang-format on */

static void numbers_are_read_by_type(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++) {
		setenv(numbers[i].name, numbers[i].text, 1);
		AUTO(settings_freep) struct settings *set = load(PROGRAM_WORKER, NULL, NULL);
		assert_int_equal(settings_int(set, numbers[i].id), numbers[i].want);
		unsetenv(numbers[i].name);
	}
	static const char *const yes[] = {"1", "true", "YES", "y", "on"}, *const no[] = {"0",
										  "False", "no",
										  "n", "off"};
	for (size_t i = 0; i < ARRAY_LEN(yes); i++)
		for (int want = 0; want < 2; want++) {
			setenv("USE_SMART_QUEUE", want ? yes[i] : no[i], 1);
			AUTO(settings_freep)
			struct settings *set = load(PROGRAM_WORKER, NULL, NULL);
			assert_int_equal(settings_bool(set, S_USE_SMART_QUEUE), want);
		}
}

static void wrong_values_are_refused_with_an_example(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		setenv(faults[i].name, faults[i].text, 1);
		load_fails(PROGRAM_WORKER, NULL, NULL, faults[i].want);
		unsetenv(faults[i].name);
	}
	autofree char *env_file = write_file("env", "\nDEBUG=perhaps\n");
	load_fails(PROGRAM_WORKER, env_file, NULL, "env:2): \"perhaps\" is not true or false");
	load_fails(PROGRAM_WORKER, NULL, "DEBUG=perhaps", "DEBUG (flag): ");
	drop_file("env");
}

static void unknown_own_names_are_refused_with_a_guess(void **state)
{
	(void)state;
	autofree char *env_file =
		write_file("env", "OTHER_SYSTEM=1\nMAX_RUNS=x\nAIRUNNER_MAX_RUN=3\n");
	load_fails(PROGRAM_WORKER, env_file, NULL,
		"env:3: AIRUNNER_MAX_RUN is not a setting; did you mean AIRUNNER_MAX_RUNS?");
	free(take(&env_file));
	env_file = write_file("env", "AIRUNNER_DB_PASWORD_FILE=/x");
	load_fails(PROGRAM_HOOK, env_file, NULL, "did you mean AIRUNNER_DB_PASSWORD?");
	free(take(&env_file));
	env_file = write_file("env", "AIRUNNER_COFFEE_STRENGTH=3");
	load_fails(PROGRAM_WORKER, env_file, NULL,
		"AIRUNNER_COFFEE_STRENGTH is not a setting; `airunnerctl");
	free(take(&env_file));
	env_file = write_file("env", "OTHER=1\nAIRUNNER_SAMPLE=0\nAIRUNNER_DB_PASSWORD_FILE=\n");
	base_branch_is(env_file, NULL, "main", "default");
	drop_file("env");
	load_fails(PROGRAM_WORKER, NULL, "BASE_BRUNCH=x",
		"--set: BASE_BRUNCH is not a setting; did you mean BASE_BRANCH?");
	load_fails(PROGRAM_WORKER, NULL, "BASE_BRANCH", "not of the form NAME=VALUE");
}

static void secrets_stay_off_the_command_line(void **state)
{
	(void)state;
	load_fails(PROGRAM_WORKER, NULL, "GH_TOKEN=ghp_abcdefghijkl", "use GH_TOKEN_FILE");
	load_fails(PROGRAM_WORKER, NULL, "AIRUNNER_HANDLERS=3", "this program does not read it");
}

static void dies(void (*fn)(const struct settings *), const struct settings *set)
{
	pid_t pid = fork();
	if (pid == 0) {
		if (!freopen("/dev/null", "w", stderr))
			_exit(9);
		fn(set);
		_exit(0);
	}
	int status = 0;
	assert_int_equal(waitpid(pid, &status, 0), pid);
	assert_true(WIFSIGNALED(status) && WTERMSIG(status) == SIGABRT);
}

static void ask_foreign_secret(const struct settings *set)
{
	settings_str(set, S_GH_TOKEN);
}

static void ask_other_type(const struct settings *set)
{
	settings_int(set, S_LOG_LEVEL);
}

static void a_program_gets_its_own_settings_only(void **state)
{
	(void)state;
	setenv("GH_TOKEN", "ghp_0123456789abcdef", 1);
	setenv("JIRA_WEBHOOK_SECRET", "hook-of-another-kind", 1);
	AUTO(settings_freep) struct settings *hook = load(PROGRAM_HOOK, NULL, NULL);
	assert_string_equal(settings_str(hook, S_JIRA_WEBHOOK_SECRET), "hook-of-another-kind");
	dies(ask_foreign_secret, hook);
	dies(ask_other_type, hook);
	autofree char *kept = redact_str("ghp_0123456789abcdef");
	assert_string_equal(kept, "ghp_0123456789abcdef"); /* the handler never took it up */

	AUTO(settings_freep) struct settings *worker = load(PROGRAM_WORKER, NULL, NULL);
	assert_string_equal(settings_str(worker, S_GH_TOKEN), "ghp_0123456789abcdef");
	autofree char *masked = redact_str("x ghp_0123456789abcdef");
	assert_string_equal(masked, "x [redacted GH_TOKEN]");

	setenv("AIRUNNER_MAX_RUNS", "nonsense", 1); /* not read by handlers: not their error */
	AUTO(settings_freep) struct settings *pages = load(PROGRAM_PAGES, NULL, NULL);
	assert_string_equal(
		settings_source(pages, S_AIRUNNER_MAX_RUNS), "not read by this program");
}

static void ctl_knows_of_secrets_only_that_they_are_set(void **state)
{
	(void)state;
	setenv("GH_TOKEN", "ghp_0123456789abcdef", 1);
	setenv("JIRA_API_TOKEN_FILE", "/nonexistent/unreadable", 1);
	AUTO(settings_freep) struct settings *ctl = load(PROGRAM_CTL, NULL, NULL);
	dies(ask_foreign_secret, ctl);
	AUTO(buf_release) struct buf out = BUF(100000);
	settings_print(ctl, &out);
	assert_null(strstr(out.data, "ghp_"));
	assert_non_null(strstr(out.data, "\nGH_TOKEN                        set   "));
	assert_non_null(strstr(out.data, "\nJIRA_API_TOKEN                  set   "));
	assert_non_null(strstr(out.data, "\nOPENAI_API_KEY                  not set   "));
	assert_non_null(strstr(out.data, "\nBASE_BRANCH                     main   "));
	const char *missing = err_text(settings_require(ctl));
	assert_null(strstr(missing, "JIRA_API_TOKEN"));
	assert_non_null(strstr(missing, "ANTHROPIC_API_KEY"));
}

static void printing_shows_no_part_of_a_secret(void **state)
{
	(void)state;
	setenv("GH_TOKEN", "ghp_0123456789abcdef", 1);
	setenv("REPO_SSH", "https://user:p4ssw0rd-in-url@host/x.git", 1);
	AUTO(settings_freep) struct settings *set = load(PROGRAM_WORKER, NULL, NULL);
	AUTO(buf_release) struct buf out = BUF(100000);
	settings_print(set, &out);
	assert_null(strstr(out.data, "ghp_"));
	assert_null(strstr(out.data, "p4ssw0rd"));
	assert_non_null(strstr(out.data, "https://user:[redacted REPO_SSH]@host/x.git"));
}

static void required_settings_are_named_together(void **state)
{
	(void)state;
	AUTO(settings_freep) struct settings *set = load(PROGRAM_WORKER, NULL, NULL);
	err_t e = settings_require(set);
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_non_null(strstr(err_text(e), "JIRA_BASE_URL, JIRA_EMAIL, JIRA_API_TOKEN, "));
	static const char *const need[] = {"JIRA_EMAIL", "JIRA_API_TOKEN", "JIRA_AI_ACCOUNT_ID",
		"JIRA_HUMAN_ACCOUNT_ID", "ANTHROPIC_API_KEY"};
	setenv("JIRA_BASE_URL", "https://x", 1);
	for (size_t i = 0; i < ARRAY_LEN(need); i++)
		setenv(need[i], "given", 1);
	AUTO(settings_freep) struct settings *full = load(PROGRAM_WORKER, NULL, NULL);
	assert_null(settings_require(full));
	setenv("JIRA_EMAIL", "", 1);
	AUTO(settings_freep) struct settings *empty = load(PROGRAM_WORKER, NULL, NULL);
	assert_string_equal(err_text(settings_require(empty)),
		"missing: JIRA_EMAIL; set each in the environment, the env file, or a file named "
		"by NAME_FILE");
	AUTO(settings_freep) struct settings *pages = load(PROGRAM_PAGES, NULL, NULL);
	assert_null(settings_require(pages));
}

static void addresses_lose_their_last_slash(void **state)
{
	(void)state;
	setenv("JIRA_BASE_URL", "https://x.atlassian.net//", 1);
	setenv("AIRUNNER_DB_SOCKET", "", 1); /* an empty text is a value */
	AUTO(settings_freep) struct settings *set = load(PROGRAM_WORKER, NULL, NULL);
	assert_string_equal(settings_str(set, S_JIRA_BASE_URL), "https://x.atlassian.net");
	assert_string_equal(settings_str(set, S_AIRUNNER_DB_SOCKET), "");
	assert_string_equal(settings_str(set, S_AIRUNNER_DB_USER), "air_worker");
	setenv("AIRUNNER_DB_USER", "", 1);
	AUTO(settings_freep) struct settings *empty = load(PROGRAM_WORKER, NULL, NULL);
	assert_string_equal(settings_str(empty, S_AIRUNNER_DB_USER), "air_worker");
	setenv("AIRUNNER_DB_USER", "me", 1);
	AUTO(settings_freep) struct settings *me = load(PROGRAM_WORKER, NULL, NULL);
	assert_string_equal(settings_str(me, S_AIRUNNER_DB_USER), "me");
}

static void log_options_follow_the_settings(void **state)
{
	(void)state;
	struct log_options o;
	AUTO(settings_freep) struct settings *plain = load(PROGRAM_HOOK, NULL, NULL);
	settings_log_options(plain, "x", &o);
	assert_int_equal(o.level, LOG_INFO_);
	assert_null(o.file);
	assert_false(o.json || o.plain || o.journal);
	setenv("LOG_LEVEL", "error", 1);
	setenv("LOG_FORMAT", "JSON", 1);
	setenv("LOG_FILE", "/tmp/x.log", 1);
	setenv("AIRUNNER_TRACE", "sql, llm", 1);
	setenv("NO_COLOR", "1", 1);
	struct stat st;
	assert_int_equal(fstat(STDERR_FILENO, &st), 0);
	autofree char *stream = xasprintf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	setenv("JOURNAL_STREAM", stream, 1);
	AUTO(settings_freep) struct settings *set = load(PROGRAM_HOOK, NULL, NULL);
	settings_log_options(set, "x", &o);
	assert_int_equal(o.level, LOG_ERROR_);
	assert_true(o.json && o.plain && o.journal);
	assert_string_equal(o.file, "/tmp/x.log");
	assert_string_equal(o.trace, "sql, llm");
	setenv("DEBUG", "1", 1);
	setenv("JOURNAL_STREAM", "1:1", 1); /* stderr went elsewhere */
	AUTO(settings_freep) struct settings *debug = load(PROGRAM_HOOK, NULL, NULL);
	settings_log_options(debug, "x", &o);
	assert_int_equal(o.level, LOG_DEBUG_);
	assert_false(o.journal);
}

static void share_folder_is_beside_or_above_the_program(void **state)
{
	(void)state;
	AUTO(settings_freep) struct settings *set = load(PROGRAM_HOOK, NULL, NULL);
	autofree char *path = settings_share_path(set, "templates/x.html");
	assert_non_null(strstr(path, "/share/airunner/templates/x.html"));
	setenv("AIRUNNER_SHARE_DIR", "/srv/share", 1);
	AUTO(settings_freep) struct settings *named = load(PROGRAM_HOOK, NULL, NULL);
	autofree char *there = settings_share_path(named, "templates/x.html");
	assert_string_equal(there, "/srv/share/templates/x.html");
}

static void other_variables_can_be_asked_but_no_secret(void **state)
{
	(void)state;
	setenv("HTTPS_PROXY", "http://proxy:3128", 1);
	setenv("GH_TOKEN", "ghp_0123456789abcdef", 1);
	AUTO(settings_freep) struct settings *set = load(PROGRAM_WORKER, NULL, NULL);
	assert_string_equal(settings_environment(set, "HTTPS_PROXY"), "http://proxy:3128");
	assert_null(settings_environment(set, "NO_SUCH_VARIABLE"));
	assert_null(settings_environment(set, "GH_TOKEN"));
}

/* With every line taken up, the example changes no value. */
static void the_example_file_is_all_defaults(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf out = BUF(200000), bare = BUF(200000);
	settings_print_example(&out);
	for (char *line = strtok(out.data, "\n"); line; line = strtok(NULL, "\n"))
		if (line[0] != '#' || line[1] != ' ')
			buf_addf(&bare, "%s\n", line + (line[0] == '#'));
	autofree char *env_file = write_file("env", bare.data);
	AUTO(settings_freep) struct settings *plain = load(PROGRAM_CTL, NULL, NULL);
	AUTO(settings_freep) struct settings *set = load(PROGRAM_CTL, env_file, NULL);
	assert_non_null(strstr(settings_source(set, S_JIRA_STATUS_SELECTED_FOR_DEV), "/env:"));
	assert_string_equal(
		settings_str(set, S_JIRA_STATUS_SELECTED_FOR_DEV), "Selected for Development");
	assert_string_equal(
		settings_str(set, S_AIRUNNER_DB_SOCKET), settings_str(plain, S_AIRUNNER_DB_SOCKET));
	assert_int_equal(settings_int(set, S_AIRUNNER_MAX_RUN_USD),
		settings_int(plain, S_AIRUNNER_MAX_RUN_USD));
	drop_file("env");
}

static void the_table_has_a_row_for_each_setting(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf out = BUF(200000);
	settings_print_markdown(&out);
	size_t rows = 0;
	for (const char *p = out.data; (p = strstr(p, "\n| `")); p++)
		rows++;
	assert_int_equal(rows, S__MAX);
	assert_non_null(strstr(out.data, "| `GH_TOKEN` | text | | worker | GitHub token: contents "
					 "and pull requests, write; secret |\n"));
	assert_non_null(
		strstr(out.data, "| `AIRUNNER_POLL_MS` | whole number, ms | `2000` | worker | "));
}

static int make_folder(void **state)
{
	(void)state;
	return mkdtemp(folder) ? 0 : -1;
}

static int drop_folder(void **state)
{
	(void)state;
	redact_clear();
	return rmdir(folder);
}

static void the_readme_has_the_same_table(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf table = BUF(1 << 20);
	AUTO(buf_release) struct buf readme = BUF(1 << 20);
	settings_print_markdown(&table);
	assert_null(buf_read_file(&readme, "README.md"));
	if (!strstr(readme.data, table.data))
		fail_msg("README.md: put the output of `build/airunnerctl config table` below "
			 "Settings");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup(places_are_asked_in_order, begin),
		cmocka_unit_test_setup(value_and_file_must_agree, begin),
		cmocka_unit_test_setup(files_lose_one_line_end, begin),
		cmocka_unit_test_setup(env_file_must_exist_when_named, begin),
		cmocka_unit_test_setup(numbers_are_read_by_type, begin),
		cmocka_unit_test_setup(wrong_values_are_refused_with_an_example, begin),
		cmocka_unit_test_setup(unknown_own_names_are_refused_with_a_guess, begin),
		cmocka_unit_test_setup(secrets_stay_off_the_command_line, begin),
		cmocka_unit_test_setup(a_program_gets_its_own_settings_only, begin),
		cmocka_unit_test_setup(ctl_knows_of_secrets_only_that_they_are_set, begin),
		cmocka_unit_test_setup(printing_shows_no_part_of_a_secret, begin),
		cmocka_unit_test_setup(required_settings_are_named_together, begin),
		cmocka_unit_test_setup(addresses_lose_their_last_slash, begin),
		cmocka_unit_test_setup(log_options_follow_the_settings, begin),
		cmocka_unit_test_setup(share_folder_is_beside_or_above_the_program, begin),
		cmocka_unit_test_setup(other_variables_can_be_asked_but_no_secret, begin),
		cmocka_unit_test_setup(the_example_file_is_all_defaults, begin),
		cmocka_unit_test_setup(the_table_has_a_row_for_each_setting, begin),
		cmocka_unit_test_setup(the_readme_has_the_same_table, begin),
	};
	return cmocka_run_group_tests(tests, make_folder, drop_folder);
}
