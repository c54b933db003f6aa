/*
 * Templates by name from the share folder: pages, prompts, Jira texts, pull request bodies.
 * template_render(set, "jira/report.md", data, …) reads templates/jira/report.md; partials {{>x}} are looked up
 * in the same folder, then in templates/. Files are read once per process and kept.
 * .html files render as HTML, all others as plain text.
 */
#ifndef AIRUNNER_TEMPLATE_H
#define AIRUNNER_TEMPLATE_H

#include <jansson.h>

#include "lib/settings.h"

err_t template_render(const struct settings *set, const char *name, const json_t *data,
	struct buf *out);

/** Forgets the files read (SIGHUP, end of program). */
void template_clear(void);

#endif
