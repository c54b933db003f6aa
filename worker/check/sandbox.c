/*
 * Builds the bwrap command line of one command and reads how it ended. Called for the model's
 * commands (worker/agent), checks, tests and the installation of dependencies. Starting, reading
 * and killing is worker/check/process.c.
 * Facts: reliability.md 0.6, 0.10, B1.
 */
#define _GNU_SOURCE
#include "worker/check/sandbox.h"

#include <stdio.h>
#include <string.h>
#include <sys/mman.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/text.h"
#include "worker/check/process.h"
#include "worker/fault.h"
#include "worker/lease.h"

#define BWRAP "/usr/bin/bwrap"
#define DEFAULT_OUTPUT (2u << 20)
#define KILL_BYTES (256ull << 20)
#define TMP_BYTES "1073741824"
#define MAX_PROCESSES "512"
#define MAX_FILE_BYTES (1ull << 30)
#define MAX_FILES 16384
#define PROBE_MS 10000

struct sandbox {
	const struct settings *set;
	char *tree;         /* absolute, resolved */
	char *node_root;    /* where node is installed when not below /usr, else NULL */
	char *bin_path;     /* PATH inside */
	struct strv passed; /* "NAME=value" of AIRUNNER_INSTALL_ENV */
	char *ca_file;      /* named by those, to be readable inside; NULL: none */
};

/* What the root holds beside /usr; "try": may be missing on the host. */
static const char *const roots[] = {"--symlink", "usr/bin", "/bin", "--symlink", "usr/sbin",
	"/sbin", "--symlink", "usr/lib", "/lib", "--symlink", "usr/lib64", "/lib64", "--ro-bind",
	"/usr", "/usr", "--ro-bind-try", "/etc/alternatives", "/etc/alternatives", "--ro-bind-try",
	"/etc/passwd", "/etc/passwd", "--ro-bind-try", "/etc/group", "/etc/group", "--ro-bind-try",
	"/etc/ssl", "/etc/ssl", "--ro-bind-try", "/etc/ca-certificates", "/etc/ca-certificates",
	"--ro-bind-try", "/etc/ld.so.cache", "/etc/ld.so.cache", "--ro-bind-try", "/etc/localtime",
	"/etc/localtime", "--proc", "/proc", "--dev", "/dev", "--size", TMP_BYTES, "--tmpfs",
	"/dev/shm", "--size", TMP_BYTES, "--tmpfs", "/tmp", "--dir", "/tmp/home"};

/* npm would wait 70 s for a registry that it cannot reach. */
static const char *const offline_environment[] = {"npm_config_fetch_retries=0"};

static const char *const online[] = {"--ro-bind-try", "/etc/resolv.conf", "/etc/resolv.conf",
	"--ro-bind-try", "/etc/nsswitch.conf", "/etc/nsswitch.conf", "--ro-bind-try", "/etc/hosts",
	"/etc/hosts"};

static const char *const environment[] = {"HOME=/tmp/home", "USER=airunner", "LOGNAME=airunner",
	"LANG=C.UTF-8", "TERM=dumb", "NO_COLOR=1", "TMPDIR=/tmp",
	"npm_config_update_notifier=false", "NEXT_TELEMETRY_DISABLED=1"};

static void add_all(struct strv *v, const char *const *items, size_t count)
{
	for (size_t i = 0; i < count; i++)
		strv_add(v, "%s", items[i]);
}

static void add_bind(struct strv *v, const char *how, const char *path)
{
	strv_add(v, "%s", how);
	strv_add(v, "%s", path);
	strv_add(v, "%s", path);
}

static bool exists(const char *path)
{
	struct stat st;
	return stat(path, &st) == 0;
}

/* The prefix of a node that a person installed outside /usr; one whose prefix is a home is left
 * out. */
static char *find_node_root(const struct settings *set)
{
	const char *path = settings_environment(set, "PATH");
	autofree char *copy = xstrdup(path ? path : "");
	char *rest = copy;
	for (char *dir; (dir = strsep(&rest, ":"));) {
		autofree char *name = xasprintf("%s/node", dir);
		autofree char *real =
			*dir == '/' && access(name, X_OK) == 0 ? realpath(name, NULL) : NULL;
		if (!real)
			continue;
		char *bin = strstr(real, "/bin/node");
		if (text_starts(real, "/usr/") || !bin || bin == real)
			return NULL;
		*bin = '\0';
		autofree char *npm = xasprintf("%s/lib/node_modules/npm", real);
		return exists(npm) ? take(&real) : NULL;
	}
	return NULL;
}

static void note_passed(struct sandbox *s)
{
	autofree char *names = xstrdup(settings_str(s->set, S_AIRUNNER_INSTALL_ENV));
	char *rest = names;
	for (char *name; (name = strsep(&rest, ", "));) {
		const char *value = *name ? settings_environment(s->set, name) : NULL;
		if (!value)
			continue;
		strv_add(&s->passed, "%s=%s", name, value);
		if (*value == '/' && !s->ca_file && exists(value))
			s->ca_file = xstrdup(value);
	}
}

err_t sandbox_open(const struct settings *set, const char *tree_path, struct sandbox **ret_sandbox)
{
	if (geteuid() == 0)
		return err_new(ERR_SANDBOX,
			"commands are not run as root, whose limits do not bind; "
			"start the worker as an ordinary user");
	if (access(BWRAP, X_OK) != 0)
		return err_new(ERR_SANDBOX, "%s is missing; install the package bubblewrap", BWRAP);
	char *tree = realpath(tree_path, NULL);
	if (!tree)
		return err_errno("work tree %s", tree_path);
	struct sandbox *s = xcalloc(1, sizeof *s);
	s->set = set;
	s->tree = tree;
	s->node_root = find_node_root(set);
	s->bin_path = s->node_root ? xasprintf("%s/bin:/usr/local/bin:/usr/bin:/bin", s->node_root)
				   : xstrdup("/usr/local/bin:/usr/bin:/bin");
	note_passed(s);
	*ret_sandbox = s;
	return NULL;
}

void sandbox_close(struct sandbox *s)
{
	if (!s)
		return;
	free(s->tree);
	free(s->node_root);
	free(s->bin_path);
	free(s->ca_file);
	strv_release(&s->passed);
	free(s);
}

static void build_argv(
	const struct sandbox *s, const struct sandbox_command *command, struct strv *argv)
{
	bool install = command->network == SANDBOX_INSTALL;
	const char *const first[] = {BWRAP, "--unshare-all", "--die-with-parent", "--new-session",
		"--json-status-fd", "3"};
	add_all(argv, first, ARRAY_LEN(first));
	if (install)
		strv_add(argv, "--share-net");
	add_all(argv, roots, ARRAY_LEN(roots));
	if (install) {
		add_all(argv, online, ARRAY_LEN(online));
	} else {
		const char *const hosts[] = {"--ro-bind-data", "4", "/etc/hosts"};
		add_all(argv, hosts, ARRAY_LEN(hosts));
	}
	if (s->node_root)
		add_bind(argv, "--ro-bind", s->node_root);
	if (install && s->ca_file)
		add_bind(argv, "--ro-bind-try", s->ca_file);
	add_bind(argv, command->read_only_tree ? "--ro-bind" : "--bind", s->tree);
	autofree char *dot_git = xasprintf("%s/.git", s->tree);
	if (exists(dot_git))
		add_bind(argv, "--ro-bind", dot_git);
	if (command->write_dir)
		add_bind(argv, "--bind", command->write_dir);
	if (command->shown_dir) {
		strv_add(argv, "--ro-bind");
		strv_add(argv, "%s", command->shown_dir);
		strv_add(argv, "%s", command->shown_as);
	}
	strv_add(argv, "--chdir");
	strv_add(
		argv, "%s%s%s", s->tree, command->cwd ? "/" : "", command->cwd ? command->cwd : "");
	/* Set inside: counted in the sandbox's own user namespace, not with all of the user's
	 * processes. */
	const char *const last[] = {"--", "/usr/bin/prlimit", "--nproc=" MAX_PROCESSES, "--"};
	add_all(argv, last, ARRAY_LEN(last));
	for (size_t i = 0; command->argv[i]; i++)
		strv_add(argv, "%s", command->argv[i]);
}

static void build_env(
	const struct sandbox *s, const struct sandbox_command *command, struct strv *env)
{
	strv_add(env, "PATH=%s", s->bin_path);
	add_all(env, environment, ARRAY_LEN(environment));
	if (command->network == SANDBOX_INSTALL)
		for (size_t i = 0; i < s->passed.count; i++)
			strv_add(env, "%s", s->passed.items[i]);
	else
		add_all(env, offline_environment, ARRAY_LEN(offline_environment));
	for (size_t i = 0; command->env && command->env[i]; i++)
		strv_add(env, "%s", command->env[i]);
}

/* /etc/hosts of the sandbox: the host's own may name inner machines. */
static int hosts_fd(void)
{
	static const char text[] = "127.0.0.1 localhost\n::1 localhost\n";
	int fd = memfd_create("hosts", MFD_CLOEXEC);
	if (fd >= 0 && (write(fd, text, sizeof text - 1) < 0 || lseek(fd, 0, SEEK_SET) < 0)) {
		close(fd);
		fd = -1;
	}
	return fd;
}

/* bwrap's own words when it could not set the sandbox up, cut to one line. */
static err_t set_up_error(const struct process_result *p)
{
	AUTO(buf_release) struct buf words = BUF(400);
	text_clean(&words, p->output.data, p->output.len);
	words.data[strcspn(words.data, "\n")] = '\0';
	return err_new(ERR_SANDBOX,
		"the sandbox cannot be set up: %s (exit %d); user namespaces must be "
		"allowed for this user",
		*words.data ? words.data : "bwrap said nothing", p->exit_code);
}

err_t sandbox_run(
	struct sandbox *s, const struct sandbox_command *command, struct sandbox_result *ret_result)
{
	*ret_result = (struct sandbox_result){.output = BUF(0)};
	uint64_t memory = (uint64_t)settings_int(s->set, S_AIRUNNER_SANDBOX_MEMORY_MB) << 20;
	/* RLIMIT_DATA, not AS: node reserves address space that it never touches. */
	const struct process_limit limits[] = {{RLIMIT_DATA, memory},
		{RLIMIT_FSIZE, MAX_FILE_BYTES}, {RLIMIT_CORE, 0}, {RLIMIT_NOFILE, MAX_FILES}};
	AUTO(strv_release) struct strv argv = {0};
	AUTO(strv_release) struct strv env = {0};
	build_argv(s, command, &argv);
	build_env(s, command, &env);
	int hosts = hosts_fd();
	if (hosts < 0)
		return err_errno("memfd for the sandbox");
	struct process_spec spec = {
		.argv = (const char *const *)argv.items,
		.envp = (const char *const *)env.items,
		.limits = limits,
		.limit_count = ARRAY_LEN(limits),
		.fds = &hosts,
		.fd_count = command->network == SANDBOX_OFFLINE,
		.timeout_ms = command->timeout_ms,
		.max_output = command->max_output ? command->max_output : DEFAULT_OUTPUT,
		.kill_bytes = KILL_BYTES,
		.alive = command->alive,
		.alive_arg = command->alive_arg,
	};
	struct process_result p = {0};
	FAULT_POINT("sandbox.%s.before", command->argv[0]);
	err_t e = lease_hold(command->alive, command->alive_arg);
	if (!e)
		e = process_run(&spec, &p);
	FAULT_POINT("sandbox.%s.after", command->argv[0]);
	close(hosts);
	bool ended_by_us = p.timed_out || p.flooded;
	if (!e && !ended_by_us && !strstr(p.status.data, "\"exit-code\""))
		e = set_up_error(&p);
	log_trace("proc", "%s: exit %d, %lld ms, %zu bytes", command->argv[0], p.exit_code,
		(long long)p.ms, p.output.len);
	ret_result->exit_code = p.exit_code;
	ret_result->timed_out = p.timed_out;
	ret_result->output_cut = p.output.cut;
	ret_result->ms = p.ms;
	if (p.timed_out)
		snprintf(ret_result->limit, sizeof ret_result->limit, "%lld s",
			(long long)(command->timeout_ms / 1000));
	else if (p.flooded)
		snprintf(ret_result->limit, sizeof ret_result->limit, "%llu MiB of output",
			KILL_BYTES >> 20);
	ret_result->output = p.output;
	buf_release(&p.status);
	return e;
}

void sandbox_result_release(struct sandbox_result *result)
{
	buf_release(&result->output);
}
