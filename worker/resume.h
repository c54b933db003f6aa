/*
 * What a run that is taken up again in the same attempt goes on from: the journal rows of its
 * attempt, and the resources that its steps had open. Called by the pipeline.
 */
#ifndef AIRUNNER_RESUME_H
#define AIRUNNER_RESUME_H

#include "worker/run.h"

/** What must be open before a step; each includes the ones before it. */
enum resume_need {
	NEEDS_NOTHING,
	NEEDS_REPO,         /* repository and forge: as step fetch leaves them */
	NEEDS_TREE,         /* work tree and sandbox, as step checkout leaves them */
	NEEDS_DEPENDENCIES, /* installed, as step baseline leaves them */
};

/** A row of the journal that ended in order, in the words of enum step_next. */
struct resume_row {
	char step[33];
	int attempt, round;
	bool is_ok, is_heal, is_merged, is_end;
};

/** Is it this row's turn? Then its result becomes the state's member of this name (NULL: it does
 * not); of a step that did not end only edit's notes do. */
typedef const char *(*resume_fn)(void *arg, const struct resume_row *row);

/** Gives the rows of the attempt's journal to fn, in their order. */
err_t resume_read(struct run_ctx *ctx, resume_fn fn, void *arg);

/**
 * Opens what `step` needs and sets the work tree to what the steps before it left.
 * @param is_edit  the tree is set to the conversation's last snapshot of this round
 * @return ERR_NOT_FOUND when this machine's store lacks the tree or the base commit; ERR_CONFLICT
 * when the repository is configured otherwise by now
 */
err_t resume_open(struct run_ctx *ctx, enum resume_need need, bool is_edit);

/** Closes tree and sandbox, for a start from the beginning. */
void resume_close(struct run_ctx *ctx);

/** Unix time at which the running step began first in this attempt: tags and commits carry it, so
 * that a repeat makes the same object. */
err_t resume_step_time(struct run_ctx *ctx, int64_t *ret_time_s);

#endif
