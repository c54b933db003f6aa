/* Kill points of test builds. Reached by FAULT_POINT() in the steps, the agent and the outbox. */
#include "worker/fault.h"

#ifdef AIRUNNER_FAULTS
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/text.h"

static struct {
	char kill_at[128];
	long left; /* passings until the kill */
	char trace[512];
	char file[512]; /* to be removed before the kill; empty: none */
	char rest[512]; /* what stays of it */
} fault;

static void read_order(const char *order)
{
	const char *colon = strrchr(order, ':');
	if (text_starts(order, "trace@")) {
		snprintf(fault.trace, sizeof fault.trace, "%s", order + strlen("trace@"));
	} else if (text_starts(order, "kill@") && colon) {
		snprintf(fault.kill_at, sizeof fault.kill_at, "%.*s", (int)(colon - order - 5),
			order + 5);
		fault.left = atol(colon + 1);
	}
}

void fault_start(const char *issue_key)
{
	const char *order = getenv("AIRUNNER_FAULT");
	if (!order)
		return;
	if (!text_starts(order, "dir@")) {
		read_order(order);
		return;
	}
	AUTO(buf_release) struct buf text = BUF(1024);
	snprintf(fault.file, sizeof fault.file, "%s/%s", order + strlen("dir@"), issue_key);
	if (buf_read_file(&text, fault.file))
		return;
	size_t line = strcspn(text.data, "\n");
	snprintf(fault.rest, sizeof fault.rest, "%s", text.data + line + (text.data[line] == '\n'));
	text.data[line] = '\0';
	read_order(text.data);
}

int64_t fault_ms(const char *name, int64_t ms)
{
	const char *at = getenv("AIRUNNER_FAULT_MS");
	size_t n = strlen(name);
	for (; at && *at; at += strcspn(at, ","), at += *at == ',')
		if (strncmp(at, name, n) == 0 && at[n] == ':')
			return atoll(at + n + 1);
	return ms;
}

static void note(const char *name)
{
	int fd = open(fault.trace, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	dprintf(fd, "%s\n", name);
	close(fd);
}

static void shorten_file(void)
{
	AUTO(buf_release) struct buf rest = BUF(sizeof fault.rest);
	buf_adds(&rest, fault.rest);
	if (*fault.file && (*fault.rest ? buf_write_file(&rest, fault.file, 0600) != NULL
					: unlink(fault.file) != 0))
		abort();
}

void fault_point(const char *fmt, ...)
{
	char name[128];
	va_list ap;
	va_start(ap, fmt);
	vsnprintf(name, sizeof name, fmt, ap);
	va_end(ap);
	if (*fault.trace)
		note(name);
	if (!*fault.kill_at || strcmp(name, fault.kill_at) != 0 || --fault.left > 0)
		return;
	shorten_file();
	raise(SIGKILL);
}
#endif
