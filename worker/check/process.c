/*
 * Starts a process, reads it to its end or kills it. Called by worker/check/sandbox.c only; knows
 * nothing of what runs, but that the status pipe may name the pid of a pid namespace's init.
 */
#define _GNU_SOURCE
#include "worker/check/process.h"

#include <errno.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <sys/pidfd.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/mem.h"

#define POLL_MS 250
#define GRACE_MS 2000 /* for the kernel to end a killed namespace */
#define STATUS_MAX 8192
#define FD_ASIDE 64 /* descriptors are moved above this before they get their numbers */

struct child {
	pid_t pid;
	int pid_fd;
	int init_fd; /* the sandbox's init, once the status pipe has named it, else -1 */
	int out_fd;
	int status_fd;
	uint64_t written;
	bool exited;
};

int64_t process_now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_MONOTONIC, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000;
}

void strv_add(struct strv *v, const char *fmt, ...)
{
	char *text;
	va_list ap;
	va_start(ap, fmt);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	va_end(ap);
	v->items = xrealloc(v->items, (v->count + 2) * sizeof *v->items);
	v->items[v->count++] = text;
	v->items[v->count] = NULL;
}

void strv_release(struct strv *v)
{
	for (size_t i = 0; i < v->count; i++)
		free(v->items[i]);
	free(v->items);
	*v = (struct strv){0};
}

void process_result_release(struct process_result *result)
{
	buf_release(&result->output);
	buf_release(&result->status);
}

static void close_fd(int *fd)
{
	if (*fd >= 0)
		close(*fd);
	*fd = -1;
}

/* Runs in the child after fork: async-signal-safe calls only. */
static _Noreturn void become(const struct process_spec *spec, int out_fd, int status_fd)
{
	prctl(PR_SET_PDEATHSIG, SIGKILL);
	sigset_t none;
	sigemptyset(&none);
	sigprocmask(SIG_SETMASK, &none, NULL);
	for (int s = 1; s < NSIG; s++)
		signal(s, SIG_DFL);
	int null_fd = open("/dev/null", O_RDONLY);
	int from[4 + 8] = {null_fd, out_fd, out_fd, status_fd};
	size_t count = 4;
	for (size_t i = 0; i < spec->fd_count && count < ARRAY_LEN(from); i++)
		from[count++] = spec->fds[i];
	for (size_t i = 0; i < count; i++)
		from[i] = fcntl(from[i], F_DUPFD, FD_ASIDE);
	for (size_t i = 0; i < count; i++)
		if (from[i] < 0 || dup2(from[i], (int)i) < 0)
			_exit(125);
	close_range((unsigned)count, ~0U, 0);
	for (size_t i = 0; i < spec->limit_count; i++) {
		struct rlimit now, want = {spec->limits[i].value, spec->limits[i].value};
		if (getrlimit((__rlimit_resource_t)spec->limits[i].resource, &now) == 0 &&
			now.rlim_max < want.rlim_max)
			want.rlim_cur = want.rlim_max = now.rlim_max;
		if (setrlimit((__rlimit_resource_t)spec->limits[i].resource, &want) != 0)
			_exit(125);
	}
	execve(spec->argv[0], (char *const *)spec->argv, (char *const *)spec->envp);
	_exit(126);
}

static err_t start(const struct process_spec *spec, struct child *child)
{
	int out[2] = {-1, -1}, status[2] = {-1, -1};
	err_t e = NULL;
	if (pipe2(out, O_CLOEXEC) != 0 || pipe2(status, O_CLOEXEC) != 0)
		e = err_errno("pipe for %s", spec->argv[0]);
	pid_t pid = e ? -1 : fork();
	if (pid == 0)
		become(spec, out[1], status[1]);
	if (!e && pid < 0)
		e = err_errno("start %s", spec->argv[0]);
	close_fd(&out[1]);
	close_fd(&status[1]);
	if (e) {
		close_fd(&out[0]);
		close_fd(&status[0]);
		return e;
	}
	fcntl(out[0], F_SETFL, O_NONBLOCK);
	fcntl(status[0], F_SETFL, O_NONBLOCK);
	*child = (struct child){.pid = pid,
		.pid_fd = pidfd_open(pid, 0),
		.init_fd = -1,
		.out_fd = out[0],
		.status_fd = status[0]};
	return NULL;
}

/* Reads what is there, at most a few pieces so that the clock is looked at in between. */
static void drain(int *fd, struct buf *into, uint64_t *written)
{
	char piece[65536];
	for (int i = 0; *fd >= 0 && i < 16; i++) {
		ssize_t n = read(*fd, piece, sizeof piece);
		if (n > 0) {
			buf_add(into, piece, (size_t)n);
			*written += (uint64_t)n;
		} else if (n == 0 || (errno != EAGAIN && errno != EINTR)) {
			close_fd(fd);
		} else {
			return;
		}
	}
}

static void note_init(struct child *child, const struct buf *status)
{
	int pid;
	const char *at = child->init_fd < 0 ? strstr(status->data, "\"child-pid\":") : NULL;
	if (at && sscanf(at, "\"child-pid\": %d", &pid) == 1)
		child->init_fd = pidfd_open(pid, 0);
}

/* Waits at most wait_ms for something to happen and takes it in. */
static void turn(struct child *child, struct process_result *result, int64_t wait_ms)
{
	struct pollfd fds[] = {{child->out_fd, POLLIN, 0}, {child->status_fd, POLLIN, 0},
		{child->exited ? child->init_fd : child->pid_fd, POLLIN, 0}};
	poll(fds, ARRAY_LEN(fds), wait_ms < 0 ? 0 : (int)wait_ms);
	uint64_t unused = 0;
	drain(&child->status_fd, &result->status, &unused);
	note_init(child, &result->status);
	drain(&child->out_fd, &result->output, &child->written);
	if (child->exited && (fds[2].revents & POLLIN))
		close_fd(&child->init_fd);
	int status;
	if (!child->exited && waitpid(child->pid, &status, WNOHANG) == child->pid) {
		child->exited = true;
		result->exit_code =
			WIFSIGNALED(status) ? 128 + WTERMSIG(status) : WEXITSTATUS(status);
	}
}

static void kill_all(struct child *child)
{
	if (child->init_fd >= 0)
		pidfd_send_signal(child->init_fd, SIGKILL, NULL, 0);
	if (!child->exited)
		kill(child->pid, SIGKILL);
}

static err_t watch(
	const struct process_spec *spec, struct child *child, struct process_result *result)
{
	int64_t deadline_ms = process_now_ms() + spec->timeout_ms;
	int64_t asked_ms = process_now_ms();
	while (!child->exited) {
		int64_t left_ms = deadline_ms - process_now_ms();
		turn(child, result, left_ms < POLL_MS ? left_ms : POLL_MS);
		int64_t now_ms = process_now_ms();
		result->timed_out = !child->exited && now_ms >= deadline_ms;
		result->flooded = spec->kill_bytes > 0 && child->written > spec->kill_bytes;
		if (result->timed_out || result->flooded)
			return NULL;
		if (spec->alive && now_ms - asked_ms >= POLL_MS) {
			ERR_TRY(spec->alive(spec->alive_arg));
			asked_ms = process_now_ms();
		}
	}
	return NULL;
}

err_t process_run(const struct process_spec *spec, struct process_result *ret_result)
{
	*ret_result =
		(struct process_result){.output = BUF(spec->max_output), .status = BUF(STATUS_MAX)};
	int64_t began_ms = process_now_ms();
	struct child child;
	ERR_TRY(start(spec, &child));
	err_t e = watch(spec, &child, ret_result);
	kill_all(&child);
	/* A holder of the pipe must not hold us: the wait for the end of all is bounded. */
	int64_t grace_ms = process_now_ms() + GRACE_MS;
	while ((!child.exited || child.init_fd >= 0) && process_now_ms() < grace_ms)
		turn(&child, ret_result, 20);
	if (!child.exited)
		waitpid(child.pid, NULL, 0); /* killed: this ends */
	turn(&child, ret_result, 0);
	close_fd(&child.pid_fd);
	close_fd(&child.init_fd);
	close_fd(&child.out_fd);
	close_fd(&child.status_fd);
	ret_result->ms = process_now_ms() - began_ms;
	return e;
}
