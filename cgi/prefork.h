/* A pool of processes on one listening socket; the parent does nothing but keep it full. */
#ifndef AIRUNNER_CGI_PREFORK_H
#define AIRUNNER_CGI_PREFORK_H

#define PREFORK_MAX 256

/**
 * Keeps count processes running work(arg); one that leaves is replaced (after a second when it
 * failed). SIGTERM and SIGINT end all of them within a second, SIGHUP reopens the log and replaces
 * them. The processes die with the parent. In each of them SIGTERM, SIGINT and SIGHUP are blocked.
 * @return the parent's exit status, after the last process has gone
 */
int prefork_run(int count, int (*work)(void *arg), void *arg);

#endif
