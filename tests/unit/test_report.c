/*
 * What Jira is told: the report of a run that got through and of one that did not. A real
 * MariaDB and the real templates; the table effect_services is this file's own and keeps what is
 * sent.
 */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/template.h"
#include "tests/unit/with_db.h"
#include "worker/jira/adf.h"
#include "worker/outbox_effects.h"
#include "worker/pipeline.h"
#include "worker/steps/report_data.h"

static struct settings *set;
static struct db *db;
static struct run_ctx ctx;

/* ---- the service ---- */

static struct {
	char *comment; /* owned */
	char status[64], assignee[64];
	int calls;
	enum err_code fail_comment, fail_status;
} jira;

static err_t keep_comment(const struct effect_call *call, json_t **ret_result)
{
	jira.calls++;
	if (jira.fail_comment)
		return err_new(jira.fail_comment, "comment refused");
	jira.comment = xstrdup(json_string_value(json_object_get(call->request, "body_markdown")));
	*ret_result = json_pack("{s:s}", "id", "501");
	return NULL;
}

static err_t keep_status(const struct effect_call *call, json_t **ret_result)
{
	jira.calls++;
	if (jira.fail_status)
		return err_new(jira.fail_status, "no such transition");
	snprintf(jira.status, sizeof jira.status, "%s",
		json_string_value(json_object_get(call->request, "status")));
	*ret_result = json_object();
	return NULL;
}

static err_t keep_assignee(const struct effect_call *call, json_t **ret_result)
{
	jira.calls++;
	snprintf(jira.assignee, sizeof jira.assignee, "%s",
		json_string_value(json_object_get(call->request, "account_id")));
	*ret_result = json_object();
	return NULL;
}

const struct effect_service effect_services[EFFECT__MAX] = {
	[EFFECT_JIRA_COMMENT] = {"jira_comment", keep_comment, NULL},
	[EFFECT_JIRA_TRANSITION] = {"jira_transition", keep_status, NULL},
	[EFFECT_JIRA_ASSIGN] = {"jira_assign", keep_assignee, NULL},
};

/* ---- a run that has done its work ---- */

static const char work_done[] =
	"{'fetch':{'issue':{'key':'A-1','status':'In Progress','assignee':'ai-1'}},"
	"'route':{'action':'execute','branch':'ai/a-1'},"
	"'edit':{'summary':'Adds `sum()` for lists.'},"
	"'verify':{'ok':true,'known':2,'checks':[{'name':'tsc','ok':true,'ms':1234,'skipped_reason'"
	":null},"
	"{'name':'eslint','ok':true,'ms':0,'skipped_reason':'no configuration'}],"
	"'findings':[{'file':null,'line':0,'code':null,'message':'first'},"
	"{'file':'src/a.ts','line':3,'code':'TS2322','message':'Type `a` is wrong'}]},"
	"'test':{'ok':true,'ran':true,'script':'test','passed':12,'failed':0,'known':0},"
	"'tag':{'name':'rollback/a-1/20260101-000000'},"
	"'commit':{'files_changed':2,'lines_added':30,'lines_removed':4},"
	"'push':{'head':'abc'},"
	"'pull_request':{'number':5,'url':'https://forge.example/o/r/pull/5','draft':true}}";

static int fresh_run(void **state)
{
	(void)state;
	memset(&jira, 0, sizeof jira);
	with_db_sql(db, "DELETE FROM outbox; DELETE FROM run_events; DELETE FROM runs; "
			"INSERT INTO runs (id, issue_key, line, status, fence, slot, running_line, "
			"started_at, model, input_tokens, "
			"output_tokens, cached_tokens, cost_usd_micro) VALUES (7, 'A-1', 'A-1', "
			"'running', 5, 1, 'A-1', "
			"NOW(3) - INTERVAL 125 SECOND, 'claude-x', 1000, 200, 750, 12345)");
	ctx = (struct run_ctx){.set = set,
		.db = db,
		.step = "report",
		.heal_round = 1,
		.run = {.id = 7, .issue_key = "A-1", .fence = 5}};
	autofree char *text = xstrdup(work_done);
	for (char *p = text; *p; p++)
		*p = (char)(*p == '\'' ? '"' : *p);
	ctx.state = json_loads(text, 0, NULL);
	assert_non_null(ctx.state);
	return 0;
}

static int drop(void **state)
{
	(void)state;
	json_decref(ctx.state);
	free(jira.comment);
	redact_clear();
	return 0;
}

static void assert_says(const char *part)
{
	if (!jira.comment || !strstr(jira.comment, part))
		fail_msg("the comment lacks \"%s\":\n%s", part,
			jira.comment ? jira.comment : "(none)");
}

static void assert_never_says(const char *part)
{
	if (jira.comment && strstr(jira.comment, part))
		fail_msg("the comment has \"%s\":\n%s", part, jira.comment);
}

/* ---- done ---- */

static void finished_run_reports_everything_a_reviewer_asks(void **state)
{
	static const char *const parts[] = {"A-1 is done",
		"Pull request: https://forge.example/o/r/pull/5 (draft)", "Adds `sum()` for lists.",
		"- tsc: passed in 1.2 s", "- eslint: skipped (no configuration)",
		"- tests: passed (12 passed, 0 failed), script `test`", "left alone: 2",
		"2 files changed, 30 lines added, 4 removed", "branch `ai/a-1`", "cost 0.0123 USD",
		"1000 input tokens (75 % read from the cache), 200 output tokens; claude-x",
		"2 min 5 s, heal rounds: 1, run 7", "`rollback/a-1/20260101-000000`"};
	(void)state;
	enum step_next next = STEP_NEXT;
	assert_null(step_report(&ctx, &next));
	for (size_t i = 0; i < ARRAY_LEN(parts); i++)
		assert_says(parts[i]);
	assert_never_says("&#");
	assert_never_says("{{");
	assert_string_equal(jira.status, "In Testing");
	assert_string_equal(jira.assignee, "human-1");
	assert_string_equal(run_state_str(&ctx, "report.comment_id"), "501");
}

static void refused_status_does_not_undo_a_published_run(void **state)
{
	(void)state;
	enum step_next next = STEP_NEXT;
	jira.fail_status = ERR_CONFLICT;
	assert_null(step_report(&ctx, &next));
	assert_string_equal(jira.assignee, "human-1");
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM run_events WHERE level = 'error' "
					    "AND message LIKE '%no such transition%'"),
		1);
}

static void report_of_a_run_that_is_not_ours_is_not_sent(void **state)
{
	(void)state;
	enum step_next next = STEP_NEXT;
	ctx.run.fence = 4;
	assert_int_equal(err_code(step_report(&ctx, &next)), ERR_FENCE);
	assert_int_equal(jira.calls, 0);
}

/* ---- not done ---- */

static void trouble_says_reason_next_step_and_where_the_work_is(void **state)
{
	(void)state;
	assert_null(report_trouble(
		&ctx, RUN_BLOCKED, ERR_PUSH_REFUSED, "push: the remote says: no *stars* in_names"));
	assert_says("A-1 is not done: its run ended blocked");
	assert_says("Reason (push_refused): push: the remote says: no \\*stars\\* in_names");
	assert_says("The git server refused the branch");
	assert_says("kept on branch `ai/a-1`, pull request https://forge.example/o/r/pull/5");
	assert_says("Cost 0.0123 USD");
	assert_string_equal(jira.status, "Blocked");
	assert_string_equal(jira.assignee, "human-1");
}

static void failing_checks_are_listed(void **state)
{
	(void)state;
	assert_null(report_trouble(
		&ctx, RUN_FAILED, ERR_CHECKS, "checks still fail after 3 heal rounds"));
	assert_says("src/a.ts:3 TS2322 Type 'a' is wrong");
	assert_says("say in the issue what is missing");
}

static void question_of_the_model_is_put_to_the_person(void **state)
{
	(void)state;
	json_object_set_new(run_state_get(&ctx, "edit"), "question",
		json_string("Which **list**?\n\n- a\n- b"));
	assert_null(report_trouble(&ctx, RUN_BLOCKED, ERR_QUESTION, "the model asks"));
	assert_says("waits for an answer");
	assert_says("Which **list**?\n\n- a\n- b");
	assert_says("Answer in a comment, then assign the issue to the AI account again and move "
		    "it to In Progress.");
}

static void every_error_code_has_one_next_step(void **state)
{
	(void)state;
	for (int code = 1; code < ERR__MAX; code++) {
		json_auto_t *data = report_data(&ctx, RUN_FAILED);
		report_data_trouble(&ctx, data, (enum err_code)code, "r");
		AUTO(buf_release) struct buf out = BUF(1 << 16);
		assert_null(template_render(set, "jira/trouble.md", data, &out));
		const char *what = strstr(out.data, "**What you can do**\n\n");
		assert_non_null(what);
		what += strlen("**What you can do**\n\n");
		assert_true(*what >= 'A' && *what <= 'Z');
		const char *end = strstr(what, "\n\n");
		assert_non_null(end);
		assert_memory_equal(end + 2, "The work so far", 15);
		for (const char *p = what; p < end; p++)
			assert_int_not_equal(*p, '\n');
	}
}

static void issue_that_was_never_read_is_not_written_to(void **state)
{
	(void)state;
	json_object_del(ctx.state, "fetch");
	assert_int_equal(err_code(report_trouble(&ctx, RUN_FAILED, ERR_NOT_FOUND, "no such issue")),
		ERR_NOT_FOUND);
	assert_int_equal(jira.calls, 0);
}

static void issue_of_someone_else_is_left_alone(void **state)
{
	(void)state;
	json_object_set_new(run_state_get(&ctx, "fetch.issue"), "assignee", json_string("u-2"));
	assert_null(report_trouble(&ctx, RUN_FAILED, ERR_GIT, "x"));
	assert_int_equal(jira.calls, 0);
}

static void cancelled_run_writes_nothing(void **state)
{
	(void)state;
	assert_null(report_trouble(&ctx, RUN_CANCELLED, ERR_CANCELLED, "x"));
	assert_int_equal(jira.calls, 0);
}

static void report_of_a_refused_account_waits_for_a_new_token(void **state)
{
	(void)state;
	jira.fail_comment = ERR_UNAUTHORIZED;
	assert_null(report_trouble(&ctx, RUN_FAILED, ERR_GIT, "x"));
	assert_int_equal(jira.calls, 1);
	assert_int_equal(with_db_number(db, "SELECT COUNT(*) FROM outbox WHERE state = 'waiting' "
					    "AND is_closing = 1"),
		3);
}

static void report_waits_whole_and_in_order_while_jira_is_away(void **state)
{
	(void)state;
	enum step_next next = STEP_NEXT;
	jira.fail_comment = ERR_OUTSIDE;
	assert_null(step_report(&ctx, &next));
	assert_int_equal(next, STEP_NEXT);
	assert_int_equal(jira.calls, 3); /* the comment, and nothing past it */
	assert_int_equal(
		with_db_number(db, "SELECT COUNT(*) FROM outbox WHERE state = 'waiting'"), 3);
	assert_int_equal(
		with_db_number(db, "SELECT GROUP_CONCAT(kind ORDER BY id) = "
				   "'jira_comment,jira_transition,jira_assign' FROM outbox"),
		1);
}

static void secrets_and_endless_reasons_do_not_get_out(void **state)
{
	(void)state;
	redact_add("GH_TOKEN", "geheim-geheim");
	autofree char *reason = xmalloc(20001);
	memset(reason, 'x', 20000);
	memcpy(reason, "geheim-geheim ", 14);
	reason[20000] = '\0';
	assert_null(report_trouble(&ctx, RUN_FAILED, ERR_GIT, reason));
	assert_never_says("geheim");
	assert_true(strlen(jira.comment) < 6000);
}

static void plain_words_show_as_they_are(void **state)
{
	static const char words[] = "a_b _c_ *d* `e` <f> [g](h) # i ~~j~~ \\k | & m*n";
	(void)state;
	autofree char *escaped = report_plain(words);
	json_auto_t *doc = adf_from_markdown(escaped, NULL);
	AUTO(buf_release) struct buf out = BUF(1 << 16);
	adf_to_text(doc, &out);
	assert_string_equal(out.data, words);
}

static int setup(void **state)
{
	(void)state;
	static const char *const overrides[] = {"AIRUNNER_RETRY_BASE_MS=1", "AIRUNNER_SHARE_DIR=.",
		"JIRA_AI_ACCOUNT_ID=ai-1", "JIRA_HUMAN_ACCOUNT_ID=human-1", NULL};
	db = with_db_open(&set);
	settings_free(set);
	set = with_db_settings(overrides);
	return 0;
}

static int teardown(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM outbox; DELETE FROM runs");
	template_clear();
	db_close(db);
	settings_free(set);
	return 0;
}

#define TEST(f) cmocka_unit_test_setup_teardown(f, fresh_run, drop)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(finished_run_reports_everything_a_reviewer_asks),
		TEST(refused_status_does_not_undo_a_published_run),
		TEST(report_of_a_run_that_is_not_ours_is_not_sent),
		TEST(trouble_says_reason_next_step_and_where_the_work_is),
		TEST(failing_checks_are_listed),
		TEST(question_of_the_model_is_put_to_the_person),
		TEST(every_error_code_has_one_next_step),
		TEST(issue_that_was_never_read_is_not_written_to),
		TEST(issue_of_someone_else_is_left_alone),
		TEST(cancelled_run_writes_nothing),
		TEST(report_of_a_refused_account_waits_for_a_new_token),
		TEST(report_waits_whole_and_in_order_while_jira_is_away),
		TEST(secrets_and_endless_reasons_do_not_get_out),
		TEST(plain_words_show_as_they_are),
	};
	return cmocka_run_group_tests(tests, setup, teardown);
}
