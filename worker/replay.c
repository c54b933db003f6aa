/*
 * Going on where the journal of the attempt ends: which step is next, what has to be open for it,
 * and when there is no going on. Called by the pipeline before its first step; reading the journal
 * and opening resources is worker/resume.c's.
 */
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "worker/claim.h"
#include "worker/ending.h"
#include "worker/journal.h"
#include "worker/pipeline_private.h"
#include "worker/steps/publish_guard.h"
#include "worker/steps/retake.h"

struct replay {
	struct run_ctx *ctx;
	size_t next;    /* the first step that did not end */
	bool must_heal; /* by the last row: heal() decides whether there is another round */
	bool retaken;   /* in this attempt */
	int ended;      /* the attempt that the last end was decided in; 0: none */
	int continued;  /* attempts that ended so and are continued by this one */
};

/* What the edit and the steps after it left. */
static void forget_edit(struct run_ctx *ctx)
{
	static const char *const stale[] = {
		"edit", "verify", "test", "tag", "commit", "push", "merged"};
	for (size_t i = 0; i < ARRAY_LEN(stale); i++)
		json_object_del(ctx->state, stale[i]);
	ctx->heal_round = 0;
}

/* Rows that stand outside the order of steps. *ret_member: what becomes of them. */
static bool is_aside(struct replay *r, const struct resume_row *row, const char **ret_member)
{
	bool is_now = row->attempt == r->ctx->run.attempt;
	*ret_member = NULL;
	if (row->is_ok && strcmp(row->step, "retake") == 0) {
		r->retaken |= is_now;
		*ret_member = is_now ? row->step : NULL;
		return true;
	}
	if (row->is_ok && strcmp(row->step, "end") == 0) {
		r->ended = row->attempt;
		r->continued += !is_now;
		*ret_member = is_now ? row->step : NULL;
		return true;
	}
	if (row->attempt != r->ended)
		return false;
	if (row->is_ok && !is_now && strcmp(row->step, "push") == 0)
		*ret_member = "kept"; /* what an attempt that ended has pushed all the same */
	return true;
}

/* Rows that are not of the step whose turn it is are those of crashes. */
static const char *replay_row(void *arg, const struct resume_row *row)
{
	struct replay *r = arg;
	const char *member;
	size_t checkout = step_index("checkout");
	if (is_aside(r, row, &member))
		return member;
	if (row->is_ok && r->next > checkout && strcmp(row->step, steps[checkout].name) == 0) {
		forget_edit(r->ctx); /* here the edit began anew: see below */
		r->next = checkout;
		r->must_heal = false;
	}
	if (r->must_heal && strcmp(row->step, "edit") == 0 && row->round > r->ctx->heal_round) {
		r->ctx->heal_round = row->round;
		r->next = step_index("edit");
		r->must_heal = false;
	}
	if (r->must_heal || r->next == step_count || strcmp(row->step, steps[r->next].name) != 0)
		return NULL;
	if (row->is_end)
		r->next = step_count;
	else if (row->is_merged)
		r->next = step_index("verify");
	else if (row->is_ok || row->is_heal)
		r->next++;
	r->must_heal = row->is_heal;
	if (strcmp(row->step, "verify") == 0)
		json_object_del(r->ctx->state, "test"); /* an earlier round's */
	return row->step;
}

/* The snapshots are on another machine, or the base is gone: the edit begins anew. */
static err_t edit_anew(struct run_ctx *ctx, const char *why, size_t *ret_first)
{
	forget_edit(ctx);
	*ret_first = step_index("checkout");
	return journal_event(ctx, EVENT_INFO, NULL,
		"The interrupted work is not on this machine (%s): it begins anew from the base",
		why);
}

/* The journal row of opening resources: a crash in it counts as one, its end clears none. */
static err_t open_journalled(struct run_ctx *ctx, size_t first)
{
	const struct step row = {.name = "resume", .stage = steps[first].stage};
	int64_t id = 0;
	int crashes = ctx->run.crashes;
	ctx->run.crashes = 0;
	ERR_TRY(step_begin(ctx, &row, &id));
	ctx->step = steps[first].name;
	err_t e = resume_open(ctx, steps[first].needs, first == step_index("edit"));
	if (!e && !ctx->closing && first > step_index("tag") && first < step_index("report"))
		e = publish_guard(ctx);
	struct err kept = e ? *e : (struct err){0};
	ctx->step = row.name;
	ERR_TRY(step_end(ctx, id, kept.code ? err_code_name(kept.code) : "ok"));
	ctx->run.crashes = crashes;
	return kept.code ? err_new(kept.code, "%s", kept.text) : NULL;
}

/* A run whose steps crashed the worker again and again is not tried for ever. */
static err_t refuse_poison(struct run_ctx *ctx)
{
	if (ctx->run.crashes < MAX_CRASHES)
		return NULL;
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(ctx->db, Q_CLAIM_OPEN_STEP, DB_ARGS(db_i64(ctx->run.id)), &rows));
	return err_new(ERR_INTERNAL,
		"the worker crashed %d times in step %s: see its log, then retry the run",
		ctx->run.crashes, db_rows_next(rows) ? db_rows_str(rows, "step") : "?");
}

/* How it ends was decided before the interruption: only what its kept work needs is opened. */
static err_t end_again(struct run_ctx *ctx)
{
	size_t commit = step_index("commit");
	bool is_kept = run_state_str(ctx, "end.tree") && ctx->run.crashes < MAX_CRASHES;
	ctx->closing = true; /* its limits are over already */
	err_t e = is_kept ? open_journalled(ctx, commit) : NULL;
	if (!e)
		return ending_decided(ctx);
	if (err_run_end(err_code(e)) == ERR_END_REQUEUE ||
		err_run_end(err_code(e)) == ERR_END_ABANDON)
		return e;
	log_warning("the unfinished work is not kept: %s", err_text(e));
	resume_close(ctx);
	return ending_decided(ctx);
}

/* @param first  the step it would go on with */
static err_t retake(struct run_ctx *ctx, size_t first)
{
	static const struct step row = {
		"retake", STAGE_ANALYZING, step_retake, false, NEEDS_NOTHING};
	enum step_next next;
	if (first == step_count)
		return err_new(ERR_CANCELLED,
			"nothing is left to go on with: the run had done its work; restart it to "
			"work the issue again");
	return step_work(ctx, &row, &next);
}

err_t pipeline_resume(struct run_ctx *ctx, size_t *ret_first)
{
	struct replay r = {.ctx = ctx};
	ERR_TRY(resume_read(ctx, replay_row, &r));
	if (r.ended == ctx->run.attempt)
		return end_again(ctx);
	run_state_set(ctx, "continued", json_integer(r.continued));
	retake_apply(ctx);
	ERR_TRY(refuse_poison(ctx));
	if (ctx->run.attempt > 1 && !r.retaken) /* a person's retry */
		ERR_TRY(retake(ctx, r.next));
	bool is_over = r.must_heal && !may_heal(ctx); /* still the work is to be kept */
	if (r.must_heal && !is_over)
		ERR_TRY(heal(ctx, &r.next));
	*ret_first = r.next;
	if (r.next == 0 || r.next == step_count)
		return NULL;
	ERR_TRY(journal_event(ctx, EVENT_INFO, NULL,
		"Goes on with step %s, where it was interrupted", steps[r.next].name));
	err_t e = open_journalled(ctx, r.next);
	if (!e && is_over)
		return heal(ctx, &r.next);
	if (err_code(e) != ERR_NOT_FOUND || steps[r.next].needs < NEEDS_TREE)
		return e;
	autofree char *why = xstrdup(err_text(e));
	resume_close(ctx);
	return edit_anew(ctx, why, ret_first);
}
