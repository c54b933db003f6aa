/* The Jira client against a canned server on loopback: what it asks, what it makes of answers. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "tests/unit/canned.h"
#include "worker/http.h"
#include "worker/jira/jira.h"
#include "worker/jira/search.h"
#include "worker/steps/route.h"

#define MAX_REPLIES 8

/* One server with its replies, settings that name it, and a client. */
struct site {
	struct canned *server;
	struct canned_reply replies[MAX_REPLIES];
	size_t count;
	struct settings *set;
	struct jira *jira;
};

static struct site site;

static void reply(int status, const char *body)
{
	assert_true(site.count < MAX_REPLIES);
	site.replies[site.count++].raw =
		xasprintf("HTTP/1.1 %d X\r\nConnection: close\r\nContent-Length: %zu\r\n\r\n%s",
			status, strlen(body), body);
}

static void open_site(void)
{
	site.server = canned_start(site.replies, site.count);
	autofree char *url = xasprintf("JIRA_BASE_URL=%s/", canned_url(site.server));
	const char *const overrides[] = {url, "JIRA_EMAIL=ai@example.org",
		"JIRA_AI_ACCOUNT_ID=ai-1", "AIRUNNER_RETRY_BASE_MS=1", NULL};
	assert_null(settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
					  .env_file = "/dev/null",
					  .overrides = overrides,
					  .default_db_user = "air_worker"},
		&site.set));
	assert_null(jira_open(site.set, &site.jira));
}

static int close_site(void **state)
{
	(void)state;
	jira_close(site.jira);
	canned_stop(site.server);
	for (size_t i = 0; i < site.count; i++)
		free((char *)site.replies[i].raw);
	settings_free(site.set);
	site = (struct site){0};
	return 0;
}

static void assert_asked(size_t i, const char *line, const char *body_part)
{
	const char *got = canned_request(site.server, i);
	if (strncmp(got, line, strlen(line)) != 0 || (body_part && !strstr(got, body_part)))
		fail_msg("request %zu is\n%s\nwant %s … %s", i, got, line,
			body_part ? body_part : "");
}

static const char *at(const json_t *o, const char *name)
{
	const char *s = json_string_value(json_object_get(o, name));
	return s ? s : "(none)";
}

#define COMMENT(id, account, text) \
	"{\"id\":\"" id "\",\"author\":{\"accountId\":\"" account \
	"\",\"displayName\":\"N\"},\"created\":\"2026-01-01\",\"body\":{\"type\":\"doc\"," \
	"\"version\":1," \
	"\"content\":[{\"type\":\"paragraph\",\"content\":[{\"type\":\"text\",\"text\":\"words\"}" \
	"]}," \
	"{\"type\":\"paragraph\",\"content\":[{\"type\":\"text\",\"text\":\"" text "\"}]}]}}"

/* ---- reading ---- */

static void issue_has_parent_comments_of_all_pages_and_text(void **state)
{
	(void)state;
	reply(200,
		"{\"id\":\"10001\",\"key\":\"MW-3\",\"fields\":{\"summary\":\"Do "
		"it\",\"description\":{\"type\":\"doc\","
		"\"version\":1,\"content\":[{\"type\":\"paragraph\",\"content\":[{\"type\":"
		"\"text\",\"text\":\"how\"}]}]},"
		"\"labels\":[\"p1\"],\"priority\":{\"name\":\"High\"},\"project\":{\"key\":\"MW\"},"
		"\"issuetype\":{\"name\":\"Sub-task\",\"subtask\":true,\"hierarchyLevel\":-1},"
		"\"status\":{\"id\":\"3\",\"name\":\"In "
		"Progress\"},\"assignee\":{\"accountId\":\"ai-1\",\"displayName\":\"AI\"},"
		"\"parent\":{\"key\":\"MW-1\",\"fields\":{\"summary\":\"stub\"}}}}");
	reply(200, "{\"key\":\"MW-1\",\"fields\":{\"summary\":\"Story\",\"description\":\"plain\","
		   "\"issuetype\":{\"name\":\"Story\"}}}");
	reply(200, "{\"total\":2,\"startAt\":0,\"comments\":[" COMMENT("1", "u-2", "first") "]}");
	reply(200, "{\"total\":2,\"startAt\":1,\"comments\":[" COMMENT("2", "ai-1", "second") "]}");
	open_site();
	json_auto_t *issue = NULL;
	assert_null(jira_issue(site.jira, "MW-3", &issue));
	assert_asked(0,
		"GET /rest/api/3/issue/MW-3?fields=", "Basic YWlAZXhhbXBsZS5vcmc6dG9rZW4tMTIzNDU2");
	assert_asked(3, "GET /rest/api/3/issue/MW-3/comment?orderBy=created&startAt=1", NULL);
	assert_string_equal(at(issue, "key"), "MW-3");
	assert_string_equal(at(issue, "description"), "how");
	assert_string_equal(at(issue, "status"), "In Progress");
	assert_string_equal(at(issue, "assignee"), "ai-1");
	assert_string_equal(at(issue, "project_key"), "MW");
	assert_true(json_is_true(json_object_get(issue, "subtask")));
	const json_t *parent = json_object_get(issue, "parent");
	assert_string_equal(at(parent, "summary"), "Story");
	assert_string_equal(at(parent, "description"), "plain");
	const json_t *comments = json_object_get(issue, "comments");
	assert_int_equal(json_array_size(comments), 2);
	assert_true(json_is_false(json_object_get(json_array_get(comments, 0), "own")));
	assert_true(json_is_true(json_object_get(json_array_get(comments, 1), "own")));
	assert_string_equal(at(json_array_get(comments, 1), "body"), "words\n\nsecond");
}

static void newest_change_is_the_last_that_is_not_ours(void **state)
{
	(void)state;
	reply(200, "{\"id\":\"1\",\"key\":\"MW-3\",\"fields\":{},\"changelog\":{\"histories\":["
		   "{\"id\":\"9\",\"author\":{\"accountId\":\"ai-1\"}},{\"id\":\"8\"},"
		   "{\"id\":\"7\",\"author\":{\"accountId\":\"u-2\"}}]}}");
	reply(200, "{\"total\":0,\"comments\":[]}");
	open_site();
	json_auto_t *issue = NULL;
	assert_null(jira_issue(site.jira, "MW-3", &issue));
	assert_non_null(strstr(canned_request(site.server, 0), "expand=changelog"));
	assert_string_equal(at(issue, "newest_change"), "8");
}

static void search_reads_all_pages_in_the_shape_of_routing(void **state)
{
	(void)state;
	reply(200,
		"{\"nextPageToken\":\"t2\",\"issues\":[{\"id\":\"1\",\"key\":\"MW-3\",\"fields\":{"
		"\"issuetype\":{\"name\":\"Sub-task\",\"subtask\":true,\"hierarchyLevel\":-1},"
		"\"status\":{\"name\":\"In Progress\"},\"assignee\":{\"accountId\":\"ai-1\"},"
		"\"labels\":[\"x\"],\"parent\":{\"key\":\"MW-1\"},\"updated\":\"now\"}}]}");
	reply(200, "{\"issues\":[{\"id\":\"2\",\"key\":\"MW-4\",\"fields\":{}},{\"id\":\"3\"}]}");
	open_site();
	json_auto_t *issues = NULL;
	assert_null(jira_search(site.jira, "assignee = \"ai-1\"", &issues));
	assert_asked(0, "POST /rest/api/3/search/jql", "\"jql\":\"assignee = \\\"ai-1\\\"\"");
	assert_null(strstr(canned_request(site.server, 0), "nextPageToken"));
	assert_asked(1, "POST /rest/api/3/search/jql", "\"nextPageToken\":\"t2\"");
	assert_int_equal(json_array_size(issues), 2);
	const json_t *first = json_array_get(issues, 0);
	struct route route;
	route_decide(site.set, first, &route);
	assert_int_equal(route.action, ROUTE_STORY_BRANCH);
	assert_string_equal(at(first, "updated"), "now");
	assert_string_equal(at(first, "project_key"), "MW");
}

static void orders_are_in_the_statuses_of_the_routes(void **state)
{
	(void)state;
	const char *statuses[ROUTE_ORDERS_MAX];
	open_site();
	assert_int_equal(route_orders(site.set, statuses), 2);
	assert_string_equal(statuses[0], "In Progress");
	assert_string_equal(statuses[1], "Selected for Development");
}

static void issue_that_is_not_there_is_named(void **state)
{
	(void)state;
	reply(404, "{\"errorMessages\":[\"Issue does not exist or you do not have permission to "
		   "see it.\"],\"errors\":{}}");
	open_site();
	json_t *issue = NULL;
	err_t e = jira_issue(site.jira, "MW-9", &issue);
	assert_int_equal(err_code(e), ERR_NOT_FOUND);
	assert_string_equal(
		err_text(e), "issue MW-9 does not exist, or the AI account may not see it");
}

static void refused_account_names_the_two_settings(void **state)
{
	(void)state;
	reply(401, "Client must be authenticated");
	open_site();
	json_t *issue = NULL;
	err_t e = jira_issue(site.jira, "MW-9", &issue);
	assert_int_equal(err_code(e), ERR_UNAUTHORIZED);
	assert_non_null(strstr(err_text(e), "JIRA_EMAIL / JIRA_API_TOKEN are refused"));
	assert_null(strstr(err_text(e), "token-123456"));
	assert_int_equal(canned_count(site.server), 1);
}

static void answer_that_is_a_page_is_not_taken_for_an_issue(void **state)
{
	(void)state;
	reply(200, "<html>sign in</html>");
	open_site();
	json_t *issue = NULL;
	assert_int_equal(err_code(jira_issue(site.jira, "MW-9", &issue)), ERR_BAD_INPUT);
}

static void reading_is_tried_again_when_jira_is_busy(void **state)
{
	(void)state;
	reply(503, "{}");
	reply(200,
		"{\"key\":\"MW-1\",\"fields\":{\"status\":{\"name\":\"Done\"},\"assignee\":null}}");
	open_site();
	AUTO(jira_standing_release) struct jira_standing now = {0};
	assert_null(jira_standing(site.jira, "MW-1", &now));
	assert_string_equal(now.status, "Done");
	assert_null(now.assignee);
}

/* ---- writing ---- */

static void comment_ends_with_its_marker(void **state)
{
	(void)state;
	reply(201, "{\"id\":\"77\"}");
	open_site();
	autofree char *id = NULL;
	assert_null(
		jira_comment_add(site.jira, "MW-3", "**Done**", "AI Runner · run 1 · report", &id));
	assert_string_equal(id, "77");
	assert_asked(0, "POST /rest/api/3/issue/MW-3/comment", "\"marks\":[{\"type\":\"strong\"}]");
	assert_asked(0, "POST", "{\"type\":\"text\",\"text\":\"AI Runner · run 1 · report\"}]}]}}");
}

static void refused_document_is_sent_again_as_plain_text(void **state)
{
	(void)state;
	reply(400, "{\"errorMessages\":[\"INVALID_INPUT\"]}");
	reply(201, "{\"id\":\"78\"}");
	open_site();
	autofree char *id = NULL;
	assert_null(jira_comment_add(site.jira, "MW-3", "**Done**", "M", &id));
	assert_string_equal(id, "78");
	assert_asked(1, "POST",
		"{\"type\":\"codeBlock\",\"content\":[{\"type\":\"text\",\"text\":\"**Done**\"}]}");
}

static void comment_is_not_sent_again_when_its_end_is_unknown(void **state)
{
	(void)state;
	reply(503, "{}");
	reply(201, "{\"id\":\"79\"}");
	open_site();
	autofree char *id = NULL;
	err_t e = jira_comment_add(site.jira, "MW-3", "x", "M", &id);
	assert_int_equal(err_code(e), ERR_OUTSIDE);
	assert_int_equal(canned_count(site.server), 1);
}

static void comment_waits_when_jira_counts_too_many_writes(void **state)
{
	(void)state;
	reply(429, "{}");
	reply(201, "{\"id\":\"80\"}");
	open_site();
	autofree char *id = NULL;
	assert_null(jira_comment_add(site.jira, "MW-3", "x", "M", &id));
	assert_string_equal(id, "80");
}

static void own_comment_is_found_by_its_last_line_only(void **state)
{
	(void)state;
	reply(200, "{\"total\":4,\"comments\":[" COMMENT(
			   "1", "u-2", "AI Runner · run 1 · report") "," COMMENT("2", "ai-1",
			   "AI Runner · run 1 · report-2") "," COMMENT("3", "ai-1",
			   "quoting AI Runner · run 1 · report") "," COMMENT("4", "ai-1",
			   "AI Runner · run 1 · report") "]}");
	open_site();
	autofree char *id = NULL, *none = NULL;
	assert_null(jira_comment_find(site.jira, "MW-3", "AI Runner · run 1 · report", &id));
	assert_string_equal(id, "4");
	assert_null(jira_comment_find(site.jira, "MW-3", "AI Runner · run 2 · report", &none));
	assert_null(none);
}

static const char standing[] =
	"{\"key\":\"MW-3\",\"fields\":{\"status\":{\"name\":\"In Progress\"},\"assignee\":null}}";
static const char offers[] =
	"{\"transitions\":[{\"id\":\"11\",\"name\":\"In Testing\",\"to\":{\"name\":\"Done\"}},"
	"{\"id\":\"21\",\"name\":\"Hand over\",\"to\":{\"name\":\"In Testing\"}}]}";

static void transition_goes_by_its_target_not_by_its_name(void **state)
{
	(void)state;
	reply(200, standing);
	reply(200, offers);
	reply(204, "");
	open_site();
	assert_null(jira_transition(site.jira, "MW-3", "in testing"));
	assert_asked(
		2, "POST /rest/api/3/issue/MW-3/transitions", "{\"transition\":{\"id\":\"21\"}}");
}

static void transition_to_where_the_issue_is_does_nothing(void **state)
{
	(void)state;
	reply(200, standing);
	open_site();
	assert_null(jira_transition(site.jira, "MW-3", "In progress"));
	assert_int_equal(canned_count(site.server), 1);
}

static void transition_that_is_not_offered_names_what_is(void **state)
{
	(void)state;
	reply(200, standing);
	reply(200, offers);
	open_site();
	err_t e = jira_transition(site.jira, "MW-3", "Blocked");
	assert_int_equal(err_code(e), ERR_CONFLICT);
	assert_non_null(strstr(err_text(e), "from In Progress to Blocked"));
	assert_non_null(strstr(err_text(e), "Done, In Testing"));
}

static void refused_transition_carries_jiras_words(void **state)
{
	(void)state;
	reply(200, standing);
	reply(200, offers);
	reply(400,
		"{\"errorMessages\":[],\"errors\":{\"resolution\":\"Resolution is required.\"}}");
	open_site();
	err_t e = jira_transition(site.jira, "MW-3", "Done");
	assert_int_equal(err_code(e), ERR_OUTSIDE_FINAL);
	assert_non_null(strstr(err_text(e), "resolution: Resolution is required."));
}

static void assigning_puts_the_account(void **state)
{
	(void)state;
	reply(204, "");
	open_site();
	assert_null(jira_assign(site.jira, "MW-3", "human-1"));
	assert_asked(0, "PUT /rest/api/3/issue/MW-3/assignee", "{\"accountId\":\"human-1\"}");
}

#define TEST(f) cmocka_unit_test_teardown(f, close_site)

int main(void)
{
	const struct CMUnitTest tests[] = {
		TEST(issue_has_parent_comments_of_all_pages_and_text),
		TEST(newest_change_is_the_last_that_is_not_ours),
		TEST(search_reads_all_pages_in_the_shape_of_routing),
		TEST(orders_are_in_the_statuses_of_the_routes),
		TEST(issue_that_is_not_there_is_named),
		TEST(refused_account_names_the_two_settings),
		TEST(answer_that_is_a_page_is_not_taken_for_an_issue),
		TEST(reading_is_tried_again_when_jira_is_busy),
		TEST(comment_ends_with_its_marker),
		TEST(refused_document_is_sent_again_as_plain_text),
		TEST(comment_is_not_sent_again_when_its_end_is_unknown),
		TEST(comment_waits_when_jira_counts_too_many_writes),
		TEST(own_comment_is_found_by_its_last_line_only),
		TEST(transition_goes_by_its_target_not_by_its_name),
		TEST(transition_to_where_the_issue_is_does_nothing),
		TEST(transition_that_is_not_offered_names_what_is),
		TEST(refused_transition_carries_jiras_words),
		TEST(assigning_puts_the_account),
	};
	if (http_init() || setenv("JIRA_API_TOKEN", "token-123456", 1))
		return 1;
	int failed = cmocka_run_group_tests(tests, NULL, NULL);
	http_exit();
	return failed;
}
