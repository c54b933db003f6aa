/* Unfinished work that an earlier attempt of this run has pushed, which a retry goes on from. */
#ifndef AIRUNNER_KEPT_H
#define AIRUNNER_KEPT_H

#include <string.h>

#include "worker/run.h"

/** The commit on the branch that is worked now; borrowed, NULL when there is none. state.kept is
 * that attempt's push. */
static inline const char *kept_head(const struct run_ctx *ctx)
{
	const json_t *ref = json_array_get(run_state_get(ctx, "kept.refs"), 0);
	const char *name = json_string_value(ref), *branch = run_state_str(ctx, "route.branch");
	static const char heads[] = "refs/heads/";
	bool is_same = name && branch && strncmp(name, heads, sizeof heads - 1) == 0 &&
		       strcmp(name + sizeof heads - 1, branch) == 0 &&
		       run_state_i64(ctx, "merged.count") == 0;
	return is_same ? run_state_str(ctx, "kept.head") : NULL;
}

#endif
