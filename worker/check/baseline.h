/*
 * What the checks say of the base tree, so that a run is blamed only for findings of its own.
 * Results are kept in the table baselines by tree, check and everything else that decides (node,
 * dependencies, files looked at); one that ran into its time limit is not kept there, but
 * remembered for this run.
 */
#ifndef AIRUNNER_BASELINE_H
#define AIRUNNER_BASELINE_H

#include "worker/check/check.h"
#include "worker/run.h"

/** The work tree of the run as it lies, to be checked. target's members are borrowed from ctx and
 * the other arguments. */
struct check_target check_target_of(
	struct run_ctx *ctx, const json_t *package, const json_t *changed);

/** run_alive_callback() by the name that commands ask it. */
err_t check_alive(void *ctx);

/**
 * The check's result on the base tree: {ran, skipped, timed_out, ms, findings: [], passed, failed},
 * from the table or by a run of it. Running it sets the files to the base tree and, when it is
 * done, to `back_to` (a tree id; NULL: they stay at the base).
 * @param ret_result  new reference
 */
err_t baseline_result(struct run_ctx *ctx, const struct check *check, const json_t *changed,
	const char *back_to, json_t **ret_result);

/** Installs what the tree needs; event when something was installed. state member "node" is set on
 * the first call. */
err_t baseline_dependencies(struct run_ctx *ctx, bool sync_lock, json_t **ret_findings);

#endif
