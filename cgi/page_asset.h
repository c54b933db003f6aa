/* Addresses of static files that change with their content, so that browsers may keep them. */
#ifndef AIRUNNER_CGI_PAGE_ASSET_H
#define AIRUNNER_CGI_PAGE_ASSET_H

#include <jansson.h>

#include "lib/settings.h"

/** "/static/app.css?v=3f2a…"; read once a process. Without the file: without ?v=. New reference. */
json_t *page_asset_url(const struct settings *set, const char *name);

#endif
