/* The note of a lease's renewals. Called by children.c (parent) and run.c (child). */
#define _GNU_SOURCE
#include "worker/lease.h"

#include <fcntl.h>
#include <stdbool.h>
#include <sys/mman.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"
#include "worker/fault.h"
#include "worker/run.h"

#define ASK_MS 250

static const volatile int64_t *followed; /* NULL: nobody renews a lease for this process */

static err_t map(int fd, int protection, void **ret_at)
{
	void *at = mmap(NULL, sizeof(int64_t), protection, MAP_SHARED, fd, 0);
	if (at == MAP_FAILED)
		return err_errno("map the lease's note");
	*ret_at = at;
	return NULL;
}

err_t lease_note_open(struct lease_note *ret_note, int64_t now_ms)
{
	void *at = NULL;
	int fd = memfd_create("airunner-lease", MFD_CLOEXEC);
	if (fd < 0 || ftruncate(fd, sizeof(int64_t)) < 0) {
		err_t e = err_errno("make the lease's note");
		close(fd);
		return e;
	}
	err_t e = map(fd, PROT_READ | PROT_WRITE, &at);
	if (e) {
		close(fd);
		return e;
	}
	*ret_note = (struct lease_note){.fd = fd, .renewed_ms = at};
	lease_note_renewed(ret_note, now_ms);
	return NULL;
}

void lease_note_renewed(struct lease_note *note, int64_t now_ms)
{
	if (note->renewed_ms)
		*note->renewed_ms = now_ms;
}

void lease_note_close(struct lease_note *note)
{
	if (!note->renewed_ms)
		return;
	munmap((void *)note->renewed_ms, sizeof(int64_t));
	close(note->fd);
	*note = (struct lease_note){.fd = -1};
}

err_t lease_follow(int fd)
{
	void *at = NULL;
	if (fd < 0)
		return NULL;
	ERR_TRY(map(fd, PROT_READ, &at));
	close(fd); /* not for the commands that this process starts */
	followed = at;
	return NULL;
}

void lease_unfollow(void)
{
	if (followed)
		munmap((void *)followed, sizeof(int64_t));
	followed = NULL;
}

static bool silent(void)
{
	return followed && monotonic_ms() - *followed >= FAULT_MS("silence", LEASE_SILENCE_MS);
}

err_t lease_hold(http_alive_fn alive, void *alive_arg)
{
	if (!silent())
		return NULL;
	int64_t began_ms = monotonic_ms();
	log_warning("the lease was not renewed for %lld s: nothing is started until it is",
		(long long)(began_ms - *followed) / 1000);
	while (silent()) {
		if (alive)
			ERR_TRY(alive(alive_arg));
		nanosleep(&(struct timespec){.tv_nsec = ASK_MS * 1000000}, NULL);
	}
	log_info("the lease is renewed again, after a wait of %lld ms",
		(long long)(monotonic_ms() - began_ms));
	return NULL;
}
