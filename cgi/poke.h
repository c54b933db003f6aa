/* Waking the worker. Nothing depends on it: the worker looks at its rows on its own as well. */
#ifndef AIRUNNER_CGI_POKE_H
#define AIRUNNER_CGI_POKE_H

#include <stdint.h>

#include "lib/settings.h"

/** Sends a datagram to AIRUNNER_POKE_SOCKET; errors are ignored. */
void poke_worker(const struct settings *set, int64_t run_id);

#endif
