/*
 * The order of steps. A step is a function over run_ctx; it never calls another step. The tables
 * are in pipeline.c; the heal loop there is the only way back.
 */
#ifndef AIRUNNER_PIPELINE_H
#define AIRUNNER_PIPELINE_H

#include "worker/run.h"

enum step_next {
	STEP_NEXT,   /* go on */
	STEP_HEAL,   /* checks failed: back to edit, while heal rounds are left */
	STEP_MERGED, /* the tree is another now: back to verify */
	STEP_END,    /* nothing more to do: the run completes as it is */
};

/** A step sets its state member itself; *ret_next is STEP_NEXT when not touched. */
typedef err_t (*step_fn)(struct run_ctx *ctx, enum step_next *ret_next);

/** Works the run to its end, including the report, and closes its row. Errors are logged here. */
enum run_status pipeline_work(struct run_ctx *ctx);

/* worker/steps/: one file each */
err_t step_fetch(struct run_ctx *ctx, enum step_next *ret_next); /* issue and comments from Jira */
err_t step_route(struct run_ctx *ctx, enum step_next *ret_next); /* DESIGN 5: what is to be done */
err_t step_checkout(struct run_ctx *ctx, enum step_next *ret_next); /* store, branch, work tree */
err_t step_baseline(
	struct run_ctx *ctx, enum step_next *ret_next); /* dependencies, findings of the base */
err_t step_context(
	struct run_ctx *ctx, enum step_next *ret_next); /* the conversation's first message */
err_t step_edit(struct run_ctx *ctx, enum step_next *ret_next);   /* the agent loop */
err_t step_verify(struct run_ctx *ctx, enum step_next *ret_next); /* checks on a fixed tree */
err_t step_test(struct run_ctx *ctx, enum step_next *ret_next);   /* the repository's tests */
err_t step_tag(struct run_ctx *ctx, enum step_next *ret_next);    /* rollback tag on the base */
err_t step_commit(
	struct run_ctx *ctx, enum step_next *ret_next);         /* the verified tree as a commit */
err_t step_push(struct run_ctx *ctx, enum step_next *ret_next); /* branch, then tag */
err_t step_pull_request(
	struct run_ctx *ctx, enum step_next *ret_next);           /* found or created, draft */
err_t step_report(struct run_ctx *ctx, enum step_next *ret_next); /* comment, status, assignee */

/**
 * The report of a run that did not get through: comment with reason and next action, status
 * Blocked, the person assigned. Part of closing, so it never heals or repeats.
 */
err_t report_trouble(
	struct run_ctx *ctx, enum run_status status, enum err_code code, const char *reason);

#endif
