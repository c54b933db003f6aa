/*
 * A handler program: what the three have in common. main() of each is its route table and one call
 * of app_main(). The request loop is app_answer(): route, authenticate, handle, and make errors
 * answers; errors are logged there and nowhere else.
 */
#ifndef AIRUNNER_CGI_APP_H
#define AIRUNNER_CGI_APP_H

#include "cgi/request.h"
#include "cgi/response.h"
#include "cgi/route.h"
#include "lib/db.h"
#include "lib/settings.h"

struct app_spec {
	const char *name; /* "airunner-api" */
	enum program program;
	const char *db_user; /* when AIRUNNER_DB_USER is not set */
	const struct route *routes;
	bool csrf; /* browser sessions need X-CSRF-Token for all but reading (auth_csrf) */
	/** Turns an error into a page instead of a problem; NULL: problems only. */
	void (*error_page)(struct app *app, struct request *req, struct response *res, err_t e);
};

struct app {
	const struct app_spec *spec;
	struct settings *set;
	struct db *db;     /* NULL until a handler asks for it */
	int64_t started_s; /* Unix seconds at which the program (not this process of it) began */
};

/** The whole program: options, settings, then FastCGI on descriptor 0 or one plain CGI request. */
int app_main(const struct app_spec *spec, int argc, char **argv);

/** The connection, made when first asked for. @return ERR_DB_AWAY, ERR_CONFIG */
err_t app_db(struct app *app, struct db **ret_db);

/**
 * Answers one request. A lost connection is renewed and the handler called once more; a deadlock
 * is repeated a few times.
 * @param refusal  what reading the request came to: an error becomes the answer at once
 */
void app_answer(struct app *app, struct request *req, err_t refusal, struct response *res);

#endif
