/* Kill points of test builds. Reached by FAULT_POINT() in the steps, the agent and the outbox. */
#include "worker/fault.h"

#ifdef AIRUNNER_FAULTS
#include <fcntl.h>
#include <signal.h>
#include <stdarg.h>
#include <stdbool.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/buf.h"
#include "lib/mem.h"
#include "lib/text.h"

static struct {
	char at[128];
	bool waits; /* there, instead of being killed */
	long left;  /* passings until then */
	char trace[512];
	char file[512]; /* to be removed before the kill; empty: none */
	char rest[512]; /* what stays of it */
} fault;

static void read_order(const char *order)
{
	const char *colon = strrchr(order, ':');
	if (text_starts(order, "trace@")) {
		snprintf(fault.trace, sizeof fault.trace, "%s", order + strlen("trace@"));
	} else if ((text_starts(order, "kill@") || text_starts(order, "wait@")) && colon) {
		fault.waits = text_starts(order, "wait@");
		snprintf(fault.at, sizeof fault.at, "%.*s", (int)(colon - order - 5), order + 5);
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

/* Says that it is there, and waits for a signal; one that comes in between is not missed. */
static void wait_there(void)
{
	autofree char *said = xasprintf("%s.waits", fault.file);
	sigset_t term, before;
	sigemptyset(&term);
	sigaddset(&term, SIGTERM);
	sigprocmask(SIG_BLOCK, &term, &before);
	int fd = open(said, O_WRONLY | O_CREAT | O_CLOEXEC, 0600);
	if (fd < 0)
		abort();
	close(fd);
	sigsuspend(&before);
	sigprocmask(SIG_SETMASK, &before, NULL);
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
	if (!*fault.at || strcmp(name, fault.at) != 0 || fault.left-- != 1)
		return;
	shorten_file();
	if (fault.waits)
		wait_there();
	else
		raise(SIGKILL);
}
#endif
