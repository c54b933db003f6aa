/*
 * When this worker last renewed its lease on a run: one number in memory that the parent writes and
 * the run's process reads, in milliseconds of CLOCK_MONOTONIC, which is one for all processes and
 * knows no jumps. Who hears of no renewal for 45 s starts nothing any more until one succeeds: at
 * 60 s another worker may take the run (worker/claim.h, LEASE_S).
 */
#ifndef AIRUNNER_LEASE_H
#define AIRUNNER_LEASE_H

#include <stdint.h>

#include "lib/err.h"
#include "worker/http.h"

#define LEASE_SILENCE_MS 45000

struct lease_note {
	int fd; /* of the shared memory; handed to the child as --lease FD */
	volatile int64_t *renewed_ms;
};

/** The parent's: makes a note. @param now_ms  before the claim was sent */
err_t lease_note_open(struct lease_note *ret_note, int64_t now_ms);

/** A renewal that was asked for at now_ms succeeded. */
void lease_note_renewed(struct lease_note *note, int64_t now_ms);
void lease_note_close(struct lease_note *note);

/** The child's: looks at the parent's note from now on. Without this (fd < 0) nothing is held. */
err_t lease_follow(int fd);
void lease_unfollow(void);

/**
 * Waits while no renewal was heard of. Asked before whatever begins outside of this process.
 * @param alive  asked about four times a second while it waits; may be NULL
 * @return what alive returned
 */
err_t lease_hold(http_alive_fn alive, void *alive_arg);

#endif
