/*
 * Pages: a template rendered from the API's JSON with a few words for the eye beside it (member
 * "view"). Templates are in templates/pages; what they get is documented at each function.
 */
#ifndef AIRUNNER_CGI_PAGE_H
#define AIRUNNER_CGI_PAGE_H

#include <jansson.h>

#include "cgi/app.h"

/**
 * Renders templates/pages/NAME as the answer. data is taken over; "site" is added to it: css and
 * js (addresses that change with the files), who and role (when signed in), version.
 */
err_t page_render(struct app *app, const struct request *req, struct response *res,
	const char *name, json_t *data);

/** app_spec.error_page: a sign-in redirect for 401 on a page, else the problem as a page. */
void page_error(struct app *app, struct request *req, struct response *res, err_t e);

/**
 * Has nothing changed since the page that the browser shows? Sets the ETag header, made of one
 * indexed read, and then status 304. A running minute changes it too, for what ages by itself.
 */
err_t page_unchanged(
	struct app *app, struct request *req, struct response *res, bool *ret_unchanged);

/** Adds "view" to a run of /api/status or /api/runs/{id}: label, times, duration, cost, links. */
void page_decorate_run(struct app *app, json_t *run, int64_t now_s);

/**
 * The data of the status page, from the API's four answers (borrowed, and decorated with "view").
 * New reference.
 */
json_t *page_status_data(
	struct app *app, json_t *status, json_t *metrics, json_t *queue, json_t *workers);

/** {"iso":"2026-11-22T15:19:01Z","text":"22 Nov 15:19 UTC"}; null when at_s is no number. */
json_t *page_time(const json_t *at_s);

/** "48 s", "3 min 12 s", "2 h 5 min". */
json_t *page_duration(double duration_s);

/** "$0.42"; "$0.0042" below a cent. */
json_t *page_usd(double usd);

/** "934", "12.3 k", "1.8 M". */
json_t *page_count(double n);

/* the pages */
err_t page_status(struct app *app, struct request *req, struct response *res);
err_t page_run(struct app *app, struct request *req, struct response *res);
err_t page_home(struct app *app, struct request *req, struct response *res);
err_t page_login_form(struct app *app, struct request *req, struct response *res);
err_t page_login(struct app *app, struct request *req, struct response *res);
err_t page_signin(struct app *app, struct request *req, struct response *res);
err_t page_logout(struct app *app, struct request *req, struct response *res);

#endif
