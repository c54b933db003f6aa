/* Trace lines of HTTP calls (AIRUNNER_TRACE=http), secrets masked. */
#ifndef AIRUNNER_HTTP_TRACE_H
#define AIRUNNER_HTTP_TRACE_H

#include "worker/http.h"

void http_trace_request(const struct http_request *req);
void http_trace_response(const struct http_request *req, const struct http_response *res, err_t e);

#endif
