/*
 * How a run ends: its closing event, metrics and row; its reason and category; what of its work is
 * kept. Called by the pipeline, which decides when.
 */
#include "worker/ending.h"

#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"
#include "worker/claim.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/metrics.h"
#include "worker/rate.h"

#define AWAY_WAIT_S 15

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

/* Is there a changed tree that is worth keeping, and does this end call for it? */
const char *ending_tree(const struct run_ctx *ctx, enum err_code code)
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
void ending_leave_story_branch(struct run_ctx *ctx)
{
	json_t *checkout = json_object_get(ctx->state, "checkout");
	autofree char *branch =
		xasprintf("ai/%s-incomplete-%lld", ctx->run.issue_key, (long long)ctx->run.id);
	text_lower(branch);
	json_object_set_new(json_object_get(ctx->state, "route"), "branch", json_string(branch));
	json_object_set_new(checkout, "branch_existed", json_false());
	json_object_set_new(checkout, "remote_head", json_null());
}

err_t ending_close(
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
const char *ending_category(const struct run_ctx *ctx, enum err_code code)
{
	const char *category = member(first_finding(ctx), "category");
	return code == ERR_CHECKS && *category ? category : err_code_name(code);
}

static int64_t requeue_wait_s(enum err_code code)
{
	if (code == ERR_RATE || code == ERR_SPENT)
		return rate_parked_s();
	return code == ERR_STOPPING ? 0 : AWAY_WAIT_S;
}

/* An outside service wants to be left alone: the run waits, and a person may read why. */
static err_t note_parked(struct run_ctx *ctx, enum err_code code, const char *words, int64_t wait_s)
{
	return code != ERR_RATE && code != ERR_SPENT
		       ? NULL
		       : journal_event(ctx, EVENT_PROGRESS,
				 json_pack("{s:s s:I}", "category", err_code_name(code), "wait_s",
					 (json_int_t)wait_s),
				 "Parked for %lld s: %s", (long long)wait_s, words);
}

void ending_requeue(struct run_ctx *ctx, err_t cause)
{
	enum err_code code = err_code(cause);
	int64_t wait_s = requeue_wait_s(code);
	const char *outcome = err_code_name(code);
	autofree char *words = redact_str(err_text(cause));
	log_warning("back to the queue: %s", words);
	err_t e = db_reconnect(ctx->db);
	if (!e)
		e = note_parked(ctx, code, words, wait_s);
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
const char *ending_reason(const struct run_ctx *ctx)
{
	const char *action = run_state_str(ctx, "route.action");
	return action && strcmp(action, "none") == 0 ? run_state_str(ctx, "route.reason") : NULL;
}

char *ending_finding(const struct run_ctx *ctx)
{
	return finding_text(first_finding(ctx));
}
