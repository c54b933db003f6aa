/*
 * Sends what is left in the outbox when no child works its run: reports that ended while Jira was
 * away, effects of parked and killed runs. A process of its own, started by the daemon while there
 * is something to send (`airunner-worker --drain`). A run that waits in the queue for its issue's
 * last effect is due as soon as that is over.
 */
#include "worker/drain.h"

#include <signal.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/redact.h"
#include "worker/fault.h"
#include "worker/forge/forge.h"
#include "worker/http.h"
#include "worker/jira/jira.h"
#include "worker/outbox_effects.h"
#include "worker/outbox_row.h"
#include "worker/repo_sync.h"
#include "worker/rate.h"

#define HEADS 50     /* issues looked at in one go */
#define AWAY_AFTER 2 /* failures in a row, after which a service is left alone for this pass */

struct drainer {
	struct run_ctx ctx; /* settings, database, Jira, the forge of the row's run; no run */
	int failed[EFFECT_AT__MAX]; /* tries in a row */
	int64_t forge_repo;         /* whose forge is open */
};

static volatile sig_atomic_t stopping;

static void on_stop(int number)
{
	(void)number;
	stopping = 1;
}

static bool is_away(const struct drainer *d, enum effect_at at)
{
	return d->failed[at] >= AWAY_AFTER;
}

/* ---- what a row needs, and what follows from its end ---- */

static err_t open_forge(struct drainer *d, int64_t run_id)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(d->ctx.db, Q_RUN_BY_ID, DB_ARGS(db_i64(run_id)), &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_NOT_FOUND, "run %lld does not exist", (long long)run_id);
	const struct repo_config *repo =
		repo_config_find(d->ctx.repos, db_rows_str(rows, "project_key"));
	if (d->ctx.forge && repo && d->forge_repo == repo->repo_id)
		return NULL;
	forge_close(take(&d->ctx.forge)); /* before anything: no repository gets another's */
	if (!repo || !*repo->owner || !*repo->name)
		return err_new(ERR_UNROUTED, "project %s has no forge any more",
			db_rows_str(rows, "project_key"));
	d->forge_repo = repo->repo_id;
	return forge_open(d->ctx.set, repo, &d->ctx.forge);
}

static err_t wake_locked(struct db *db, int64_t repo_id, int64_t run_id)
{
	struct db_rows *locked AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_REPO_LOCK, DB_ARGS(db_i64(repo_id)), &locked));
	ERR_TRY(db_exec(db, Q_OUTBOX_WAKE, DB_ARGS(db_i64(run_id)), NULL));
	return db_exec(db, Q_REPO_REFRESH_HEAD, DB_ARGS(db_i64(repo_id)), NULL);
}

/* The issue's queued run waits for the last of them. */
static err_t wake(struct db *db, const char *issue_key)
{
	struct db_rows *open AUTO(db_rows_freep) = NULL, *waiter AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_OUTBOX_OPEN, DB_ARGS(db_str(issue_key)), &open));
	if (db_rows_next(open))
		return NULL;
	ERR_TRY(db_query(db, Q_OUTBOX_WAITER, DB_ARGS(db_str(issue_key)), &waiter));
	if (!db_rows_next(waiter))
		return NULL;
	struct db_try t = {0};
	while (db_try(db, &t))
		t.error =
			wake_locked(db, db_rows_i64(waiter, "repo_id"), db_rows_i64(waiter, "id"));
	return t.error;
}

static const char *const words[] = {
	[EFFECT_JIRA_COMMENT] = "The comment",
	[EFFECT_JIRA_COMMENT_EDIT] = "The change of a comment",
	[EFFECT_JIRA_TRANSITION] = "The change of status",
	[EFFECT_JIRA_ASSIGN] = "The assignment",
	[EFFECT_FORGE_PULL_REQUEST] = "The pull request",
	[EFFECT_FORGE_PULL_REQUEST_EDIT] = "The change of the pull request",
	[EFFECT__MAX] = "An effect of another version",
};

static err_t tell(struct drainer *d, const struct outbox_row *row, const struct err *refused)
{
	bool done = row->state == ROW_DONE;
	autofree char *raw = done ? xasprintf("%s has reached its service now", words[row->kind])
				  : xasprintf("%s was not sent and never will be: %s",
					    words[row->kind], refused->text);
	autofree char *text = redact_str(raw);
	log_info("run %lld: %s", (long long)row->run_id, text);
	return db_exec(d->ctx.db, Q_OUTBOX_EVENT,
		DB_ARGS(db_str(event_level_name(done ? EVENT_INFO : EVENT_ERROR)), db_str(text),
			db_i64(row->run_id)),
		NULL);
}

/* ---- one row ---- */

static void count_end(struct drainer *d, enum effect_at at, const struct outbox_row *row,
	const struct err *refused)
{
	if (row->state != ROW_WAITING) {
		d->failed[at] = 0;
		return;
	}
	d->failed[at]++;
	log_warning("%s of %s waits on: %s", row->key, row->issue_key, refused->text);
}

static err_t try_row(struct drainer *d, enum effect_at at, const char *key, bool withdrawn)
{
	AUTO(outbox_row_release) struct outbox_row row = {0};
	json_auto_t *result = NULL;
	struct err refused = {0};
	int64_t taken = 0;
	ERR_TRY(outbox_row_load(d->ctx.db, key, &row));
	FAULT_POINT("drain.before");
	ERR_TRY(db_exec(d->ctx.db, Q_OUTBOX_TAKE_LEFT,
		DB_ARGS(db_i64(row.id), db_i64(row.attempts), db_i64(withdrawn)), &taken));
	if (taken != 1)
		return NULL; /* another was quicker, or its run goes on */
	err_t e = at == EFFECT_AT_FORGE ? open_forge(d, row.run_id) : NULL;
	if (e)
		log_error("%s: %s", row.key, err_text(e)); /* the effect's own try says the same */
	FAULT_POINT("drain.taken");
	e = outbox_row_try(&d->ctx, &row, withdrawn, &result, &refused);
	if (err_code(e) == ERR_FENCE)
		return NULL; /* this process slept past send_until: another has taken it over */
	ERR_TRY(e);
	FAULT_POINT("drain.tried");
	count_end(d, at, &row, &refused);
	if (row.state == ROW_WAITING)
		return NULL;
	ERR_TRY(tell(d, &row, &refused));
	FAULT_POINT("drain.told");
	return wake(d->ctx.db, row.issue_key);
}

/* @param ret_tried  0 when nothing is left that may be sent now */
static err_t pass(struct drainer *d, int *ret_tried)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(d->ctx.db, Q_OUTBOX_LEFT, DB_ARGS(db_i64(HEADS)), &rows));
	*ret_tried = 0;
	while (!stopping && db_rows_next(rows)) {
		enum effect_at at = outbox_kind_at(db_rows_str(rows, "kind"));
		if (is_away(d, at))
			continue;
		++*ret_tried;
		ERR_TRY(try_row(
			d, at, db_rows_str(rows, "effect_key"), db_rows_i64(rows, "withdrawn")));
	}
	return NULL;
}

static err_t drain(struct drainer *d)
{
	int tried = 1;
	while (tried > 0 && !stopping)
		ERR_TRY(pass(d, &tried));
	return NULL;
}

static err_t open_all(struct drainer *d, struct repo_configs *repos)
{
	ERR_TRY(db_open(d->ctx.set, &d->ctx.db));
	rate_use(d->ctx.db);
	ERR_TRY(repo_configs_ids(d->ctx.db, repos));
	ERR_TRY(http_init());
	return jira_open(d->ctx.set, &d->ctx.jira);
}

static void close_all(struct drainer *d)
{
	forge_close(d->ctx.forge);
	jira_close(d->ctx.jira);
	rate_use(NULL);
	db_close(d->ctx.db);
	http_exit();
}

int drain_work(const struct settings *set, struct repo_configs *repos)
{
	struct drainer d = {.ctx = {.set = set, .repos = repos, .step = "drain"}};
	signal(SIGTERM, on_stop);
	signal(SIGINT, on_stop);
	signal(SIGPIPE, SIG_IGN);
	FAULT_START("drain");
	err_t e = open_all(&d, repos);
	if (!e)
		e = drain(&d);
	if (e)
		log_error("what runs have left to be sent waits on: %s", err_text(e));
	bool away = is_away(&d, EFFECT_AT_JIRA) || is_away(&d, EFFECT_AT_FORGE);
	close_all(&d);
	return e ? 1 : away ? DRAIN_AWAY : 0;
}
