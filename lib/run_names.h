/*
 * Words that database, API, pages and worker share: statuses, priorities, stages, levels.
 * Every enum has one text table (run_names.c).
 */
#ifndef AIRUNNER_RUN_NAMES_H
#define AIRUNNER_RUN_NAMES_H

#include <stdbool.h>

enum run_status {
	RUN_QUEUED,
	RUN_RUNNING,
	RUN_COMPLETED,
	RUN_FAILED,
	RUN_BLOCKED,
	RUN_CANCELLED,
	RUN_STATUS__MAX
};
enum run_priority {
	PRIORITY_URGENT = 1,
	PRIORITY_HIGH,
	PRIORITY_NORMAL,
	PRIORITY_LOW,
	PRIORITY__MAX
};

/** The seed's stage names, as in its events. */
enum run_stage {
	STAGE_CLAIMED,
	STAGE_ANALYZING,
	STAGE_PLANNING,
	STAGE_EXECUTING,
	STAGE_VERIFYING,
	STAGE_COMMITTING,
	STAGE_COMPLETED,
	STAGE_FAILED,
	STAGE__MAX
};

/** The seed's event levels. */
enum event_level { EVENT_INFO, EVENT_ERROR, EVENT_PROGRESS, EVENT_LEVEL__MAX };

const char *run_status_name(enum run_status status); /* "queued" … */
bool run_status_parse(const char *text, enum run_status *ret_status);
const char *run_priority_name(enum run_priority priority); /* "URGENT" … */
const char *run_stage_name(enum run_stage stage);          /* "claimed" … */
const char *event_level_name(enum event_level level);      /* "info" … */

#endif
