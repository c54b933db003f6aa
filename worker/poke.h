/* The wake-up socket: a datagram from a handler says that the queue has something. */
#ifndef AIRUNNER_POKE_H
#define AIRUNNER_POKE_H

#include "lib/settings.h"

/** Binds AIRUNNER_POKE_SOCKET (else poke.sock in the state folder), mode 0660. */
err_t poke_open(const struct settings *set, int *ret_fd);
bool poke_drain(int fd); /* true when there was a datagram */
void poke_close(const struct settings *set, int fd);

#endif
