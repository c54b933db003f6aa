/*
 * Moving a run to another repository's queue. Called by step `fetch`. The rows of both repositories
 * are locked first, in the order of their ids, as everywhere (worker/claim.c).
 */
#include "worker/steps/fetch_move.h"

#include "lib/mem.h"
#include "worker/claim.h"

static err_t lock_repo(struct db *db, int64_t id)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	return db_query(db, Q_REPO_LOCK, DB_ARGS(db_i64(id)), &rows);
}

static err_t refresh(struct db *db, int64_t id)
{
	return db_exec(db, Q_REPO_REFRESH_HEAD, DB_ARGS(db_i64(id)), NULL);
}

static err_t move_rows(const struct run_ctx *ctx, int64_t repo_id, const char *project_key,
	const char *issue_key, const char *line)
{
	struct db *db = ctx->db;
	const struct run *run = &ctx->run;
	ERR_TRY(lock_repo(db, repo_id < run->repo_id ? repo_id : run->repo_id));
	ERR_TRY(lock_repo(db, repo_id < run->repo_id ? run->repo_id : repo_id));
	ERR_TRY(db_exec_fenced(db, Q_RUN_MOVE,
		DB_ARGS(db_i64(repo_id), db_str(project_key), db_str(issue_key), db_str(line),
			db_str(issue_key), db_i64(run->id), db_i64(run->fence))));
	ERR_TRY(db_exec(db, Q_RUN_MOVE_STEP, DB_ARGS(db_i64(run->id)), NULL));
	ERR_TRY(db_exec(db, Q_REPO_RELEASED, DB_ARGS(db_i64(run->repo_id)), NULL));
	ERR_TRY(refresh(db, run->repo_id));
	return refresh(db, repo_id);
}

err_t run_move(struct run_ctx *ctx, int64_t repo_id, const char *project_key, const char *issue_key,
	const char *line)
{
	struct db_try t = {0};
	while (db_try(ctx->db, &t))
		t.error = move_rows(ctx, repo_id, project_key, issue_key, line);
	return err_code(t.error) == ERR_DB_DUPLICATE ? run_give_way(ctx->db, &ctx->run) : t.error;
}
