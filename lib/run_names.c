/* The text tables of the shared words. */
#include "lib/run_names.h"

#include <stddef.h>
#include <string.h>

static const char *const statuses[RUN_STATUS__MAX] = {
	[RUN_QUEUED] = "queued",
	[RUN_RUNNING] = "running",
	[RUN_COMPLETED] = "completed",
	[RUN_FAILED] = "failed",
	[RUN_BLOCKED] = "blocked",
	[RUN_CANCELLED] = "cancelled",
};
static const char *const priorities[PRIORITY__MAX] = {
	[PRIORITY_URGENT] = "URGENT",
	[PRIORITY_HIGH] = "HIGH",
	[PRIORITY_NORMAL] = "NORMAL",
	[PRIORITY_LOW] = "LOW",
};
static const char *const stages[STAGE__MAX] = {
	[STAGE_CLAIMED] = "claimed",
	[STAGE_ANALYZING] = "analyzing",
	[STAGE_PLANNING] = "planning",
	[STAGE_EXECUTING] = "executing",
	[STAGE_VERIFYING] = "verifying",
	[STAGE_COMMITTING] = "committing",
	[STAGE_COMPLETED] = "completed",
	[STAGE_FAILED] = "failed",
};
static const char *const levels[EVENT_LEVEL__MAX] = {
	[EVENT_INFO] = "info",
	[EVENT_ERROR] = "error",
	[EVENT_PROGRESS] = "progress",
};

const char *run_status_name(enum run_status status)
{
	return statuses[status];
}

bool run_status_parse(const char *text, enum run_status *ret_status)
{
	for (int i = 0; i < RUN_STATUS__MAX; i++) {
		if (strcmp(statuses[i], text) == 0) {
			*ret_status = (enum run_status)i;
			return true;
		}
	}
	return false;
}

const char *run_priority_name(enum run_priority priority)
{
	return priority >= PRIORITY_URGENT && priority < PRIORITY__MAX ? priorities[priority]
								       : "NORMAL";
}

const char *run_stage_name(enum run_stage stage)
{
	return stages[stage];
}

const char *event_level_name(enum event_level level)
{
	return levels[level];
}
