/* The parent of the handler processes. Called by app.c. */
#define _GNU_SOURCE
#include "cgi/prefork.h"

#include <errno.h>
#include <signal.h>
#include <stdbool.h>
#include <stdlib.h>
#include <string.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include "lib/log.h"

#define STOP_WAIT_MS 900
#define FAILED_WAIT_MS 1000

struct pool {
	pid_t pids[PREFORK_MAX]; /* 0: free place */
	int count;
	bool failed; /* the last process to leave did not leave in order */
	int (*work)(void *arg);
	void *arg;
};

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

static void watched_signals(sigset_t *ret_set)
{
	static const int signals[] = {SIGTERM, SIGINT, SIGHUP, SIGCHLD};
	sigemptyset(ret_set);
	for (size_t i = 0; i < sizeof signals / sizeof *signals; i++)
		sigaddset(ret_set, signals[i]);
}

static pid_t fork_one(struct pool *pool)
{
	pid_t parent = getpid();
	pid_t pid = fork();
	if (pid != 0)
		return pid;
	if (prctl(PR_SET_PDEATHSIG, SIGTERM) || getppid() != parent)
		_exit(1);
	exit(pool->work(pool->arg));
}

static void fill(struct pool *pool)
{
	for (int i = 0; i < pool->count; i++) {
		if (pool->pids[i])
			continue;
		pid_t pid = fork_one(pool);
		if (pid < 0) {
			log_error("no handler process can be made: %s", strerror(errno));
			pool->failed = true;
			return;
		}
		pool->pids[i] = pid;
	}
}

static int alive(const struct pool *pool)
{
	int n = 0;
	for (int i = 0; i < pool->count; i++)
		n += pool->pids[i] != 0;
	return n;
}

static void reap(struct pool *pool)
{
	int status;
	for (pid_t pid; (pid = waitpid(-1, &status, WNOHANG)) > 0;) {
		for (int i = 0; i < pool->count; i++) {
			if (pool->pids[i] == pid)
				pool->pids[i] = 0;
		}
		if (WIFEXITED(status) && WEXITSTATUS(status) == 0)
			continue;
		pool->failed = true;
		if (WIFSIGNALED(status))
			log_error(
				"handler process %d died by signal %d", (int)pid, WTERMSIG(status));
		else
			log_error("handler process %d left with status %d", (int)pid,
				WEXITSTATUS(status));
	}
}

static void signal_all(const struct pool *pool, int signal_number)
{
	for (int i = 0; i < pool->count; i++) {
		if (pool->pids[i])
			kill(pool->pids[i], signal_number);
	}
}

/* @return the signal, 0 when none came in time (wait_ms < 0: for ever) */
static int wait_signal(const sigset_t *set, int64_t wait_ms)
{
	struct timespec t = {.tv_sec = wait_ms / 1000, .tv_nsec = wait_ms % 1000 * 1000000};
	int got = wait_ms < 0 ? sigwaitinfo(set, NULL) : sigtimedwait(set, NULL, &t);
	return got > 0 ? got : 0;
}

static void stop(struct pool *pool, const sigset_t *set)
{
	int64_t deadline = now_ms() + STOP_WAIT_MS;
	signal_all(pool, SIGTERM);
	for (reap(pool); alive(pool) && now_ms() < deadline; reap(pool))
		wait_signal(set, deadline - now_ms() > 0 ? deadline - now_ms() : 0);
	if (alive(pool)) {
		log_warning("%d handler processes did not stop in time", alive(pool));
		signal_all(pool, SIGKILL);
	}
	while (alive(pool) && (waitpid(-1, NULL, 0) > 0 || errno == EINTR))
		continue;
}

int prefork_run(int count, int (*work)(void *arg), void *arg)
{
	struct pool pool = {.work = work, .arg = arg};
	pool.count = count < 1 ? 1 : count > PREFORK_MAX ? PREFORK_MAX : count;
	sigset_t set;
	watched_signals(&set);
	sigprocmask(SIG_BLOCK, &set, NULL);
	for (;;) {
		/* a pool whose processes fail at once must not become a busy loop */
		if (!pool.failed)
			fill(&pool);
		int got = wait_signal(&set, pool.failed ? FAILED_WAIT_MS : -1);
		if (got == 0)
			pool.failed = false;
		if (got == SIGTERM || got == SIGINT)
			break;
		if (got == SIGHUP) {
			err_t e = log_reopen();
			if (e)
				log_error("%s", err_text(e));
			signal_all(&pool, SIGTERM);
		}
		reap(&pool);
	}
	stop(&pool, &set);
	return 0;
}
