/* Routing by table. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>

#include <cmocka.h>

#include "cgi/route.h"
#include "lib/mem.h"

static err_t nothing(struct app *app, struct request *req, struct response *res)
{
	(void)app, (void)req, (void)res;
	return NULL;
}

static const struct route routes[] = {
	{METHOD_GET, "/", ROLE_NONE, nothing},
	{METHOD_GET, "/api/runs/{id}", ROLE_VIEWER, nothing},
	{METHOD_POST, "/api/runs/{id}/retry", ROLE_OPERATOR, nothing},
	{METHOD_GET, "/both", ROLE_VIEWER, nothing},
	{METHOD_POST, "/both", ROLE_VIEWER, nothing},
	{0},
};

static struct request req;
static const struct route *found;

static enum err_code find(const char *method, const char *path, struct buf *ret_allow)
{
	autofree char *method_var = xasprintf("REQUEST_METHOD=%s", method);
	autofree char *path_var = xasprintf("PATH_INFO=%s", path);
	char *const env[] = {method_var, path_var, NULL};
	found = NULL;
	request_begin(&req, env);
	enum err_code code = err_code(route_find(routes, &req, &found, ret_allow));
	request_release(&req);
	return code;
}

static void a_path_with_an_id_gives_the_id(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf allow = BUF(100);
	assert_int_equal(find("GET", "/api/runs/4711", &allow), ERR_NONE);
	assert_ptr_equal(found, &routes[1]);
	assert_int_equal(req.ids[0], 4711);
	assert_int_equal(find("POST", "/api/runs/12/retry", &allow), ERR_NONE);
	assert_ptr_equal(found, &routes[2]);
	assert_int_equal(req.ids[0], 12);
	assert_int_equal(find("GET", "/", &allow), ERR_NONE);
	assert_int_equal(allow.len, 0);
}

static void what_is_no_id_is_not_found(void **state)
{
	(void)state;
	static const char *const paths[] = {"/api/runs/", "/api/runs/x", "/api/runs/-1",
		"/api/runs/0", "/api/runs/01", "/api/runs/1/", "/api/runs/1x",
		"/api/runs/1234567890123456789", "/api/runs/ 1", "/api/runs", "//",
		"/api/runs/1/retry/", "", "x"};
	AUTO(buf_release) struct buf allow = BUF(100);
	for (size_t i = 0; i < ARRAY_LEN(paths); i++) {
		if (*paths[i])
			assert_int_equal(find("GET", paths[i], &allow), ERR_NOT_FOUND);
	}
}

static void a_method_not_served_names_those_that_are(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf allow = BUF(100);
	assert_int_equal(find("DELETE", "/both", &allow), ERR_METHOD);
	assert_string_equal(allow.data, "GET, HEAD, POST");
	buf_reset(&allow);
	assert_int_equal(find("GET", "/api/runs/1/retry", &allow), ERR_METHOD);
	assert_string_equal(allow.data, "POST");
}

static void head_is_served_as_get(void **state)
{
	(void)state;
	AUTO(buf_release) struct buf allow = BUF(100);
	assert_int_equal(find("HEAD", "/both", &allow), ERR_NONE);
	assert_ptr_equal(found, &routes[3]);
	assert_true(req.head_only);
	assert_int_equal(find("get", "/both", &allow), ERR_METHOD);
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(a_path_with_an_id_gives_the_id),
		cmocka_unit_test(what_is_no_id_is_not_found),
		cmocka_unit_test(a_method_not_served_names_those_that_are),
		cmocka_unit_test(head_is_served_as_get),
	};
	return cmocka_run_group_tests_name("route", tests, NULL, NULL);
}
