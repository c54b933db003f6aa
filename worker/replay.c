/*
 * Going on where the journal of the attempt ends: which step is next, what has to be open for it,
 * and when there is no going on. Called by the pipeline before its first step; reading the journal
 * and opening resources is worker/resume.c's.
 */
#include <string.h>

#include "lib/mem.h"
#include "worker/claim.h"
#include "worker/journal.h"
#include "worker/pipeline_private.h"
#include "worker/steps/publish_guard.h"

struct replay {
	struct run_ctx *ctx;
	size_t next;    /* the first step that did not end */
	bool must_heal; /* by the last row: heal() decides whether there is another round */
};

/* What the edit and the steps after it left. */
static void forget_edit(struct run_ctx *ctx)
{
	static const char *const stale[] = {"edit", "verify", "test", "tag", "commit", "push"};
	for (size_t i = 0; i < ARRAY_LEN(stale); i++)
		json_object_del(ctx->state, stale[i]);
	ctx->heal_round = 0;
}

/* Rows that are not of the step whose turn it is are those of crashes, or of kept work. */
static bool replay_row(void *arg, const struct resume_row *row)
{
	struct replay *r = arg;
	size_t checkout = step_index("checkout");
	if (row->is_ok && r->next > checkout && strcmp(row->step, steps[checkout].name) == 0) {
		forget_edit(r->ctx); /* here the edit began anew: see below */
		*r = (struct replay){.ctx = r->ctx, .next = checkout};
	}
	if (r->must_heal && strcmp(row->step, "edit") == 0 && row->round > r->ctx->heal_round) {
		r->ctx->heal_round = row->round;
		r->next = step_index("edit");
		r->must_heal = false;
	}
	if (r->must_heal || r->next == step_count || strcmp(row->step, steps[r->next].name) != 0)
		return false;
	if (row->is_end)
		r->next = step_count;
	else if (row->is_ok || row->is_heal)
		r->next++;
	r->must_heal = row->is_heal;
	if (strcmp(row->step, "verify") == 0)
		json_object_del(r->ctx->state, "test"); /* an earlier round's */
	return true;
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
	if (!e && first > step_index("tag") && first < step_index("report"))
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

err_t pipeline_resume(struct run_ctx *ctx, size_t *ret_first)
{
	struct replay r = {.ctx = ctx};
	ERR_TRY(resume_read(ctx, replay_row, &r));
	ERR_TRY(refuse_poison(ctx));
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
