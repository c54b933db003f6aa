/* What the files of the agent loop share. */
#ifndef AIRUNNER_AGENT_PRIVATE_H
#define AIRUNNER_AGENT_PRIVATE_H

#include "worker/agent/agent.h"
#include "worker/agent/conversation.h"
#include "worker/agent/limits.h"
#include "worker/agent/tools.h"

struct agent {
	struct run_ctx *ctx;
	struct agent_result *result;
	struct llm llm;
	struct conversation conv;
	struct limits limits;
	struct spent spent;
	struct repeats repeats;
	struct tool_env env;
	char start_tree[41];     /* before this call's first turn */
	int64_t max_output;      /* raised once after an answer that was cut */
	int silent, cut, paused; /* such answers in a row */
	bool ended;
	bool interrupted; /* the answer at hand is one of before a crash: its calls are not run */
};

/** A user message in the making. */
struct speech {
	struct llm_part *parts;
	size_t count;
};

void speech_add(struct speech *speech, const char *tool_id, const char *text, bool is_error);
/** Adds a text of templates/prompts/nudge.md; data is taken over. */
err_t speech_nudge(struct speech *speech, const struct agent *a, json_t *data);
void speech_release(struct speech *speech);

/**
 * Runs an answer's tool calls in order and adds a result for each. A successful finish or ask_human
 * sets a->ended and the result; calls after it are not run.
 */
err_t agent_run_tools(struct agent *a, const struct llm_calls *calls, struct speech *speech);

/** What a call whose answer was cut short by an interruption is told. */
#define AGENT_NOT_RUN "Not run: the worker was interrupted."

/* ---- opening.c ---- */

/** Opens the model, the work tree and the conversation; says text, or goes on where it was. */
err_t agent_open(struct agent *a, const char *text);
/** The step's notes (state.edit), borrowed; made when there are none. */
json_t *agent_notes(struct agent *a);
/** Stores a user message and the notes that go with it, or neither. */
err_t agent_say(struct agent *a, const struct speech *speech);

/* ---- ask.c ---- */

/** One call: limits, the call, the stored answer. */
err_t agent_ask(struct agent *a, struct llm_answer *ret_answer);
/** A cut answer is counted but not sent back: its tool calls may be incomplete. */
bool agent_keeps(const struct llm_answer *answer);

/* ---- answer.c ---- */

/** Acts on an answer; adds what the model is to be told next. */
err_t agent_on_answer(struct agent *a, const struct llm_answer *answer, struct speech *speech);

/* ---- agent_tools.c ---- */

/** Takes a snapshot into a->result->tree. @return ERR_CONFLICT for a change that cannot be kept
 * (the model is told) */
err_t agent_snapshot(struct agent *a);

#endif
