/*
 * Runs commands of the model's or the repository's under bubblewrap: own pid, net (loopback only),
 * ipc, uts and user namespaces, minimal root (/usr read-only …), clean environment, no descriptor
 * but 0-2, limits of time, memory, processes, file size and output; the whole tree is killed at the
 * end. bwrap is executed with an already clean environment (reliability.md 0.6).
 */
#ifndef AIRUNNER_SANDBOX_H
#define AIRUNNER_SANDBOX_H

#include <stdint.h>

#include "lib/buf.h"
#include "lib/settings.h"
#include "worker/http.h"

struct sandbox;

enum sandbox_network {
	SANDBOX_OFFLINE,
	SANDBOX_INSTALL /* the secret-free install step may reach registries */
};

struct sandbox_command {
	const char *const *argv; /* NULL-terminated; argv[0] looked up in the sandbox's PATH */
	const char *cwd;         /* below the work tree, relative; NULL: its top */
	const char *const *env;  /* further "NAME=value", NULL-terminated, may be NULL */
	enum sandbox_network network;
	int64_t timeout_ms;
	size_t max_output; /* head is kept up to it; 0: 2 MiB */
	const char
		*write_dir; /* another folder that may be written (cache), absolute; may be NULL */
	const char *shown_dir; /* a folder that may be read, absolute; NULL: none */
	const char *shown_as;  /* its path inside */
	bool read_only_tree;   /* the work tree cannot be written */
	http_alive_fn alive;   /* asked about four times a second; an error kills and is returned */
	void *alive_arg;
};

struct sandbox_result {
	int exit_code; /* 128 + signal when killed by one */
	bool timed_out;
	bool output_cut;
	char limit[32]; /* which limit ended it, for people: "60 s", "256 MiB of output"; "": none
			 */
	int64_t ms;
	struct buf output; /* stdout and stderr as they came */
};

/**
 * tree_path is mounted read-write at the same path; its .git is read-only.
 * @return ERR_SANDBOX when run as root (limits of processes do not bind it) or without bwrap
 */
err_t sandbox_open(const struct settings *set, const char *tree_path, struct sandbox **ret_sandbox);
void sandbox_close(struct sandbox *sandbox);

/**
 * Runs a command to its end. stdin is /dev/null; HOME is /tmp/home, /tmp is empty and goes with the
 * command. A command that does not exist ends with 127.
 * @return ERR_SANDBOX (cannot be set up), what alive returned; a command's failure is a result, not
 * an error. ret_result is to be released in every case
 */
err_t sandbox_run(struct sandbox *sandbox, const struct sandbox_command *command,
	struct sandbox_result *ret_result);
void sandbox_result_release(struct sandbox_result *result);

/** Probes at start whether the sandbox works and refuses the network. @param ret_text e.g.
 * "bubblewrap 0.8.0, user namespace" */
err_t sandbox_probe(const struct settings *set, char *ret_text, size_t size);

#endif
