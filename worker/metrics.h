/* The metrics of a run: the members of the Python system's metrics, for its row, API and reports.
 */
#ifndef AIRUNNER_METRICS_H
#define AIRUNNER_METRICS_H

#include "worker/run.h"

/**
 * run_id, issue_key, issue_type, start_time, end_time (ISO, UTC), duration_seconds, success,
 * status, error_category, error_message, model_used, total_input_tokens, total_output_tokens,
 * thinking_tokens, cached_tokens, build_attempts (times the checks ran), self_heal_attempts,
 * pre_commit_passed, tests_run, tests_passed (yes or no; the numbers are in metadata.tests),
 * files_changed, lines_added, lines_removed, estimated_cost (US dollars), metadata {attempt,
 * crashes, turns, cost_known, branch, pr_url, rollback_tag, known_findings, tests, models (one of
 * each: turns, tokens fresh, written, cached, output and thinking, cost_usd_micro, cost_known)}.
 *
 * @param reason    why it ended so, or NULL
 * @param category  error category, or NULL
 * @return new reference; NULL when the run's row cannot be read (logged as a warning)
 */
json_t *run_metrics_json(
	struct run_ctx *ctx, enum run_status status, const char *reason, const char *category);

#endif
