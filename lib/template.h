/*
 * Templates by name from the share folder: pages, prompts, Jira texts, pull request bodies.
 * template_render(set, "jira/report.md", data, …) reads templates/jira/report.md; partials {{>x}}
 * are x.md (the template's ending, when x has none) of the same folder, then of templates/. Files
 * are read once per process and kept. .html files render as HTML, all others as plain text.
 */
#ifndef AIRUNNER_TEMPLATE_H
#define AIRUNNER_TEMPLATE_H

#include <jansson.h>

#include "lib/settings.h"

/**
 * Appends the rendered template.
 * @param name  path below templates/
 * @return ERR_CONFIG naming the missing file or partial, or the fault ("NAME:LINE: …");
 * ERR_TOO_LARGE
 */
err_t template_render(
	const struct settings *set, const char *name, const json_t *data, struct buf *out);

/** Forgets the files read (SIGHUP, end of program). */
void template_clear(void);

#endif
