/*
 * Signing in and out: with an API token typed into a form, or with a one-time code in a link. Both
 * give a session cookie; the database holds the SHA-256 of its value.
 */
#include <string.h>

#include "cgi/auth.h"
#include "cgi/page.h"
#include "lib/crypto.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"

#define SESSION_ID_CHARS 43 /* base62: 256 bits */
#define TOKEN_MAX 256
#define HOME "/status"

static void set_cookie(
	const struct request *req, struct response *res, const char *value, int age_s)
{
	const char *https = request_env(req, "HTTPS");
	autofree char *cookie =
		xasprintf(SESSION_COOKIE "=%s; Path=/; Max-Age=%d; HttpOnly; SameSite=Lax%s", value,
			age_s, https && strcasecmp(https, "on") == 0 ? "; Secure" : "");
	response_header(res, "Set-Cookie", cookie);
}

/* A path of ours only: "/…", but not "//host" or "/\host"; browsers drop controls between them. */
static bool local_path(const char *path)
{
	for (const char *p = path; *p; p++)
		if (*p == '\\' || (unsigned char)*p < 0x20)
			return false;
	return path[0] == '/' && path[1] != '/';
}

static err_t open_session(struct app *app, const struct request *req, struct response *res,
	const char *name, enum role role, const char *next)
{
	char id[SESSION_ID_CHARS + 1], csrf_key[SESSION_ID_CHARS + 1], hash[SHA256_HEX_LEN + 1];
	struct db *db;
	ERR_TRY(app_db(app, &db));
	ERR_TRY(crypto_random_token(id, SESSION_ID_CHARS));
	ERR_TRY(crypto_random_token(csrf_key, SESSION_ID_CHARS));
	crypto_sha256_hex(id, SESSION_ID_CHARS, hash);
	ERR_TRY(db_exec(db, Q_SESSION_ADD,
		DB_ARGS(db_str(hash), db_str(name), db_str(role_name(role)), db_str(csrf_key)),
		NULL));
	ERR_TRY(db_exec(db, Q_SESSIONS_PURGE, DB_NO_ARGS, NULL));
	log_info("%s signed in as %s", name, role_name(role));
	set_cookie(req, res, id, 24 * 3600);
	response_redirect(res, local_path(next) ? next : HOME);
	return NULL;
}

static err_t form(struct app *app, const struct request *req, struct response *res,
	const char *problem, const char *next)
{
	return page_render(app, req, res, "login.html",
		json_pack("{s:s s:o s:o}", "title", "Sign in", "problem",
			problem ? json_string(problem) : json_null(), "next",
			local_path(next) ? text_json(next) : json_string(HOME)));
}

err_t page_login_form(struct app *app, struct request *req, struct response *res)
{
	AUTO(buf_release) struct buf next = BUF(2048);
	request_form_value(req->query, "next", &next);
	return form(app, req, res, NULL, next.data);
}

err_t page_login(struct app *app, struct request *req, struct response *res)
{
	AUTO(buf_release) struct buf next = BUF(2048);
	AUTO(buf_release) struct buf token = BUF(TOKEN_MAX);
	AUTO(buf_release) struct buf name = BUF(TOKEN_MAX);
	enum role role = ROLE_NONE;
	ERR_TRY(auth_same_site(req));
	request_form_value(req->body.data, "next", &next);
	if (request_form_value(req->body.data, "token", &token))
		ERR_TRY(auth_token(app, token.data, &role, &name));
	if (role != ROLE_NONE)
		return open_session(app, req, res, name.data, role, next.data);
	log_info("a sign-in with a wrong token from %s", req->remote_addr);
	res->status = 401;
	return form(
		app, req, res, "This token is not known, was revoked or has expired.", next.data);
}

err_t page_signin(struct app *app, struct request *req, struct response *res)
{
	AUTO(buf_release) struct buf code = BUF(TOKEN_MAX);
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	char hash[SHA256_HEX_LEN + 1];
	struct db *db;
	request_form_value(req->query, "code", &code);
	crypto_sha256_hex(code.data, code.len, hash);
	ERR_TRY(app_db(app, &db));
	ERR_TRY(db_query(db, Q_SESSION_TAKE_CODE, DB_ARGS(db_str(hash)), &rows));
	if (!db_rows_next(rows)) {
		res->status = 401;
		return form(app, req, res,
			"This sign-in link was used already or is older than ten minutes. "
			"Make a new one, or sign in with an API token.",
			HOME);
	}
	return open_session(app, req, res, db_rows_str(rows, "name"),
		role_parse(db_rows_str(rows, "role")), HOME);
}

err_t page_logout(struct app *app, struct request *req, struct response *res)
{
	AUTO(buf_release) struct buf id = BUF(TOKEN_MAX);
	char hash[SHA256_HEX_LEN + 1];
	struct db *db;
	ERR_TRY(auth_same_site(req));
	ERR_TRY(app_db(app, &db));
	if (request_cookie(req, SESSION_COOKIE, &id)) {
		crypto_sha256_hex(id.data, id.len, hash);
		ERR_TRY(db_exec(db, Q_SESSION_DELETE, DB_ARGS(db_str(hash)), NULL));
	}
	set_cookie(req, res, "", 0);
	response_redirect(res, "/login");
	return NULL;
}
