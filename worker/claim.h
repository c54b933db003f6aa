/*
 * The queue as the worker sees it: claim, lease, close, requeue. Every change is one procedure with
 * its transaction, which locks the repository's row first; the UNIQUE keys of `runs` are what keeps
 * one running run per slot and line.
 */
#ifndef AIRUNNER_CLAIM_H
#define AIRUNNER_CLAIM_H

#include "worker/run.h"

#define LEASE_S 60
#define MAX_CRASHES 3

/**
 * Claims the next run for this worker and marks it running.
 * Order: priority (1 urgent … 4 low), queue position, the repository's last claim, id; busy
 * repositories and lines are passed over. USE_SMART_QUEUE=false: id alone.
 *
 * @param worker   worker name, at most 64 bytes
 * @param ret_run  owned by the caller (run_release); id 0 when nothing waits
 * @return NULL, ERR_DB…, or ERR_DB_UNSURE (the caller must not start the work: it looks for runs
 *         of its mark that it does not work on, worker/daemon_queue.c)
 */
err_t run_claim(struct db *db, const struct settings *set, const char *worker, struct run *ret_run);

/**
 * Claims one queued run by its id.
 * @return ERR_NOT_FOUND, ERR_CONFLICT (not queued, or its
 *         repository or line is busy)
 */
err_t run_claim_id(struct db *db, const char *worker, int64_t id, struct run *ret_run);

/** Reads a run that was claimed before. @return ERR_NOT_FOUND, ERR_FENCE (claimed anew meanwhile)
 */
err_t run_load(struct db *db, int64_t id, int64_t fence, struct run *ret_run);

/**
 * Ends a run. When the connection is lost meanwhile, it reconnects and asks what was done.
 * @param metrics JSON text or NULL
 * @return ERR_FENCE when it is not ours any more, ERR_DB_UNSURE when nobody could be asked
 */
err_t run_close(struct db *db, const struct run *run, enum run_status status, const char *reason,
	const char *category, const char *metrics);

/** Ends a run whose issue has a newer one in the queue; for the trigger key it has worked nothing.
 */
err_t run_give_way(struct db *db, const struct run *run);

/**
 * Puts a run back into the queue, claimable after wait_s. Joins an already queued run of the same
 * issue; a run that was cancelled meanwhile is closed as that.
 */
err_t run_requeue(struct db *db, const struct run *run, int64_t wait_s);

/**
 * Recomputes the heads of repositories with runs that became claimable by time. For the poll: each
 * change of a queue puts its own head right.
 */
err_t queue_look(struct db *db);

/** What this process's claims carry (runs.claimed_as): by it a claim whose answer was lost is
 * known. */
int64_t run_claim_mark(void);

#endif
