/* The handlers' end of the worker's wake-up socket. Called when a row has changed that it waits
 * for. */
#include "cgi/poke.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/log.h"

void poke_worker(const struct settings *set, int64_t run_id)
{
	const char *path = settings_str(set, S_AIRUNNER_POKE_SOCKET);
	struct sockaddr_un to = {.sun_family = AF_UNIX};
	char text[32];
	if (!*path || strlen(path) >= sizeof to.sun_path)
		return;
	strcpy(to.sun_path, path);
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return;
	int n = snprintf(text, sizeof text, "run %lld", (long long)run_id);
	if (sendto(fd, text, (size_t)n, 0, (struct sockaddr *)&to, sizeof to) < 0)
		log_debug("the worker could not be woken");
	close(fd);
}
