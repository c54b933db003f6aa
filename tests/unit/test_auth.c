/* Who may ask what: every route's role against every kind of caller. Needs MariaDB. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <stdio.h>
#include <string.h>

#include <cmocka.h>

#include "cgi/app.h"
#include "cgi/auth.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "tests/unit/with_db.h"

static struct settings *worker_set;
static struct db *db;
static struct app app;

static err_t say_ok(struct app *a, struct request *req, struct response *res)
{
	(void)a, (void)req;
	return response_json(res, json_pack("{s:b}", "ok", 1));
}

static const struct route routes[] = {
	{METHOD_GET, "/open", ROLE_NONE, say_ok},
	{METHOD_GET, "/viewer", ROLE_VIEWER, say_ok},
	{METHOD_GET, "/operator", ROLE_OPERATOR, say_ok},
	{METHOD_GET, "/admin", ROLE_ADMIN, say_ok},
	{0},
};
static const struct app_spec spec = {.name = "test", .program = PROGRAM_PAGES, .routes = routes};

static int ask(const char *path, const char *header, const char *address)
{
	autofree char *path_var = xasprintf("PATH_INFO=%s", path);
	autofree char *address_var = xasprintf("REMOTE_ADDR=%s", address);
	char *const env[] = {path_var, address_var, (char *)header, NULL};
	AUTO(request_release) struct request req;
	AUTO(response_release) struct response res;
	request_begin(&req, env);
	response_begin(&res);
	app_answer(&app, &req, NULL, &res);
	return res.status;
}

/* The four statuses of one caller at /open, /viewer, /operator, /admin. */
static void assert_rights(
	const char *header, const char *address, int viewer, int operator, int admin)
{
	if (ask("/open", header, address) != 200 || ask("/viewer", header, address) != viewer ||
		ask("/operator", header, address) != operator|| ask("/admin", header, address) !=
			admin)
		fail_msg("%s from %s: %d %d %d %d", header ? header : "nobody", address,
			ask("/open", header, address), ask("/viewer", header, address),
			ask("/operator", header, address), ask("/admin", header, address));
}

static void a_role_opens_its_routes_and_those_below(void **state)
{
	(void)state;
	assert_rights("HTTP_AUTHORIZATION=Bearer tok-viewer", "9.9.9.9", 200, 403, 403);
	assert_rights("HTTP_AUTHORIZATION=bearer tok-operator", "9.9.9.9", 200, 200, 403);
	assert_rights("HTTP_AUTHORIZATION=Bearer tok-admin", "9.9.9.9", 200, 200, 200);
	assert_rights("HTTP_COOKIE=airunner_session=ses-operator", "9.9.9.9", 200, 200, 403);
}

static void who_has_no_right_gets_401(void **state)
{
	(void)state;
	static const char *const headers[] = {NULL, "HTTP_AUTHORIZATION=Bearer nothing",
		"HTTP_AUTHORIZATION=Bearer ", "HTTP_AUTHORIZATION=Basic dG9rLWFkbWlu",
		"HTTP_AUTHORIZATION=Bearer tok-revoked", "HTTP_AUTHORIZATION=Bearer tok-expired",
		"HTTP_COOKIE=airunner_session=nothing",
		"HTTP_COOKIE=airunner_session=", "HTTP_COOKIE=airunner_session=ses-expired",
		"HTTP_COOKIE=airunner_session=ses-idle",
		"HTTP_COOKIE=airunner_session=ses-of-revoked",
		"HTTP_COOKIE=airunner_session=code-1", "HTTP_COOKIE=airunner_session=tok-admin",
		"HTTP_AUTHORIZATION=Bearer ses-operator"};
	for (size_t i = 0; i < ARRAY_LEN(headers); i++)
		assert_rights(headers[i], "9.9.9.9", 401, 401, 401);
}

static void an_open_address_may_read_only(void **state)
{
	(void)state;
	assert_rights(NULL, "10.1.2.3", 200, 403, 403);
	assert_rights(NULL, "11.1.2.3", 401, 401, 401);
	assert_rights(NULL, "", 401, 401, 401);
	assert_rights("HTTP_AUTHORIZATION=Bearer tok-admin", "10.1.2.3", 200, 200, 200);
	/* a wrong token is not made up for by the address */
	assert_rights("HTTP_AUTHORIZATION=Bearer nothing", "10.1.2.3", 401, 401, 401);
	/* what a client says of its address does not count */
	assert_rights("HTTP_X_FORWARDED_FOR=10.1.2.3", "9.9.9.9", 401, 401, 401);
}

static void a_lost_connection_is_renewed_within_the_request(void **state)
{
	(void)state;
	assert_int_equal(ask("/viewer", "HTTP_AUTHORIZATION=Bearer tok-viewer", "9.9.9.9"), 200);
	with_db_sql(db,
		"BEGIN NOT ATOMIC FOR c IN (SELECT id FROM information_schema.PROCESSLIST "
		"WHERE id <> CONNECTION_ID() AND db = DATABASE()) DO KILL c.id; END FOR; END");
	assert_int_equal(ask("/viewer", "HTTP_AUTHORIZATION=Bearer tok-viewer", "9.9.9.9"), 200);
}

static int open_all(void **state)
{
	(void)state;
	static const char *const overrides[] = {"AIRUNNER_READ_OPEN=10.0.0.0/8", NULL};
	db = with_db_open(&worker_set);
	with_db_sql(db,
		"DELETE FROM api_tokens; DELETE FROM sessions; INSERT INTO api_tokens (name, "
		"secret_hash, role, expires_at, revoked_at) VALUES ('v', SHA2('tok-viewer', 256), "
		"'viewer', NULL, NULL), ('o', SHA2('tok-operator', 256), 'operator', NOW(3) + "
		"INTERVAL 1 DAY, NULL), ('a', SHA2('tok-admin', 256), 'admin', NULL, NULL), ('r', "
		"SHA2('tok-revoked', 256), 'admin', NULL, NOW(3)), ('e', SHA2('tok-expired', 256), "
		"'admin', NOW(3) - INTERVAL 1 SECOND, NULL); INSERT INTO sessions (id_hash, kind, "
		"role, name, seen_at, expires_at) VALUES (SHA2('ses-operator', 256), 'session', "
		"'operator', 'x', NOW(3) - INTERVAL 1 HOUR, NOW(3) + INTERVAL 1 HOUR), "
		"(SHA2('ses-expired', 256), 'session', 'admin', 'x', NOW(3), NOW(3) - INTERVAL 1 "
		"SECOND), (SHA2('ses-idle', 256), 'session', 'admin', 'x', NOW(3) - INTERVAL 9 "
		"HOUR, NOW(3) + INTERVAL 1 HOUR), (SHA2('ses-of-revoked', 256), 'session', "
		"'admin', "
		"'r', NOW(3), NOW(3) + INTERVAL 1 HOUR), (SHA2('code-1', 256), 'code', 'admin', "
		"'x', NOW(3), NOW(3) + INTERVAL 1 HOUR)");
	app.spec = &spec;
	if (log_open(&(struct log_options){.level = LOG_CRITICAL_, .logger = "test"}))
		return 1;
	return settings_load(&(struct settings_options){.program = PROGRAM_PAGES,
				     .overrides = overrides,
				     .default_db_user = "air_api"},
		       &app.set) != NULL;
}

static int close_all(void **state)
{
	(void)state;
	with_db_sql(db, "DELETE FROM api_tokens; DELETE FROM sessions");
	db_close(app.db);
	db_close(db);
	settings_free(app.set);
	settings_free(worker_set);
	return 0;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_role_opens_its_routes_and_those_below),
		cmocka_unit_test(who_has_no_right_gets_401),
		cmocka_unit_test(an_open_address_may_read_only),
		cmocka_unit_test(a_lost_connection_is_renewed_within_the_request),
	};
	return cmocka_run_group_tests_name("auth", tests, open_all, close_all);
}
