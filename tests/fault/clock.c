/*
 * A library that moves the wall clock of the programs it is preloaded into, also while they run:
 * CLOCK_REALTIME is off by the number of seconds (a little-endian 64-bit integer) in the file named
 * by FAULT_CLOCK. CLOCK_MONOTONIC stays as it is, as when a real clock is set.
 * Used by tests/e2e/96-clock-jumps.mjs.
 */
#define _GNU_SOURCE
#include <fcntl.h>
#include <stdint.h>
#include <stdlib.h>
#include <sys/mman.h>
#include <sys/syscall.h>
#include <sys/time.h>
#include <time.h>
#include <unistd.h>

static int64_t offset_s(void)
{
	static const volatile int64_t *offset;
	static const int64_t none;
	if (!offset) {
		const char *path = getenv("FAULT_CLOCK");
		int fd = path ? open(path, O_RDONLY | O_CLOEXEC) : -1;
		void *at = fd < 0 ? MAP_FAILED
				  : mmap(NULL, sizeof *offset, PROT_READ, MAP_SHARED, fd, 0);
		offset = at == MAP_FAILED ? &none : at;
		if (fd >= 0)
			close(fd);
	}
	return *offset;
}

int clock_gettime(clockid_t clock, struct timespec *ret)
{
	int rc = (int)syscall(SYS_clock_gettime, clock, ret);
	if (rc == 0 && (clock == CLOCK_REALTIME || clock == CLOCK_REALTIME_COARSE))
		ret->tv_sec += offset_s();
	return rc;
}

time_t time(time_t *ret)
{
	struct timespec now;
	clock_gettime(CLOCK_REALTIME, &now);
	if (ret)
		*ret = now.tv_sec;
	return now.tv_sec;
}

int gettimeofday(struct timeval *restrict ret, void *restrict zone)
{
	struct timespec now;
	(void)zone;
	clock_gettime(CLOCK_REALTIME, &now);
	*ret = (struct timeval){.tv_sec = now.tv_sec, .tv_usec = now.tv_nsec / 1000};
	return 0;
}
