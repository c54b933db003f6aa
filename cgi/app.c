/* Start and request loop of the handler programs. Called by the main() of each. */
#include "cgi/app.h"

#include <getopt.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "cgi/auth.h"
#include "cgi/cidr.h"
#include "cgi/front.h"
#include "cgi/prefork.h"
#include "lib/log.h"
#include "lib/mem.h"

#define OVERRIDES_MAX 64
#define RETRIES_MAX 5

err_t app_db(struct app *app, struct db **ret_db)
{
	if (!app->db)
		ERR_TRY(db_open(app->set, &app->db));
	*ret_db = app->db;
	return NULL;
}

static err_t answer_once(
	struct app *app, struct request *req, struct response *res, struct buf *ret_allow)
{
	const struct route *route = NULL;
	ERR_TRY(route_find(app->spec->routes, req, &route, ret_allow));
	if (route->access != ROLE_NONE)
		ERR_TRY(auth_check(app, req, route->access));
	if (app->spec->csrf)
		ERR_TRY(auth_csrf(req));
	return route->handle(app, req, res);
}

/* Can another try help, and is everything ready for it? */
static bool again(struct app *app, err_t e, int tries)
{
	if (err_code(e) == ERR_DB_RETRY) {
		/* uneven, so that two who collided do not meet again */
		long wait_ms = tries * 5 + (getpid() * 7 + tries * 13) % 20;
		struct timespec wait = {.tv_nsec = wait_ms * 1000000};
		nanosleep(&wait, NULL);
		return tries < RETRIES_MAX;
	}
	return err_code(e) == ERR_DB_AWAY && tries == 1 && app->db && !db_reconnect(app->db);
}

/* What a handler had put into the answer before it failed is dropped. */
static err_t answer(struct app *app, struct request *req, struct response *res)
{
	AUTO(buf_release) struct buf allow = BUF(128);
	for (int tries = 1;; tries++) {
		err_t e = answer_once(app, req, res, &allow);
		if (!e)
			return NULL;
		response_reset(res);
		if (err_code(e) == ERR_METHOD)
			response_header(res, "Allow", allow.data);
		char text[ERR_TEXT_MAX]; /* more errors may be made by the reconnection */
		enum err_code code = err_code(e);
		snprintf(text, sizeof text, "%s", err_text(e));
		if (!again(app, e, tries))
			return err_new(code, "%s", text);
	}
}

static void log_answer(const struct request *req, const struct response *res, err_t e)
{
	const char *method = request_env(req, "REQUEST_METHOD");
	if (res->status >= 500)
		log_error("%s %s: %d %s", method ? method : "GET", req->path.data, res->status,
			err_text(e));
	else if (e)
		log_info("%s %s: %d %s", method ? method : "GET", req->path.data, res->status,
			err_text(e));
	else
		log_debug("%s %s: %d", method ? method : "GET", req->path.data, res->status);
}

void app_answer(struct app *app, struct request *req, err_t refusal, struct response *res)
{
	err_t e = refusal ? refusal : answer(app, req, res);
	if (e && app->spec->error_page)
		app->spec->error_page(app, req, res, e);
	else if (e)
		response_error(res, e, req->path.data);
	log_answer(req, res, e);
}

struct options {
	const char *env_file;
	const char *overrides[OVERRIDES_MAX + 1];
	bool version;
};

static bool parse_options(int argc, char **argv, struct options *ret)
{
	static const struct option longs[] = {{"env-file", required_argument, NULL, 'e'},
		{"set", required_argument, NULL, 's'}, {"version", no_argument, NULL, 'v'}, {0}};
	size_t count = 0;
	for (int c; (c = getopt_long(argc, argv, "", longs, NULL)) != -1;) {
		if (c == 'e')
			ret->env_file = optarg;
		else if (c == 's' && count < OVERRIDES_MAX)
			ret->overrides[count++] = optarg;
		else if (c == 'v')
			ret->version = true;
		else
			return false;
	}
	return optind == argc;
}

static err_t start(const struct app_spec *spec, const struct options *options, struct app *app)
{
	struct settings_options wanted = {.program = spec->program,
		.env_file = options->env_file,
		.overrides = options->overrides,
		.default_db_user = spec->db_user};
	ERR_TRY(settings_load(&wanted, &app->set));
	struct log_options log;
	settings_log_options(app->set, spec->name, &log);
	ERR_TRY(log_open(&log));
	if (spec->program == PROGRAM_PAGES)
		ERR_TRY(cidr_list_check(settings_str(app->set, S_AIRUNNER_READ_OPEN)));
	return NULL;
}

/* One process of the pool, or the whole program when it is started as plain CGI. */
static int serve(void *arg)
{
	struct app *app = arg;
	int64_t requests = settings_int(app->set, S_AIRUNNER_HANDLER_REQUESTS);
	int status = front_is_cgi() ? front_cgi(app) : front_fastcgi(app, requests);
	db_closep(&app->db);
	settings_freep(&app->set);
	return status;
}

int app_main(const struct app_spec *spec, int argc, char **argv)
{
	struct options options = {0};
	if (!parse_options(argc, argv, &options)) {
		fprintf(stderr,
			"usage: %s [--env-file FILE] [--set NAME=VALUE]... [--version]\n"
			"Serves FastCGI on descriptor 0; started from a shell it answers one "
			"request "
			"of the CGI\nenvironment: REQUEST_METHOD=GET PATH_INFO=/health %s\n",
			spec->name, spec->name);
		return 2;
	}
	if (options.version) {
		printf("%s %s\n", spec->name, AIRUNNER_VERSION);
		return 0;
	}
	struct app app = {.spec = spec, .started_s = time(NULL)};
	err_t e = start(spec, &options, &app);
	if (e) {
		fprintf(stderr, "%s: %s\n", spec->name, err_text(e));
		settings_freep(&app.set);
		return 1;
	}
	if (front_is_cgi())
		return serve(&app);
	int status = prefork_run((int)settings_int(app.set, S_AIRUNNER_HANDLERS), serve, &app);
	settings_freep(&app.set);
	return status;
}
