/* Reading artifacts of a run: the parts joined and unpacked. Called by the agent after an
 * interruption and by airunnerctl. Writing is worker/journal.h's. */
#ifndef AIRUNNER_ARTIFACT_H
#define AIRUNNER_ARTIFACT_H

#include "lib/buf.h"
#include "lib/db.h"

typedef err_t (*artifact_fn)(void *arg, const char *name, const struct buf *content);

/** Gives each artifact of a kind to fn, by name. @return ERR_BAD_INPUT when one cannot be unpacked
 */
err_t artifacts_read(struct db *db, int64_t run_id, const char *kind, artifact_fn fn, void *arg);

/** One artifact. @return ERR_NOT_FOUND, ERR_BAD_INPUT */
err_t artifact_read(
	struct db *db, int64_t run_id, const char *kind, const char *name, struct buf *out);

#endif
