/*
 * A conversation with a model as rows of run_messages: append-only and byte-exact. Row 0 is the
 * prefix (model, system text, tools); a row without content is an answer that could not be kept
 * (cut, empty): it counts, but is not sent. Every write is fenced.
 */
#ifndef AIRUNNER_CONVERSATION_H
#define AIRUNNER_CONVERSATION_H

#include "worker/agent/limits.h"
#include "worker/llm/llm.h"
#include "worker/run.h"

struct conversation {
	int conv;
	int next_seq;
	int last_answer_seq; /* 0: none yet */
	char last_stop[64];  /* of a loaded conversation: why its last answer ended */
	int64_t last_prompt; /* likewise: tokens of its last request */
	int64_t last_ms;     /* likewise: when that was sent, Unix time in ms */
	char *prefix;
	size_t prefix_len;
	struct llm_message *messages; /* what is sent; the bytes are owned */
	size_t count;
};

/** Begins the run's next conversation and stores its prefix. Takes over prefix's bytes. Its number
 * is the caller's to note in the same transaction. */
err_t conversation_begin(
	struct run_ctx *ctx, const struct llm *llm, struct buf *prefix, struct conversation *ret);

/** Loads one of the run's conversations. @return ERR_NOT_FOUND when there is none, or when its
 * prefix is another than this one (NULL: any) */
err_t conversation_load(struct run_ctx *ctx, const struct llm *llm, int conv,
	const struct buf *prefix, struct conversation *ret);

/** Is its last row an answer, whose consequences are not stored? */
bool conversation_ends_with_answer(const struct conversation *c);
void conversation_release(struct conversation *c);

/** Adds a user message that is stored by the caller next (agent_say), under next_seq - 1. */
err_t conversation_add(
	const struct llm *llm, struct conversation *c, const struct llm_part *parts, size_t count);

/** Stores a user message, then adds it. */
err_t conversation_say(struct run_ctx *ctx, const struct llm *llm, struct conversation *c,
	const struct llm_part *parts, size_t count);

/** Forgets what was said beyond count messages: its transaction was rolled back. */
void conversation_unsay(struct conversation *c, size_t count);

/** Stores an answer with its usage, adds it to the run's totals and settles its call
 * (worker/budget.h), in one transaction. */
err_t conversation_answer(struct run_ctx *ctx, const struct llm *llm, struct conversation *c,
	const struct llm_answer *answer, bool keep, int64_t call_id);

/** The work tree after the newest answer whose results are stored, of those after message
 * after_seq; ret_tree stays as it is when there is none. */
err_t conversation_newest_tree(struct run_ctx *ctx, int conv, int64_t after_seq, char ret_tree[41]);

/** Content blocks stored since the answer before: what the next request adds. */
int conversation_added(const struct conversation *c);

/** Tool calls of the last message when it is an answer: each needs a result before anything else is
 * said. */
err_t conversation_open_calls(
	const struct llm *llm, const struct conversation *c, struct llm_calls *ret_calls);

/** Turns and cost of the whole run. */
err_t conversation_spent(struct run_ctx *ctx, struct spent *ret_spent);

/** Of the run's input after each conversation's first call, how much came from the cache. */
err_t conversation_cached(struct run_ctx *ctx, int *ret_percent);

#endif
