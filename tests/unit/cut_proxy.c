/* One process a connection. A statement is prepared and then executed: the packet after the one
 * with its text is the call. */
#define _GNU_SOURCE
#include "tests/unit/cut_proxy.h"

#include <poll.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/prctl.h>
#include <sys/socket.h>
#include <sys/un.h>
#include <sys/wait.h>
#include <unistd.h>

#define BUFFER (1 << 20)

static struct sockaddr_un address(const char *path)
{
	struct sockaddr_un at = {.sun_family = AF_UNIX};
	snprintf(at.sun_path, sizeof at.sun_path, "%s", path);
	return at;
}

static bool pass(int from, int to, char *buffer, ssize_t *ret_n)
{
	*ret_n = recv(from, buffer, BUFFER, 0);
	return *ret_n > 0 && send(to, buffer, (size_t)*ret_n, MSG_NOSIGNAL) == *ret_n;
}

/* Serves one connection until it ends or is to be broken. */
static void serve(int client, const char *server_path, struct cut_order *order)
{
	static char buffer[BUFFER];
	struct sockaddr_un at = address(server_path);
	int server = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	bool is_next = false;
	ssize_t n = 0;
	if (connect(server, (struct sockaddr *)&at, sizeof at))
		_exit(1);
	struct pollfd both[] = {{.fd = client, .events = POLLIN}, {.fd = server, .events = POLLIN}};
	while (poll(both, 2, -1) > 0) {
		if (both[1].revents && !pass(server, client, buffer, &n))
			return;
		if (!both[0].revents)
			continue;
		if (is_next && order->when == CUT_BEFORE) {
			order->when = CUT_NEVER;
			return;
		}
		if (!pass(client, server, buffer, &n))
			return;
		if (is_next && order->when == CUT_AFTER) {
			order->when = CUT_NEVER;
			n = recv(server, buffer, BUFFER, 0); /* done, and nobody hears of it */
			return;
		}
		is_next = order->when != CUT_NEVER &&
			  memmem(buffer, (size_t)n, order->statement, strlen(order->statement));
	}
}

static void accept_all(int listener, const char *server_path, struct cut_order *order)
{
	for (;;) {
		int client = accept4(listener, NULL, NULL, SOCK_CLOEXEC);
		pid_t parent = getpid();
		if (client >= 0 && fork() == 0) {
			if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
				_exit(1);
			serve(client, server_path, order);
			_exit(0);
		}
		close(client);
	}
}

void cut_proxy_start(struct cut_proxy *proxy, const char *folder, const char *server_socket)
{
	snprintf(proxy->socket, sizeof proxy->socket, "%s/cut.sock", folder);
	proxy->order = mmap(NULL, sizeof *proxy->order, PROT_READ | PROT_WRITE,
		MAP_SHARED | MAP_ANONYMOUS, -1, 0);
	struct sockaddr_un at = address(proxy->socket);
	int listener = socket(AF_UNIX, SOCK_STREAM | SOCK_CLOEXEC, 0);
	unlink(proxy->socket);
	if (proxy->order == MAP_FAILED || bind(listener, (struct sockaddr *)&at, sizeof at) ||
		listen(listener, 8))
		abort();
	pid_t parent = getpid();
	proxy->pid = fork();
	if (proxy->pid == 0) {
		signal(SIGCHLD, SIG_IGN);
		if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
			_exit(1);
		accept_all(listener, server_socket, proxy->order);
	}
	close(listener);
}

void cut_proxy_at(struct cut_proxy *proxy, const char *statement, enum cut_when when)
{
	snprintf(proxy->order->statement, sizeof proxy->order->statement, "%s", statement);
	proxy->order->when = (int)when;
}

void cut_proxy_stop(struct cut_proxy *proxy)
{
	kill(proxy->pid, SIGKILL);
	waitpid(proxy->pid, NULL, 0);
	munmap(proxy->order, sizeof *proxy->order);
	unlink(proxy->socket);
}
