/*
 * A proxy between a test and MariaDB that breaks the connection at one statement: before the server
 * has it, or when the server has answered and the answer was not passed on.
 */
#ifndef AIRUNNER_TEST_CUT_PROXY_H
#define AIRUNNER_TEST_CUT_PROXY_H

#include <stdatomic.h>
#include <sys/types.h>

enum cut_when { CUT_NEVER, CUT_BEFORE, CUT_AFTER };

struct cut_proxy {
	char socket[108]; /* where it listens: for AIRUNNER_DB_SOCKET */
	pid_t pid;
	struct cut_order {
		atomic_int when;    /* CUT_NEVER again when it was carried out */
		char statement[64]; /* part of the text of the statement */
	} * order;                  /* shared with the proxy's processes */
};

/** Starts it in a folder, before the server at server_socket. */
void cut_proxy_start(struct cut_proxy *proxy, const char *folder, const char *server_socket);

/** Breaks the connection at the next first use of a statement with this text. */
void cut_proxy_at(struct cut_proxy *proxy, const char *statement, enum cut_when when);
void cut_proxy_stop(struct cut_proxy *proxy);

#endif
