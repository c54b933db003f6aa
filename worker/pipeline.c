/*
 * The order of steps, the heal loop (the only way back), and how a run ends. Called by a run's
 * child (worker/child.c). What a step does is in worker/steps/; errors of steps are logged here.
 */
#include "worker/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "worker/claim.h"
#include "worker/ending.h"
#include "worker/journal.h"
#include "worker/pipeline_private.h"
#include "worker/steps/push_merge.h"

/* clang-format off */
const struct step steps[] = {
	{"fetch",        STAGE_ANALYZING,  step_fetch,        false, NEEDS_NOTHING},
	{"route",        STAGE_ANALYZING,  step_route,        false, NEEDS_REPO},
	{"checkout",     STAGE_ANALYZING,  step_checkout,     false, NEEDS_REPO},
	{"baseline",     STAGE_ANALYZING,  step_baseline,     false, NEEDS_TREE},
	{"context",      STAGE_PLANNING,   step_context,      false, NEEDS_TREE},
	{"edit",         STAGE_EXECUTING,  step_edit,         false, NEEDS_DEPENDENCIES},
	{"verify",       STAGE_VERIFYING,  step_verify,       false, NEEDS_DEPENDENCIES},
	{"test",         STAGE_VERIFYING,  step_test,         false, NEEDS_DEPENDENCIES},
	{"tag",          STAGE_COMMITTING, step_tag,          true,  NEEDS_TREE},
	{"commit",       STAGE_COMMITTING, step_commit,       false, NEEDS_TREE},
	{"push",         STAGE_COMMITTING, step_push,         false, NEEDS_TREE},
	{"pull_request", STAGE_COMMITTING, step_pull_request, false, NEEDS_REPO},
	{"report",       STAGE_COMPLETED,  step_report,       false, NEEDS_REPO},
};

/* What keeps the work of a run that ends by a limit or with failing checks. */
static const struct step keep_steps[] = {
	{"commit",       STAGE_COMMITTING, step_commit,       true,  NEEDS_TREE},
	{"push",         STAGE_COMMITTING, step_push,         false, NEEDS_TREE},
	{"pull_request", STAGE_COMMITTING, step_pull_request, false, NEEDS_REPO},
};
/* clang-format on */

const size_t step_count = ARRAY_LEN(steps);

size_t step_index(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (strcmp(steps[i].name, name) == 0)
			return i;
	}
	abort();
}

/* A retry that continues a run gets the rounds of one anew. */
static int heal_rounds(const struct run_ctx *ctx)
{
	return (int)(settings_int(ctx->set, S_AIRUNNER_HEAL_ROUNDS) *
		     (1 + run_state_i64(ctx, "continued")));
}

bool may_heal(const struct run_ctx *ctx)
{
	return ctx->heal_round < heal_rounds(ctx);
}

err_t heal(struct run_ctx *ctx, size_t *i)
{
	int rounds = heal_rounds(ctx);
	autofree char *finding = ending_finding(ctx);
	if (!may_heal(ctx))
		return err_new(
			ERR_CHECKS, "checks still fail after %d heal rounds: %s", rounds, finding);
	ctx->heal_round++;
	*i = step_index("edit");
	return journal_event(ctx, EVENT_PROGRESS,
		json_pack("{s:i s:i}", "heal_round", ctx->heal_round, "heal_rounds", rounds),
		"Heal round %d of %d: the findings go back to the model", ctx->heal_round, rounds);
}

static err_t work_steps(struct run_ctx *ctx, size_t i)
{
	while (i < step_count) {
		enum step_next next = STEP_NEXT;
		ERR_TRY(step_work(ctx, &steps[i], &next));
		if (next == STEP_END)
			return NULL;
		i++;
		if (next == STEP_HEAL)
			ERR_TRY(heal(ctx, &i));
		if (next == STEP_MERGED) {
			push_merge_apply(ctx);
			i = step_index("verify");
		}
	}
	return NULL;
}

/* Journalled like every step; an error here changes nothing about how the run ends. What cannot go
 * to its own branch (a Story's, or one that others changed) goes to one of its own. */
static void keep_work(struct run_ctx *ctx, enum err_code code)
{
	const char *tree = run_state_str(ctx, "end.tree");
	if (!tree || !ctx->tree || ctx->run.crashes >= MAX_CRASHES)
		return;
	run_state_set(ctx, "salvage", json_pack("{s:s}", "tree", tree));
	if (run_state_str(ctx, "route.story_key") || code == ERR_MERGE)
		ending_leave_branch(ctx);
	for (size_t i = 0; i < ARRAY_LEN(keep_steps); i++) {
		enum step_next next;
		err_t e = step_work(ctx, &keep_steps[i], &next);
		if (e) {
			log_warning("the unfinished work is not kept: %s", err_text(e));
			return;
		}
	}
}

/* A run that did not get through: journal how it ends, keep its work, tell Jira, close its row. */
static err_t close_in_trouble(struct run_ctx *ctx, err_t cause, enum run_status *ret_status)
{
	ERR_TRY(ending_decide(ctx, cause));
	enum err_code code = err_code(ending_decided(ctx));
	enum run_status status = err_run_end(code) == ERR_END_BLOCKED     ? RUN_BLOCKED
				 : err_run_end(code) == ERR_END_CANCELLED ? RUN_CANCELLED
									  : RUN_FAILED;
	const char *reason = run_state_str(ctx, "end.reason");
	keep_work(ctx, code);
	ctx->step = "report";
	ctx->stage = STAGE_FAILED;
	err_t e = status == RUN_CANCELLED ? NULL : report_trouble(ctx, status, code, reason);
	if (e)
		log_error("the issue could not be told: %s", err_text(e));
	*ret_status = status;
	return ending_close(ctx, status, reason, run_state_str(ctx, "end.category"));
}

/* What is not closed here is taken up again by whoever claims the run next. */
static enum run_status end_in_trouble(struct run_ctx *ctx, err_t cause)
{
	enum run_status status = RUN_RUNNING;
	struct err kept = *cause;
	ctx->closing = true;
	err_t e = close_in_trouble(ctx, &kept, &status);
	if (e)
		log_error("the run could not be closed: %s", err_text(e));
	if (e && err_run_end(err_code(e)) == ERR_END_REQUEUE) {
		ending_requeue(ctx, e);
		return RUN_QUEUED;
	}
	return status;
}

static enum run_status end_by(struct run_ctx *ctx, err_t cause)
{
	bool waits = false;
	struct err kept = *cause;
	log_error("%s", kept.text);
	err_t e = ending_wait(ctx, &kept, &waits);
	if (waits)
		return RUN_QUEUED;
	if (e)
		kept = *e;
	switch (err_run_end(kept.code)) {
	case ERR_END_ABANDON:
		return RUN_RUNNING; /* another owner decides */
	case ERR_END_REQUEUE:
		ending_requeue(ctx, &kept);
		return RUN_QUEUED;
	default:
		return end_in_trouble(ctx, &kept);
	}
}

enum run_status pipeline_work(struct run_ctx *ctx)
{
	ctx->step = "claim";
	ctx->stage = STAGE_CLAIMED;
	err_t e = journal_event(ctx, EVENT_PROGRESS, NULL, "Claimed %s, attempt %d",
		ctx->run.issue_key, ctx->run.attempt);
	size_t first = 0;
	if (!e)
		e = pipeline_resume(ctx, &first);
	if (!e)
		e = work_steps(ctx, first);
	if (!e && run_moved(ctx))
		return RUN_QUEUED; /* it was given its repository and waits there */
	if (!e)
		e = ending_close(ctx, RUN_COMPLETED, ending_reason(ctx), NULL);
	return e ? end_by(ctx, e) : RUN_COMPLETED;
}
