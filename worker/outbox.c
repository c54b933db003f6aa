/*
 * Writes to Jira and the forge that happen once in effect, as a run's child makes them: stored,
 * taken under the run's fence, tried. Called by steps and by the closing report; one try is
 * outbox_row.c's, how an effect is sent and looked up outbox_effects.c's, what is left drain.c's.
 */
#include "worker/outbox.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"
#include "worker/fault.h"
#include "worker/http.h"
#include "worker/outbox_row.h"

#define TRIES 3
#define PATIENCE_MS 35000  /* a little more than send_until is ahead */
#define CLOSING_PATIENCE 8 /* times AIRUNNER_RETRY_BASE_MS: the waits between three tries */

struct sending {
	struct run_ctx *ctx;
	const struct effect *effect;
	char key[OUTBOX_KEY_MAX + 1];
	int64_t patience_ms;
};

/* Why did a fenced write find no row? */
static err_t why_not_ours(const struct run_ctx *ctx)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(
		ctx->db, Q_RUN_ALIVE, DB_ARGS(db_i64(ctx->run.fence), db_i64(ctx->run.id)), &rows));
	if (db_rows_next(rows) && db_rows_i64(rows, "ours") && db_rows_i64(rows, "cancelled"))
		return err_new(ERR_CANCELLED, "run %lld was cancelled", (long long)ctx->run.id);
	return err_new(ERR_FENCE, "run %lld is not this worker's any more", (long long)ctx->run.id);
}

static err_t not_ours(const struct run_ctx *ctx, err_t e)
{
	return err_code(e) == ERR_FENCE ? why_not_ours(ctx) : e;
}

/* Everything that goes outside is masked here, once for all texts. */
static char *request_text(const json_t *request)
{
	json_auto_t *masked = json_object();
	const char *name;
	json_t *value;
	json_object_foreach ((json_t *)request, name, value) {
		if (!json_is_string(value)) {
			json_object_set(masked, name, value);
			continue;
		}
		autofree char *text = redact_str(json_string_value(value));
		json_object_set_new(masked, name, text_json(text));
	}
	return json_dumps(masked, JSON_COMPACT);
}

static void make_key(const struct run_ctx *ctx, const char *name, char ret_key[OUTBOX_KEY_MAX + 1])
{
	snprintf(ret_key, OUTBOX_KEY_MAX + 1, "%lld/%d/%s", (long long)ctx->run.id,
		ctx->run.attempt, name);
}

static err_t row_add(struct run_ctx *ctx, const struct effect *effect)
{
	char key[OUTBOX_KEY_MAX + 1];
	make_key(ctx, effect->name, key);
	autofree char *request = request_text(effect->request);
	err_t e = db_exec_fenced(ctx->db, Q_OUTBOX_ADD,
		DB_ARGS(db_str(key), db_str(effect->issue_key),
			db_str(effect_kind_name(effect->kind)), db_i64(effect->closing),
			db_str(request), db_i64(ctx->run.id), db_i64(ctx->run.fence),
			db_i64(effect->closing)));
	return err_code(e) == ERR_DB_DUPLICATE ? NULL : e;
}

static err_t take_row(const struct sending *s, const struct outbox_row *row)
{
	const struct run *run = &s->ctx->run;
	return not_ours(s->ctx,
		db_exec_fenced(s->ctx->db, Q_OUTBOX_TAKE,
			DB_ARGS(db_i64(run->fence), db_i64(row->id), db_i64(row->attempts),
				db_i64(run->id), db_i64(run->fence), db_i64(s->effect->closing))));
}

/* Waits until the row may be taken, or patience is over. *row is as it then is. */
static err_t row_wait(const struct sending *s, struct outbox_row *row)
{
	ERR_TRY(outbox_row_load(s->ctx->db, s->key, row));
	int64_t waited_ms = 0;
	while (row->state != ROW_DONE && (row->open_ms > 0 || row->behind) &&
		waited_ms + row->open_ms < s->patience_ms) {
		int64_t ms = row->open_ms > 0 && row->open_ms < 500 ? row->open_ms + 1 : 500;
		ERR_TRY(http_wait(ms, NULL, NULL));
		waited_ms += ms;
		ERR_TRY(outbox_row_load(s->ctx->db, s->key, row));
	}
	return NULL;
}

static err_t refusal(const struct sending *s, const struct outbox_row *row, const struct err *why)
{
	const char *words = row->last_error ? row->last_error : "withdrawn";
	enum err_code code = row->state == ROW_VOID ? ERR_OUTSIDE_FINAL : ERR_OUTSIDE;
	return err_new(why->code ? why->code : code, "%s %s: %s", effect_kind_name(s->effect->kind),
		s->effect->issue_key, why->code ? why->text : words);
}

static err_t work(const struct sending *s, json_t **ret_result)
{
	AUTO(outbox_row_release) struct outbox_row row = {0};
	struct err refused = {0};
	ERR_TRY(outbox_row_load(s->ctx->db, s->key, &row));
	if (row.state == ROW_ABSENT)
		ERR_TRY(not_ours(s->ctx, row_add(s->ctx, s->effect)));
	FAULT_POINT("outbox.%s.stored", s->effect->name);
	for (int n = 0; n < TRIES; n++) {
		ERR_TRY(row_wait(s, &row));
		if (row.state == ROW_DONE) {
			*ret_result = json_incref(row.result);
			return NULL;
		}
		if (row.state == ROW_VOID || row.open_ms > 0 || row.behind)
			break;
		ERR_TRY(run_hold(s->ctx)); /* before the row is taken: from then on time counts */
		ERR_TRY(take_row(s, &row));
		ERR_TRY(outbox_row_try(s->ctx, &row, false, ret_result, &refused));
		if (refused.code == ERR_NONE)
			return NULL;
		if (refused.code == ERR_UNAUTHORIZED)
			break; /* not within seconds */
	}
	return refusal(s, &row, &refused);
}

err_t outbox_knows(struct run_ctx *ctx, const char *name, bool *ret_known)
{
	AUTO(outbox_row_release) struct outbox_row row = {0};
	char key[OUTBOX_KEY_MAX + 1];
	make_key(ctx, name, key);
	ERR_TRY(outbox_row_load(ctx->db, key, &row));
	*ret_known = row.state != ROW_ABSENT;
	return NULL;
}

err_t outbox_is_left(struct run_ctx *ctx, const char *name, bool *ret_left)
{
	AUTO(outbox_row_release) struct outbox_row row = {0};
	char key[OUTBOX_KEY_MAX + 1];
	make_key(ctx, name, key);
	ERR_TRY(outbox_row_load(ctx->db, key, &row));
	*ret_left = row.state == ROW_WAITING || row.state == ROW_SENDING;
	return NULL;
}

err_t outbox_settled(struct run_ctx *ctx, const char *issue_key)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(ctx->db, Q_OUTBOX_OPEN, DB_ARGS(db_str(issue_key)), &rows));
	return db_rows_next(rows)
		       ? err_new(ERR_LATER, "%s is not yet as it will be: effect %s is on its way",
				 issue_key, db_rows_str(rows, "effect_key"))
		       : NULL;
}

err_t outbox_store(struct run_ctx *ctx, const struct effect *effects, size_t count)
{
	struct db_try t = {0};
	while (db_try(ctx->db, &t)) {
		for (size_t i = 0; i < count && !t.error; i++)
			t.error = row_add(ctx, &effects[i]);
	}
	return not_ours(ctx, t.error);
}

err_t outbox_effect(struct run_ctx *ctx, struct effect *effect, json_t **ret_result)
{
	json_auto_t *request = effect->request;
	json_auto_t *result = NULL;
	int64_t base_ms = settings_int(ctx->set, S_AIRUNNER_RETRY_BASE_MS);
	struct sending s = {.ctx = ctx,
		.effect = effect,
		.patience_ms = effect->closing ? CLOSING_PATIENCE * base_ms : PATIENCE_MS};
	make_key(ctx, effect->name, s.key);
	err_t e = work(&s, &result);
	effect->request = NULL;
	ERR_TRY(e);
	if (ret_result)
		*ret_result = take(&result);
	return NULL;
}
