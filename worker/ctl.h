/* What the files of airunnerctl share: how it was called, and loading what a command needs. */
#ifndef AIRUNNER_CTL_H
#define AIRUNNER_CTL_H

#include "lib/settings.h"

struct call {
	const char *env_file;
	const char *argument; /* of a command that takes one, else NULL */
	enum program program;
	const char *db_user;
};

/** Settings and log. */
err_t ctl_load(const struct call *call, struct settings **ret_set);

/** The run named by the argument. @return ERR_USAGE */
err_t ctl_run_id(const struct call *call, int64_t *ret_id);

/* ---- ctl_replay.c ---- */

/** Builds the trees of a run's conversations anew from what was recorded, turn by turn. @return
 * ERR_BAD_INPUT naming the first turn that differs */
err_t ctl_replay(const struct call *call);

#endif
