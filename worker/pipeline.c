/*
 * The order of steps, the heal loop (the only way back), and how a run ends. Called by a run's
 * child (worker/child.c). What a step does is in worker/steps/; errors of steps are logged here.
 */
#include "worker/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/redact.h"
#include "worker/claim.h"
#include "worker/ending.h"
#include "worker/fault.h"
#include "worker/journal.h"
#include "worker/resume.h"
#include "worker/steps/publish_guard.h"

struct step {
	const char *name;
	enum run_stage stage;
	step_fn work;
	bool guarded; /* the issue is read again first: nothing is published that a person took back
		       */
	enum resume_need needs; /* what must be open when a resumed run begins with it */
};

/* clang-format off */
static const struct step steps[] = {
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

static size_t step_index(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(steps); i++) {
		if (strcmp(steps[i].name, name) == 0)
			return i;
	}
	abort();
}

static err_t step_begin(struct run_ctx *ctx, const struct step *step, int64_t *ret_id)
{
	ctx->step = step->name;
	ctx->stage = step->stage;
	ERR_TRY(db_exec_fenced(ctx->db, Q_STEP_BEGIN,
		DB_ARGS(db_i64(ctx->run.attempt), db_str(step->name), db_i64(ctx->heal_round),
			db_i64(ctx->run.id), db_i64(ctx->run.fence))));
	*ret_id = ctx->step_id = db_insert_id(ctx->db);
	return NULL;
}

static err_t step_end(struct run_ctx *ctx, int64_t id, const char *outcome)
{
	json_t *result = json_object_get(ctx->state, ctx->step);
	json_auto_t *masked = result ? redact_json(result) : NULL;
	autofree char *text = masked ? json_dumps(masked, JSON_COMPACT | JSON_ENCODE_ANY) : NULL;
	ERR_TRY(db_exec_fenced(ctx->db, Q_STEP_END,
		DB_ARGS(db_str(outcome), db_str(text), db_i64(id), db_i64(ctx->run.id),
			db_i64(ctx->run.fence))));
	if (ctx->run.crashes == 0)
		return NULL;
	ctx->run.crashes = 0;
	return db_exec(ctx->db, Q_RUN_CRASHES_CLEAR,
		DB_ARGS(db_i64(ctx->run.id), db_i64(ctx->run.fence)), NULL);
}

/* Was the run given its repository, in whose queue it waits now? */
static bool run_moved(const struct run_ctx *ctx)
{
	return json_is_true(run_state_get(ctx, "fetch.moved"));
}

/* One journalled step. The step's own error counts more than one of closing the journal row. */
static err_t step_work(struct run_ctx *ctx, const struct step *step, enum step_next *ret_next)
{
	static const char *const outcomes[] = {
		[STEP_NEXT] = "ok", [STEP_HEAL] = "heal", [STEP_END] = "end"};
	int64_t id = 0;
	FAULT_POINT("step.%s.before", step->name);
	ERR_TRY(run_check_alive(ctx));
	ERR_TRY(step_begin(ctx, step, &id));
	FAULT_POINT("step.%s.begun", step->name);
	*ret_next = STEP_NEXT;
	err_t e = step->guarded ? publish_guard(ctx) : NULL;
	if (!e)
		e = step->work(ctx, ret_next);
	if (!e && run_moved(ctx))
		return NULL; /* its row left this worker with its journal closed */
	FAULT_POINT("step.%s.worked", step->name);
	err_t journalled = step_end(ctx, id, e ? err_code_name(err_code(e)) : outcomes[*ret_next]);
	FAULT_POINT("step.%s.ended", step->name);
	return e ? err_in(e, "%s", step->name) : journalled;
}

static bool may_heal(const struct run_ctx *ctx)
{
	return ctx->heal_round < settings_int(ctx->set, S_AIRUNNER_HEAL_ROUNDS);
}

static err_t heal(struct run_ctx *ctx, size_t *i)
{
	int rounds = (int)settings_int(ctx->set, S_AIRUNNER_HEAL_ROUNDS);
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
	while (i < ARRAY_LEN(steps)) {
		enum step_next next = STEP_NEXT;
		ERR_TRY(step_work(ctx, &steps[i], &next));
		if (next == STEP_END)
			return NULL;
		i++;
		if (next == STEP_HEAL)
			ERR_TRY(heal(ctx, &i));
	}
	return NULL;
}

/* ---- going on where the journal of this attempt ends ---- */

struct replay {
	struct run_ctx *ctx;
	size_t next;    /* the first step that did not end */
	bool must_heal; /* by the last row: heal() decides whether there is another round */
};

/* Rows that are not of the step whose turn it is are those of crashes, or of kept work. */
static void replay_row(void *arg, const struct resume_row *row)
{
	struct replay *r = arg;
	if (r->must_heal && strcmp(row->step, "edit") == 0 && row->round > r->ctx->heal_round) {
		r->ctx->heal_round = row->round;
		r->next = step_index("edit");
		r->must_heal = false;
	}
	if (r->must_heal || r->next == ARRAY_LEN(steps) ||
		strcmp(row->step, steps[r->next].name) != 0)
		return;
	if (row->is_end)
		r->next = ARRAY_LEN(steps);
	else if (row->is_ok || row->is_heal)
		r->next++;
	r->must_heal = row->is_heal;
	if (strcmp(row->step, "verify") == 0)
		json_object_del(r->ctx->state, "test"); /* an earlier round's */
}

/* The snapshots are on another machine, or the base is gone: the edit begins anew. */
static err_t edit_anew(struct run_ctx *ctx, const char *why, size_t *ret_first)
{
	static const char *const stale[] = {"edit", "verify", "test", "tag", "commit", "push"};
	for (size_t i = 0; i < ARRAY_LEN(stale); i++)
		json_object_del(ctx->state, stale[i]);
	ctx->heal_round = 0;
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

/* @param ret_first  the step to begin with */
static err_t resume(struct run_ctx *ctx, size_t *ret_first)
{
	struct replay r = {.ctx = ctx};
	ERR_TRY(resume_read(ctx, replay_row, &r));
	ERR_TRY(refuse_poison(ctx));
	bool is_over = r.must_heal && !may_heal(ctx); /* still the work is to be kept */
	if (r.must_heal && !is_over)
		ERR_TRY(heal(ctx, &r.next));
	*ret_first = r.next;
	if (r.next == 0 || r.next == ARRAY_LEN(steps))
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

/* ---- ends ---- */

/* Journalled like every step; an error here changes nothing about how the run ends. */
static void keep_work(struct run_ctx *ctx, enum err_code code)
{
	const char *tree = ending_tree(ctx, code);
	if (!tree)
		return;
	run_state_set(ctx, "salvage", json_pack("{s:s}", "tree", tree));
	if (run_state_str(ctx, "route.story_key"))
		ending_leave_story_branch(ctx);
	for (size_t i = 0; i < ARRAY_LEN(keep_steps); i++) {
		enum step_next next;
		err_t e = step_work(ctx, &keep_steps[i], &next);
		if (e) {
			log_warning("the unfinished work is not kept: %s", err_text(e));
			return;
		}
	}
}

/* A run that did not get through: keep its work, tell Jira, close its row. */
static enum run_status end_in_trouble(struct run_ctx *ctx, err_t cause)
{
	enum err_code code = err_code(cause);
	enum run_status status = err_run_end(code) == ERR_END_BLOCKED     ? RUN_BLOCKED
				 : err_run_end(code) == ERR_END_CANCELLED ? RUN_CANCELLED
									  : RUN_FAILED;
	autofree char *reason = redact_str(err_text(cause));
	autofree char *category = xstrdup(ending_category(ctx, code));
	ctx->closing = true;
	keep_work(ctx, code);
	ctx->step = "report";
	ctx->stage = STAGE_FAILED;
	err_t e = status == RUN_CANCELLED ? NULL : report_trouble(ctx, status, code, reason);
	if (e)
		log_error("the issue could not be told: %s", err_text(e));
	e = ending_close(ctx, status, reason, category);
	if (e)
		log_error("the run could not be closed: %s", err_text(e));
	return status;
}

enum run_status pipeline_work(struct run_ctx *ctx)
{
	ctx->step = "claim";
	ctx->stage = STAGE_CLAIMED;
	err_t e = journal_event(ctx, EVENT_PROGRESS, NULL, "Claimed %s, attempt %d",
		ctx->run.issue_key, ctx->run.attempt);
	size_t first = 0;
	if (!e)
		e = resume(ctx, &first);
	if (!e)
		e = work_steps(ctx, first);
	if (!e && run_moved(ctx))
		return RUN_QUEUED; /* it was given its repository and waits there */
	if (!e)
		e = ending_close(ctx, RUN_COMPLETED, ending_reason(ctx), NULL);
	if (!e)
		return RUN_COMPLETED;
	log_error("%s", err_text(e));
	switch (err_run_end(err_code(e))) {
	case ERR_END_ABANDON:
		return RUN_RUNNING; /* another owner decides */
	case ERR_END_REQUEUE:
		ending_requeue(ctx, e);
		return RUN_QUEUED;
	default:
		return end_in_trouble(ctx, e);
	}
}
