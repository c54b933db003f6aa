/* What is taken out of a webhook's body. The 55 recorded bodies are those of ../shared/specs. */
#include <dirent.h>
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cgi/intake.h"
#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/run_names.h"
#include "lib/text.h"

#define SPECS "../shared/specs/jira-webhooks"

static struct intake in;

static enum err_code read_body(const char *body)
{
	return err_code(intake_read(body, strlen(body), NULL, &in));
}

static void assert_issue(const char *body, const char *issue, const char *project)
{
	if (read_body(body) != ERR_NONE)
		fail_msg("not accepted: %s", body);
	assert_string_equal(in.issue, issue);
	assert_string_equal(in.project, project);
}

static void the_key_is_found_in_all_four_places(void **state)
{
	(void)state;
	assert_issue("{\"issue_key\":\"ABC-1\"}", "ABC-1", "ABC");
	assert_issue("{\"issueKey\":\"ABC-2\"}", "ABC-2", "ABC");
	assert_issue("{\"issue\":{\"key\":\"ABC-3\"}}", "ABC-3", "ABC");
	assert_issue("{\"issue\":{\"id\":\"10040\"}}", "10040", "");
	assert_issue("{\"issue\":{\"id\":10040}}", "10040", "");
	assert_issue("{\"issue_key\":\"\",\"issue\":{\"id\":1,\"key\":\"abc_d-4\"}}", "ABC_D-4",
		"ABC_D");
}

static void only_strict_keys_are_keys(void **state)
{
	(void)state;
	static const char *const bad[] = {"", "-1", "ABC", "ABC-", "ABC-x", "1ABC-1", "ABC-1-2",
		"ABC 1", "ABC-1 ", " ABC-1", "ABC-1\n", "A/B-1", "../A-1", "A'-1", "_A-1",
		"ABC-1234567890123456789", "1234567890123456789",
		"AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-1", "\xc3\x84-1"};
	char key[ISSUE_KEY_MAX];
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		if (intake_issue_key(bad[i], key))
			fail_msg("taken as a key: %s", bad[i]);
	}
	assert_true(intake_issue_key("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA-123456789012345678", key));
	assert_true(intake_issue_key("a-1", key));
	assert_string_equal(key, "A-1");
}

static void a_body_without_an_issue_is_refused_with_the_remedy(void **state)
{
	(void)state;
	static const char *const bad[] = {"{}", "[]", "7", "null", "\"ABC-1\"",
		"{\"issue\":\"ABC-1\"}", "{\"issue_key\":[\"ABC-1\"]}", "{\"issue_key\":null}",
		"{\"issue\":{\"id\":1.5}}", "{\"issue\":{\"id\":-4}}",
		"{\"comment\":{\"id\":\"1\"}}"};
	for (size_t i = 0; i < ARRAY_LEN(bad); i++) {
		err_t e = intake_read(bad[i], strlen(bad[i]), NULL, &in);
		assert_int_equal(err_code(e), ERR_BAD_INPUT);
		assert_non_null(strstr(err_text(e), "issue"));
	}
	err_t e = intake_read("{}", 2, NULL, &in);
	assert_non_null(strstr(err_text(e), "{{issue.key}}"));
}

static void a_broken_body_is_searched_for_the_key_alone(void **state)
{
	(void)state;
	assert_issue("{\"event_type\":\"issue_assigned\",\"issue_key\": \"ABC-1\",\n"
		     "\"summary\":\"a \"quoted\" title\"}",
		"ABC-1", "ABC");
	assert_true(in.salvaged);
	assert_issue("{\"issueKey\" : 10040 , x", "10040", "");
	assert_issue("{\"issue_key\":\"ABC-1\",\"issue_key\":\"abc-1\"}", "ABC-1", "ABC");
	assert_int_equal(read_body("{\"issue_key\":\"ABC-1"), ERR_BAD_INPUT);
	assert_int_equal(read_body("{\"issue_key\""), ERR_BAD_INPUT);
	assert_int_equal(read_body("{\"issue_key\":"), ERR_BAD_INPUT);
	assert_int_equal(read_body("{\"summary\":\"ABC-1\" \"\"}"), ERR_BAD_INPUT);
	assert_int_equal(read_body(""), ERR_BAD_INPUT);
}

static void a_title_that_plays_a_second_key_is_refused(void **state)
{
	(void)state;
	assert_int_equal(
		read_body("{\"issue_key\":\"ABC-1\",\"summary\":\"x\",\"issue_key\":\"EVIL-9\"}"),
		ERR_BAD_INPUT);
	assert_int_equal(
		read_body(
			"{\"issue_key\":\"ABC-1\",\"summary\":\"a\" b\",\"issueKey\":\"EVIL-9\"}"),
		ERR_BAD_INPUT);
	/* escaped, it is text */
	assert_issue("{\"issue_key\":\"ABC-1\",\"summary\":\"\\\"issue_key\\\":\\\"EVIL-9\\\"\" }}",
		"ABC-1", "ABC");
}

static void odd_json_does_no_harm(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf deep = BUF(1 << 20);
	buf_adds(&deep, "{\"issue_key\":\"ABC-1\",\"x\":");
	for (int i = 0; i < 5000; i++)
		buf_addc(&deep, '[');
	assert_issue(deep.data, "ABC-1", "ABC"); /* too deep for JSON, so salvaged */
	assert_int_equal(read_body("{\"issue\":{\"key\":\"A\\u0000-1\"}}"), ERR_BAD_INPUT);
	assert_int_equal(read_body("{\"issue\":{\"key\":\"\xff-1\"}}"), ERR_BAD_INPUT);
	assert_int_equal(
		err_code(intake_read("{\"issue_key\":\"AB\0-1\"}", 20, NULL, &in)), ERR_BAD_INPUT);
	assert_int_equal(read_body("{\"issue\":{\"id\":1e999}}"), ERR_BAD_INPUT);
}

static void labels_give_the_priority(void **state)
{
	(void)state;
	static const struct {
		const char *labels;
		int priority;
	} cases[] = {{"\"urgent\"", PRIORITY_URGENT}, {"\"P0\"", PRIORITY_URGENT},
		{"\"x\",\"Critical\"", PRIORITY_URGENT}, {"\"high\"", PRIORITY_HIGH},
		{"\"low\",\"p1\"", PRIORITY_HIGH}, {"\"cleanup\"", PRIORITY_LOW},
		{"\"Priority:High\"", PRIORITY_HIGH}, {"\"priority-low\"", PRIORITY_LOW},
		{"\"not-important\"", 0}, {"\"lower\"", 0}, {"", 0}, {"7", 0}};
	for (size_t i = 0; i < ARRAY_LEN(cases); i++) {
		autofree char *flat =
			xasprintf("{\"issue_key\":\"A-1\",\"labels\":[%s]}", cases[i].labels);
		autofree char *whole =
			xasprintf("{\"issue\":{\"key\":\"A-1\",\"fields\":{\"labels\":[%s]}}}",
				cases[i].labels);
		assert_int_equal(read_body(flat), ERR_NONE);
		assert_int_equal(in.priority, cases[i].priority);
		assert_int_equal(read_body(whole), ERR_NONE);
		assert_int_equal(in.priority, cases[i].priority);
	}
}

static void the_identifier_counts_before_the_body(void **state)
{
	(void)state;
	char first[SHA256_HEX_LEN + 1];
	assert_int_equal(
		err_code(intake_read("{\"issue_key\":\"A-1\"}", 19, "id-1", &in)), ERR_NONE);
	assert_true(in.has_identifier);
	memcpy(first, in.dedupe_key, sizeof first);
	assert_int_equal(
		err_code(intake_read("{\"issue_key\":\"A-2\"}", 19, "id-1", &in)), ERR_NONE);
	assert_string_equal(in.dedupe_key, first);
	assert_int_equal(read_body("{\"issue_key\":\"A-1\"}"), ERR_NONE);
	assert_false(in.has_identifier);
	assert_string_not_equal(in.dedupe_key, first);
	memcpy(first, in.dedupe_key, sizeof first);
	assert_int_equal(read_body("{\"issue_key\":\"A-1\" }"), ERR_NONE);
	assert_string_not_equal(in.dedupe_key, first);
	/* an identifier cannot play a body */
	assert_int_equal(err_code(intake_read(
				 "{\"issue_key\":\"A-9\"}", 19, "{\"issue_key\":\"A-1\"}", &in)),
		ERR_NONE);
	assert_string_not_equal(in.dedupe_key, first);
}

static void an_old_body_is_refused_and_a_timeless_one_is_not(void **state)
{
	(void)state;
	int64_t now_ms = 1795000000000, day_ms = 86400000;
	in = (struct intake){.timestamp_ms = now_ms - day_ms};
	assert_null(intake_check_age(&in, now_ms, 86400));
	in.timestamp_ms -= 1000;
	err_t e = intake_check_age(&in, now_ms, 86400);
	assert_int_equal(err_code(e), ERR_BAD_INPUT);
	assert_non_null(strstr(err_text(e), "AIRUNNER_WEBHOOK_MAX_AGE_S"));
	assert_null(intake_check_age(&in, now_ms, 0));
	in.timestamp_ms = now_ms + 3600000;
	assert_null(intake_check_age(&in, now_ms, 86400));
	assert_int_equal(read_body("{\"issue_key\":\"A-1\"}"), ERR_NONE);
	assert_null(intake_check_age(&in, now_ms, 86400));
	assert_int_equal(
		read_body("{\"issue_key\":\"A-1\",\"timestamp\":1550286678321}"), ERR_NONE);
	assert_int_equal(in.timestamp_ms, 1550286678321);
	static const char *const absurd[] = {"-9223372036854775808", "1e300", "-1e300"};
	for (size_t i = 0; i < ARRAY_LEN(absurd); i++) {
		autofree char *body =
			xasprintf("{\"issue_key\":\"A-1\",\"timestamp\":%s}", absurd[i]);
		assert_int_equal(read_body(body), ERR_NONE);
		assert_null(intake_check_age(&in, now_ms, 86400));
	}
}

static void the_event_is_kept_as_a_plain_word(void **state)
{
	(void)state;
	assert_int_equal(
		read_body("{\"issue_key\":\"A-1\",\"webhookEvent\":\"jira:issue_updated\"}"),
		ERR_NONE);
	assert_string_equal(in.event, "jira:issue_updated");
	assert_int_equal(
		read_body("{\"issue_key\":\"A-1\",\"event_type\":\"plan_approved\\n<b>\"}"),
		ERR_NONE);
	assert_string_equal(in.event, "plan_approved");
}

static void of_the_recorded_bodies_all_but_three_name_an_issue(void **state)
{
	(void)state;
	DIR *dir = opendir(SPECS);
	if (!dir) {
		print_message("skipped: %s is not there\n", SPECS);
		skip();
	}
	int good = 0, bad = 0;
	for (struct dirent *entry; (entry = readdir(dir));) {
		if (!text_ends(entry->d_name, ".json"))
			continue;
		AUTO(buf_release) struct buf body = BUF(1 << 20);
		autofree char *path = xasprintf("%s/%s", SPECS, entry->d_name);
		assert_null(buf_read_file(&body, path));
		err_t e = intake_read(body.data, body.len, NULL, &in);
		good += e == NULL;
		bad += err_code(e) == ERR_BAD_INPUT &&
		       text_starts(entry->d_name, "webhook-server-comment-");
		assert_false(e == NULL && in.salvaged);
	}
	closedir(dir);
	assert_int_equal(good, 52);
	assert_int_equal(bad, 3);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_key_is_found_in_all_four_places),
		cmocka_unit_test(only_strict_keys_are_keys),
		cmocka_unit_test(a_body_without_an_issue_is_refused_with_the_remedy),
		cmocka_unit_test(a_broken_body_is_searched_for_the_key_alone),
		cmocka_unit_test(a_title_that_plays_a_second_key_is_refused),
		cmocka_unit_test(odd_json_does_no_harm),
		cmocka_unit_test(labels_give_the_priority),
		cmocka_unit_test(the_identifier_counts_before_the_body),
		cmocka_unit_test(an_old_body_is_refused_and_a_timeless_one_is_not),
		cmocka_unit_test(the_event_is_kept_as_a_plain_word),
		cmocka_unit_test(of_the_recorded_bodies_all_but_three_name_an_issue),
	};
	return cmocka_run_group_tests_name("intake", tests, NULL, NULL);
}
