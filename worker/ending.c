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
#include "worker/pipeline_private.h"
#include "worker/rate.h"

#define AWAY_WAIT_S 15
#define OUTSIDE_WAIT 15       /* times AIRUNNER_RETRY_BASE_MS: the first wait, doubled each time */
#define OUTSIDE_WAIT_MOST 600 /* the longest */

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

static bool keeps_work(enum err_code code)
{
	return code == ERR_LIMIT || code == ERR_CHECKS || code == ERR_MERGE;
}

/* Is there a changed tree that is worth keeping, and does this end call for it? */
static const char *tree_to_keep(const struct run_ctx *ctx, enum err_code code)
{
	const char *base = run_state_str(ctx, "checkout.base_tree");
	if (!ctx->tree || !base || !keeps_work(code) || run_state_get(ctx, "push"))
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
void ending_leave_branch(struct run_ctx *ctx)
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
static const char *category_of(const struct run_ctx *ctx, enum err_code code)
{
	const char *category = member(first_finding(ctx), "category");
	return code == ERR_CHECKS && *category ? category : err_code_name(code);
}

err_t ending_decide(struct run_ctx *ctx, err_t cause)
{
	static const struct step end = {.name = "end", .stage = STAGE_FAILED};
	enum err_code code = err_code(cause);
	int64_t id = 0;
	if (run_state_get(ctx, "end"))
		return NULL;
	autofree char *reason = redact_str(err_text(cause));
	const char *tree = tree_to_keep(ctx, code);
	run_state_set(ctx, "end",
		json_pack("{s:s, s:o, s:o, s:s?}", "code", err_code_name(code), "reason",
			text_json(reason), "category", text_json(category_of(ctx, code)), "tree",
			tree));
	ERR_TRY(step_begin(ctx, &end, &id));
	FAULT_POINT("end.begun");
	ERR_TRY(step_end(ctx, id, "ok"));
	FAULT_POINT("end.decided");
	return NULL;
}

err_t ending_decided(const struct run_ctx *ctx)
{
	const char *code = run_state_str(ctx, "end.code"),
		   *words = run_state_str(ctx, "end.reason");
	return code ? err_new(err_code_named(code), "%s", words ? words : "") : NULL;
}

static void requeue(struct run_ctx *ctx, err_t cause, int64_t wait_s)
{
	const char *outcome = err_code_name(err_code(cause));
	log_warning("back to the queue for %lld s: %s", (long long)wait_s, err_text(cause));
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

static int64_t wait_s_of(const struct run_ctx *ctx, int64_t times)
{
	int64_t base_ms = settings_int(ctx->set, S_AIRUNNER_RETRY_BASE_MS);
	int64_t most = OUTSIDE_WAIT_MOST * base_ms;
	int64_t wait = OUTSIDE_WAIT * base_ms << (times < 8 ? times : 8);
	return ((wait < most ? wait : most) + 999) / 1000;
}

static err_t note_wait(struct run_ctx *ctx, err_t cause, int64_t wait_s)
{
	size_t len = strlen(cause->text);
	bool ended = len && cause->text[len - 1] == '.'; /* by the service's own words */
	return journal_event(ctx, EVENT_ERROR, NULL, "%s%s Tries again in %lld s", cause->text,
		ended ? "" : ".", (long long)wait_s);
}

void ending_requeue(struct run_ctx *ctx, err_t cause)
{
	static const struct {
		enum err_code code;
		int64_t times; /* of the first wait; -1: none */
	} waits[] = {{ERR_STOPPING, -1}, {ERR_LATER, 8}, {ERR_DISK_FULL, 1}};
	struct err kept = *cause;
	int64_t wait_s = AWAY_WAIT_S;
	for (size_t i = 0; i < ARRAY_LEN(waits); i++)
		if (waits[i].code == kept.code)
			wait_s = waits[i].times < 0 ? 0 : wait_s_of(ctx, waits[i].times);
	if (kept.code == ERR_SPENT)
		wait_s = rate_parked_s();
	err_t e = kept.code == ERR_SPENT || kept.code == ERR_DISK_FULL
			  ? note_wait(ctx, &kept, wait_s)
			  : NULL;
	if (e)
		log_error("%s", err_text(e));
	requeue(ctx, &kept, wait_s);
}

/* Commands have time limits too: those are no outside service's. */
static bool is_outside(const struct run_ctx *ctx, enum err_code code)
{
	static const char *const local[] = {"baseline", "verify", "test"};
	bool is_local = false;
	for (size_t i = 0; i < ARRAY_LEN(local); i++)
		is_local |= strcmp(ctx->step, local[i]) == 0;
	return code == ERR_NETWORK || code == ERR_OUTSIDE || code == ERR_RATE ||
	       (code == ERR_TIMEOUT && !is_local);
}

err_t ending_wait(struct run_ctx *ctx, err_t cause, bool *ret_waits)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	struct err kept = *cause;
	int64_t patience_s = settings_int(ctx->set, S_AIRUNNER_OUTSIDE_PATIENCE_S);
	*ret_waits = false;
	if (patience_s <= 0 || run_state_get(ctx, "end") || !is_outside(ctx, kept.code))
		return NULL;
	ERR_TRY(db_query(ctx->db, Q_STEPS_WAITED,
		DB_ARGS(db_i64(ctx->run.id), db_i64(ctx->run.attempt), db_i64(ctx->run.id),
			db_i64(ctx->run.attempt)),
		&rows));
	if (!db_rows_next(rows) || db_rows_i64(rows, "waited_s") >= patience_s)
		return NULL;
	int64_t waits =
		db_rows_i64(rows, "waits"); /* 0: before any step of this one was journalled */
	int64_t wait_s = wait_s_of(ctx, waits > 0 ? waits - 1 : 0);
	int64_t parked_s = kept.code == ERR_RATE ? rate_parked_s() : 0;
	wait_s = wait_s > parked_s ? wait_s : parked_s;
	ERR_TRY(note_wait(ctx, &kept, wait_s));
	*ret_waits = true;
	requeue(ctx, &kept, wait_s);
	return NULL;
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
