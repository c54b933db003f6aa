/*
 * The JSON of the API, made from rows. The pages are rendered from the same trees. Member names
 * and meanings are those of the Python system (its scripts go on working); more members may follow
 * them. Times are whole Unix seconds, money is dollars.
 */
#ifndef AIRUNNER_CGI_DATA_H
#define AIRUNNER_CGI_DATA_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/db.h"

#define STATUS_HOURS 1

/** GET /api/status: at most 50 runs of the last hours, newest first. */
err_t data_status(struct db *db, bool detailed, int64_t hours, json_t **ret_json);

/** GET /api/metrics/summary over the runs made in the last hours. */
err_t data_metrics(struct db *db, int64_t hours, json_t **ret_json);

/** GET /api/queue/stats. */
err_t data_queue(struct db *db, json_t **ret_json);

/** GET /api/runs/{id}. @return ERR_NOT_FOUND */
err_t data_run(struct db *db, int64_t id, json_t **ret_json);

/** A run's budgets by scope, {run, issue, repo, day: {spent_usd, estimated_usd, reserved_usd,
 * cap_usd}} as far as there are any, and models[]: {model, calls, cost_usd, estimated_usd}. */
err_t data_run_money(struct db *db, int64_t run_id, json_t **ret_json);

/** Today's (UTC) budgets: all (the whole system's, null without a call), repos[]. */
err_t data_day_money(struct db *db, json_t **ret_json);

/** The workers seen in the last week: name, host, alive, running, capacity, … (an array). */
err_t data_workers(struct db *db, json_t **ret_json);

/**
 * GET /api/health/detailed: ok, degraded (nobody works) or error (the database is away, which is
 * then said in the answer, not returned).
 * @param db  NULL when there is no connection
 */
err_t data_health(struct db *db, int64_t started_s, json_t **ret_json);

/* Values of a row's column; null where the row has NULL. New references. */
json_t *data_text(const struct db_rows *rows, const char *column);
json_t *data_int(const struct db_rows *rows, const char *column);
json_t *data_time(const struct db_rows *rows, const char *column); /* whole seconds */
json_t *data_json(const struct db_rows *rows, const char *column); /* text that holds JSON */
/* an event's fields: an object that holds its stage too, where the Python system has it */
json_t *data_meta(const struct db_rows *rows, const char *column, const char *stage_column);
json_t *data_usd(int64_t usd_micro);
double data_round(double value, int decimals);

#endif
