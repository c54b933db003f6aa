/*
 * airunner-worker: the daemon, or one run of it. Reads the command line and settings, refuses what
 * cannot work (root, missing settings, a wrong schema, a sandbox that does not hold), then hands
 * over.
 */
#include <errno.h>
#include <fcntl.h>
#include <getopt.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/file.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/db.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "lib/migrate.h"
#include "lib/settings.h"
#include "lib/text.h"
#include "worker/check/sandbox.h"
#include "worker/child.h"
#include "worker/daemon.h"
#include "worker/drain.h"
#include "worker/reconcile.h"
#include "worker/repo_config.h"

#define OVERRIDES_MAX 32

struct options {
	const char *env_file;
	const char *overrides[OVERRIDES_MAX + 1];
	size_t override_count;
	char *child_args[2 * OVERRIDES_MAX + 4]; /* what children are given again */
	size_t child_arg_count;
	long long run_id, fence, lease_fd;
	bool once, reconcile, drain, check_config, help, version;
};

static const char usage[] =
	"airunner-worker: works the queue\n"
	"  (no option)         the daemon\n"
	"  --once              claim one run, work it, leave (waits for none)\n"
	"  --run ID            work this queued run in the foreground\n"
	"  --check-config      check settings, database, repositories and sandbox, then leave\n"
	"  --env-file FILE     settings file (else AIRUNNER_ENV_FILE, /etc/airunner/airunner.env)\n"
	"  --set NAME=VALUE    one setting, may be repeated (never a secret: command lines can be "
	"read)\n"
	"  --help, --version\n";

static const struct option long_options[] = {
	{"once", no_argument, NULL, 'o'},
	{"run", required_argument, NULL, 'r'},
	{"fence", required_argument, NULL, 'f'}, /* this and the next three are the daemon's */
	{"lease", required_argument, NULL, 'l'},
	{"reconcile", no_argument, NULL, 'R'},
	{"drain", no_argument, NULL, 'D'},
	{"check-config", no_argument, NULL, 'c'},
	{"env-file", required_argument, NULL, 'e'},
	{"set", required_argument, NULL, 's'},
	{"help", no_argument, NULL, 'h'},
	{"version", no_argument, NULL, 'v'},
	{0},
};

static void pass_on(struct options *o, const char *name, const char *value)
{
	o->child_args[o->child_arg_count++] = (char *)name;
	o->child_args[o->child_arg_count++] = (char *)value;
}

static err_t take_option(struct options *o, int option, const char *value)
{
	switch (option) {
	case 'o':
		o->once = true;
		return NULL;
	case 'R':
		o->reconcile = true;
		return NULL;
	case 'D':
		o->drain = true;
		return NULL;
	case 'c':
		o->check_config = true;
		return NULL;
	case 'h':
		o->help = true;
		return NULL;
	case 'v':
		o->version = true;
		return NULL;
	case 'e':
		if (o->env_file)
			return err_new(ERR_USAGE, "--env-file is given twice");
		o->env_file = value;
		pass_on(o, "--env-file", value);
		return NULL;
	case 's':
		if (o->override_count == OVERRIDES_MAX)
			return err_new(ERR_USAGE, "at most %d --set", OVERRIDES_MAX);
		o->overrides[o->override_count++] = value;
		pass_on(o, "--set", value);
		return NULL;
	case 'r':
		return text_to_i64(value, &o->run_id) && o->run_id > 0
			       ? NULL
			       : err_new(ERR_USAGE, "--run wants a run's number, not \"%s\"",
					 value);
	case 'f':
		return text_to_i64(value, &o->fence) ? NULL
						     : err_new(ERR_USAGE, "--fence wants a number");
	case 'l':
		return text_to_i64(value, &o->lease_fd) && o->lease_fd > 2
			       ? NULL
			       : err_new(ERR_USAGE, "--lease wants a descriptor");
	default:
		return err_new(ERR_USAGE, "see airunner-worker --help");
	}
}

static err_t parse(int argc, char **argv, struct options *o)
{
	int option;
	while ((option = getopt_long(argc, argv, "", long_options, NULL)) >= 0)
		ERR_TRY(take_option(o, option, optarg));
	return optind < argc ? err_new(ERR_USAGE, "unexpected \"%s\": see airunner-worker --help",
				       argv[optind])
			     : NULL;
}

/* One worker a state folder; its children inherit the lock, so a successor starts when all are
 * gone. */
static err_t lock_state(const struct settings *set)
{
	const char *folder = settings_str(set, S_AIRUNNER_STATE_DIR);
	if (mkdir(folder, 0750) < 0 && errno != EEXIST)
		return err_errno("state folder %s", folder);
	autofree char *path = xasprintf("%s/worker.lock", folder);
	int fd = open(
		path, O_RDWR | O_CREAT, 0600); /* stays open in this process and its children */
	if (fd < 0)
		return err_errno("open %s", path);
	if (flock(fd, LOCK_EX | LOCK_NB) == 0)
		return NULL;
	close(fd);
	return err_new(ERR_CONFLICT, "another worker, or a run of it, still uses %s (lock %s)",
		folder, path);
}

static err_t check_database(const struct settings *set)
{
	struct db *db AUTO(db_closep) = NULL;
	ERR_TRY(db_open(set, &db));
	return migrate_check(db);
}

static err_t refuse_root(void)
{
	return geteuid() == 0
		       ? err_new(ERR_CONFIG, "the worker runs what repositories and models say: it "
					     "refuses to run as root; "
					     "start it as its own user (systemd: User=airunner)")
		       : NULL;
}

static char *worker_name(const struct settings *set)
{
	char host[65] = "worker";
	const char *name = settings_str(set, S_AIRUNNER_WORKER_NAME);
	gethostname(host, sizeof host - 1);
	return xstrndup(*name ? name : host, 64);
}

static err_t run_program(
	struct options *o, char *program, const struct settings *set, int *ret_code)
{
	struct repo_configs repos AUTO(repo_configs_release) = {0};
	char sandbox[190] = "";
	ERR_TRY(refuse_root());
	ERR_TRY(settings_require(set));
	ERR_TRY(repo_configs_load(set, &repos));
	autofree char *name = worker_name(set);
	if (o->run_id && o->fence) { /* the parent has checked the rest */
		*ret_code = child_work(set, &repos, name, o->run_id, o->fence,
			o->lease_fd ? (int)o->lease_fd : -1);
		return NULL;
	}
	if (o->reconcile) {
		*ret_code = reconcile_work(set);
		return NULL;
	}
	if (o->drain) {
		*ret_code = drain_work(set, &repos);
		return NULL;
	}
	ERR_TRY(check_database(set));
	ERR_TRY(sandbox_probe(set, sandbox, sizeof sandbox));
	if (o->check_config) {
		printf("settings, %zu repositories, database and sandbox (%s) are in order\n",
			repos.count, sandbox);
		return NULL;
	}
	/* By hand under a name of its own: the daemon takes up all runs of its name. */
	autofree char *by_hand = xasprintf("%.48s/%d", name, (int)getpid());
	if (!o->run_id)
		ERR_TRY(lock_state(set));
	*ret_code = daemon_run(&(struct daemon_options){.set = set,
		.repos = &repos,
		.worker = o->run_id ? by_hand : name,
		.program = program,
		.child_args = o->child_args,
		.once = o->once || o->run_id,
		.run_id = o->run_id,
		.sandbox = sandbox});
	return NULL;
}

int main(int argc, char **argv)
{
	struct options o = {0};
	struct settings *set AUTO(settings_freep) = NULL;
	err_t e = parse(argc, argv, &o);
	if (!e && (o.help || o.version)) {
		fputs(o.help ? usage : "airunner-worker " AIRUNNER_VERSION "\n", stdout);
		return 0;
	}
	if (!e)
		e = settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
					  .env_file = o.env_file,
					  .overrides = o.overrides,
					  .default_db_user = "air_worker"},
			&set);
	struct log_options log = {.level = LOG_INFO_, .logger = "airunner-worker"};
	if (!e) {
		settings_log_options(set, "airunner-worker", &log);
		e = log_open(&log);
	}
	int code = 0;
	autofree char *program = realpath("/proc/self/exe", NULL);
	if (!e)
		e = run_program(&o, program, set, &code);
	if (!e)
		return code;
	log_error("%s", err_text(e));
	return err_code(e) == ERR_USAGE ? 2 : 1;
}
