/* The check of a request's right to be answered. Called by the request loop for every route. */
#include "cgi/auth.h"

#include <string.h>
#include <strings.h>

#include "cgi/cidr.h"
#include "lib/crypto.h"
#include "lib/mem.h"
#include "lib/text.h"

static const char *const role_names[ROLE__MAX] = {[ROLE_NONE] = "nobody",
	[ROLE_VIEWER] = "viewer",
	[ROLE_OPERATOR] = "operator",
	[ROLE_ADMIN] = "admin"};

const char *role_name(enum role role)
{
	return role_names[role];
}

enum role role_parse(const char *text)
{
	for (int r = ROLE_VIEWER; text && r < ROLE__MAX; r++) {
		if (strcmp(text, role_names[r]) == 0)
			return (enum role)r;
	}
	return ROLE_NONE;
}

static err_t look_up(struct app *app, enum query q, const char *secret, struct db_rows **ret_rows)
{
	struct db *db;
	char hash[SHA256_HEX_LEN + 1];
	crypto_sha256_hex(secret, strlen(secret), hash);
	ERR_TRY(app_db(app, &db));
	return db_query(db, q, DB_ARGS(db_str(hash)), ret_rows);
}

err_t auth_token(struct app *app, const char *token, enum role *ret_role, struct buf *ret_who)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	*ret_role = ROLE_NONE;
	ERR_TRY(look_up(app, Q_AUTH_TOKEN, token, &rows));
	if (!db_rows_next(rows))
		return NULL;
	*ret_role = role_parse(db_rows_str(rows, "role"));
	buf_adds(ret_who, db_rows_str(rows, "name"));
	return NULL;
}

/* Made of what only the browser knows (the cookie) and what only the database knows (its key). */
static void make_csrf(struct request *req, const char *id, const char *key)
{
	unsigned char digest[SHA256_LEN];
	req->by_cookie = true;
	if (!*key)
		return;
	crypto_hmac_sha256(key, strlen(key), id, strlen(id), digest);
	text_hex(&req->csrf, digest, sizeof digest);
}

static err_t check_session(struct app *app, struct request *req, const char *id)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(look_up(app, Q_AUTH_SESSION, id, &rows));
	if (!db_rows_next(rows))
		return NULL;
	req->role = role_parse(db_rows_str(rows, "role"));
	buf_adds(&req->who, db_rows_str(rows, "name"));
	make_csrf(req, id, db_rows_str(rows, "csrf_key"));
	if (db_rows_i64(rows, "stale"))
		return db_exec(app->db, Q_AUTH_SESSION_SEEN,
			DB_ARGS(db_str(db_rows_str(rows, "id_hash"))), NULL);
	return NULL;
}

/* The first source that knows the caller decides; a wrong token is never made up for by another. */
static err_t identify(struct app *app, struct request *req)
{
	static const char scheme[] = "Bearer ";
	AUTO(buf_release) struct buf cookie = BUF(256);
	const char *header = request_header(req, "Authorization");
	if (header && strncasecmp(header, scheme, strlen(scheme)) == 0) {
		ERR_TRY(auth_token(app, header + strlen(scheme), &req->role, &req->who));
		if (req->role == ROLE_NONE)
			return err_new(ERR_UNAUTHORIZED,
				"the token is not known, was revoked or has expired");
		return NULL;
	}
	if (request_cookie(req, SESSION_COOKIE, &cookie))
		ERR_TRY(check_session(app, req, cookie.data));
	if (req->role == ROLE_NONE &&
		(req->from_shell || cidr_list_contains(settings_str(app->set, S_AIRUNNER_READ_OPEN),
					    req->remote_addr)))
		req->role = ROLE_VIEWER;
	return NULL;
}

err_t auth_check(struct app *app, struct request *req, enum role least)
{
	req->role = ROLE_NONE;
	buf_reset(&req->who);
	buf_reset(&req->csrf);
	req->by_cookie = false;
	ERR_TRY(identify(app, req));
	if (req->role == ROLE_NONE)
		return err_new(ERR_UNAUTHORIZED,
			"sign in, or send an API token as Authorization: Bearer TOKEN");
	if (req->role < least)
		return err_new(ERR_FORBIDDEN, "this needs the role %s; %s has %s", role_name(least),
			req->who.len ? req->who.data : "an open address", role_name(req->role));
	return NULL;
}

err_t auth_same_site(const struct request *req)
{
	const char *site = request_header(req, "Sec-Fetch-Site");
	if (site && strcmp(site, "same-origin") != 0 && strcmp(site, "none") != 0)
		return err_new(ERR_FORBIDDEN, "this form was sent by another site's page");
	return NULL;
}

/* "https://host:port" of Origin against Host, which a page cannot choose. */
static bool same_host(const char *origin, const char *host)
{
	const char *at = strstr(origin, "://");
	return at && host && *host && strcasecmp(at + 3, host) == 0;
}

err_t auth_csrf(const struct request *req)
{
	if (!req->by_cookie || req->method == METHOD_GET)
		return NULL;
	const char *site = request_header(req, "Sec-Fetch-Site");
	const char *origin = request_header(req, "Origin");
	const char *token = request_header(req, "X-CSRF-Token");
	bool ours = site ? strcmp(site, "same-origin") == 0
			 : origin && same_host(origin, request_header(req, "Host"));
	if (!ours)
		return err_new(ERR_FORBIDDEN,
			"a browser session acts from this server's own pages only; scripts send an "
			"API token as Authorization: Bearer TOKEN");
	if (!token || req->csrf.len == 0 ||
		!crypto_equal(token, strlen(token), req->csrf.data, req->csrf.len))
		return err_new(ERR_FORBIDDEN, "X-CSRF-Token is missing or of another session: load "
					      "the page again, or sign in again");
	return NULL;
}
