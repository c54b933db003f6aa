/*
 * One row of the outbox and one try of it. Shared by the run's child (outbox.c) and the drainer
 * (drain.c), which differ in how they take a row: waiting or sending → sending, by one
 * compare-and-set over the attempts they have read. Who has taken it ends it.
 */
#ifndef AIRUNNER_OUTBOX_ROW_H
#define AIRUNNER_OUTBOX_ROW_H

#include "worker/outbox.h"
#include "worker/outbox_effects.h"

#define OUTBOX_KEY_MAX 190

enum row_state { ROW_ABSENT, ROW_WAITING, ROW_SENDING, ROW_DONE, ROW_VOID, ROW__MAX };

struct outbox_row {
	int64_t id, run_id;
	char key[OUTBOX_KEY_MAX + 1]; /* run/attempt/name */
	char *issue_key;              /* owned */
	enum effect_kind kind;
	bool closing;
	enum row_state state;
	int attempts;     /* tries begun */
	int64_t open_ms;  /* 0: it may be taken */
	bool behind;      /* an earlier effect of the issue is not over */
	json_t *request;  /* owned */
	json_t *result;   /* owned; NULL unless done */
	char *last_error; /* owned */
};

void outbox_row_release(struct outbox_row *row);

/** Reads a row anew; state ROW_ABSENT when there is none. */
err_t outbox_row_load(struct db *db, const char *key, struct outbox_row *row);

/** Where an effect of this kind (as stored) goes. */
enum effect_at outbox_kind_at(const char *kind);

/** "report" of "7/2/report"; borrowed. */
const char *outbox_row_name(const struct outbox_row *row);

/**
 * One try of a row that the caller has just taken: looked up when it was tried before, else sent;
 * then done, waiting with a time before which nobody tries again, or void.
 * @param look_only    a withdrawn effect: it is not sent, void when it did not happen
 * @param ret_result   new reference; NULL when it failed
 * @param ret_refused  the service's error, code ERR_NONE when it went well
 * @return errors of the database only
 */
err_t outbox_row_try(struct run_ctx *ctx, struct outbox_row *row, bool look_only,
	json_t **ret_result, struct err *ret_refused);

#endif
