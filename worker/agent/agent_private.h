/* What the files of the agent loop share. */
#ifndef AIRUNNER_AGENT_PRIVATE_H
#define AIRUNNER_AGENT_PRIVATE_H

#include "worker/agent/agent.h"
#include "worker/agent/cache_watch.h"
#include "worker/agent/conversation.h"
#include "worker/agent/discipline.h"
#include "worker/agent/limits.h"
#include "worker/agent/record.h"
#include "worker/agent/tools.h"
#include "worker/budget.h"

struct agent {
	struct run_ctx *ctx;
	struct agent_result *result;
	const char *text; /* what this round was given to do, borrowed */
	struct llm llm;
	struct conversation conv;
	struct limits limits;
	struct spent spent;
	struct watch watch;
	struct cache_watch cache;
	struct tool_env env;
	char start_tree[41];    /* before this call's first turn */
	char verified_tree[41]; /* what a check or test of the model's looked at last */
	bool asked_to_verify;   /* finish was answered with that once this round */
	int64_t max_output;     /* raised once after an answer that was cut */
	int cut, paused;        /* such answers in a row */
	int outputs;            /* long outputs kept this turn */
	bool ended;
	bool tree_changed; /* a tool of this turn may have changed files: result->tree is stored */
	struct budget_call call; /* reserved with what the last turn left */
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
/** A model for a conversation of this run. */
err_t agent_llm_open(const struct agent *a, const char *model, struct llm *ret_llm);
/** What a conversation of this model begins with. */
err_t agent_prefix(const struct agent *a, const struct llm *llm, struct buf *out);
err_t agent_store_notes(struct agent *a);
/** What is watched begins anew with each round. */
void agent_begin_round(struct agent *a);
/** Says that a model's cost is not known, once. */
err_t agent_tell_cost_unknown(struct agent *a);
/** Notes that this round's text is said: in the conversation's next message, at the tree as it is.
 */
void agent_note_said(struct agent *a, const struct conversation *conv, const char *model);

/* ---- switch.c ---- */

/** Why a conversation is followed by a new one; the names are in edit.switches (worker/run.h). */
enum switch_reason {
	SWITCH_HEAL,    /* "heal": the third heal round is the other provider's */
	SWITCH_REFUSAL, /* "refusal": the model will not do this */
	SWITCH_AWAY,    /* "away": its provider does not answer */
	SWITCH_STUCK,   /* "stuck": it does not get on */
	SWITCH_RESTART, /* "restart": from the last good state */
	SWITCH_CONTEXT, /* "context": the conversation nears the end of the model's context */
	SWITCH_PROMPT,  /* "prompt": the worker's prompts or tools are others than before */
	SWITCH__MAX
};

struct agent_switch {
	enum switch_reason reason;
	const char *model;    /* NULL: the same model again */
	const char *effort;   /* NULL: the same as now, or what another model's profile says */
	const char *detail;   /* words for people and the model, e.g. of a refusal; may be NULL */
	const char *findings; /* what is to be mended; NULL: what this heal round was given */
	const char *summary; /* of the work so far; NULL: the calls made, and finish's last words */
	const char *tree;    /* the work tree is set to it first; NULL: it stays as it is */
};

/**
 * Goes on in a new conversation, begun from the task, the diff from the base to the work tree,
 * findings and a summary (templates/prompts/handover.md). The old one stays as it is. Prefix, first
 * message, event and notes (edit.conv, model, said, from_tree, switches) are stored in one
 * transaction, so that a killed run goes on in either.
 * @return ERR_CONFIG (no such model), ERR_FENCE, ERR_CANCELLED, ERR_DB…
 */
err_t agent_switch(struct agent *a, const struct agent_switch *to);

/** How often this edit was switched for this reason, heal rounds and interruptions included. */
int agent_switched(struct agent *a, enum switch_reason reason);

/** The configured model of the other provider than this conversation's, in a static buffer; NULL
 * when there is none. */
const char *agent_other_model(const struct agent *a);

/* ---- takeover.c: when another model goes on ---- */

/** A call failed after all its tries. When its provider is away the other one takes over.
 * @return e when none can */
err_t agent_away(struct agent *a, err_t e);
/** The model refused: the other one is asked, once; then a person. @return ERR_QUESTION */
err_t agent_refused(struct agent *a, const char *words);
/** Is this the heal round of the other provider, and has that not begun? *ret_switched: it has now.
 */
err_t agent_third_round(struct agent *a, bool *ret_switched);

/* ---- agent.c ---- */

/** Adds an answer to what the run has spent. */
void agent_count(struct agent *a, const struct llm_answer *answer);

/* ---- say.c ---- */

/** Stores a user message, the notes, the turn's work tree and change of files, or nothing; and
 * reserves what the next call may cost (a->call), where one may follow and the caps allow it. */
err_t agent_say(struct agent *a, const struct speech *speech);

/* ---- ask.c ---- */

/** The request that this conversation stands at. */
struct llm_request agent_request(struct agent *a);
/** Tokens that an answer may have. */
int64_t agent_wanted_output(const struct agent *a);

/** One call: limits, the call, the stored answer. */
err_t agent_ask(struct agent *a, struct llm_answer *ret_answer);
/** A cut answer is counted but not sent back: its tool calls may be incomplete. */
bool agent_keeps(const struct llm_answer *answer);

/* ---- answer.c ---- */

/** Acts on an answer; adds what the model is to be told next. */
err_t agent_on_answer(struct agent *a, const struct llm_answer *answer, struct speech *speech);

/* ---- stuck.c: a model that does not get on, and switches that wait for the turn's end ---- */

/** The watch and what it knows, to and from the notes. */
void agent_note_watch(struct agent *a);
void agent_read_watch(struct agent *a);

/** Once a turn: trouble is answered with a hint, or with a switch before the next call. */
err_t agent_discipline(struct agent *a, struct speech *speech);

/** Is there a switch to be made before the next call? It is in the notes, hence outlives a kill. */
bool agent_switch_waits(struct agent *a);
/** Makes it. @return ERR_QUESTION when the ladder's end is reached: a person is asked */
err_t agent_switch_now(struct agent *a);
/** Notes one; the members not given stay out. */
void agent_switch_later(struct agent *a, json_t *pending);

/* ---- compact.c ---- */

/** Nears the conversation its model's context? Then it is asked for a summary, and followed by a
 * new one. */
err_t agent_compact(struct agent *a, const struct llm_usage *usage, struct speech *speech);
/** Begins the new conversation, after the answer with the summary. */
err_t agent_compact_now(struct agent *a);
/** An answer says that the context is full: goes on in a new conversation without a summary.
 * @return ERR_LIMIT when that cannot help */
err_t agent_context_full(struct agent *a);

/* ---- finish.c ---- */

/** A command of the model's ended: was it a check? */
void agent_note_command(struct agent *a, const json_t *input);
/** May this finish count? If not, the result says what was not verified. */
err_t agent_check_finish(struct agent *a, struct tool_result *result);

/* ---- record.c ---- */

/** How the work tree changed since the last record, exactly; nothing when that is too large (which
 * is told). */
err_t agent_change(struct agent *a, struct buf *out, bool *ret_changed);
/** Notes that it is recorded. */
void agent_note_recorded(struct agent *a);

/* ---- output.c ---- */

/** Valid UTF-8, no secrets, not too long; what is cut is kept whole, where view and grep find it.
 */
err_t agent_present(struct agent *a, const char *tool, const struct buf *raw, struct buf *out);
/** Opens the folder of kept outputs; after an interruption they come back from the artifacts. */
err_t agent_open_outputs(struct agent *a);

/* ---- agent_tools.c ---- */

/** Takes a snapshot into a->result->tree. @return ERR_CONFLICT for a change that cannot be kept
 * (the model is told) */
err_t agent_snapshot(struct agent *a);

#endif
