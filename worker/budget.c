/*
 * Reservations and settlements of LLM calls. Called by worker/agent/ask.c for each call, and by the
 * parent for calls that a dead process left open. The sums are the database's.
 */
#include "worker/budget.h"

#include <stddef.h>
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"

#define TRIES 8
#define BUSY_WAIT_MS 500

static int64_t own(int64_t of_repo, const struct settings *set, enum setting id)
{
	return of_repo >= 0 ? of_repo : settings_int(set, id);
}

struct budget_caps budget_caps(const struct settings *set, const struct repo_config *repo)
{
	return (struct budget_caps){.day = settings_int(set, S_AIRUNNER_MAX_DAY_USD),
		.repo = own(repo ? repo->max_day_usd_micro : -1, set, S_AIRUNNER_MAX_REPO_DAY_USD),
		.issue = own(repo ? repo->max_issue_usd_micro : -1, set, S_AIRUNNER_MAX_ISSUE_USD),
		.run = own(repo ? repo->max_run_usd_micro : -1, set, S_AIRUNNER_MAX_RUN_USD),
		.run_tokens = settings_int(set, S_AIRUNNER_MAX_RUN_TOKENS)};
}

err_t budget_query(
	struct db *db, enum query q, const struct db_arg *args, struct db_rows **ret_rows)
{
	err_t e = NULL;
	for (int i = 0; i < TRIES; i++) {
		e = db_query(db, q, args, ret_rows);
		if (err_code(e) != ERR_DB_RETRY)
			break;
	}
	return err_code(e) != ERR_DB_AWAY
		       ? e
		       : err_new(ERR_DB_UNSURE, "%s: whether it was committed is not known",
				 err_text(e));
}

/* ---- what a call may cost ---- */

struct worst {
	bool by_price;
	int64_t input;        /* micro-dollars, or tokens */
	int64_t output_price; /* micro-dollars (tokens) per million tokens */
};

static struct worst worst_of(const struct llm *llm, const struct llm_request *request)
{
	char day[11];
	int64_t kept, rest;
	profile_today(day);
	llm_request_bytes(request, &kept, &rest);
	struct worst w = {.by_price = true};
	if (profile_worst(&llm->profile, kept, rest, day, &w.input, &w.output_price))
		return w;
	return (struct worst){.input = kept + rest, .output_price = 1000000};
}

/* ---- refusals ---- */

static const struct scope {
	const char *name;
	const char *words;
	const char *setting;
	bool is_day;
	size_t cap; /* offset in struct budget_caps */
} scopes[] = {
	{"run", "the run's limit", "AIRUNNER_MAX_RUN_USD", false,
		offsetof(struct budget_caps, run)},
	{"issue", "the limit of the issue, over all its runs,", "AIRUNNER_MAX_ISSUE_USD", false,
		offsetof(struct budget_caps, issue)},
	{"repo", "the repository's limit of the day", "AIRUNNER_MAX_REPO_DAY_USD", true,
		offsetof(struct budget_caps, repo)},
	{"day", "the whole system's limit of the day", "AIRUNNER_MAX_DAY_USD", true,
		offsetof(struct budget_caps, day)},
};

static err_t refuse_tokens(const struct db_rows *row, const struct budget_caps *caps)
{
	return err_new(ERR_LIMIT,
		"the run's limit of %lld tokens for models without a price is reached: %lld are "
		"used, and the next call may use %lld or more (AIRUNNER_MAX_RUN_TOKENS)",
		(long long)caps->run_tokens, (long long)db_rows_i64(row, "spent"),
		(long long)db_rows_i64(row, "needed"));
}

static err_t refuse(const struct db_rows *row, const struct budget_caps *caps, bool by_price)
{
	const char *name = db_rows_str(row, "refused");
	const struct scope *s = scopes;
	if (!by_price)
		return refuse_tokens(row, caps);
	while (strcmp(s->name, name) != 0 && s < &scopes[ARRAY_LEN(scopes) - 1])
		s++;
	int64_t cap = *(const int64_t *)(const void *)((const char *)caps + s->cap);
	int64_t reserved = db_rows_i64(row, "reserved");
	autofree char *under_way = reserved ? xasprintf(" %.6f USD are reserved for other calls,",
						      (double)reserved / 1e6)
					    : xstrdup("");
	autofree char *renews = s->is_day ? xasprintf("; it begins anew on %s at 00:00 UTC",
						    db_rows_str(row, "renews"))
					  : xstrdup("");
	return err_new(ERR_LIMIT,
		"%s of %.2f USD is reached: %.6f USD are spent,%s and the next call may cost %.6f "
		"USD or more%s (%s)",
		s->words, (double)cap / 1e6, (double)db_rows_i64(row, "spent") / 1e6, under_way,
		(double)db_rows_i64(row, "needed") / 1e6, renews, s->setting);
}

/* ---- reserve ---- */

/* A call with a budget for thinking needs more than that. */
static int64_t least_of(const struct llm *llm, int64_t wanted)
{
	const struct profile *p = &llm->profile;
	int64_t least = p->thinking == THINKING_ENABLED ? p->thinking_budget[llm->purpose] + 1024
							: BUDGET_LEAST_TOKENS;
	return least < wanted ? least : wanted;
}

static err_t not_ours(struct run_ctx *ctx)
{
	ERR_TRY(run_check_alive(ctx));
	return err_new(ERR_FENCE, "the run is not this worker's any more");
}

struct budget_ask budget_ask_of(struct run_ctx *ctx, const struct llm *llm, int conv,
	const struct llm_request *request, int64_t wanted)
{
	struct worst worst = worst_of(llm, request);
	return (struct budget_ask){.model = llm->profile.model,
		.conv = conv,
		.by_price = worst.by_price,
		.input = worst.input,
		.output_price = worst.output_price,
		.wanted = wanted,
		.least = least_of(llm, wanted),
		.caps = budget_caps(ctx->set, ctx->repo)};
}

err_t budget_granted(const struct db_rows *row, const struct budget_ask *ask,
	struct budget_call *ret_call, bool *ret_busy)
{
	ret_call->lost += db_rows_i64(row, "lost");
	*ret_busy = db_rows_i64(row, "only_reserved");
	if (!db_rows_i64(row, "granted"))
		return refuse(row, &ask->caps, ask->by_price);
	ret_call->id = db_rows_i64(row, "call_id");
	ret_call->conv = ask->conv;
	ret_call->max_tokens = db_rows_i64(row, "granted");
	ret_call->by_price = ask->by_price;
	ret_call->reserved = db_rows_i64(row, "amount");
	return NULL;
}

static err_t reserve_once(struct run_ctx *ctx, const struct budget_ask *a,
	struct budget_call *ret_call, bool *ret_busy)
{
	AUTO(db_rows_freep) struct db_rows *row = NULL;
	ERR_TRY(budget_query(ctx->db, Q_MONEY_RESERVE,
		DB_ARGS(db_i64(ctx->run.id), db_i64(ctx->run.fence), db_i64(a->conv),
			db_str(a->model), BUDGET_ARGS(a)),
		&row));
	if (!db_rows_next(row) || !db_rows_i64(row, "ours"))
		return not_ours(ctx);
	return budget_granted(row, a, ret_call, ret_busy);
}

err_t budget_reserve(struct run_ctx *ctx, const struct llm *llm, int conv,
	const struct llm_request *request, int64_t wanted, struct budget_call *ret_call)
{
	const struct budget_ask a = budget_ask_of(ctx, llm, conv, request, wanted);
	int64_t until_ms = monotonic_ms() + settings_int(ctx->set, S_AIRUNNER_LLM_TIMEOUT_S) * 1000;
	*ret_call = (struct budget_call){0};
	for (;;) {
		bool busy = false;
		err_t e = reserve_once(ctx, &a, ret_call, &busy);
		if (err_code(e) != ERR_LIMIT || !busy || monotonic_ms() >= until_ms)
			return e;
		log_debug("%s; waiting for calls under way", err_text(e));
		ERR_TRY(http_wait(BUSY_WAIT_MS, request->alive, request->alive_arg));
	}
}

/* ---- the end of a call without an answer ---- */

static err_t end(struct run_ctx *ctx, struct budget_call *call, const char *state,
	struct db_arg cost, struct db_arg tokens, int64_t *ret_usd_micro)
{
	AUTO(db_rows_freep) struct db_rows *row = NULL;
	if (!call->id)
		return NULL;
	ERR_TRY(budget_query(ctx->db, Q_MONEY_END,
		DB_ARGS(db_i64(ctx->run.id), db_i64(ctx->run.fence), db_i64(call->id),
			db_str(state), cost, tokens),
		&row));
	if (!db_rows_next(row) || !db_rows_i64(row, "ours"))
		return not_ours(ctx);
	*call = (struct budget_call){0};
	*ret_usd_micro = db_rows_i64(row, "charged");
	return NULL;
}

err_t budget_release(struct run_ctx *ctx, struct budget_call *call)
{
	int64_t nothing;
	return end(ctx, call, "released", db_i64(0), db_i64(0), &nothing);
}

err_t budget_estimate(struct run_ctx *ctx, const struct llm *llm, struct budget_call *call,
	const struct llm_usage *usage, int64_t *ret_usd_micro)
{
	char day[11];
	profile_today(day);
	struct llm_usage most = usage ? *usage : (struct llm_usage){0};
	int64_t prompt = most.fresh + most.written_5m + most.written_1h + most.read;
	most.output = call->max_tokens;
	int64_t cost = 0;
	*ret_usd_micro = 0;
	if (prompt == 0)
		return end(ctx, call, "estimated", db_null(), db_null(), ret_usd_micro);
	bool is_known = profile_cost(&llm->profile, &most, day, &cost);
	return end(ctx, call, "estimated", is_known ? db_i64(cost) : db_null(),
		db_i64(prompt + most.output), ret_usd_micro);
}

err_t budget_sweep(struct db *db)
{
	AUTO(db_rows_freep) struct db_rows *row = NULL;
	ERR_TRY(budget_query(db, Q_MONEY_SWEEP, DB_NO_ARGS, &row));
	int64_t swept = db_rows_next(row) ? db_rows_i64(row, "swept") : 0;
	if (swept)
		log_warning("%lld LLM calls of processes that are gone are counted in full",
			(long long)swept);
	return NULL;
}
