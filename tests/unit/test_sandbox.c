/*
 * The sandbox: what a command in it can see, reach and use up. Runs as an ordinary user (the runner
 * drops to one); needs bubblewrap and bash, no node.
 */
#define _GNU_SOURCE
#include <arpa/inet.h>
#include <dirent.h>
#include <fcntl.h>
#include <setjmp.h>
#include <signal.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <sys/socket.h>
#include <sys/stat.h>
#include <unistd.h>

#include <cmocka.h>

#include "lib/mem.h"
#include "worker/check/process.h"
#include "worker/check/sandbox.h"

struct fixture {
	struct settings *set;
	struct sandbox *sandbox;
	char dir[64];
	char tree[80];
	struct sandbox_result result;
};

static void write_file(const char *dir, const char *name, const char *text)
{
	autofree char *path = xasprintf("%s/%s", dir, name);
	FILE *f = fopen(path, "w");
	assert_non_null(f);
	fputs(text, f);
	fclose(f);
}

static int set_up(void **state)
{
	struct fixture *f = xcalloc(1, sizeof *f);
	const char *const overrides[] = {"AIRUNNER_SANDBOX_MEMORY_MB=512",
		"AIRUNNER_INSTALL_ENV=AIR_TEST_PASSED,JIRA_API_TOKEN,AIR_TEST_ABSENT", NULL};
	setenv("AIR_TEST_PASSED", "passed-on", 1);
	setenv("AIR_TEST_CANARY", "canary-environment", 1);
	struct settings_options options = {
		.program = PROGRAM_WORKER, .default_db_user = "air_worker", .overrides = overrides};
	err_t e = settings_load(&options, &f->set);
	if (e)
		fail_msg("%s", err_text(e));
	strcpy(f->dir, "/tmp/air-sandbox-XXXXXX");
	assert_non_null(mkdtemp(f->dir));
	snprintf(f->tree, sizeof f->tree, "%s/tree", f->dir);
	assert_int_equal(mkdir(f->tree, 0700), 0);
	assert_null(sandbox_open(f->set, f->tree, &f->sandbox));
	*state = f;
	return 0;
}

static int tear_down(void **state)
{
	struct fixture *f = *state;
	sandbox_result_release(&f->result);
	sandbox_close(f->sandbox);
	settings_free(f->set);
	autofree char *command = xasprintf("rm -rf %s", f->dir);
	assert_int_equal(system(command), 0);
	free(f);
	return 0;
}

static err_t run(struct fixture *f, struct sandbox_command command, const char *script)
{
	const char *const argv[] = {"bash", "-c", script, NULL};
	if (!command.argv)
		command.argv = argv;
	if (!command.timeout_ms)
		command.timeout_ms = 20000;
	sandbox_result_release(&f->result);
	return sandbox_run(f->sandbox, &command, &f->result);
}

static const char *output(struct fixture *f, const char *script)
{
	assert_null(run(f, (struct sandbox_command){0}, script));
	return f->result.output.data;
}

/* Is there a process of which a whole argument is the needle? */
static bool running(const char *needle)
{
	DIR *proc = opendir("/proc");
	bool found = false;
	for (struct dirent *entry; (entry = readdir(proc));) {
		char path[300], args[4096];
		snprintf(path, sizeof path, "/proc/%s/cmdline", entry->d_name);
		int fd = open(path, O_RDONLY);
		ssize_t n = fd < 0 ? 0 : read(fd, args, sizeof args - 1);
		if (fd >= 0)
			close(fd);
		args[n > 0 ? n : 0] = '\0';
		for (char *at = args; at < args + n; at += strlen(at) + 1)
			found |= strcmp(at, needle) == 0;
	}
	closedir(proc);
	return found;
}

static void command_gives_output_of_both_streams_and_exit_code(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(output(f, "echo out; echo err >&2; exit 7"), "out\nerr\n");
	assert_int_equal(f->result.exit_code, 7);
	assert_false(f->result.timed_out);
}

static void unknown_command_ends_with_127(void **state)
{
	struct fixture *f = *state;
	const char *const argv[] = {"no-such-command", NULL};
	assert_null(run(f, (struct sandbox_command){.argv = argv}, NULL));
	assert_int_equal(f->result.exit_code, 127);
}

static void signal_becomes_128_plus_number(void **state)
{
	struct fixture *f = *state;
	output(f, "kill -SEGV $$");
	assert_int_equal(f->result.exit_code, 128 + SIGSEGV);
}

static void tree_is_writable_at_its_own_path_but_not_its_git_folder(void **state)
{
	struct fixture *f = *state;
	autofree char *git = xasprintf("%s/.git", f->tree);
	assert_int_equal(mkdir(git, 0700), 0);
	const char *out = output(f,
		"pwd; echo x >made && echo tree; echo x 2>/dev/null >.git/config || echo refused");
	autofree char *want = xasprintf("%s\ntree\nrefused\n", f->tree);
	assert_string_equal(out, want);
	autofree char *made = xasprintf("%s/made", f->tree);
	assert_int_equal(access(made, F_OK), 0);
	assert_null(run(f, (struct sandbox_command){.read_only_tree = true},
		"echo x 2>/dev/null >made2 || echo refused"));
	assert_string_equal(f->result.output.data, "refused\n");
}

static void nothing_of_the_host_is_seen_but_usr_and_the_tree(void **state)
{
	struct fixture *f = *state;
	write_file(f->dir, "secret", "canary");
	autofree char *script =
		xasprintf("ls -d /root /home /var /etc/shadow /sys /run %s/secret 2>/dev/null; "
			  "touch /usr/x 2>/dev/null && echo usr; ls -A /tmp/home; echo end",
			f->dir);
	assert_string_equal(output(f, script), "end\n");
}

static void only_the_write_folder_beside_the_tree_can_be_written(void **state)
{
	struct fixture *f = *state;
	autofree char *cache = xasprintf("%s/cache", f->dir);
	assert_int_equal(mkdir(cache, 0700), 0);
	autofree char *script = xasprintf("echo x >%s/kept && echo ok", cache);
	assert_null(run(f, (struct sandbox_command){.write_dir = cache}, script));
	assert_string_equal(f->result.output.data, "ok\n");
	autofree char *kept = xasprintf("%s/kept", cache);
	assert_int_equal(access(kept, F_OK), 0);
}

static void environment_is_clean_also_that_of_process_1(void **state)
{
	struct fixture *f = *state;
	const char *const env[] = {"EXTRA=given", NULL};
	assert_null(run(f, (struct sandbox_command){.env = env},
		"cat /proc/*/environ | tr '\\0' '\\n' | sort -u"));
	assert_null(strstr(f->result.output.data, "canary"));
	assert_null(strstr(f->result.output.data, "AIR_TEST"));
	assert_non_null(strstr(f->result.output.data, "EXTRA=given"));
	assert_non_null(strstr(f->result.output.data, "HOME=/tmp/home"));
}

static void install_step_gets_the_named_variables_but_no_secret_setting(void **state)
{
	struct fixture *f = *state;
	setenv("JIRA_API_TOKEN", "canary-jira", 1);
	sandbox_close(f->sandbox);
	assert_null(sandbox_open(f->set, f->tree, &f->sandbox));
	unsetenv("JIRA_API_TOKEN");
	assert_null(run(f, (struct sandbox_command){.network = SANDBOX_INSTALL}, "env"));
	assert_non_null(strstr(f->result.output.data, "AIR_TEST_PASSED=passed-on"));
	assert_null(strstr(f->result.output.data, "canary"));
}

static void no_descriptor_but_0_to_2_reaches_the_command(void **state)
{
	struct fixture *f = *state;
	int leak = open("/etc/passwd", O_RDONLY); /* without close-on-exec */
	const char *out = output(f, "for n in /proc/self/fd/*; do n=${n##*/}; [ $n -gt 2 ] && "
				    "[ -e /proc/$$/fd/$n ] && [ $n != 255 ] && echo $n; done; "
				    "readlink /proc/self/fd/0");
	close(leak);
	assert_string_equal(out, "/dev/null\n");
}

static void network_is_refused_and_the_hosts_loopback_unreachable(void **state)
{
	struct fixture *f = *state;
	struct sockaddr_in at = {.sin_family = AF_INET, .sin_addr.s_addr = htonl(INADDR_LOOPBACK)};
	socklen_t len = sizeof at;
	int fd = socket(AF_INET, SOCK_STREAM, 0);
	assert_int_equal(bind(fd, (struct sockaddr *)&at, len), 0);
	assert_int_equal(listen(fd, 1), 0);
	assert_int_equal(getsockname(fd, (struct sockaddr *)&at, &len), 0);
	autofree char *script =
		xasprintf("(exec 3<>/dev/tcp/127.0.0.1/%d) 2>/dev/null && echo reached; echo end",
			ntohs(at.sin_port));
	assert_string_equal(output(f, script), "end\n");
	assert_null(run(f, (struct sandbox_command){.network = SANDBOX_INSTALL}, script));
	assert_string_equal(f->result.output.data, "reached\nend\n"); /* so the test can fail */
	close(fd);
}

static void own_loopback_works_inside(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(
		output(f, "getent hosts localhost >/dev/null && echo name; "
			  "perl -MIO::Socket::INET -e 'my "
			  "$l=IO::Socket::INET->new(Listen=>1,LocalAddr=>\"127.0.0.1\") "
			  "or die; "
			  "IO::Socket::INET->new(PeerAddr=>\"127.0.0.1\",PeerPort=>$l->sockport) "
			  "or die; "
			  "print \"ok\\n\"'"),
		"name\nok\n");
}

static void time_limit_ends_the_whole_tree_even_detached_processes(void **state)
{
	struct fixture *f = *state;
	int64_t began_ms = process_now_ms();
	assert_null(run(f, (struct sandbox_command){.timeout_ms = 1000},
		"trap '' TERM INT HUP; setsid sleep 98761 >/dev/null 2>&1 & echo begun; sleep "
		"98761"));
	assert_true(f->result.timed_out);
	assert_string_equal(f->result.limit, "1 s");
	assert_string_equal(f->result.output.data, "begun\n");
	assert_true(process_now_ms() - began_ms < 3000);
	for (int i = 0; i < 20 && running("98761");
		i++) /* the kernel ends a pid namespace's rest */
		usleep(50000);
	assert_false(running("98761"));
}

static void daemon_left_behind_dies_with_its_command(void **state)
{
	struct fixture *f = *state;
	int64_t began_ms = process_now_ms();
	assert_string_equal(output(f, "setsid sleep 98762 & sleep 0.2; echo end"), "end\n");
	assert_int_equal(f->result.exit_code, 0);
	assert_true(process_now_ms() - began_ms < 3000); /* though it holds the pipe */
	assert_false(running("98762"));
}

static err_t object(void *arg)
{
	(*(int *)arg)++;
	return err_new(ERR_CANCELLED, "cancelled");
}

static void objection_of_alive_kills_and_is_returned(void **state)
{
	struct fixture *f = *state;
	int asked = 0;
	int64_t began_ms = process_now_ms();
	err_t e = run(
		f, (struct sandbox_command){.alive = object, .alive_arg = &asked}, "sleep 98763");
	assert_int_equal(err_code(e), ERR_CANCELLED);
	assert_int_equal(asked, 1);
	assert_true(process_now_ms() - began_ms < 2000);
	assert_false(running("98763"));
}

static void output_is_cut_at_its_limit_and_a_flood_ends_the_command(void **state)
{
	struct fixture *f = *state;
	assert_null(
		run(f, (struct sandbox_command){.max_output = 10}, "echo 0123456789abc; exit 3"));
	assert_string_equal(f->result.output.data, "0123456789");
	assert_true(f->result.output_cut);
	assert_int_equal(f->result.exit_code, 3);
	assert_null(run(f, (struct sandbox_command){.max_output = 10}, "yes"));
	assert_string_equal(f->result.limit, "256 MiB of output");
	assert_false(f->result.timed_out);
}

static void fork_bomb_stops_at_the_limit_of_processes(void **state)
{
	struct fixture *f = *state;
	const char *out = output(f, "n=0; while [ $n -lt 700 ]; do sleep 5 & n=$((n+1)); done 2>&1 "
				    "| grep -c fork; ulimit -u");
	assert_non_null(strstr(out, "512\n"));
	assert_int_not_equal(atoi(out), 0);
}

static void memory_of_a_process_is_limited(void **state)
{
	struct fixture *f = *state;
	assert_string_equal(output(f, "perl -e '$x = \"x\" x (900*1024*1024); print \"held\"' "
				      ">/dev/null 2>&1 || echo refused"),
		"refused\n");
	assert_string_equal(
		output(f, "perl -e '$x = \"x\" x (100*1024*1024); print \"held\\n\"'"), "held\n");
}

static void node_of_a_prefix_outside_usr_is_found_read_only(void **state)
{
	struct fixture *f = *state;
	autofree char *make = xasprintf(
		"cd %s && mkdir -p n/bin n/lib/node_modules/npm && printf '#!/bin/sh\necho mine\n' "
		">n/bin/node && chmod 755 n/bin/node",
		f->dir);
	assert_int_equal(system(make), 0);
	autofree char *old = xstrdup(getenv("PATH")), *path = xasprintf("%s/n/bin:%s", f->dir, old);
	setenv("PATH", path, 1);
	sandbox_close(f->sandbox);
	assert_null(sandbox_open(f->set, f->tree, &f->sandbox));
	setenv("PATH", old, 1);
	autofree char *script = xasprintf("node; touch %s/n/x 2>/dev/null || echo refused", f->dir);
	assert_string_equal(output(f, script), "mine\nrefused\n");
}

static void probe_names_bubblewrap(void **state)
{
	struct fixture *f = *state;
	char text[100];
	assert_null(sandbox_probe(f->set, text, sizeof text));
	assert_int_equal(strncmp(text, "bubblewrap ", 11), 0);
}

static void broken_set_up_is_an_error_with_bwraps_words(void **state)
{
	struct fixture *f = *state;
	err_t e = run(f, (struct sandbox_command){.write_dir = "/no/such/folder"}, "true");
	assert_int_equal(err_code(e), ERR_SANDBOX);
	assert_non_null(strstr(err_text(e), "/no/such/folder"));
}

int main(void)
{
#define T(name) cmocka_unit_test_setup_teardown(name, set_up, tear_down)
	const struct CMUnitTest tests[] = {
		T(command_gives_output_of_both_streams_and_exit_code),
		T(unknown_command_ends_with_127),
		T(signal_becomes_128_plus_number),
		T(tree_is_writable_at_its_own_path_but_not_its_git_folder),
		T(nothing_of_the_host_is_seen_but_usr_and_the_tree),
		T(only_the_write_folder_beside_the_tree_can_be_written),
		T(environment_is_clean_also_that_of_process_1),
		T(install_step_gets_the_named_variables_but_no_secret_setting),
		T(no_descriptor_but_0_to_2_reaches_the_command),
		T(network_is_refused_and_the_hosts_loopback_unreachable),
		T(own_loopback_works_inside),
		T(time_limit_ends_the_whole_tree_even_detached_processes),
		T(daemon_left_behind_dies_with_its_command),
		T(objection_of_alive_kills_and_is_returned),
		T(output_is_cut_at_its_limit_and_a_flood_ends_the_command),
		T(fork_bomb_stops_at_the_limit_of_processes),
		T(memory_of_a_process_is_limited),
		T(node_of_a_prefix_outside_usr_is_found_read_only),
		T(probe_names_bubblewrap),
		T(broken_set_up_is_an_error_with_bwraps_words),
	};
	return cmocka_run_group_tests(tests, NULL, NULL);
}
