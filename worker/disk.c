/* How much room a disk has. Called by the daemon and by the step that is to begin. */
#include "worker/disk.h"

#include <errno.h>
#include <string.h>
#include <sys/statvfs.h>

#include "lib/mem.h"

/* Of the folder, or of the nearest one above it that is there. */
static err_t room_of(const char *folder, int64_t *ret_mb)
{
	autofree char *path = xstrdup(folder);
	struct statvfs s;
	while (statvfs(path, &s) < 0) {
		char *slash = strrchr(path, '/');
		if (errno != ENOENT || !slash || slash == path)
			return err_errno("look at the disk of %s", folder);
		*slash = '\0';
	}
	*ret_mb = (int64_t)((uint64_t)s.f_bavail * s.f_frsize >> 20);
	return NULL;
}

err_t disk_check(const struct settings *set, const char *folder)
{
	int64_t least_mb = settings_int(set, S_AIRUNNER_MIN_FREE_MB), mb = 0;
	if (least_mb <= 0)
		return NULL;
	ERR_TRY(room_of(folder, &mb));
	return mb >= least_mb
		       ? NULL
		       : err_new(ERR_DISK_FULL,
				 "the disk of %s has %lld MiB left, fewer than %lld: free some "
				 "space there (or lower AIRUNNER_MIN_FREE_MB)",
				 folder, (long long)mb, (long long)least_mb);
}
