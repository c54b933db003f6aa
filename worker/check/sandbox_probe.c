/*
 * Tries the sandbox once at start: does it run a command, and does it refuse the network? Called by
 * the worker's start, --check-config and airunnerctl.
 */
#define _GNU_SOURCE
#include <netinet/in.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <unistd.h>

#include "lib/mem.h"
#include "worker/check/process.h"
#include "worker/check/sandbox.h"

#define PROBE_MS 15000
#define REACHED 9

/* A listener of ours on loopback, so that "refused" cannot mean "nobody there". */
static int listener(int *ret_port)
{
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
	if (fd >= 0 && (bind(fd, (struct sockaddr *)&at, len) != 0 || listen(fd, 1) != 0 ||
			       getsockname(fd, (struct sockaddr *)&at, &len) != 0)) {
		close(fd);
		return -1;
	}
	*ret_port = ntohs(at.sin_port);
	return fd;
}

static err_t describe(char *ret_text, size_t size)
{
	const char *const argv[] = {"/usr/bin/bwrap", "--version", NULL}, *const none[] = {NULL};
	struct process_spec spec = {
		.argv = argv, .envp = none, .timeout_ms = PROBE_MS, .max_output = 100};
	AUTO(process_result_release) struct process_result p;
	err_t e = process_run(&spec, &p);
	if (e)
		return e;
	snprintf(ret_text, size, "%.*s, user namespace", (int)strcspn(p.output.data, "\n"),
		p.output.data);
	return NULL;
}

static err_t probe(struct sandbox *sandbox, int port, char *ret_text, size_t size)
{
	autofree char *script =
		xasprintf("for a in 127.0.0.1/%d 192.0.2.1/80; do (exec 3<>/dev/tcp/$a) "
			  "2>/dev/null && exit %d; done; "
			  "getent hosts example.com >/dev/null 2>&1 && exit %d; true",
			port, REACHED, REACHED);
	const char *const argv[] = {"/bin/bash", "-c", script, NULL};
	struct sandbox_command command = {
		.argv = argv, .timeout_ms = PROBE_MS, .read_only_tree = true};
	AUTO(sandbox_result_release) struct sandbox_result result;
	ERR_TRY(sandbox_run(sandbox, &command, &result));
	if (result.exit_code == REACHED)
		return err_new(ERR_SANDBOX, "the sandbox does not keep commands from the network");
	if (result.exit_code != 0)
		return err_new(ERR_SANDBOX, "a trial command in the sandbox ended with %d%s%s",
			result.exit_code, *result.limit ? " after " : "", result.limit);
	return describe(ret_text, size);
}

err_t sandbox_probe(const struct settings *set, char *ret_text, size_t size)
{
	char dir[] = "/tmp/airunner-probe-XXXXXX";
	if (!mkdtemp(dir))
		return err_errno("folder for a trial of the sandbox");
	int port = 0;
	int fd = listener(&port);
	err_t e = fd < 0 ? err_errno("socket for a trial of the sandbox") : NULL;
	struct sandbox *sandbox = NULL;
	if (!e)
		e = sandbox_open(set, dir, &sandbox);
	if (!e)
		e = probe(sandbox, port, ret_text, size);
	sandbox_close(sandbox);
	if (fd >= 0)
		close(fd);
	rmdir(dir);
	return e;
}
