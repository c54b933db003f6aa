/*
 * One child process from start to end: started with nothing but what the spec names (clean
 * environment, /dev/null as input, descriptors 0-2, 3 = status pipe, 4 … = spec->fds), read until
 * it ends, its time is over, it writes far too much, or `alive` objects; then killed and reaped.
 * Written for bwrap, whose status pipe (--json-status-fd 3) names the pid of the sandbox's init:
 * when that is gone, the kernel has ended every process of the sandbox.
 */
#ifndef AIRUNNER_PROCESS_H
#define AIRUNNER_PROCESS_H

#include <stdint.h>
#include <sys/resource.h>

#include "lib/buf.h"
#include "worker/http.h"

/** A growing list of strings, NULL-terminated: argv and envp. */
struct strv {
	char **items; /* owned; NULL while empty */
	size_t count;
};

void strv_add(struct strv *v, const char *fmt, ...) __attribute__((format(printf, 2, 3)));
void strv_release(struct strv *v);

struct process_limit {
	int resource; /* RLIMIT_… */
	rlim_t value; /* soft and hard */
};

struct process_spec {
	const char *const *argv; /* argv[0] is an absolute path */
	const char *const *envp;
	const struct process_limit *limits;
	size_t limit_count;
	const int *fds; /* given to the child as 4, 5, …; stay the caller's */
	size_t fd_count;
	int64_t timeout_ms;
	size_t max_output;   /* bytes kept; more is read and thrown away */
	uint64_t kill_bytes; /* a process that writes more than this is killed */
	http_alive_fn alive; /* asked about four times a second, may be NULL */
	void *alive_arg;
};

struct process_result {
	int exit_code; /* 128 + signal when killed by one */
	bool timed_out;
	bool flooded; /* killed for kill_bytes */
	int64_t ms;
	struct buf output; /* stdout and stderr as they came; output.cut when it did not fit */
	struct buf status; /* what came through descriptor 3 */
};

/** @return ERR_IO (no process, no pipe), what alive returned; a command's failure is a result */
err_t process_run(const struct process_spec *spec, struct process_result *ret_result);
void process_result_release(struct process_result *result);

/** CLOCK_MONOTONIC in milliseconds. */
int64_t process_now_ms(void);

#endif
