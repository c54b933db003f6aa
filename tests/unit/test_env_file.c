/* Env files: the table of what lines mean, and what is refused with file and line. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/buf.h"
#include "lib/env_file.h"
#include "lib/mem.h"

/* clang-format off */
static const struct { const char *line, *value; } lines[] = {
	{"X=plain",                           "plain"},
	{"X=",                                ""},
	{"X=   ",                             ""},
	{"X=two words",                       "two words"},
	{"X=trailing blanks \t ",             "trailing blanks"},
	{"X = spaced",                        "spaced"},
	{"  X=indented",                      "indented"},
	{"export X=exported",                 "exported"},
	{"export\tX=tab",                     "tab"},
	{"X=token  # Atlassian API token",    "token"},
	{"X=token\t# after a tab",            "token"},
	{"X=a#b",                             "a#b"},
	{"X=#f00",                            "#f00"},
	{"X= # nothing but a comment",        ""},
	{"X=\"quoted # kept\" # dropped",     "quoted # kept"},
	{"X='single # kept'#dropped",         "single # kept"},
	{"X=\"\"",                            ""},
	{"X=''",                              ""},
	{"X=\"a\\nb\\tc\\\"d\\\\e\\$f\\q\"",  "a\nb\tc\"d\\e$f\\q"},
	{"X='a\\nb\"c'",                      "a\\nb\"c"},
	{"X=it's",                            "it's"},
	{"X=a=b=c",                           "a=b=c"},
	{"X=$HOME/${Y}",                      "$HOME/${Y}"},
	{"X=\xc3\xa4",                        "\xc3\xa4"},
	{"X=crlf\r",                          "crlf"},
	{"X=\"crlf\"\r",                      "crlf"},
	{"\xef\xbb\xbfX=bom",                 "bom"},
	{"# X=comment",                       NULL},
	{"   # X=comment",                    NULL},
	{"",                                  NULL},
	{"exportX=1",                         NULL},
};

static const struct { const char *text, *error; } faults[] = {
	{"A=1\nX",              "F:2: not of the form NAME=value"},
	{"X y=1",               "F:1: not of the form NAME=value"},
	{"=1",                  "F:1: not of the form NAME=value"},
	{"1X=1",                "F:1: not of the form NAME=value"},
	{"X-Y=1",               "F:1: not of the form NAME=value"},
	{"export X",            "F:1: not of the form NAME=value"},
	{"\n\nX=\"open",        "F:3: X: the quote is not closed on its line (write \\n for a line end)"},
	{"X='open\nY=1'",       "F:1: X: the quote is not closed on its line (write \\n for a line end)"},
	{"X=\"open\\\"",        "F:1: X: the quote is not closed on its line (write \\n for a line end)"},
	{"X='a' b",             "F:1: X: text after the closing quote"},
};
/* clang-format on */

static void each_line_means_what_dotenv_says(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(lines); i++) {
		AUTO(env_file_release) struct env_file file = {0};
		assert_null(env_file_parse(lines[i].line, "F", &file));
		const char *value = env_file_get(&file, "X");
		if (lines[i].value)
			assert_string_equal(value ? value : "(absent)", lines[i].value);
		else
			assert_null(value);
	}
}

static void faults_are_refused_with_file_and_line(void **state)
{
	(void)state;
	for (size_t i = 0; i < ARRAY_LEN(faults); i++) {
		struct env_file file = {.count = 77};
		err_t e = env_file_parse(faults[i].text, "F", &file);
		assert_int_equal(err_code(e), ERR_CONFIG);
		assert_string_equal(err_text(e), faults[i].error);
		assert_int_equal(file.count, 77); /* set only on success */
	}
}

static void an_error_does_not_show_the_value(void **state)
{
	(void)state;
	struct env_file file;
	err_t e = env_file_parse("JIRA_API_TOKEN=\"s3cr3t-value", "F", &file);
	assert_null(strstr(err_text(e), "s3cr3t"));
	e = env_file_parse("JIRA_API_TOKEN s3cr3t-value", "F", &file);
	assert_null(strstr(err_text(e), "s3cr3t"));
}

static void the_last_of_a_name_counts(void **state)
{
	(void)state;
	AUTO(env_file_release) struct env_file file = {0};
	assert_null(env_file_parse("A=1\n\nB=2\r\n# x\nA=3", "F", &file));
	assert_int_equal(file.count, 3);
	assert_string_equal(env_file_get(&file, "A"), "3");
	assert_int_equal(env_file_entry(&file, "A")->line, 5);
	assert_int_equal(env_file_entry(&file, "B")->line, 3);
	assert_null(env_file_get(&file, "C"));
	assert_null(env_file_entry(&file, "a"));
}

static void files_are_read_and_missing_ones_named(void **state)
{
	(void)state;
	char path[] = "/tmp/airunner-env-XXXXXX";
	int fd = mkstemp(path);
	assert_true(fd >= 0);
	assert_int_equal(write(fd, "A=1\nB=\0x\n", 9), 9);
	struct env_file none;
	err_t e = env_file_read(path, &none);
	assert_int_equal(err_code(e), ERR_CONFIG);
	assert_non_null(strstr(err_text(e), "NUL"));
	assert_int_equal(ftruncate(fd, 4), 0);
	AUTO(env_file_release) struct env_file file = {0};
	assert_null(env_file_read(path, &file));
	assert_string_equal(env_file_get(&file, "A"), "1");
	close(fd);
	unlink(path);
	assert_int_equal(err_code(env_file_read(path, &none)), ERR_NOT_FOUND);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(each_line_means_what_dotenv_says),
		cmocka_unit_test(faults_are_refused_with_file_and_line),
		cmocka_unit_test(an_error_does_not_show_the_value),
		cmocka_unit_test(the_last_of_a_name_counts),
		cmocka_unit_test(files_are_read_and_missing_ones_named),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
