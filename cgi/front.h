/*
 * The two fronts of a handler: FastCGI on descriptor 0, and plain CGI (environment and standard
 * input, once) for debugging from a shell. Both end in app_answer().
 */
#ifndef AIRUNNER_CGI_FRONT_H
#define AIRUNNER_CGI_FRONT_H

#include <stdbool.h>
#include <stdint.h>

#include "cgi/app.h"

/** Is descriptor 0 no listening socket? */
bool front_is_cgi(void);

/** Answers the one request of the environment. @return the exit status */
int front_cgi(struct app *app);

/**
 * Answers requests until SIGTERM or SIGINT, or until max_requests are answered. A request that has
 * begun is finished. Expects both signals blocked (prefork_run() does that).
 * @return the exit status
 */
int front_fastcgi(struct app *app, int64_t max_requests);

#endif
