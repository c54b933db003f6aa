/*
 * Room on the disks that this worker writes to. Asked before a run is claimed and before each step
 * that writes: with too little nothing is begun, so that nothing stops halfway.
 */
#ifndef AIRUNNER_DISK_H
#define AIRUNNER_DISK_H

#include "lib/err.h"
#include "lib/settings.h"

/**
 * Has the disk of this folder AIRUNNER_MIN_FREE_MB left? The folder need not be there yet.
 * @return ERR_DISK_FULL naming folder, room and remedy
 */
err_t disk_check(const struct settings *set, const char *folder);

#endif
