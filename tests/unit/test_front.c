/* The plain CGI front: the handlers as they are started from a shell. Needs `make programs`. */
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
#include "lib/mem.h"

/* Output of a program of this build, run with just these variables. */
static void run(const char *program, const char *variables, const char *body, struct buf *out)
{
	char self[512];
	ssize_t n = readlink("/proc/self/exe", self, sizeof self - 1);
	assert_true(n > 0);
	self[n] = '\0';
	*strrchr(self, '/') = '\0'; /* …/unit */
	autofree char *path = xasprintf("%s/../%s", self, program);
	if (access(path, X_OK))
		fail_msg("%s is not built: make programs", program);
	autofree char *command =
		xasprintf("printf '%%s' '%s' | env -i AIRUNNER_ENV_FILE= "
			  "AIRUNNER_DB_SOCKET=/nonexistent/db.sock %s '%s' 2>/dev/null",
			body, variables, path);
	FILE *f = popen(command, "r");
	char chunk[4096];
	for (size_t got; (got = fread(chunk, 1, sizeof chunk, f)) > 0;)
		buf_add(out, chunk, got);
	assert_int_equal(pclose(f), 0);
}

static void assert_answer(const char *program, const char *variables, const char *body,
	const char *status, const char *text)
{
	AUTO(buf_release) struct buf out = BUF(1 << 20);
	autofree char *first = xasprintf("Status: %s\r\n", status);
	run(program, variables, body, &out);
	if (strncmp(out.data, first, strlen(first)) != 0 || !strstr(out.data, text))
		fail_msg("%s %s: %s", program, variables, out.data);
}

static void the_api_answers_health_from_a_shell(void **state)
{
	(void)state;
	assert_answer("airunner-api", "REQUEST_METHOD=GET PATH_INFO=/health", "", "200 OK",
		"\r\n\r\n{\"status\":\"ok\"}");
	assert_answer("airunner-api", "PATH_INFO=/nowhere", "", "404 Not Found", "\"error\":");
	assert_answer("airunner-api", "REQUEST_METHOD=PUT PATH_INFO=/health", "",
		"405 Method Not Allowed", "Allow: GET, HEAD\r\n");
}

static void a_database_that_is_away_is_503_with_retry_after(void **state)
{
	(void)state;
	static const char paths[][32] = {"/api/queue/stats", "/api/status", "/api/runs/1",
		"/api/metrics/summary", "/api/health/detailed"};
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		autofree char *variables = xasprintf("PATH_INFO=%s", paths[i]);
		assert_answer("airunner-api", variables, "", "503 Service Unavailable",
			"Retry-After: 5\r\n");
	}
	assert_answer("airunner-webhook",
		"REQUEST_METHOD=POST PATH_INFO=/webhook/jira JIRA_WEBHOOK_SECRET=s "
		"HTTP_X_MOVEWARE_WEBHOOK_SECRET=s",
		"{\"issue_key\":\"A-1\"}", "503 Service Unavailable", "Retry-After: 5\r\n");
}

static void a_web_servers_request_is_not_one_from_a_shell(void **state)
{
	(void)state;
	assert_answer("airunner-api", "PATH_INFO=/api/status REMOTE_ADDR=127.0.0.1", "",
		"401 Unauthorized", "WWW-Authenticate: Bearer");
	assert_answer("airunner-api", "PATH_INFO=/api/status GATEWAY_INTERFACE=CGI/1.1", "",
		"401 Unauthorized", "WWW-Authenticate: Bearer");
	assert_answer("airunner-dashboard", "PATH_INFO=/status GATEWAY_INTERFACE=CGI/1.1", "",
		"303 See Other", "Location: /login?next=%2Fstatus\r\n");
}

static void a_webhook_without_proof_is_refused_before_all_else(void **state)
{
	(void)state;
	assert_answer("airunner-webhook", "REQUEST_METHOD=POST PATH_INFO=/webhook/jira", "x",
		"401 Unauthorized", "JIRA_WEBHOOK_SECRET is empty");
	assert_answer("airunner-webhook",
		"REQUEST_METHOD=POST PATH_INFO=/webhook/jira JIRA_WEBHOOK_SECRET=s", "x",
		"401 Unauthorized", "X-Hub-Signature was sent");
	assert_answer("airunner-webhook",
		"REQUEST_METHOD=POST PATH_INFO=/webhook/jira JIRA_WEBHOOK_SECRET=s "
		"HTTP_X_MOVEWARE_WEBHOOK_SECRET=s CONTENT_LENGTH=2097153",
		"x", "413 Content Too Large", "2097152");
}

static void pages_that_are_open_need_no_database(void **state)
{
	(void)state;
	assert_answer(
		"airunner-dashboard", "PATH_INFO=/", "", "303 See Other", "Location: /status\r\n");
	assert_answer("airunner-dashboard", "PATH_INFO=/login", "", "200 OK", "name=\"token\"");
	/* browsers drop the tab: it would lead to another host after signing in */
	assert_answer("airunner-dashboard", "PATH_INFO=/login QUERY_STRING=next=%2F%09%2Fevil.org",
		"", "200 OK", "name=\"next\" value=\"/status\"");
	assert_answer("airunner-dashboard", "PATH_INFO=/nowhere", "", "404 Not Found",
		"Content-Type: text/html");
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(the_api_answers_health_from_a_shell),
		cmocka_unit_test(a_database_that_is_away_is_503_with_retry_after),
		cmocka_unit_test(a_web_servers_request_is_not_one_from_a_shell),
		cmocka_unit_test(a_webhook_without_proof_is_refused_before_all_else),
		cmocka_unit_test(pages_that_are_open_need_no_database),
	};
	return cmocka_run_group_tests_name("front", tests, NULL, NULL);
}
