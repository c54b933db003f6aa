/*
 * The agent loop: one append-only conversation with a model, tools on the work tree, limits. It
 * stores every message before anything acts on it and takes a snapshot after each tool call that
 * may have changed files.
 */
#ifndef AIRUNNER_AGENT_H
#define AIRUNNER_AGENT_H

#include "worker/run.h"

enum agent_end {
	AGENT_FINISHED,  /* the model called finish and the tree differs from the base */
	AGENT_UNCHANGED, /* finish, and nothing differs */
	AGENT_QUESTION,  /* ask_human */
};

struct agent_result {
	enum agent_end end;
	char tree[41];  /* last snapshot */
	char *summary;  /* finish's words; owned */
	char *question; /* ask_human's words; owned */
	int turns;      /* of this call */
};

void agent_result_release(struct agent_result *result);

/**
 * Begins a conversation with the task text (rendered by the caller), or goes on with the one that
 * state.edit names: then `text` is the next user message (heal round: findings and hints), unless
 * it was said before the worker was interrupted. state.edit's notes are kept here (worker/run.h).
 * @return ERR_LIMIT with the figure (turns, minutes, dollars), ERR_LLM_ANSWER, ERR_OUTSIDE…,
 * ERR_FENCE, ERR_CANCELLED
 */
err_t agent_work(struct run_ctx *ctx, const char *text, struct agent_result *ret_result);

#endif
