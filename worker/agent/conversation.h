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
	char *prefix;
	size_t prefix_len;
	struct llm_message *messages; /* what is sent; the bytes are owned */
	size_t count;
};

/** Begins the run's next conversation and stores its prefix. Takes over prefix's bytes. */
err_t conversation_begin(
	struct run_ctx *ctx, const struct llm *llm, struct buf *prefix, struct conversation *ret);

/** Loads the run's newest conversation. @return ERR_NOT_FOUND when there is none, or when its
 * prefix is another */
err_t conversation_load(struct run_ctx *ctx, const struct llm *llm, const struct buf *prefix,
	struct conversation *ret);
void conversation_release(struct conversation *c);

/** Stores a user message, then adds it. */
err_t conversation_say(struct run_ctx *ctx, const struct llm *llm, struct conversation *c,
	const struct llm_part *parts, size_t count);

/** Stores an answer with its usage and adds it to the run's totals, in one transaction. */
err_t conversation_answer(struct run_ctx *ctx, const struct llm *llm, struct conversation *c,
	const struct llm_answer *answer, bool keep);

/** Notes the work tree after the last answer's tools. */
err_t conversation_tree(struct run_ctx *ctx, const struct conversation *c, const char *tree);

/** Tool calls of the last message when it is an answer: each needs a result before anything else is
 * said. */
err_t conversation_open_calls(
	const struct llm *llm, const struct conversation *c, struct llm_calls *ret_calls);

/** Turns and cost of the whole run. */
err_t conversation_spent(struct run_ctx *ctx, struct spent *ret_spent);

#endif
