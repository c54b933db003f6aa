/*
 * The parent loop. It does no work of a run: starts a child for each claimed run, settles runs
 * whose child is gone, tells systemd. What it does with the queue (claims, leases, cancellations)
 * is in worker/daemon_queue.c; what else is to be done beside runs is started by worker/helpers.c;
 * children are in worker/children.c, the wake-up socket in worker/poke.c.
 */
#include "worker/daemon_private.h"

#include <poll.h>
#include <signal.h>
#include <string.h>
#include <systemd/sd-daemon.h>
#include <unistd.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "worker/claim.h"
#include "worker/poke.h"
#include "worker/repo_sync.h"

#define TICK_MS 500
#define STOP_MS 20000
#define AWAY_MS 2000
#define FAILED_WAIT_S 15

static volatile sig_atomic_t stopping, child_ended, reload;

static void on_signal(int number)
{
	if (number == SIGCHLD)
		child_ended = 1;
	else if (number == SIGHUP)
		reload = 1;
	else
		stopping = 1;
}

static void catch_signals(void)
{
	struct sigaction action = {.sa_handler = on_signal};
	sigemptyset(&action.sa_mask);
	static const int numbers[] = {SIGTERM, SIGINT, SIGCHLD, SIGHUP};
	for (size_t i = 0; i < ARRAY_LEN(numbers); i++)
		sigaction(numbers[i], &action, NULL);
	signal(SIGPIPE, SIG_IGN);
}

static err_t begin(struct daemon *d)
{
	const struct daemon_options *o = d->options;
	char host[190] = "";
	gethostname(host, sizeof host - 1);
	ERR_TRY(children_adopt());
	ERR_TRY(db_open(o->set, &d->db));
	if (o->run_id) /* beside the daemon, whose are the name, the repositories and the socket */
		return NULL;
	ERR_TRY(repo_configs_sync(d->db, o->set, o->repos));
	ERR_TRY(db_exec(d->db, Q_WORKER_PUT,
		DB_ARGS(db_str(o->worker), db_str(host), db_i64(getpid()),
			db_i64(settings_int(o->set, S_AIRUNNER_MAX_RUNS)), db_str(AIRUNNER_VERSION),
			db_str(o->sandbox)),
		NULL));
	ERR_TRY(daemon_take_up(d));
	return poke_open(o->set, &d->poke_fd);
}

/* Settles the run of a process that is gone. A killed one goes on at once (a crash in a step is
 * counted); one that could not work, for whatever reason, would only fail again. */
static err_t settle(struct daemon *d, const struct child *dead)
{
	struct run run = {.id = dead->run_id, .fence = dead->fence, .repo_id = dead->repo_id};
	err_t e = dead->cancelled ? run_close(d->db, &run, RUN_CANCELLED, "cancelled by a person",
					    "cancelled", NULL)
				  : run_requeue(d->db, &run, dead->killed ? 0 : FAILED_WAIT_S);
	if (!e)
		log_error("the process of run %lld ended by itself (%s): %s",
			(long long)dead->run_id, dead->how,
			dead->cancelled ? "cancelled" : "back to the queue");
	return err_code(e) == ERR_FENCE ? NULL : e; /* closed in order: not ours any more */
}

/* A child that ended without closing its run: the row is settled here. While the database is away
 * the child stays in the list. */
static err_t bury(struct daemon *d)
{
	if (child_ended) {
		child_ended = 0;
		children_end_orphans(&d->children);
	}
	for (struct child *dead; (dead = children_ended(&d->children));) {
		d->hungry = true;
		if (dead->kind == CHILD_RUN)
			ERR_TRY(settle(d, dead));
		else
			helpers_ended(&d->helpers, d->options, dead);
		children_remove(&d->children, dead);
	}
	return NULL;
}

static void tell_systemd(struct daemon *d)
{
	sd_notifyf(0, "STATUS=%zu runs\nWATCHDOG=1", children_runs(&d->children));
}

static err_t reload_repos(struct daemon *d)
{
	reload = 0;
	struct repo_configs fresh = {0};
	log_reopen();
	err_t e = repo_configs_load(d->options->set, &fresh);
	if (!e)
		e = repo_configs_sync(d->db, d->options->set, &fresh);
	if (e) {
		log_error("repos.json is not taken over, the old one stays: %s", err_text(e));
		repo_configs_release(&fresh);
		return NULL;
	}
	repo_configs_release(d->options->repos);
	*d->options->repos = fresh;
	log_info("repos.json read again: %zu projects", fresh.count);
	return NULL;
}

static err_t tick(struct daemon *d)
{
	ERR_TRY(bury(d));
	if (reload)
		ERR_TRY(reload_repos(d));
	int64_t looked_ms = d->looked_ms;
	err_t e = daemon_claim(d, &stopping);
	err_t watched = daemon_watch(d); /* leases are renewed whatever hinders claims */
	ERR_TRY(e ? e : watched);
	if (d->looked_ms != looked_ms)
		ERR_TRY(helpers_start(&d->helpers, d->db, d->options, &d->children));
	tell_systemd(d);
	return NULL;
}

static void wait_a_tick(struct daemon *d)
{
	struct pollfd poke = {.fd = d->poke_fd, .events = POLLIN};
	if (child_ended || stopping || d->hungry)
		return;
	if (poll(&poke, 1, TICK_MS) > 0 && poke_drain(d->poke_fd))
		d->hungry = true;
}

static void database_trouble(struct daemon *d, err_t e)
{
	bool lost = err_code(e) == ERR_DB_AWAY || err_code(e) == ERR_DB_UNSURE;
	log_error("%s", err_text(e));
	d->watched_ms = 0; /* what was done last is to be read again */
	e = lost ? db_reconnect(d->db) : e;
	if (e) { /* no host is ready, or the trouble is another */
		usleep(AWAY_MS * 1000);
		e = db_reconnect(d->db);
	}
	if (!e)
		log_info("the database is back%s%s", *db_host(d->db) ? " at " : "", db_host(d->db));
}

static bool finished(const struct daemon *d)
{
	return d->options->once && d->children.count == 0 && d->looked_ms != 0;
}

static void work(struct daemon *d)
{
	d->hungry = true;
	while (!stopping) {
		err_t e = tick(d);
		if (e)
			database_trouble(d, e);
		else if (finished(d))
			return;
		wait_a_tick(d);
	}
}

/* Children are asked to put their runs back; who does not end in time is killed, its run put back
 * here. */
static void wind_down(struct daemon *d)
{
	sd_notify(0, "STOPPING=1");
	log_info("stopping: %zu runs are asked to end", children_runs(&d->children));
	children_signal(&d->children, SIGTERM);
	int64_t until = monotonic_ms() + STOP_MS;
	while (d->children.count && monotonic_ms() < until) {
		usleep(50000);
		err_t e = bury(d);
		if (e)
			database_trouble(d, e);
	}
	children_signal(&d->children, SIGKILL);
	for (;;) { /* a row that cannot be settled now is taken up at the next start */
		err_t e = bury(d);
		if (e)
			log_error("%s", err_text(e));
		if (!children_any_alive(&d->children))
			break;
		usleep(20000);
	}
	err_t e = db_exec(d->db, Q_WORKER_STOPPED, DB_ARGS(db_str(d->options->worker)), NULL);
	if (e)
		log_error("%s", err_text(e));
}

int daemon_run(const struct daemon_options *options)
{
	struct daemon d = {.options = options, .poke_fd = -1};
	catch_signals();
	err_t e = begin(&d);
	if (e) {
		log_error("%s", err_text(e));
		db_close(d.db);
		return 1;
	}
	sd_notify(0, "READY=1");
	log_info("worker %s is ready: at most %lld runs, %s", options->worker,
		(long long)settings_int(options->set, S_AIRUNNER_MAX_RUNS), options->sandbox);
	work(&d);
	wind_down(&d);
	poke_close(options->set, d.poke_fd);
	children_release(&d.children);
	db_close(d.db);
	return d.refused ? 1 : 0;
}
