/*
 * One row of the outbox: read, tried, ended. Called by outbox.c and drain.c after they have taken
 * it.
 *
 *   waiting --take--> sending --answer--> done
 *      ^                 |---refused for good--> void
 *      '---may pass------'
 *
 * A call whose end is unknown (its process died, or the connection did) keeps its row out of
 * everybody's hands until send_until; after that the service is asked before anything is repeated.
 */
#include "worker/outbox_row.h"

#include <openssl/rand.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "worker/fault.h"
#include "worker/rate.h"

#define TURN_PATIENCE_MS 2000 /* of a call: a row is to be sent before send_until */
#define BACKOFF_DOUBLINGS 9
#define BACKOFF_MOST 300 /* times AIRUNNER_RETRY_BASE_MS: five minutes */

static const char *const row_states[ROW__MAX] = {
	[ROW_ABSENT] = "",
	[ROW_WAITING] = "waiting",
	[ROW_SENDING] = "sending",
	[ROW_DONE] = "done",
	[ROW_VOID] = "void",
};

const char *effect_kind_name(enum effect_kind kind)
{
	return effect_services[kind].name;
}

static enum effect_kind kind_of(const char *name)
{
	int kind = 0;
	while (kind < EFFECT__MAX &&
		(!effect_services[kind].name || strcmp(effect_services[kind].name, name) != 0))
		kind++;
	return (enum effect_kind)kind;
}

enum effect_at outbox_kind_at(const char *kind)
{
	enum effect_kind k = kind_of(kind);
	return k < EFFECT__MAX ? effect_services[k].at : EFFECT_AT_JIRA;
}

void outbox_row_release(struct outbox_row *row)
{
	json_decref(row->request);
	json_decref(row->result);
	free(row->last_error);
	free(row->issue_key);
	*row = (struct outbox_row){0};
}

static json_t *load_json(const char *text)
{
	return text ? json_loads(text, JSON_DECODE_ANY, NULL) : NULL;
}

err_t outbox_row_load(struct db *db, const char *key, struct outbox_row *row)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	char wanted[OUTBOX_KEY_MAX + 1]; /* key may be the row's own */
	snprintf(wanted, sizeof wanted, "%s", key);
	ERR_TRY(db_query(db, Q_OUTBOX_GET, DB_ARGS(db_str(wanted)), &rows));
	outbox_row_release(row);
	snprintf(row->key, sizeof row->key, "%s", wanted);
	if (!db_rows_next(rows))
		return NULL;
	for (int i = ROW_WAITING; i < ROW__MAX; i++)
		if (strcmp(row_states[i], db_rows_str(rows, "state")) == 0)
			row->state = (enum row_state)i;
	row->id = db_rows_i64(rows, "id");
	row->run_id = db_rows_i64(rows, "run_id");
	row->issue_key = xstrdup(db_rows_str(rows, "issue_key"));
	row->kind = kind_of(db_rows_str(rows, "kind"));
	row->closing = db_rows_i64(rows, "is_closing");
	row->attempts = (int)db_rows_i64(rows, "attempts");
	row->open_ms = db_rows_i64(rows, "open_ms");
	row->behind = db_rows_i64(rows, "behind");
	row->request = load_json(db_rows_str(rows, "request"));
	row->result = load_json(db_rows_str(rows, "result"));
	row->last_error = xstrdup(db_rows_str(rows, "last_error"));
	return NULL;
}

const char *outbox_row_name(const struct outbox_row *row)
{
	const char *slash = strrchr(row->key, '/');
	return slash ? slash + 1 : row->key;
}

/* People count from one. */
static char *marker_of(const struct outbox_row *row)
{
	long long run = 0, attempt = 0;
	sscanf(row->key, "%lld/%lld/", &run, &attempt);
	return xasprintf(
		"AI Runner · run %lld · attempt %lld · %s", run, attempt, outbox_row_name(row));
}

/* A second try asks first whether the one before had its effect. *ret_sent: it was sent (again). */
static err_t call_service(struct run_ctx *ctx, const struct outbox_row *row, bool look_only,
	bool *ret_sent, json_t **ret_result)
{
	if (row->kind == EFFECT__MAX)
		return err_new(ERR_OUTSIDE_FINAL, "effects of this kind are not known here");
	const struct effect_service *service = &effect_services[row->kind];
	autofree char *marker = marker_of(row);
	const struct effect_call call = {ctx, row->issue_key, marker, row->request};
	if (row->attempts > 0 && service->lookup) {
		ERR_TRY(service->lookup(&call, ret_result));
		if (*ret_result)
			return NULL;
	}
	if (look_only)
		return err_new(ERR_CANCELLED, "the run was cancelled");
	*ret_sent = service->lookup != NULL; /* what may be repeated needs no care */
	return service->send(&call, ret_result);
}

/* After these nobody knows whether the service has done what it was sent. */
static bool unknown_end(enum err_code code)
{
	return code == ERR_TIMEOUT || code == ERR_NETWORK || code == ERR_BAD_INPUT;
}

/* An expired token is renewed some day: until then the closing report is kept. */
static bool may_pass(const struct outbox_row *row, enum err_code code, bool unsure)
{
	return unsure || err_can_retry(code) || (row->closing && code == ERR_UNAUTHORIZED);
}

static int64_t backoff_ms(const struct settings *set, int tries)
{
	int64_t base = settings_int(set, S_AIRUNNER_RETRY_BASE_MS);
	int64_t wait = base << (tries < BACKOFF_DOUBLINGS ? tries : BACKOFF_DOUBLINGS);
	unsigned char random = 128;
	(void)RAND_bytes(&random, 1); /* without jitter the wait is still right */
	wait = wait < base * BACKOFF_MOST ? wait : base * BACKOFF_MOST;
	return wait - wait * random / 1024; /* up to a quarter less */
}

static err_t note_failure(
	struct run_ctx *ctx, struct outbox_row *row, const struct err *cause, bool unsure)
{
	bool again = may_pass(row, cause->code, unsure);
	int64_t wait_ms = backoff_ms(ctx->set, row->attempts - 1);
	if (cause->code == ERR_RATE && wait_ms < rate_parked_s() * 1000)
		wait_ms = rate_parked_s() * 1000;
	int64_t wait_us = again ? 1000 * wait_ms : 0;
	autofree char *words = redact_str(cause->text);
	row->state = again ? ROW_WAITING : ROW_VOID;
	ERR_TRY(db_exec(ctx->db, Q_OUTBOX_FAILED,
		DB_ARGS(db_str(row_states[row->state]), db_str(words), db_i64(unsure),
			db_i64(wait_us), db_i64(wait_us), db_i64(row->id), db_i64(row->attempts)),
		NULL));
	return again ? db_exec(ctx->db, Q_OUTBOX_HOLD,
			       DB_ARGS(db_i64(wait_us), db_str(row->issue_key), db_i64(row->id)),
			       NULL)
		     : NULL;
}

static err_t note_done(struct run_ctx *ctx, struct outbox_row *row, const json_t *result)
{
	autofree char *text = json_dumps(result, JSON_COMPACT);
	row->state = ROW_DONE;
	return db_exec_fenced(ctx->db, Q_OUTBOX_DONE,
		DB_ARGS(db_str(text), db_i64(row->id), db_i64(row->attempts)));
}

err_t outbox_row_try(struct run_ctx *ctx, struct outbox_row *row, bool look_only,
	json_t **ret_result, struct err *ret_refused)
{
	json_auto_t *result = NULL;
	bool sent = false;
	*ret_refused = (struct err){0};
	FAULT_POINT("outbox.%s.taken", outbox_row_name(row));
	rate_set_patience(TURN_PATIENCE_MS);
	err_t e = call_service(ctx, row, look_only, &sent, &result);
	rate_set_patience(0);
	row->attempts++; /* as taking it has made them */
	if (e) {
		*ret_refused = *e;
		return note_failure(
			ctx, row, ret_refused, !look_only && sent && unknown_end(e->code));
	}
	FAULT_POINT("outbox.%s.sent", outbox_row_name(row));
	ERR_TRY(note_done(ctx, row, result));
	FAULT_POINT("outbox.%s.done", outbox_row_name(row));
	*ret_result = take(&result);
	return NULL;
}
