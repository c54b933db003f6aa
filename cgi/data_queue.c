/* What waits and what runs: /api/queue/stats and the status page. */
#include "cgi/data.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/run_names.h"

#define NO_PROJECT "unrouted" /* runs known by an issue id only, until Jira is asked */

static void add(json_t *object, const char *name, int64_t n)
{
	json_int_t before = json_integer_value(json_object_get(object, name));
	json_object_set_new(object, name, json_integer(before + n));
}

err_t data_queue(struct db *db, json_t **ret_json)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_QUEUE_COUNTS, DB_NO_ARGS, &rows));
	json_t *by_priority = json_object(), *by_repo = json_object(),
	       *running_by_repo = json_object();
	int64_t queued = 0, running = 0;
	for (int p = PRIORITY_URGENT; p < PRIORITY__MAX; p++)
		add(by_priority, run_priority_name((enum run_priority)p), 0);
	while (db_rows_next(rows)) {
		int64_t n = db_rows_i64(rows, "runs");
		const char *repo = db_rows_str(rows, "repo_key");
		repo = repo && *repo ? repo : NO_PROJECT;
		if (strcmp(db_rows_str(rows, "status"), run_status_name(RUN_RUNNING)) == 0) {
			running += n;
			add(running_by_repo, repo, n);
			continue;
		}
		queued += n;
		add(by_repo, repo, n);
		add(by_priority,
			run_priority_name((enum run_priority)db_rows_i64(rows, "priority")), n);
	}
	*ret_json = json_pack("{s:I s:o s:o s:I s:o}", "total_queued", (json_int_t)queued,
		"by_priority", by_priority, "by_repo", by_repo, "currently_running",
		(json_int_t)running, "running_by_repo", running_by_repo);
	return NULL;
}
