/* Starting, killing and reaping the daemon's processes. Called by the daemon only. */
#include "worker/children.h"

#include <errno.h>
#include <fcntl.h>
#include <signal.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "lib/mem.h"

#define ARGS_MAX 80 /* more than the command line of the daemon takes */

/* In the child: nothing but async-signal-safe calls before exec. */
static void become_run(const char *program, char *const *argv, pid_t parent, int lease_fd)
{
	setpgid(0, 0);
	if (lease_fd >= 0)
		fcntl(lease_fd, F_SETFD, 0);
	if (prctl(PR_SET_PDEATHSIG, SIGKILL) || getppid() != parent)
		_exit(125);
	signal(SIGPIPE, SIG_DFL);
	execv(program, argv);
	_exit(126);
}

/* argv has room for ARGS_MAX; what the options pass on is added to its first n. */
static err_t start(struct children *children, const struct daemon_options *options, char **argv,
	size_t n, const struct child *as)
{
	for (size_t i = 0; options->child_args[i] && n + 1 < ARGS_MAX; i++)
		argv[n++] = options->child_args[i];
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid < 0)
		return err_errno("fork");
	if (pid == 0)
		become_run(
			options->program, argv, parent, as->lease.renewed_ms ? as->lease.fd : -1);
	setpgid(pid, pid);
	children->items =
		xrealloc(children->items, (children->count + 1) * sizeof *children->items);
	children->items[children->count] = *as;
	children->items[children->count++].pid = pid;
	return NULL;
}

err_t children_start(struct children *children, const struct daemon_options *options,
	const struct run *run, int64_t claimed_ms)
{
	char id[24], fence[24], lease[24];
	struct child child = {.run_id = run->id, .fence = run->fence, .repo_id = run->repo_id};
	ERR_TRY(lease_note_open(&child.lease, claimed_ms));
	snprintf(lease, sizeof lease, "%d", child.lease.fd);
	snprintf(id, sizeof id, "%lld", (long long)run->id);
	snprintf(fence, sizeof fence, "%lld", (long long)run->fence);
	char *argv[ARGS_MAX] = {
		(char *)options->program, "--run", id, "--fence", fence, "--lease", lease};
	err_t e = start(children, options, argv, 7, &child);
	if (e)
		lease_note_close(&child.lease);
	return e;
}

err_t children_start_helper(
	struct children *children, const struct daemon_options *options, enum child_kind kind)
{
	char *argv[ARGS_MAX] = {
		(char *)options->program, kind == CHILD_RECONCILE ? "--reconcile" : "--drain"};
	return start(children, options, argv, 2, &(struct child){.kind = kind});
}

size_t children_runs(const struct children *children)
{
	size_t count = 0;
	for (size_t i = 0; i < children->count; i++)
		count += children->items[i].kind == CHILD_RUN;
	return count;
}

bool children_work_on(const struct children *children, int64_t run_id, int64_t fence)
{
	for (size_t i = 0; i < children->count; i++)
		if (children->items[i].run_id == run_id && children->items[i].fence == fence)
			return true;
	return false;
}

bool children_any(const struct children *children, enum child_kind kind)
{
	for (size_t i = 0; i < children->count; i++)
		if (children->items[i].kind == kind)
			return true;
	return false;
}

err_t children_adopt(void)
{
	return prctl(PR_SET_CHILD_SUBREAPER, 1) ? err_errno("prctl") : NULL;
}

static bool is_ours(const struct children *children, pid_t pid)
{
	for (size_t i = 0; i < children->count; i++)
		if (children->items[i].pid == pid && !children->items[i].ended)
			return true;
	return false;
}

/* One child of this process that it did not start; 0 when there is none. */
static pid_t find_orphan(const struct children *children)
{
	char path[64];
	snprintf(path, sizeof path, "/proc/self/task/%d/children", (int)getpid());
	FILE *list = fopen(path, "re");
	int pid = 0;
	while (list && fscanf(list, "%d", &pid) == 1 && is_ours(children, pid))
		pid = 0;
	if (list)
		fclose(list);
	return pid;
}

/* The death of one may bring its own children here: until there are none. */
void children_end_orphans(const struct children *children)
{
	pid_t pid;
	while ((pid = find_orphan(children)) > 0) {
		kill(pid, SIGKILL);
		waitpid(pid, NULL, 0);
	}
}

static bool reap(struct child *child)
{
	int status;
	if (child->ended || waitpid(child->pid, &status, WNOHANG) != child->pid)
		return child->ended;
	kill(-child->pid, SIGKILL); /* whatever it left in its group */
	child->ended = true;
	child->killed = WIFSIGNALED(status);
	child->exit_code = WIFEXITED(status) ? WEXITSTATUS(status) : 0;
	snprintf(child->how, sizeof child->how, child->killed ? "signal %d" : "exit code %d",
		child->killed ? WTERMSIG(status) : WEXITSTATUS(status));
	return true;
}

struct child *children_ended(struct children *children)
{
	for (size_t i = 0; i < children->count; i++) {
		if (!reap(&children->items[i]))
			continue;
		children_end_orphans(children);
		return &children->items[i];
	}
	return NULL;
}

void children_remove(struct children *children, struct child *child)
{
	lease_note_close(&child->lease);
	*child = children->items[--children->count];
}

bool children_any_alive(const struct children *children)
{
	for (size_t i = 0; i < children->count; i++)
		if (!children->items[i].ended)
			return true;
	return false;
}

void children_cancel(struct children *children, int64_t run_id)
{
	for (size_t i = 0; i < children->count; i++) {
		if (children->items[i].run_id != run_id || children->items[i].ended)
			continue;
		children->items[i].cancelled = true;
		kill(-children->items[i].pid, SIGKILL);
	}
}

void children_signal(const struct children *children, int signal_number)
{
	for (size_t i = 0; i < children->count; i++) {
		const struct child *child = &children->items[i];
		if (!child->ended)
			kill(signal_number == SIGKILL ? -child->pid : child->pid, signal_number);
	}
}

void children_release(struct children *children)
{
	for (size_t i = 0; i < children->count; i++)
		lease_note_close(&children->items[i].lease);
	free(children->items);
	*children = (struct children){0};
}
