/*
 * Writes to Jira and the forge that happen once in effect: stored, sent, done. Called by steps and
 * by the closing report; how an effect is sent and looked up is outbox_effects.c's.
 *
 *   waiting --take--> sending --answer--> done
 *      ^                 |---refused for good--> void
 *      '---may pass------'
 *
 * A call whose end is unknown (its process died, or the connection did) keeps its row out of
 * everybody's hands until send_until; after that the service is asked before anything is repeated.
 */
#include "worker/outbox.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"
#include "worker/fault.h"
#include "worker/http.h"
#include "worker/outbox_effects.h"
#include "worker/rate.h"

#define KEY_MAX 190
#define TRIES 3
#define SENDING_PATIENCE_MS 2000 /* for a call's turn: a row is sent within send_until */
#define PATIENCE_MS 35000        /* a little more than send_until is ahead */

enum row_state { ROW_ABSENT, ROW_WAITING, ROW_SENDING, ROW_DONE, ROW_VOID, ROW__MAX };

static const char *const row_states[ROW__MAX] = {
	[ROW_ABSENT] = "",
	[ROW_WAITING] = "waiting",
	[ROW_SENDING] = "sending",
	[ROW_DONE] = "done",
	[ROW_VOID] = "void",
};

struct row {
	enum row_state state;
	int attempts;
	int64_t open_ms;  /* 0: it may be taken */
	json_t *request;  /* owned */
	json_t *result;   /* owned; NULL unless done */
	char *last_error; /* owned */
};

struct sending {
	struct run_ctx *ctx;
	const struct effect *effect;
	char key[KEY_MAX + 1];
	char *marker; /* owned */
};

static void row_release(struct row *row)
{
	json_decref(row->request);
	json_decref(row->result);
	free(row->last_error);
	*row = (struct row){0};
}

static void sending_release(struct sending *s)
{
	free(s->marker);
}

const char *effect_kind_name(enum effect_kind kind)
{
	return effect_services[kind].name;
}

static json_t *load_json(const char *text)
{
	return text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
}

static err_t row_load(const struct sending *s, struct row *ret_row)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(s->ctx->db, Q_OUTBOX_GET, DB_ARGS(db_str(s->key)), &rows));
	row_release(ret_row);
	if (!db_rows_next(rows))
		return NULL;
	for (int i = ROW_WAITING; i < ROW__MAX; i++)
		if (strcmp(row_states[i], db_rows_str(rows, "state")) == 0)
			ret_row->state = (enum row_state)i;
	ret_row->attempts = (int)db_rows_i64(rows, "attempts");
	ret_row->open_ms = db_rows_i64(rows, "open_ms");
	ret_row->request = load_json(db_rows_str(rows, "request"));
	ret_row->result = load_json(db_rows_str(rows, "result"));
	ret_row->last_error = xstrdup(db_rows_str(rows, "last_error"));
	return NULL;
}

/* Why did a fenced write find no row? */
static err_t why_not_ours(const struct sending *s)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(s->ctx->db, Q_RUN_ALIVE,
		DB_ARGS(db_i64(s->ctx->run.fence), db_i64(s->ctx->run.id)), &rows));
	if (db_rows_next(rows) && db_rows_i64(rows, "ours") && db_rows_i64(rows, "cancelled"))
		return err_new(ERR_CANCELLED, "run %lld was cancelled", (long long)s->ctx->run.id);
	return err_new(
		ERR_FENCE, "run %lld is not this worker's any more", (long long)s->ctx->run.id);
}

static err_t not_ours(const struct sending *s, err_t e)
{
	return err_code(e) == ERR_FENCE ? why_not_ours(s) : e;
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

static err_t row_add(const struct sending *s)
{
	const struct run *run = &s->ctx->run;
	autofree char *request = request_text(s->effect->request);
	err_t e = db_exec_fenced(s->ctx->db, Q_OUTBOX_ADD,
		DB_ARGS(db_str(s->key), db_str(s->effect->issue_key),
			db_str(effect_kind_name(s->effect->kind)), db_i64(s->effect->closing),
			db_str(request), db_i64(run->id), db_i64(run->fence),
			db_i64(s->effect->closing)));
	return err_code(e) == ERR_DB_DUPLICATE ? NULL : not_ours(s, e);
}

/* ---- one try ---- */

static err_t take_row(const struct sending *s)
{
	const struct run *run = &s->ctx->run;
	return not_ours(s, db_exec_fenced(s->ctx->db, Q_OUTBOX_TAKE,
				   DB_ARGS(db_i64(run->fence), db_str(s->key), db_i64(run->id),
					   db_i64(run->fence), db_i64(s->effect->closing))));
}

/* A second try asks first whether the one before had its effect. *ret_sent: it was sent (again). */
static err_t call_service(
	const struct sending *s, const struct row *row, bool *ret_sent, json_t **ret_result)
{
	const struct effect_service *service = &effect_services[s->effect->kind];
	const struct effect_call call = {s->ctx, s->effect->issue_key, s->marker, row->request};
	if (row->attempts > 0 && service->lookup) {
		ERR_TRY(service->lookup(&call, ret_result));
		if (*ret_result)
			return NULL;
	}
	*ret_sent = service->lookup != NULL; /* what may be repeated needs no care */
	return service->send(&call, ret_result);
}

/* After these nobody knows whether the service has done what it was sent. */
static bool unknown_end(enum err_code code)
{
	return code == ERR_TIMEOUT || code == ERR_NETWORK || code == ERR_BAD_INPUT;
}

static err_t note_failure(const struct sending *s, err_t cause, bool unsure)
{
	bool again = err_can_retry(err_code(cause)) || unsure;
	autofree char *words = redact_str(err_text(cause));
	return db_exec(s->ctx->db, Q_OUTBOX_FAILED,
		DB_ARGS(db_str(row_states[again ? ROW_WAITING : ROW_VOID]), db_str(words),
			db_i64(unsure), db_str(s->key), db_i64(s->ctx->run.fence)),
		NULL);
}

static err_t note_done(const struct sending *s, const json_t *result)
{
	autofree char *text = json_dumps(result, JSON_COMPACT);
	return db_exec_fenced(s->ctx->db, Q_OUTBOX_DONE,
		DB_ARGS(db_str(text), db_str(s->key), db_i64(s->ctx->run.fence)));
}

/* Takes the row and sends it. *ret_refused: the service's error, as against the database's. */
static err_t send_once(const struct sending *s, const struct row *row, json_t **ret_result,
	struct err *ret_refused)
{
	ERR_TRY(run_hold(s->ctx)); /* before the row is taken: from then on time counts */
	ERR_TRY(take_row(s));
	rate_set_patience(SENDING_PATIENCE_MS);
	FAULT_POINT("outbox.%s.taken", s->effect->name);
	json_auto_t *result = NULL;
	bool sent = false;
	err_t e = call_service(s, row, &sent, &result);
	rate_set_patience(0);
	if (e) {
		*ret_refused = *e;
		return note_failure(s, ret_refused, sent && unknown_end(e->code));
	}
	FAULT_POINT("outbox.%s.sent", s->effect->name);
	ERR_TRY(note_done(s, result));
	FAULT_POINT("outbox.%s.done", s->effect->name);
	*ret_result = take(&result);
	return NULL;
}

/* ---- the whole way ---- */

/* Waits until the row may be taken. *ret_row is as it then is. */
static err_t row_wait(const struct sending *s, struct row *ret_row)
{
	ERR_TRY(row_load(s, ret_row));
	int64_t waited_ms = 0;
	while (ret_row->state != ROW_DONE && ret_row->open_ms > 0 && waited_ms < PATIENCE_MS) {
		int64_t ms = ret_row->open_ms < 500 ? ret_row->open_ms + 1 : 500;
		ERR_TRY(http_wait(ms, NULL, NULL));
		waited_ms += ms;
		ERR_TRY(row_load(s, ret_row));
	}
	return NULL;
}

static err_t refusal(const struct sending *s, const struct err *refused)
{
	return err_new(refused->code, "%s %s: %s", effect_kind_name(s->effect->kind),
		s->effect->issue_key, refused->text);
}

static err_t work(const struct sending *s, json_t **ret_result)
{
	AUTO(row_release) struct row row = {0};
	struct err refused = {0};
	ERR_TRY(row_load(s, &row));
	if (row.state == ROW_ABSENT)
		ERR_TRY(row_add(s));
	FAULT_POINT("outbox.%s.stored", s->effect->name);
	for (int n = 0; n < TRIES; n++) {
		ERR_TRY(row_wait(s, &row));
		if (row.state == ROW_DONE) {
			*ret_result = json_incref(row.result);
			return NULL;
		}
		if (row.state == ROW_VOID && refused.code == ERR_NONE)
			return err_new(ERR_OUTSIDE_FINAL, "%s %s: %s",
				effect_kind_name(s->effect->kind), s->effect->issue_key,
				row.last_error ? row.last_error : "withdrawn");
		if (row.state == ROW_VOID)
			break;
		refused.code = ERR_NONE;
		ERR_TRY(send_once(s, &row, ret_result, &refused));
		if (refused.code == ERR_NONE)
			return NULL;
		if (n + 1 < TRIES && err_can_retry(refused.code))
			ERR_TRY(http_wait(http_retry_wait_ms(s->ctx->set, NULL, n), NULL, NULL));
	}
	return refusal(s, &refused);
}

static void make_key(const struct run_ctx *ctx, const char *name, char ret_key[KEY_MAX + 1])
{
	snprintf(
		ret_key, KEY_MAX + 1, "%lld/%d/%s", (long long)ctx->run.id, ctx->run.attempt, name);
}

err_t outbox_knows(struct run_ctx *ctx, const char *name, bool *ret_known)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	char key[KEY_MAX + 1];
	make_key(ctx, name, key);
	ERR_TRY(db_query(ctx->db, Q_OUTBOX_GET, DB_ARGS(db_str(key)), &rows));
	*ret_known = db_rows_next(rows);
	return NULL;
}

err_t outbox_effect(struct run_ctx *ctx, struct effect *effect, json_t **ret_result)
{
	json_auto_t *request = effect->request;
	json_auto_t *result = NULL;
	AUTO(sending_release) struct sending s = {.ctx = ctx, .effect = effect};
	make_key(ctx, effect->name, s.key);
	/* people count from one */
	s.marker = xasprintf("AI Runner · run %lld · attempt %d · %s", (long long)ctx->run.id,
		ctx->run.attempt, effect->name);
	err_t e = work(&s, &result);
	effect->request = NULL;
	ERR_TRY(e);
	if (ret_result)
		*ret_result = take(&result);
	return NULL;
}
