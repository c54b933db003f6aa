/*
 * A run's process: opens what the steps need, hands over to the pipeline, closes. Started by the
 * daemon, whose renewals of the lease it follows. It dies with its parent.
 */
#include "worker/child.h"

#include <signal.h>
#include <stdlib.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/template.h"
#include "worker/check/sandbox.h"
#include "worker/claim.h"
#include "worker/fault.h"
#include "worker/forge/forge.h"
#include "worker/git/store.h"
#include "worker/http.h"
#include "worker/jira/jira.h"
#include "worker/lease.h"
#include "worker/pipeline.h"
#include "worker/rate.h"
#include "worker/repo_sync.h"

static void on_stop(int signal_number)
{
	(void)signal_number;
	run_request_stop();
}

/* The limit of an attempt's time counts all its claims, by the database's clock. */
static err_t count_worked(struct run_ctx *ctx)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(ctx->db, Q_RUN_WORKED, DB_ARGS(db_i64(ctx->run.id)), &rows));
	if (db_rows_next(rows))
		ctx->started_ms -= db_rows_i64(rows, "ms");
	return NULL;
}

static err_t open_all(struct run_ctx *ctx, struct repo_configs *repos)
{
	ERR_TRY(repo_configs_ids(ctx->db, repos));
	ERR_TRY(http_init());
	ERR_TRY(git_start(ctx->set));
	return jira_open(ctx->set, &ctx->jira);
}

static void close_all(struct run_ctx *ctx)
{
	struct store *store = ctx->tree ? work_tree_store(ctx->tree) : NULL;
	sandbox_close(ctx->sandbox);
	work_tree_close(ctx->tree);
	store_close(store);
	forge_close(ctx->forge);
	jira_close(ctx->jira);
	json_decref(ctx->state);
	run_release(&ctx->run);
	rate_use(NULL);
	db_close(ctx->db);
	git_stop();
	http_exit();
	lease_unfollow();
	template_clear();
}

int child_work(const struct settings *set, struct repo_configs *repos, const char *worker,
	int64_t id, int64_t fence, int lease_fd)
{
	struct run_ctx ctx = {
		.set = set, .repos = repos, .state = json_object(), .started_ms = monotonic_ms()};
	signal(SIGTERM, on_stop);
	signal(SIGINT, on_stop);
	signal(SIGPIPE, SIG_IGN);
	int code = 0;
	err_t e = lease_follow(lease_fd);
	if (!e)
		e = db_open(set, &ctx.db);
	if (!e)
		e = run_load(ctx.db, id, fence, &ctx.run);
	if (!e) {
		rate_use(ctx.db);
		log_set_context(id, ctx.run.issue_key, worker);
		FAULT_START(ctx.run.issue_key);
		FAULT_POINT("run.loaded");
		e = count_worked(&ctx);
	}
	if (!e)
		e = open_all(&ctx, repos);
	if (e) {
		log_error("run %lld: %s", (long long)id, err_text(e));
		code = 1;
	} else {
		pipeline_work(&ctx);
	}
	close_all(&ctx);
	return code;
}
