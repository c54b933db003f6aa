/* Log lines: both shapes, escaping, masking, one write each, context, trace, levels. */
#define _GNU_SOURCE
#include <fcntl.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/wait.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/redact.h"

static char path[64];

static int open_log(const struct log_options *options)
{
	struct log_options with_file = *options;
	with_file.file = path;
	with_file.logger = "test";
	return log_open(&with_file) ? -1 : 0;
}

static int begin(void **state)
{
	(void)state;
	snprintf(path, sizeof path, "/tmp/airunner-log-XXXXXX");
	int fd = mkstemp(path);
	close(fd);
	return fd < 0 ? -1 : open_log(&(struct log_options){.level = LOG_INFO_});
}

static int end(void **state)
{
	(void)state;
	log_set_context(0, NULL, NULL);
	log_open(&(struct log_options){.level = LOG_INFO_});
	redact_clear();
	return unlink(path);
}

/* The log so far; it is emptied. */
static char *written(void)
{
	struct buf b = BUF(1 << 24);
	assert_null(buf_read_file(&b, path));
	assert_int_equal(truncate(path, 0), 0);
	return buf_take(&b);
}

/* What follows the time; the time's shape is checked. */
static const char *after_time(const char *line, const char *level)
{
	size_t n = strlen(level);
	assert_memory_equal(line, level, n);
	static const char shape[] = " dddd-dd-dd dd:dd:dd";
	for (size_t i = 0; i < sizeof shape - 1; i++)
		if (shape[i] == 'd')
			assert_in_range(line[n + i], '0', '9');
		else
			assert_int_equal(line[n + i], shape[i]);
	return line + n + sizeof shape - 1;
}

static void human_line_has_the_seeds_shape(void **state)
{
	(void)state;
	log_info("hello %d", 7);
	autofree char *bare = written();
	assert_string_equal(after_time(bare, "[INFO]"), " - hello 7\n");

	log_set_context(42, "OD-1", "w1");
	log_fields(LOG_WARNING_, 123, NULL, "slow");
	autofree char *full = written();
	assert_string_equal(
		after_time(full, "[WARNING]"), " run=42 issue=OD-1 worker=w1 - slow (123ms)\n");

	json_t *fields = json_pack("{s:s,s:i,s:s,s:{s:b}}", "step", "edit", "turns", 3, "note",
		"two words", "more", "yes", 1);
	log_fields(LOG_ERROR_, -1, fields, "done");
	json_decref(fields);
	autofree char *with = written();
	assert_string_equal(after_time(with, "[ERROR]"),
		" run=42 issue=OD-1 worker=w1 - done step=edit turns=3 note=\"two words\""
		" more={\"yes\":true}\n");
}

static void json_line_has_the_seeds_members(void **state)
{
	(void)state;
	open_log(&(struct log_options){.level = LOG_INFO_, .json = true});
	log_set_context(42, "OD-1", "w1");
	json_t *fields = json_pack("{s:i}", "turns", 3);
	log_fields(LOG_ERROR_, 5, fields, "two\nlines ä");
	json_decref(fields);
	autofree char *text = written();
	json_t *line = json_loads(text, 0, NULL);
	assert_non_null(line);
	json_t *want = json_pack("{s:O,s:s,s:s,s:s,s:i,s:s,s:s,s:i,s:{s:i}}", "timestamp",
		json_object_get(line, "timestamp"), "level", "ERROR", "logger", "test", "message",
		"two\nlines ä", "run_id", 42, "issue_key", "OD-1", "worker_id", "w1", "duration_ms",
		5, "context", "turns", 3);
	assert_true(json_equal(line, want));
	const char *when = json_string_value(json_object_get(line, "timestamp"));
	assert_int_equal(strlen(when), strlen("2026-11-22T10:00:00.000Z"));
	assert_int_equal(when[10], 'T');
	assert_int_equal(when[23], 'Z');
	json_decref(want);
	json_decref(line);
}

static void control_characters_cannot_forge_lines(void **state)
{
	(void)state;
	const char *evil = "a\r\n[ERROR] forged\t\x1b[2J\x7f\xc2\x9b \xe2\x80\xae \xff ä";
	log_set_context(1, "K\n-1", NULL);
	log_info("%s", evil);
	autofree char *human = written();
	assert_string_equal(after_time(human, "[INFO]"),
		" run=1 issue=K\\n-1 - a\\x0d\\n[ERROR] "
		"forged\\t\\x1b[2J\\x7f\\x9b \\u202e \\xff ä\n");
	open_log(&(struct log_options){.level = LOG_INFO_, .json = true});
	log_info("%s", evil);
	autofree char *json = written();
	assert_ptr_equal(strchr(json, '\n'), json + strlen(json) - 1);
	for (const char *p = json; p[1]; p++)
		assert_true((unsigned char)*p >= 0x20 && *p != 0x7f);
	json_t *line = json_loads(json, 0, NULL);
	assert_non_null(line);
	json_decref(line);
}

static void secrets_are_masked_wherever_they_stand(void **state)
{
	(void)state;
	redact_add("GH_TOKEN", "ghp_0123456789abcdef");
	json_t *fields = json_pack("{s:s}", "url", "https://x:ghp_0123456789abcdef@host/");
	for (int json = 0; json < 2; json++) {
		open_log(&(struct log_options){.level = LOG_INFO_, .json = json});
		log_set_context(1, "ghp_0123456789abcdef", "ghp_0123456789abcdef");
		log_fields(LOG_INFO_, -1, fields, "token ghp_0123456789abcdef");
		autofree char *text = written();
		assert_null(strstr(text, "0123456789ab"));
		int count = 0;
		for (const char *p = text; (p = strstr(p, "[redacted GH_TOKEN]")); p++)
			count++;
		assert_int_equal(count, 4);
	}
	json_decref(fields);
}

static void a_secret_at_the_cut_is_masked(void **state)
{
	(void)state;
	redact_add("T", "tttttttt-uuuuuuuu-vvvvvvvv");
	for (size_t before = 16340; before < 16390; before++) {
		autofree char *dots = xmalloc(before + 1);
		memset(dots, '.', before);
		dots[before] = '\0';
		log_info("%stttttttt-uuuuuuuu-vvvvvvvv", dots);
		autofree char *text = written();
		assert_null(strstr(text, "tt"));
	}
}

static void long_lines_stay_lines(void **state)
{
	(void)state;
	autofree char *quotes = xmalloc(300001);
	memset(quotes, '"', 300000);
	quotes[300000] = '\0';
	json_t *fields = json_pack("{s:s}", "big", quotes);
	for (int json = 0; json < 2; json++) {
		open_log(&(struct log_options){.level = LOG_INFO_, .json = json});
		log_fields(LOG_INFO_, 1, fields, "%s", quotes);
		autofree char *text = written();
		assert_in_range(strlen(text), 16384, 65536);
		assert_ptr_equal(strchr(text, '\n'), text + strlen(text) - 1);
		json_t *line = json ? json_loads(text, 0, NULL) : json_true();
		assert_non_null(line);
		json_decref(line);
	}
	json_decref(fields);
}

static void several_processes_share_one_file(void **state)
{
	(void)state;
	enum { CHILDREN = 4, LINES = 200 };
	char long_text[2000];
	memset(long_text, 'x', sizeof long_text - 1);
	long_text[sizeof long_text - 1] = '\0';
	for (int i = 0; i < CHILDREN; i++)
		if (fork() == 0) {
			log_set_context(i + 1, NULL, NULL);
			for (int k = 0; k < LINES; k++)
				log_info("%s", long_text);
			_exit(0);
		}
	for (int i = 0; i < CHILDREN; i++)
		wait(NULL);
	autofree char *text = written();
	int lines = 0;
	for (char *p = text, *next; *p; p = next + 1, lines++) {
		next = strchr(p, '\n');
		assert_non_null(next);
		*next = '\0';
		const char *rest = after_time(p, "[INFO]") + strlen(" run=1 - ");
		assert_string_equal(rest, long_text);
	}
	assert_int_equal(lines, CHILDREN * LINES);
}

static void levels_below_are_silent(void **state)
{
	(void)state;
	log_debug("no");
	log_fields(LOG_DEBUG_, 1, NULL, "no");
	autofree char *silent = written();
	assert_string_equal(silent, "");
	open_log(&(struct log_options){.level = LOG_ERROR_});
	log_info("no");
	log_warning("no");
	log_error("yes");
	autofree char *text = written();
	assert_string_equal(after_time(text, "[ERROR]"), " - yes\n");
	enum log_level level = LOG_INFO_;
	assert_true(log_level_parse("critical", &level));
	assert_int_equal(level, LOG_CRITICAL_);
	assert_false(log_level_parse("loud", &level));
	assert_false(log_level_parse("", &level));
}

static void trace_writes_named_topics_only(void **state)
{
	(void)state;
	open_log(&(struct log_options){.level = LOG_ERROR_, .trace = "sql, http"});
	assert_true(log_tracing("sql"));
	assert_true(log_tracing("http"));
	assert_false(log_tracing("htt"));
	assert_false(log_tracing("proc"));
	log_trace("proc", "no");
	log_trace("http", "GET %s", "/x");
	autofree char *text = written();
	assert_string_equal(after_time(text, "[DEBUG]"), " - http: GET /x\n");
}

static void reopening_follows_a_rotated_file(void **state)
{
	(void)state;
	autofree char *old = xasprintf("%s.1", path);
	assert_int_equal(rename(path, old), 0);
	log_info("old");
	assert_null(log_reopen());
	log_info("new");
	autofree char *text = written();
	assert_string_equal(after_time(text, "[INFO]"), " - new\n");
	unlink(old);
}

static void a_file_that_cannot_be_opened_is_named(void **state)
{
	(void)state;
	err_t e = log_open(&(struct log_options){.level = LOG_INFO_, .file = "/nonexistent/x.log"});
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_non_null(strstr(err_text(e), "/nonexistent/x.log"));
	log_info("still here");
	autofree char *text = written();
	assert_string_equal(after_time(text, "[INFO]"), " - still here\n");
}

/* stderr into a pipe: the journal's prefix, and no colour where there is no terminal. */
static void journal_lines_begin_with_their_priority(void **state)
{
	(void)state;
	int fds[2], saved = dup(STDERR_FILENO);
	assert_int_equal(pipe(fds), 0);
	dup2(fds[1], STDERR_FILENO);
	close(fds[1]);
	assert_null(log_open(&(struct log_options){.level = LOG_INFO_, .journal = true}));
	log_error("x");
	dup2(saved, STDERR_FILENO);
	close(saved);
	char got[100] = "";
	assert_true(read(fds[0], got, sizeof got - 1) > 0);
	close(fds[0]);
	assert_memory_equal(got, "<3>[ERROR] 2", 12);
}

/* What a line looks like on a new terminal that is stderr meanwhile. */
static void terminal_line(bool plain, char ret_text[200])
{
	int master = posix_openpt(O_RDWR | O_NOCTTY), saved = dup(STDERR_FILENO);
	assert_true(master >= 0 && grantpt(master) == 0 && unlockpt(master) == 0);
	int slave = open(ptsname(master), O_RDWR | O_NOCTTY);
	assert_true(slave >= 0);
	dup2(slave, STDERR_FILENO);
	close(slave);
	err_t e = log_open(&(struct log_options){.level = LOG_INFO_, .plain = plain});
	log_warning("x");
	ssize_t n = read(master, ret_text, 199);
	dup2(saved, STDERR_FILENO);
	close(saved);
	close(master);
	assert_null(e);
	assert_true(n > 0);
	ret_text[n] = '\0';
}

static void colour_is_for_terminals_that_want_it(void **state)
{
	(void)state;
	char text[200];
	terminal_line(false, text);
	assert_memory_equal(text, "\x1b[33m[WARNING]\x1b[0m 2", 20);
	terminal_line(true, text);
	assert_memory_equal(text, "[WARNING] 2", 11);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test_setup_teardown(colour_is_for_terminals_that_want_it, begin, end),
		cmocka_unit_test_setup_teardown(human_line_has_the_seeds_shape, begin, end),
		cmocka_unit_test_setup_teardown(json_line_has_the_seeds_members, begin, end),
		cmocka_unit_test_setup_teardown(control_characters_cannot_forge_lines, begin, end),
		cmocka_unit_test_setup_teardown(secrets_are_masked_wherever_they_stand, begin, end),
		cmocka_unit_test_setup_teardown(a_secret_at_the_cut_is_masked, begin, end),
		cmocka_unit_test_setup_teardown(long_lines_stay_lines, begin, end),
		cmocka_unit_test_setup_teardown(several_processes_share_one_file, begin, end),
		cmocka_unit_test_setup_teardown(levels_below_are_silent, begin, end),
		cmocka_unit_test_setup_teardown(trace_writes_named_topics_only, begin, end),
		cmocka_unit_test_setup_teardown(reopening_follows_a_rotated_file, begin, end),
		cmocka_unit_test_setup_teardown(a_file_that_cannot_be_opened_is_named, begin, end),
		cmocka_unit_test_setup_teardown(
			journal_lines_begin_with_their_priority, begin, end),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
