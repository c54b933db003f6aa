/*
 * The order of steps, the heal loop (the only way back), and how a run ends. Called by a run's
 * child (worker/child.c). What a step does is in worker/steps/; errors of steps are logged here.
 */
#include "worker/pipeline.h"

#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/claim.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/metrics.h"
#include "worker/pipeline_private.h"

#define AWAY_WAIT_S 15

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

/* The first new finding of the last verify or test; NULL when none was named. */
static const json_t *first_finding(const struct run_ctx *ctx)
{
	const json_t *list = run_state_get(ctx, "verify.findings");
	if (json_array_size(list) == 0)
		list = run_state_get(ctx, "test.findings");
	return json_array_get(list, 0);
}

static const char *member(const json_t *finding, const char *name)
{
	const char *s = json_string_value(json_object_get(finding, name));
	return s ? s : "";
}

/* "src/a.ts:3 TS2322 …", for the reason of a run that could not be healed. */
static char *finding_text(const json_t *finding)
{
	long long line = json_integer_value(json_object_get(finding, "line"));
	if (!finding)
		return xstrdup("no finding was named");
	if (!*member(finding, "file"))
		return xasprintf("%s %s", member(finding, "code"), member(finding, "message"));
	return xasprintf("%s:%lld %s %s", member(finding, "file"), line, member(finding, "code"),
		member(finding, "message"));
}

bool may_heal(const struct run_ctx *ctx)
{
	return ctx->heal_round < settings_int(ctx->set, S_AIRUNNER_HEAL_ROUNDS);
}

err_t heal(struct run_ctx *ctx, size_t *i)
{
	int rounds = (int)settings_int(ctx->set, S_AIRUNNER_HEAL_ROUNDS);
	autofree char *finding = finding_text(first_finding(ctx));
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
	}
	return NULL;
}

/* Is there a changed tree that is worth keeping, and does this end call for it? */
static const char *tree_to_keep(const struct run_ctx *ctx, enum err_code code)
{
	const char *base = run_state_str(ctx, "checkout.base_tree");
	if (!ctx->tree || !base || (code != ERR_LIMIT && code != ERR_CHECKS) ||
		run_state_get(ctx, "push"))
		return NULL;
	static char tree[OID_HEX + 1];
	err_t e = work_tree_snapshot(ctx->tree, NULL, tree);
	if (e) {
		log_warning("the work cannot be kept: %s", err_text(e));
		return NULL;
	}
	return strcmp(tree, base) == 0 ? NULL : tree;
}

/* No Story branch gets unfinished work: it goes to a branch of its own. */
static void leave_story_branch(struct run_ctx *ctx)
{
	json_t *checkout = json_object_get(ctx->state, "checkout");
	autofree char *branch =
		xasprintf("ai/%s-incomplete-%lld", ctx->run.issue_key, (long long)ctx->run.id);
	text_lower(branch);
	json_object_set_new(json_object_get(ctx->state, "route"), "branch", json_string(branch));
	json_object_set_new(checkout, "branch_existed", json_false());
	json_object_set_new(checkout, "remote_head", json_null());
}

static void keep_work(struct run_ctx *ctx, enum err_code code)
{
	const char *tree = tree_to_keep(ctx, code);
	if (!tree)
		return;
	run_state_set(ctx, "salvage", json_pack("{s:s}", "tree", tree));
	if (run_state_str(ctx, "route.story_key"))
		leave_story_branch(ctx);
	for (size_t i = 0; i < ARRAY_LEN(keep_steps); i++) {
		enum step_next next;
		err_t e = step_work(ctx, &keep_steps[i], &next);
		if (e) {
			log_warning("the unfinished work is not kept: %s", err_text(e));
			return;
		}
	}
}

static err_t close_run(
	struct run_ctx *ctx, enum run_status status, const char *reason, const char *category)
{
	ctx->stage = status == RUN_COMPLETED ? STAGE_COMPLETED : STAGE_FAILED;
	ERR_TRY(journal_event(ctx, status == RUN_COMPLETED ? EVENT_PROGRESS : EVENT_ERROR,
		json_pack("{s:s s:s*}", "status", run_status_name(status), "category", category),
		"Run %s%s%s", run_status_name(status), reason ? ": " : "", reason ? reason : ""));
	json_auto_t *metrics = run_metrics_json(ctx, status, reason, category);
	autofree char *text = metrics ? json_dumps(metrics, JSON_COMPACT) : NULL;
	FAULT_POINT("run.close.before");
	ERR_TRY(run_close(ctx->db, &ctx->run, status, reason, category, text));
	FAULT_POINT("run.close.after");
	return NULL;
}

/* The category of an end by findings is theirs; else the error code's name. */
static const char *end_category(const struct run_ctx *ctx, enum err_code code)
{
	const char *category = member(first_finding(ctx), "category");
	return code == ERR_CHECKS && *category ? category : err_code_name(code);
}

/* A run that did not get through: keep its work, tell Jira, close its row. */
static enum run_status end_in_trouble(struct run_ctx *ctx, err_t cause)
{
	enum err_code code = err_code(cause);
	enum run_status status = err_run_end(code) == ERR_END_BLOCKED     ? RUN_BLOCKED
				 : err_run_end(code) == ERR_END_CANCELLED ? RUN_CANCELLED
									  : RUN_FAILED;
	autofree char *reason = xstrdup(err_text(cause));
	autofree char *category = xstrdup(end_category(ctx, code));
	ctx->closing = true;
	keep_work(ctx, code);
	ctx->step = "report";
	ctx->stage = STAGE_FAILED;
	err_t e = status == RUN_CANCELLED ? NULL : report_trouble(ctx, status, code, reason);
	if (e)
		log_error("the issue could not be told: %s", err_text(e));
	e = close_run(ctx, status, reason, category);
	if (e)
		log_error("the run could not be closed: %s", err_text(e));
	return status;
}

static void requeue(struct run_ctx *ctx, err_t cause)
{
	int64_t wait_s = err_code(cause) == ERR_STOPPING ? 0 : AWAY_WAIT_S;
	const char *outcome = err_code_name(err_code(cause));
	log_warning("back to the queue: %s", err_text(cause));
	err_t e = db_reconnect(ctx->db);
	if (!e) /* its end could not be journalled: that is no crash */
		e = db_exec(ctx->db, Q_STEPS_PARK,
			DB_ARGS(db_str(outcome), db_i64(ctx->run.id), db_i64(ctx->run.fence)),
			NULL);
	if (!e)
		e = run_requeue(ctx->db, &ctx->run, wait_s);
	if (e)
		log_error("the run could not be put back, its lease will run out: %s", err_text(e));
}

/* Why a run that was routed to nothing completes so; NULL for one that did its work. */
static const char *nothing_done(const struct run_ctx *ctx)
{
	const char *action = run_state_str(ctx, "route.action");
	return action && strcmp(action, "none") == 0 ? run_state_str(ctx, "route.reason") : NULL;
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
		e = close_run(ctx, RUN_COMPLETED, nothing_done(ctx), NULL);
	if (!e)
		return RUN_COMPLETED;
	log_error("%s", err_text(e));
	switch (err_run_end(err_code(e))) {
	case ERR_END_ABANDON:
		return RUN_RUNNING; /* another owner decides */
	case ERR_END_REQUEUE:
		requeue(ctx, e);
		return RUN_QUEUED;
	default:
		return end_in_trouble(ctx, e);
	}
}
