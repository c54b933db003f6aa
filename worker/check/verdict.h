/*
 * What a check's outcome means for the run: which findings are new, what people and the model are
 * told, and whether the run can go on at all.
 */
#ifndef AIRUNNER_VERDICT_H
#define AIRUNNER_VERDICT_H

#include "worker/check/check.h"
#include "worker/run.h"

struct verdict {
	json_t *findings; /* owned array: new ones, with hints, at most VERDICT_MAX */
	int known;        /* how many the base has too */
	int fresh;        /* how many are new, also those beyond VERDICT_MAX */
};

#define VERDICT_MAX 50

/**
 * Judges one outcome on tree (the files lie so and still do afterwards) and adds to the verdict.
 * Events: an error for each of the first new findings (meta: check, category, hint, file, line,
 * code, message), one line about those that were there before. The tool's output is kept as
 * artifact "<check>-<heal round>". A check that applied to the base and does not apply any more is
 * a finding itself.
 * @return ERR_TIMEOUT when it did not end although it does on the base; ERR_FENCE …
 */
err_t verdict_add(struct run_ctx *ctx, const struct check *check,
	const struct check_outcome *outcome, const json_t *changed, const char *tree,
	struct verdict *verdict);

/** The same for findings that no check of the table made (dependencies); nothing is known of the
 * base. */
err_t verdict_add_new(struct run_ctx *ctx, json_t *findings, struct verdict *verdict);

void verdict_release(struct verdict *verdict);

#endif
