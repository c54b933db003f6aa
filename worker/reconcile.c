/*
 * Asks Jira which issues are an order to the AI account now, and queues those without a run, by the
 * same procedure as a webhook. Started by the daemon as a child of its own, since it calls outside.
 * An issue that has not changed since it was queued so is a repeat to that procedure; whether there
 * is anything new to do is decided by the run (fetch_trigger.c).
 */
#include "worker/reconcile.h"

#include <string.h>

#include "lib/crypto.h"
#include "lib/db.h"
#include "lib/log.h"
#include "lib/mem.h"
#include "worker/http.h"
#include "worker/jira/jira.h"
#include "worker/jira/search.h"
#include "worker/steps/route.h"
#include "worker/rate.h"

#define LOCK_NAME "airunner-reconcile"
#define JQL_MAX 4096
#define DEDUPE_TEXT_MAX 1024

static const char *str(const json_t *object, const char *member)
{
	const char *s = json_string_value(json_object_get(object, member));
	return s ? s : "";
}

static void add_quoted(struct buf *jql, const char *text)
{
	buf_addc(jql, '"');
	for (; *text; text++) {
		if (*text == '"' || *text == '\\')
			buf_addc(jql, '\\');
		buf_addc(jql, *text);
	}
	buf_addc(jql, '"');
}

static void make_jql(const struct settings *set, struct buf *jql)
{
	const char *statuses[ROUTE_ORDERS_MAX];
	size_t count = route_orders(set, statuses);
	buf_adds(jql, "assignee = ");
	add_quoted(jql, settings_str(set, S_JIRA_AI_ACCOUNT_ID));
	for (size_t i = 0; i < count; i++) {
		buf_adds(jql, i ? ", " : " AND status in (");
		add_quoted(jql, statuses[i]);
	}
	buf_adds(jql, ") ORDER BY updated ASC");
}

/* Jira's index may still show what a run has just changed: that run counts as open for a while. */
static err_t has_run(struct db *db, const json_t *issue, bool *ret_has)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_RECONCILE_OPEN,
		DB_ARGS(db_str(str(issue, "key")), db_str(str(issue, "id"))), &rows));
	*ret_has = db_rows_next(rows);
	return NULL;
}

static err_t enqueue(struct db *db, const json_t *issue, bool *ret_new)
{
	char key[SHA256_HEX_LEN + 1];
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	AUTO(buf_release) struct buf text = BUF(DEDUPE_TEXT_MAX);
	buf_addf(&text, "reconcile:%s:%s", str(issue, "key"), str(issue, "updated"));
	crypto_sha256_hex(text.data, text.len, key);
	ERR_TRY(db_query(db, Q_INTAKE,
		DB_ARGS(db_str(key), db_i64(1), db_str(str(issue, "key")),
			db_str(str(issue, "project_key")), db_str("reconcile"), db_null()),
		&rows));
	*ret_new = db_rows_next(rows) && !db_rows_i64(rows, "duplicate");
	if (*ret_new)
		log_info("%s is an order without a run: run %lld", str(issue, "key"),
			(long long)db_rows_i64(rows, "run_id"));
	return NULL;
}

static err_t look_at(struct db *db, const struct settings *set, const json_t *issue, bool *ret_new)
{
	struct route route;
	bool has = false;
	*ret_new = false;
	route_decide(set, issue, &route);
	if (route.action == ROUTE_NONE)
		return NULL;
	ERR_TRY(has_run(db, issue, &has));
	return has ? NULL : enqueue(db, issue, ret_new);
}

static err_t reconcile(struct db *db, const struct settings *set, struct jira *jira)
{
	AUTO(buf_release) struct buf jql = BUF(JQL_MAX);
	json_auto_t *issues = NULL;
	size_t i, queued = 0;
	json_t *issue;
	make_jql(set, &jql);
	ERR_TRY(jira_search(jira, jql.data, &issues));
	json_array_foreach (issues, i, issue) {
		bool is_new;
		ERR_TRY(look_at(db, set, issue, &is_new));
		queued += is_new;
	}
	log_info("Jira was searched: %zu issues of the AI account, %zu had no run",
		json_array_size(issues), queued);
	return NULL;
}

/* The lock goes with the connection. */
static err_t lock(struct db *db, bool *ret_got)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_LOCK_GET, DB_ARGS(db_str(LOCK_NAME), db_i64(0)), &rows));
	*ret_got = db_rows_next(rows) && db_rows_i64(rows, "got") == 1;
	return NULL;
}

static err_t work(struct db *db, const struct settings *set)
{
	bool got = false;
	struct jira *jira = NULL;
	ERR_TRY(lock(db, &got));
	if (!got) /* another worker is at it */
		return NULL;
	ERR_TRY(http_init());
	rate_use(db);
	err_t e = jira_open(set, &jira);
	if (!e)
		e = reconcile(db, set, jira);
	jira_close(jira);
	rate_use(NULL);
	http_exit();
	return e;
}

int reconcile_work(const struct settings *set)
{
	struct db *db AUTO(db_closep) = NULL;
	err_t e = db_open(set, &db);
	if (!e)
		e = work(db, set);
	if (e)
		log_warning("Jira could not be searched for missed orders: %s", err_text(e));
	return e ? 1 : 0;
}
