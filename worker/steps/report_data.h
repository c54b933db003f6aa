/* What the Jira texts say: the data of templates/jira/. */
#ifndef AIRUNNER_REPORT_DATA_H
#define AIRUNNER_REPORT_DATA_H

#include "worker/run.h"

/** Data of report.md and the part of trouble.md that both share. New reference. */
json_t *report_data(struct run_ctx *ctx, enum run_status status);

/** Adds what only trouble.md says: reason, findings, what a person can do next. */
void report_data_trouble(struct run_ctx *ctx, json_t *data, enum err_code code, const char *reason);

/** Plain words as Markdown that shows exactly them; freed by the caller. */
char *report_plain(const char *words);

#endif
