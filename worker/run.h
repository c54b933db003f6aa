/*
 * A run as the worker's child holds it, and what every step is given.
 *
 * Steps talk through `state`: one JSON object, a member per step, whose value is that step's result
 * as journalled in run_steps. A step reads earlier members and sets its own with run_state_set().
 *
 *   fetch    {issue: {id, key, type, subtask, status, status_id, summary, description, labels[],
 *             priority, project_key, assignee, parent: {key, summary, description, type} | null,
 *             comments: [{id, author, account_id, body, created, own}]}}
 *             texts are Markdown-like plain text; own: written by the AI account
 *   route    {action: "execute" | "none", reason, line, branch, base_branch,
 *             story_key | null, status_before}
 *   checkout {base_commit, base_tree, branch_existed, remote_head | null, tree_path}
 *             base_commit is what the change is made on: the branch's head, or the base branch's
 *   baseline {checks: [{name, ran, skipped_reason | null, findings: N}]}
 *   edit     {end: "finished" | "unchanged" | "question", tree, summary, question | null, turns,
 *             conv, model, round, said, start_tree, from_tree, ended, switches: [{reason, model,
 *             conv}]}
 *             from conv on they are noted while the step works (worker/agent/): its conversation
 *             and whose it is, the heal round whose text was said, in which message, the work tree
 *             before the round and when that was said, whether the model has ended that round, and
 *             the conversations begun in place of another
 *   verify   {tree, ok, checks: [{name, ok, ms, skipped_reason}], findings: [F], known: N}
 *   test     {tree, ok, ran, script | null, passed | null, failed | null, findings: [F], known: N}
 *             F: {check, file, line, code, message, category, hint}
 *   tag      {name, target, time_s}
 *   commit   {commit, tree, files_changed, lines_added, lines_removed}
 *   push     {head, refs: []}, or of one that others moved {merge}: worker/steps/push_merge.h
 *   pull_request {number, url, draft, found}
 *   report   {status, comment_id}
 * and beside the order of steps (worker/replay.c): retake {status | null}, end {code, reason,
 * category, tree | null}, kept (the push of an attempt that ended, which this one continues),
 * merged {count, time_s}, continued
 */
#ifndef AIRUNNER_RUN_H
#define AIRUNNER_RUN_H

#include <jansson.h>
#include <stdint.h>

#include "lib/db.h"
#include "lib/run_names.h"
#include "lib/settings.h"
#include "worker/repo_config.h"

struct run {
	int64_t id;
	char *kind;
	char *issue_key;
	char *project_key;
	char *line;
	int64_t repo_id;
	int64_t fence;
	int64_t slot;
	int attempt;
	int crashes;
	int priority;
};

struct jira;
struct forge;
struct work_tree;
struct sandbox;

struct run_ctx {
	const struct settings *set;
	struct db *db;
	struct run run;
	const struct repo_configs *repos;
	const struct repo_config *repo; /* NULL until fetched and routed */
	struct jira *jira;              /* owned */
	struct forge *forge;            /* owned; NULL when the repository has no forge */
	struct work_tree *tree;         /* owned; NULL before checkout */
	struct sandbox *sandbox;        /* owned; NULL before checkout */
	json_t *state;                  /* owned; see above */
	const char *step;               /* name of the running step */
	int64_t step_id;                /* its row in the journal */
	enum run_stage stage;           /* its stage, for events */
	int heal_round;                 /* 0: first edit */
	int64_t started_ms;             /* CLOCK_MONOTONIC, before it what the attempt was worked */
	int64_t alive_ms; /* when a fenced write said last that the run is ours; 0: none */
	bool closing;     /* work is kept or reported: limits end nothing any more */
};

/** Frees what the run row holds. */
void run_release(struct run *run);

/**
 * A value of the state by dotted path, e.g. run_state_str(ctx, "checkout.base_commit").
 * Borrowed; NULL (or 0) when absent or of another type.
 */
const char *run_state_str(const struct run_ctx *ctx, const char *path);
int64_t run_state_i64(const struct run_ctx *ctx, const char *path);
json_t *run_state_get(const struct run_ctx *ctx, const char *path);

/** Sets a step's result; takes over value. */
void run_state_set(struct run_ctx *ctx, const char *step, json_t *value);

/**
 * Is the run still ours and not cancelled? Asked before anything is sent outside, before each LLM
 * call and each command; waits while the lease is not renewed (worker/lease.h). @return NULL,
 * ERR_FENCE, ERR_CANCELLED, ERR_LIMIT (AIRUNNER_MAX_RUN_S over), ERR_STOPPING, ERR_DB_AWAY
 */
err_t run_check_alive(struct run_ctx *ctx);

/** The same before what stays in the work tree: an answer of the last moments counts, so that a
 * turn asks nothing that its own writes have told. */
err_t run_check_recent(struct run_ctx *ctx);

/** A fenced write that a cancellation stops too was done. */
void run_note_alive(struct run_ctx *ctx);

/** The same as a callback while HTTP calls and commands run: never waits; arg is the run_ctx. */
err_t run_alive_callback(void *arg);

/** Only the wait for the lease, for what a cancellation does not stop (the closing report). */
err_t run_hold(struct run_ctx *ctx);

/** Asks this process's run to stop (signal handler); run_check_alive() then returns ERR_STOPPING.
 */
void run_request_stop(void);

int64_t monotonic_ms(void);

#endif
