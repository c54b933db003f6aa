/* What all pages share. Called by the page_*.c files. */
#include "cgi/page.h"

#include <stdio.h>
#include <string.h>
#include <time.h>

#include "cgi/auth.h"
#include "cgi/page_asset.h"
#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"

#define ETAG_STEP_S 15
#define PAGE_TYPE "text/html; charset=utf-8"

static json_t *site_json(struct app *app, const struct request *req)
{
	json_t *site = json_pack("{s:o s:o s:s}", "css", page_asset_url(app->set, "app.css"), "js",
		page_asset_url(app->set, "app.js"), "version", AIRUNNER_VERSION);
	if (req->role != ROLE_NONE) {
		json_object_set_new(site, "role", json_string(role_name(req->role)));
		json_object_set_new(
			site, "who", req->who.len ? text_json(req->who.data) : json_null());
		json_object_set_new(site, "csrf",
			req->role >= ROLE_OPERATOR && req->csrf.len ? json_string(req->csrf.data)
								    : json_null());
	}
	return site;
}

err_t page_render(struct app *app, const struct request *req, struct response *res,
	const char *name, json_t *data)
{
	json_auto_t *owned = data;
	autofree char *path = xasprintf("pages/%s", name);
	json_object_set_new(owned, "site", site_json(app, req));
	res->type = PAGE_TYPE;
	return template_render(app->set, path, owned, &res->body);
}

static bool wants_sign_in(const struct request *req, err_t e)
{
	return err_code(e) == ERR_UNAUTHORIZED && req->method == METHOD_GET &&
	       strcmp(req->path.data, "/signin") != 0 && !request_header(req, "Authorization");
}

void page_error(struct app *app, struct request *req, struct response *res, err_t e)
{
	if (wants_sign_in(req, e)) {
		AUTO(buf_release) struct buf login = BUF(8192);
		buf_adds(&login, "/login?next=");
		text_url_encode(&login, req->path.data);
		response_reset(res);
		response_redirect(res, login.data);
		return;
	}
	json_t *data = response_problem(e, req->path.data);
	response_error(res, e, req->path.data);
	AUTO(buf_release) struct buf problem = BUF(64 << 10);
	buf_add(&problem, res->body.data, res->body.len);
	const char *type = res->type;
	buf_reset(&res->body);
	if (!page_render(app, req, res, "error.html", data))
		return;
	buf_reset(&res->body); /* the template is broken: the problem itself says what there is */
	buf_add(&res->body, problem.data, problem.len);
	res->type = type;
}

/* A cache or nginx's compression may have made the tag a weak one: W/"…". */
static bool etag_matches(const struct request *req, const char *etag)
{
	const char *have = request_header(req, "If-None-Match");
	return have && strstr(have, etag);
}

err_t page_unchanged(
	struct app *app, struct request *req, struct response *res, bool *ret_unchanged)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	struct db *db;
	char etag[128];
	ERR_TRY(app_db(app, &db));
	ERR_TRY(db_query(db, Q_STATUS_ETAG, DB_NO_ARGS, &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_DB, "the status query gave no row");
	const char *updated = db_rows_str(rows, "updated_at");
	snprintf(etag, sizeof etag, "\"%s-%lld-%lld-%d-%s-%.8s\"", updated ? updated : "0",
		(long long)db_rows_i64(rows, "event_id"), (long long)time(NULL) / ETAG_STEP_S,
		req->role, AIRUNNER_VERSION, req->csrf.len ? req->csrf.data : "");
	response_header(res, "ETag", etag);
	response_header(res, "Cache-Control", "private, no-cache");
	*ret_unchanged = etag_matches(req, etag);
	if (*ret_unchanged)
		res->status = 304;
	return NULL;
}

json_t *page_time(const json_t *at_s)
{
	if (!json_is_integer(at_s))
		return json_null();
	time_t at = (time_t)json_integer_value(at_s);
	struct tm tm;
	char iso[40], text[40];
	gmtime_r(&at, &tm);
	strftime(iso, sizeof iso, "%Y-%m-%dT%H:%M:%SZ", &tm);
	strftime(text, sizeof text, "%d %b %H:%M:%S UTC", &tm);
	return json_pack("{s:s s:s}", "iso", iso, "text", text);
}

json_t *page_duration(double duration_s)
{
	long long s = duration_s < 0 ? 0 : (long long)(duration_s + 0.5);
	char text[48];
	if (s < 60)
		snprintf(text, sizeof text, "%lld s", s);
	else if (s < 3600)
		snprintf(text, sizeof text, "%lld min %lld s", s / 60, s % 60);
	else
		snprintf(text, sizeof text, "%lld h %lld min", s / 3600, s % 3600 / 60);
	return json_string(text);
}

json_t *page_usd(double usd)
{
	char text[48];
	snprintf(text, sizeof text, usd > 0 && usd < 0.01 ? "$%.4f" : "$%.2f", usd);
	return json_string(text);
}

json_t *page_count(double n)
{
	char text[48];
	if (n < 1000)
		snprintf(text, sizeof text, "%.0f", n);
	else if (n < 999500)
		snprintf(text, sizeof text, "%.1f k", n / 1e3);
	else
		snprintf(text, sizeof text, "%.1f M", n / 1e6);
	return json_string(text);
}
