/*
 * The stand-in for Jira, GitHub, Anthropic and OpenAI: `standin --config FILE.json --port-file F`.
 * One port on 127.0.0.1 serves all by path prefix; README.md beside this file says what is where.
 */
#define _GNU_SOURCE
#include <getopt.h>
#include <git2.h>
#include <signal.h>
#include <stdbool.h>
#include <stdio.h>
#include <sys/prctl.h>
#include <unistd.h>

#include "lib/mem.h"
#include "tests/standin/http.h"
#include "tests/standin/script.h"
#include "tests/standin/webhook.h"
#include "tests/standin/jira.h"
#include "tests/standin/world.h"

struct options {
	const char *config;
	const char *port_file;
	int port;
	bool die_with_parent;
};

static const char usage[] =
	"usage: standin --config FILE.json [--port N] [--port-file FILE] [--die-with-parent]\n";

static bool parse(int argc, char **argv, struct options *o)
{
	static const struct option longs[] = {
		{"config", required_argument, NULL, 'c'},
		{"port", required_argument, NULL, 'p'},
		{"port-file", required_argument, NULL, 'f'},
		{"die-with-parent", no_argument, NULL, 'd'},
		{NULL},
	};
	int c;
	while ((c = getopt_long(argc, argv, "c:p:f:d", longs, NULL)) != -1) {
		switch (c) {
		case 'c':
			o->config = optarg;
			break;
		case 'p':
			o->port = atoi(optarg);
			break;
		case 'f':
			o->port_file = optarg;
			break;
		case 'd':
			o->die_with_parent = true;
			break;
		default:
			return false;
		}
	}
	return o->config && optind == argc;
}

static err_t tell_port(const struct options *o, int port)
{
	if (!o->port_file) {
		printf("%d\n", port);
		fflush(stdout);
		return NULL;
	}
	AUTO(buf_release) struct buf text = BUF(16);
	buf_addf(&text, "%d\n", port);
	return buf_write_file(&text, o->port_file, 0644);
}

static err_t run(const struct options *o)
{
	ERR_TRY(world_open(o->config));
	ERR_TRY(script_load(config_top("scripts")));
	ERR_TRY(jira_seed(config_get("jira", "issues")));
	int port;
	ERR_TRY(http_start(o->port ? o->port : (int)jint(config_top("listen"), "port", 0), &port));
	world_set_port(port);
	ERR_TRY(tell_port(o, port));
	sigset_t wait;
	sigemptyset(&wait);
	sigaddset(&wait, SIGTERM);
	sigaddset(&wait, SIGINT);
	int got;
	sigwait(&wait, &got);
	http_stop();
	webhook_finish();
	world_close();
	return NULL;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	if (!parse(argc, argv, &o)) {
		fputs(usage, stderr);
		return 2;
	}
	sigset_t block;
	sigemptyset(&block);
	sigaddset(&block, SIGTERM);
	sigaddset(&block, SIGINT);
	sigprocmask(SIG_BLOCK, &block, NULL);
	signal(SIGPIPE, SIG_IGN);
	if (o.die_with_parent)
		prctl(PR_SET_PDEATHSIG, SIGTERM);
	git_libgit2_init();
	git_libgit2_opts(GIT_OPT_SET_OWNER_VALIDATION, 0);
	err_t e = run(&o);
	git_libgit2_shutdown();
	if (e)
		fprintf(stderr, "standin: %s\n", err_text(e));
	return e ? 1 : 0;
}
