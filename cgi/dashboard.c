/* airunner-dashboard: the pages. Each is one page_*.c file and one template in templates/pages. */
#include "cgi/page.h"

/* clang-format off */
static const struct route routes[] = {
	{METHOD_GET,  "/",          ROLE_NONE,   page_home},
	{METHOD_GET,  "/status",    ROLE_VIEWER, page_status},
	{METHOD_GET,  "/runs/{id}", ROLE_VIEWER, page_run},
	{METHOD_GET,  "/login",     ROLE_NONE,   page_login_form},
	{METHOD_POST, "/login",     ROLE_NONE,   page_login},
	{METHOD_GET,  "/signin",    ROLE_NONE,   page_signin},
	{METHOD_POST, "/logout",    ROLE_VIEWER, page_logout},
	{0},
};
/* clang-format on */

int main(int argc, char **argv)
{
	static const struct app_spec spec = {.name = "airunner-dashboard",
		.program = PROGRAM_PAGES,
		.db_user = "air_dash",
		.routes = routes,
		.error_page = page_error};
	return app_main(&spec, argc, argv);
}
