/* The check-list of sub-tasks in a pull request's body. */
#ifndef AIRUNNER_CHECKLIST_H
#define AIRUNNER_CHECKLIST_H

#include <stdbool.h>

#include "lib/buf.h"

/**
 * Appends body to out with the line `- [ ] KEY: summary` of this issue, ticked when done: changed
 * where it stands, else added after the last line of the list, else at the end. All else stays byte
 * for byte.
 */
void checklist_set(
	struct buf *out, const char *body, const char *key, const char *summary, bool is_done);

#endif
