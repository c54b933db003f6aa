/*
 * The trigger key. A webhook says little of what it is about, Jira sends several for one action,
 * and the reconciling poll sends none: what counts is whether the issue as it is now was worked
 * already. Called by step `fetch` for issues that are an order.
 */
#include "worker/steps/fetch_trigger.h"

#include "lib/mem.h"

#define KEY_TEXT_MAX 4096

static const char *str(const json_t *object, const char *member)
{
	const char *s = json_string_value(json_object_get(object, member));
	return s ? s : "";
}

/* Comments come oldest first. */
static const char *newest_comment(const json_t *issue)
{
	const json_t *comments = json_object_get(issue, "comments");
	for (size_t i = json_array_size(comments); i > 0; i--) {
		const json_t *comment = json_array_get(comments, i - 1);
		if (!json_is_true(json_object_get(comment, "own")))
			return str(comment, "id");
	}
	return "";
}

void trigger_key(const json_t *issue, char ret_key[SHA256_HEX_LEN + 1])
{
	AUTO(buf_release) struct buf text = BUF(KEY_TEXT_MAX);
	buf_addf(&text, "%s\n%s\n%s\n%s\n%s", str(issue, "id"), str(issue, "status_id"),
		str(issue, "assignee"), newest_comment(issue), str(issue, "newest_change"));
	crypto_sha256_hex(text.data, text.len, ret_key);
}

err_t fetch_trigger(struct run_ctx *ctx, const json_t *issue, int64_t *ret_run_id)
{
	char key[SHA256_HEX_LEN + 1];
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	trigger_key(issue, key);
	ERR_TRY(db_exec_fenced(ctx->db, Q_RUN_SET_TRIGGER,
		DB_ARGS(db_str(key), db_i64(ctx->run.id), db_i64(ctx->run.fence))));
	*ret_run_id = 0;
	if (ctx->run.attempt > 1) /* only a person's retry raises it */
		return NULL;
	ERR_TRY(db_query(ctx->db, Q_TRIGGER_SEEN,
		DB_ARGS(db_str(ctx->run.issue_key), db_i64(ctx->run.id), db_str(key)), &rows));
	if (db_rows_next(rows))
		*ret_run_id = db_rows_i64(rows, "id");
	return NULL;
}
