/* Who commits and tags are by. */
#ifndef AIRUNNER_IDENTITY_H
#define AIRUNNER_IDENTITY_H

#include "lib/settings.h"
#include "worker/git/store.h"

/**
 * "AI Runner" with the AI account's address, so that Jira and the forge know it. Borrows from set.
 * @param time_s  see resume_step_time(); 0: now
 */
static inline struct git_identity git_identity_of(const struct settings *set, int64_t time_s)
{
	const char *email = settings_str(set, S_JIRA_EMAIL);
	return (struct git_identity){"AI Runner", *email ? email : "ai-runner@localhost", time_s};
}

#endif
