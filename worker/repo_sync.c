/* Writes repos.json into the tables repos and repo_projects: what intake routes by. Worker start.
 */
#include "worker/repo_sync.h"

#include "lib/mem.h"

#include <string.h>

static err_t sync_one(struct db *db, struct repo_configs *configs, size_t i, bool plain)
{
	struct repo_config *repo = &configs->items[i];
	ERR_TRY(db_exec(db, Q_REPO_PUT,
		DB_ARGS(db_str(repo->address), db_i64(repo->max_running), db_i64(plain)), NULL));
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_REPO_ID, DB_ARGS(db_str(repo->address)), &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_INTERNAL, "repository %s has no row", repo->address);
	repo->repo_id = db_rows_i64(rows, "id");
	ERR_TRY(db_exec(db, Q_REPO_PROJECT_PUT,
		DB_ARGS(db_str(repo->project_key), db_i64(repo->repo_id), db_i64(repo->is_default)),
		NULL));
	return db_exec(db, Q_REPO_REFRESH_HEAD, DB_ARGS(db_i64(repo->repo_id)), NULL);
}

static err_t sync_all(struct db *db, struct repo_configs *configs, bool plain)
{
	ERR_TRY(db_exec(db, Q_REPO_PROJECTS_CLEAR, DB_NO_ARGS, NULL));
	for (size_t i = 0; i < configs->count; i++)
		ERR_TRY(sync_one(db, configs, i, plain));
	return NULL;
}

err_t repo_configs_sync(struct db *db, const struct settings *set, struct repo_configs *configs)
{
	struct db_try t = {0};
	while (db_try(db, &t))
		t.error = sync_all(db, configs, !settings_bool(set, S_USE_SMART_QUEUE));
	return t.error;
}

err_t repo_configs_ids(struct db *db, struct repo_configs *configs)
{
	for (size_t i = 0; i < configs->count; i++) {
		struct db_rows *rows AUTO(db_rows_freep) = NULL;
		ERR_TRY(db_query(db, Q_REPO_ID, DB_ARGS(db_str(configs->items[i].address)), &rows));
		configs->items[i].repo_id = db_rows_next(rows) ? db_rows_i64(rows, "id") : 0;
	}
	return NULL;
}
