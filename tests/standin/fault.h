/*
 * Faults on command: rules that strike requests by service, method, path and words of the body,
 * a given number of times. Rules come from POST /_control/faults and from a script's turn.
 * README.md has the table of kinds.
 */
#ifndef STANDIN_FAULT_H
#define STANDIN_FAULT_H

#include "tests/standin/http.h"

/** Adds rules (one object or an array, borrowed). @return ERR_BAD_INPUT naming the member */
err_t fault_add(const json_t *rules);
void fault_clear(const char *service); /* NULL: all */
json_t *fault_list(void);              /* borrowed */

/** The rule that strikes this request, its count taken; NULL when none. New reference. */
json_t *fault_take(const struct req *q);

/** Does the service's work happen before the fault strikes? */
bool fault_is_after(const json_t *rule);

/** Makes the fault the answer (or spoils the answer that is there). */
void fault_strike(struct req *q, const json_t *rule);

#endif
