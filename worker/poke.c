/* The wake-up socket. Handlers write to it and ignore errors; polling is the backstop. */
#include "worker/poke.h"

#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <sys/un.h>
#include <unistd.h>

#include "lib/mem.h"

static err_t address(const struct settings *set, struct sockaddr_un *ret)
{
	const char *path = settings_str(set, S_AIRUNNER_POKE_SOCKET);
	*ret = (struct sockaddr_un){.sun_family = AF_UNIX};
	int n = *path ? snprintf(ret->sun_path, sizeof ret->sun_path, "%s", path)
		      : snprintf(ret->sun_path, sizeof ret->sun_path, "%s/poke.sock",
				settings_str(set, S_AIRUNNER_STATE_DIR));
	if (n < 0 || (size_t)n >= sizeof ret->sun_path)
		return err_new(ERR_CONFIG,
			"AIRUNNER_POKE_SOCKET: a socket's path may have at most %zu bytes",
			sizeof ret->sun_path - 1);
	return NULL;
}

err_t poke_open(const struct settings *set, int *ret_fd)
{
	struct sockaddr_un at;
	ERR_TRY(address(set, &at));
	int fd = socket(AF_UNIX, SOCK_DGRAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
	if (fd < 0)
		return err_errno("socket");
	unlink(at.sun_path); /* the state folder's lock says that nobody else uses it */
	if (bind(fd, (struct sockaddr *)&at, sizeof at) < 0 || chmod(at.sun_path, 0660) < 0) {
		close(fd);
		return err_errno("bind %s", at.sun_path);
	}
	*ret_fd = fd;
	return NULL;
}

bool poke_drain(int fd)
{
	char datagram[256];
	bool any = false;
	while (recv(fd, datagram, sizeof datagram, 0) >= 0)
		any = true;
	return any;
}

void poke_close(const struct settings *set, int fd)
{
	struct sockaddr_un at;
	if (fd < 0)
		return;
	close(fd);
	if (!address(set, &at))
		unlink(at.sun_path);
}
