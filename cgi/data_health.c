/* How the service is: /api/health/detailed and the status page's workers. */
#include "cgi/data.h"

#include <stdio.h>
#include <sys/statvfs.h>
#include <time.h>

#include "lib/mem.h"
#include "lib/text.h"

err_t data_workers(struct db *db, json_t **ret_json)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(db, Q_HEALTH_WORKERS, DB_NO_ARGS, &rows));
	json_t *workers = json_array();
	while (db_rows_next(rows))
		json_array_append_new(workers,
			json_pack("{s:o s:o s:o s:o s:o s:o s:o s:o s:o s:b s:b}", "name",
				data_text(rows, "name"), "host", data_text(rows, "host"), "pid",
				data_int(rows, "pid"), "version", data_text(rows, "version"),
				"sandbox", data_text(rows, "sandbox"), "capacity",
				data_int(rows, "capacity"), "running", data_int(rows, "running"),
				"started_at", data_time(rows, "started_at"), "seen_at",
				data_time(rows, "seen_at"), "alive",
				(int)db_rows_i64(rows, "alive"), "stopped",
				(int)db_rows_i64(rows, "stopped")));
	*ret_json = workers;
	return NULL;
}

/* Share of busy time since the last question to this process; at first, since the machine's start.
 */
static double cpu_percent(void)
{
	static unsigned long long busy_before, all_before;
	unsigned long long v[8] = {0}, all = 0;
	FILE *f = fopen("/proc/stat", "re");
	if (!f)
		return 0;
	int n = fscanf(f, "cpu %llu %llu %llu %llu %llu %llu %llu %llu", &v[0], &v[1], &v[2], &v[3],
		&v[4], &v[5], &v[6], &v[7]);
	fclose(f);
	for (int i = 0; i < n; i++)
		all += v[i];
	unsigned long long busy = all - v[3] - v[4]; /* without idle and iowait */
	unsigned long long span = all - all_before;
	double percent = span ? 100.0 * (double)(busy - busy_before) / (double)span : 0;
	busy_before = busy;
	all_before = all;
	return data_round(percent, 1);
}

static double memory_percent(void)
{
	unsigned long long total = 0, available = 0;
	char line[128];
	FILE *f = fopen("/proc/meminfo", "re");
	while (f && fgets(line, sizeof line, f)) {
		if (sscanf(line, "MemTotal: %llu", &total) != 1)
			sscanf(line, "MemAvailable: %llu", &available);
	}
	if (f)
		fclose(f);
	return total ? data_round(100.0 * (double)(total - available) / (double)total, 1) : 0;
}

static double disk_percent(void)
{
	struct statvfs s;
	if (statvfs("/", &s) || s.f_blocks == 0)
		return 0;
	double used = (double)(s.f_blocks - s.f_bfree);
	return data_round(100.0 * used / (used + (double)s.f_bavail), 1);
}

static const char *sandbox_of(const json_t *workers)
{
	size_t i;
	json_t *worker;
	json_array_foreach (workers, i, worker) {
		if (json_is_true(json_object_get(worker, "alive")))
			return json_string_value(json_object_get(worker, "sandbox"));
	}
	return NULL;
}

static err_t read_database(struct db *db, json_t *health)
{
	json_t *queue, *workers;
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	if (!db)
		return err_new(ERR_DB_AWAY, "no connection");
	ERR_TRY(db_query(db, Q_HEALTH_RUNS, DB_NO_ARGS, &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_DB, "the runs could not be counted");
	json_object_set_new(health, "database",
		json_pack("{s:s s:o}", "status", "ok", "total_runs", data_int(rows, "runs")));
	ERR_TRY(data_queue(db, &queue));
	json_object_set_new(health, "queue", queue);
	ERR_TRY(data_workers(db, &workers));
	json_object_set_new(health, "workers", workers);
	return NULL;
}

err_t data_health(struct db *db, int64_t started_s, json_t **ret_json)
{
	time_t now = time(NULL);
	json_t *health = json_pack("{s:s s:I s:I s:{s:f s:f s:f}}", "status", "ok", "timestamp",
		(json_int_t)now, "uptime_seconds", (json_int_t)(now - started_s), "system",
		"cpu_percent", cpu_percent(), "memory_percent", memory_percent(), "disk_percent",
		disk_percent());
	err_t e = read_database(db, health);
	if (err_code(e) == ERR_DB_AWAY && db && !db_reconnect(db))
		e = read_database(db, health);
	if (e) {
		json_object_set_new(health, "status", json_string("error"));
		json_object_set_new(health, "database",
			json_pack("{s:s s:n}", "status", "error", "total_runs"));
	}
	const char *sandbox = sandbox_of(json_object_get(health, "workers"));
	if (!e && !sandbox)
		json_object_set_new(health, "status", json_string("degraded"));
	json_object_set_new(health, "sandbox", sandbox ? text_json(sandbox) : json_null());
	*ret_json = health;
	return NULL;
}
