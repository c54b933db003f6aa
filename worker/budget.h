/*
 * Money before and after each call of a model: the most it may cost is reserved against the caps of
 * run, issue, repository and day, and settled when its end is known (the answer's own transaction
 * does that: worker/agent/conversation.c). Every step is one transaction of
 * sql/migrate/004_money.sql, done again when it collides with another's. A model without a price is
 * counted in tokens, against AIRUNNER_MAX_RUN_TOKENS.
 */
#ifndef AIRUNNER_BUDGET_H
#define AIRUNNER_BUDGET_H

#include "worker/llm/llm.h"
#include "worker/run.h"

/** In micro-dollars, run_tokens in tokens; 0: no cap. */
struct budget_caps {
	int64_t day, repo, issue, run, run_tokens;
};

/** An open call. */
struct budget_call {
	int64_t id;         /* 0: none is open */
	int conv;           /* its conversation */
	int64_t max_tokens; /* granted for the answer, at most what was wanted */
	bool by_price;      /* else the model has none, and tokens are counted */
	int64_t reserved;   /* micro-dollars, or tokens */
	int64_t lost; /* micro-dollars that a call left open by a dead process was settled with */
};

/** What a call may cost at most, and what it may have. */
struct budget_ask {
	const char *model;
	int conv;
	bool by_price;
	int64_t input;         /* micro-dollars, or tokens */
	int64_t output_price;  /* micro-dollars (tokens) per million tokens */
	int64_t wanted, least; /* tokens for the answer; wanted 0: nothing is asked */
	struct budget_caps caps;
};

/** The last nine inputs of money_reserve and turn_store. */
#define BUDGET_ARGS(a) \
	db_i64((a)->by_price), db_i64((a)->input), db_i64((a)->output_price), db_i64((a)->wanted), \
		db_i64((a)->least), db_i64((a)->by_price ? (a)->caps.day : 0), \
		db_i64((a)->by_price ? (a)->caps.repo : 0), \
		db_i64((a)->by_price ? (a)->caps.issue : 0), \
		db_i64((a)->by_price ? (a)->caps.run : (a)->caps.run_tokens)

/** The least answer worth paying for: below it no call is made. */
#define BUDGET_LEAST_TOKENS 4096

/** From the settings, and repos.json where it has its own. @param repo  may be NULL */
struct budget_caps budget_caps(const struct settings *set, const struct repo_config *repo);

/**
 * Reserves what this request may cost at most: a token per byte at the dearest price of writing it
 * to the cache, and the answer at the output price. The answer's limit shrinks to what the caps
 * leave; room that only other calls under way take is waited for.
 * @param wanted  tokens for the answer
 * @return ERR_LIMIT with cap, figures and setting; ERR_FENCE, ERR_CANCELLED, ERR_DB…, what
 * request->alive returned
 */
err_t budget_reserve(struct run_ctx *ctx, const struct llm *llm, int conv,
	const struct llm_request *request, int64_t wanted, struct budget_call *ret_call);

/** For a reservation that another statement makes with its own (turn_store). */
struct budget_ask budget_ask_of(struct run_ctx *ctx, const struct llm *llm, int conv,
	const struct llm_request *request, int64_t wanted);

/** What became of it. @param ret_busy  refused only because of calls that are under way
 * @return ERR_LIMIT */
err_t budget_granted(const struct db_rows *row, const struct budget_ask *ask,
	struct budget_call *ret_call, bool *ret_busy);

/** Ends a call that was not billed. */
err_t budget_release(struct run_ctx *ctx, struct budget_call *call);

/**
 * Ends a call whose answer is lost and that may have been billed: by the usage its stream had begun
 * with and the whole max_tokens, else in full.
 * @param usage        NULL: nothing is known
 * @param ret_usd_micro  what was charged
 */
err_t budget_estimate(struct run_ctx *ctx, const struct llm *llm, struct budget_call *call,
	const struct llm_usage *usage, int64_t *ret_usd_micro);

/** Calls that dead processes left open, settled in full. Called by the parent now and then. */
err_t budget_sweep(struct db *db);

/** A procedure that is a whole transaction: done again when it collides with another's; a lost
 * connection is ERR_DB_UNSURE. */
err_t budget_query(
	struct db *db, enum query q, const struct db_arg *args, struct db_rows **ret_rows);

#endif
