/* The worker's parent process: claims, renews leases, passes on cancellations, reaps. */
#ifndef AIRUNNER_DAEMON_H
#define AIRUNNER_DAEMON_H

#include "worker/repo_config.h"

struct daemon_options {
	const struct settings *set;
	struct repo_configs *repos;
	const char *worker;      /* name */
	const char *program;     /* path of this program, for children */
	char *const *child_args; /* options passed on to children (env file, overrides),
				    NULL-terminated */
	bool once;               /* claim one run, wait for its end, leave */
	int64_t run_id;          /* with once: this run, by hand; 0: the queue's next */
	const char *sandbox;     /* what the sandbox's probe said */
};

/** Runs until SIGTERM or SIGINT. @return exit code */
int daemon_run(const struct daemon_options *options);

#endif
