/* The pool of handler processes: kept full, ended in time, gone with its parent. */
#include <setjmp.h>
#include <stdarg.h>
#include <stddef.h>
#include <stdint.h>
#include <poll.h>
#include <signal.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <time.h>
#include <unistd.h>

#include <cmocka.h>

#include "cgi/prefork.h"
#include "lib/log.h"

#define POOL 3

static int told[2]; /* each process writes its pid here */

static void tell(void)
{
	pid_t pid = getpid();
	if (write(told[1], &pid, sizeof pid) != sizeof pid)
		_exit(3);
}

/* Ends on SIGTERM, as a handler does. */
static int work_well(void *arg)
{
	(void)arg;
	sigset_t set;
	sigemptyset(&set);
	sigaddset(&set, SIGTERM);
	tell();
	sigwaitinfo(&set, NULL);
	return 0;
}

static int work_deaf(void *arg)
{
	(void)arg;
	tell(); /* SIGTERM is blocked and never looked at */
	while (pause())
		continue;
	return 0;
}

static int work_once(void *arg)
{
	(void)arg;
	tell();
	return 0;
}

static int work_never(void *arg)
{
	(void)arg;
	tell();
	return 1;
}

static pid_t start(int (*work)(void *arg))
{
	assert_int_equal(pipe(told), 0);
	pid_t pid = fork();
	if (pid == 0) {
		close(told[0]);
		prctl(PR_SET_PDEATHSIG, SIGKILL); /* a failed test leaves no pool behind */
		_exit(prefork_run(POOL, work, NULL));
	}
	close(told[1]);
	return pid;
}

/* The next pid told within wait_ms, 0 when there is none. */
static pid_t heard(int wait_ms)
{
	pid_t pid = 0;
	struct pollfd fd = {.fd = told[0], .events = POLLIN};
	if (poll(&fd, 1, wait_ms) != 1 || read(told[0], &pid, sizeof pid) != sizeof pid)
		return 0;
	return pid;
}

static int64_t now_ms(void)
{
	struct timespec t;
	clock_gettime(CLOCK_MONOTONIC, &t);
	return (int64_t)t.tv_sec * 1000 + t.tv_nsec / 1000000;
}

/* Milliseconds until the parent has ended in order. */
static int64_t stop(pid_t parent)
{
	int status;
	int64_t from = now_ms();
	kill(parent, SIGTERM);
	assert_int_equal(waitpid(parent, &status, 0), parent);
	assert_true(WIFEXITED(status) && WEXITSTATUS(status) == 0);
	close(told[0]);
	return now_ms() - from;
}

static void one_that_leaves_is_replaced(void **state)
{
	(void)state;
	pid_t parent = start(work_well), pids[POOL];
	for (int i = 0; i < POOL; i++)
		assert_true((pids[i] = heard(2000)) > 0);
	assert_int_equal(heard(200), 0); /* no more than that */
	kill(pids[1], SIGTERM);
	assert_true(heard(500) > 0);
	kill(pids[2], SIGKILL);
	assert_true(heard(3000) > 0);
	assert_in_range(stop(parent), 0, 500);
	for (int i = 0; i < POOL; i++)
		assert_int_equal(kill(pids[i], 0), -1);
}

static void hangup_replaces_all(void **state)
{
	(void)state;
	pid_t parent = start(work_well), before[POOL];
	for (int i = 0; i < POOL; i++)
		assert_true((before[i] = heard(2000)) > 0);
	kill(parent, SIGHUP);
	for (int i = 0; i < POOL; i++) {
		pid_t pid = heard(2000);
		assert_true(pid > 0 && pid != before[0] && pid != before[1] && pid != before[2]);
	}
	stop(parent);
}

static void deaf_processes_are_ended_within_a_second(void **state)
{
	(void)state;
	pid_t parent = start(work_deaf);
	for (int i = 0; i < POOL; i++)
		assert_true(heard(2000) > 0);
	assert_in_range(stop(parent), 800, 1300);
}

static void processes_that_left_in_order_are_replaced_at_once(void **state)
{
	(void)state;
	pid_t parent = start(work_once);
	for (int i = 0; i < 10 * POOL; i++)
		assert_true(heard(1000) > 0);
	stop(parent);
}

static void processes_that_fail_at_once_make_no_busy_loop(void **state)
{
	(void)state;
	int count = 0;
	pid_t parent = start(work_never);
	for (int64_t end = now_ms() + 1500; now_ms() < end;)
		count += heard(100) > 0;
	assert_in_range(count, POOL, 3 * POOL);
	stop(parent);
}

static void the_processes_die_with_the_parent(void **state)
{
	(void)state;
	/* orphans come to this process, so that their end can be seen */
	assert_int_equal(prctl(PR_SET_CHILD_SUBREAPER, 1), 0);
	pid_t parent = start(work_well);
	for (int i = 0; i < POOL; i++)
		assert_true(heard(2000) > 0);
	kill(parent, SIGKILL);
	int64_t end = now_ms() + 2000;
	int ended = 0;
	while (ended < POOL + 1 && now_ms() < end) {
		pid_t pid = waitpid(-1, NULL, WNOHANG);
		ended += pid > 0;
		if (pid == 0)
			poll(NULL, 0, 5);
	}
	close(told[0]);
	assert_int_equal(ended, POOL + 1);
}

static int quiet(void **state)
{
	(void)state;
	return log_open(&(struct log_options){.level = LOG_CRITICAL_, .logger = "test"}) != NULL;
}

int main(void)
{
	const struct CMUnitTest tests[] = {
		cmocka_unit_test(one_that_leaves_is_replaced),
		cmocka_unit_test(hangup_replaces_all),
		cmocka_unit_test(deaf_processes_are_ended_within_a_second),
		cmocka_unit_test(processes_that_left_in_order_are_replaced_at_once),
		cmocka_unit_test(processes_that_fail_at_once_make_no_busy_loop),
		cmocka_unit_test(the_processes_die_with_the_parent),
	};
	return cmocka_run_group_tests_name("prefork", tests, quiet, NULL);
}
