/*
 * Who asks? Three sources: a bearer token (Authorization: Bearer …), a browser session (cookie
 * airunner_session), and for reading the addresses of AIRUNNER_READ_OPEN. The database holds only
 * SHA-256 of tokens and session ids.
 */
#ifndef AIRUNNER_CGI_AUTH_H
#define AIRUNNER_CGI_AUTH_H

#include "cgi/app.h"

#define SESSION_COOKIE "airunner_session"

/**
 * Sets req->role and req->who, and compares with the least role of the route.
 * @return ERR_UNAUTHORIZED (nobody, or a wrong or expired token), ERR_FORBIDDEN (role too low)
 */
err_t auth_check(struct app *app, struct request *req, enum role least);

/** Role and name of a valid API token; ROLE_NONE when it is unknown, revoked or expired. */
err_t auth_token(struct app *app, const char *token, enum role *ret_role, struct buf *ret_who);

const char *role_name(enum role role); /* "viewer" … */

/** ROLE_NONE when text is no role (or NULL). */
enum role role_parse(const char *text);

/**
 * Refuses a form sent by another site's page (Sec-Fetch-Site, which all current browsers send).
 * @return ERR_FORBIDDEN
 */
err_t auth_same_site(const struct request *req);

/**
 * Refuses to act for a browser session unless the request comes from one of our own pages
 * (Sec-Fetch-Site, or Origin where a browser sends none) and carries the session's X-CSRF-Token.
 * Reading and API tokens are exempt.
 * @return ERR_FORBIDDEN
 */
err_t auth_csrf(const struct request *req);

#endif
