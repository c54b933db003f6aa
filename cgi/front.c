/*
 * Feeds requests to app_answer(). Called by app.c, in each process of the pool or once. libfcgi
 * swallows SIGTERM and blocks in accept (facts/performance.md, traps 2 and 3), so the wait for a
 * connection is ours: ppoll() with the signals let in, then a non-blocking accept.
 */
#define _GNU_SOURCE
#include "cgi/front.h"

#include <errno.h>
#include <fcgiapp.h>
#include <fcntl.h>
#include <poll.h>
#include <signal.h>
#include <stdio.h>
#include <string.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/mem.h"

#define ACCEPT_FAILURES_MAX 100
#define ANSWER_MAX (RESPONSE_BODY_MAX + (64 << 10))

extern char **environ;

static volatile sig_atomic_t stop_requested;

static void on_stop(int signal_number)
{
	(void)signal_number;
	stop_requested = 1;
}

bool front_is_cgi(void)
{
	return FCGX_IsCGI();
}

static void answer_request(struct app *app, char *const *env, request_read_fn read_fn, void *arg,
	bool is_shell, struct buf *out)
{
	AUTO(request_release) struct request req;
	AUTO(response_release) struct response res;
	request_begin(&req, env);
	response_begin(&res);
	req.from_shell = is_shell && !*req.remote_addr && !request_env(&req, "GATEWAY_INTERFACE");
	err_t e = request_read_body(&req, read_fn, arg);
	app_answer(app, &req, e, &res);
	response_write(&res, req.head_only, out);
}

static int read_stdin(void *arg, char *p, int n)
{
	(void)arg;
	return (int)read(STDIN_FILENO, p, (size_t)n);
}

int front_cgi(struct app *app)
{
	AUTO(buf_release) struct buf out = BUF(ANSWER_MAX);
	answer_request(app, environ, read_stdin, NULL, true, &out);
	return fwrite(out.data, 1, out.len, stdout) == out.len && fflush(stdout) == 0 ? 0 : 1;
}

static int read_fastcgi(void *arg, char *p, int n)
{
	return FCGX_GetStr(p, n, arg);
}

static void answer_fastcgi(struct app *app, FCGX_Request *fcgi)
{
	AUTO(buf_release) struct buf out = BUF(ANSWER_MAX);
	answer_request(app, fcgi->envp, read_fastcgi, fcgi->in, false, &out);
	if (FCGX_PutStr(out.data, (int)out.len, fcgi->out) != (int)out.len)
		log_info("the answer could not be sent: nginx has closed the connection");
	FCGX_Finish_r(fcgi);
}

/* libfcgi's own handlers are replaced; without SA_RESTART, so that ppoll() ends. */
static void prepare_signals(sigset_t *ret_waiting)
{
	struct sigaction action = {.sa_handler = on_stop};
	sigemptyset(&action.sa_mask);
	sigaction(SIGTERM, &action, NULL);
	sigaction(SIGINT, &action, NULL);
	sigprocmask(SIG_SETMASK, NULL, ret_waiting);
	sigdelset(ret_waiting, SIGTERM);
	sigdelset(ret_waiting, SIGINT);
}

/* @return 1 a connection waits, 0 look again (a signal), -1 give up */
static int wait_connection(const sigset_t *waiting)
{
	struct pollfd listener = {.fd = STDIN_FILENO, .events = POLLIN};
	int n = ppoll(&listener, 1, NULL, waiting);
	if (n < 0 && errno != EINTR)
		return -1;
	if (n > 0 && (listener.revents & (POLLERR | POLLNVAL | POLLHUP)))
		return -1;
	return n > 0;
}

static bool init(FCGX_Request *fcgi)
{
	int flags = fcntl(STDIN_FILENO, F_GETFL);
	return FCGX_Init() == 0 &&
	       FCGX_InitRequest(fcgi, STDIN_FILENO, FCGI_FAIL_ACCEPT_ON_INTR) == 0 && flags >= 0 &&
	       fcntl(STDIN_FILENO, F_SETFL, flags | O_NONBLOCK) == 0;
}

int front_fastcgi(struct app *app, int64_t max_requests)
{
	FCGX_Request fcgi;
	sigset_t waiting;
	if (!init(&fcgi)) {
		log_error("FastCGI cannot begin on descriptor 0: %s", strerror(errno));
		return 1;
	}
	prepare_signals(&waiting);
	int failures = 0;
	for (int64_t served = 0; !stop_requested && served < max_requests;) {
		int ready = wait_connection(&waiting);
		if (ready < 0 || failures > ACCEPT_FAILURES_MAX) {
			log_error("no connection can be taken from descriptor 0: %s",
				strerror(errno));
			return 1;
		}
		if (ready == 0)
			continue;
		int got = FCGX_Accept_r(&fcgi); /* another process may have been quicker */
		if (got < 0) {
			failures += got != -EAGAIN && got != -EINTR;
			continue;
		}
		failures = 0;
		served++;
		answer_fastcgi(app, &fcgi);
	}
	FCGX_Free(&fcgi, 1);
	return 0;
}
