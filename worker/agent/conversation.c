/* The rows of a conversation. Called by the agent loop only. */
#include "worker/agent/conversation.h"

#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "worker/budget.h"
#include "worker/fault.h"

#define MAX_MESSAGE (32u << 20)
#define AWAY_MS 30000 /* shorter than the lease lives without its parent's renewals */
#define AWAY_TRIES 3

void conversation_release(struct conversation *c)
{
	for (size_t i = 0; i < c->count; i++)
		free((char *)c->messages[i].data);
	free(c->messages);
	free(c->prefix);
	*c = (struct conversation){0};
}

/* Takes over data. */
static void add_message(struct conversation *c, char *data, size_t len, bool is_user, int blocks)
{
	c->messages = xrealloc(c->messages, (c->count + 1) * sizeof *c->messages);
	c->messages[c->count++] = (struct llm_message){data, len, is_user, blocks};
}

/* A write that was refused: was the run cancelled, or taken? */
static err_t why(struct run_ctx *ctx, err_t e)
{
	err_t cause = err_code(e) == ERR_FENCE ? run_check_alive(ctx) : NULL;
	return cause ? cause : e;
}

static err_t store(struct run_ctx *ctx, const struct llm *llm, const struct conversation *c,
	const char *role, const char *data, size_t len)
{
	return why(ctx, db_exec_fenced(ctx->db, Q_MESSAGE_ADD,
				DB_ARGS(db_i64(c->conv), db_i64(c->next_seq), db_str(role),
					db_str(llm->profile.model), db_blob(data, len),
					db_i64(ctx->run.id), db_i64(ctx->run.fence))));
}

static err_t newest(struct run_ctx *ctx, int *ret_conv)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(ctx->db, Q_CONVERSATION_NEWEST, DB_ARGS(db_i64(ctx->run.id)), &rows));
	*ret_conv = db_rows_next(rows) ? (int)db_rows_i64(rows, "conv") : 0;
	return NULL;
}

err_t conversation_begin(
	struct run_ctx *ctx, const struct llm *llm, struct buf *prefix, struct conversation *ret)
{
	struct conversation c = {0};
	ERR_TRY(newest(ctx, &c.conv));
	c.conv++;
	ERR_TRY(store(ctx, llm, &c, "prefix", prefix->data, prefix->len));
	c.next_seq = 1;
	c.prefix_len = prefix->len;
	c.prefix = buf_take(prefix);
	*ret = c;
	return NULL;
}

static err_t load_row(const struct llm *llm, struct conversation *c, const struct db_rows *rows)
{
	size_t len;
	const char *data = db_rows_blob(rows, "content", &len);
	bool is_user = strcmp(db_rows_str(rows, "role"), "user") == 0;
	c->next_seq = (int)db_rows_i64(rows, "seq") + 1;
	if (!is_user) {
		const char *stop = db_rows_str(rows, "stop_reason");
		c->last_answer_seq = c->next_seq - 1;
		c->last_prompt = db_rows_i64(rows, "prompt_tokens");
		c->last_ms = db_rows_i64(rows, "asked_at");
		snprintf(c->last_stop, sizeof c->last_stop, "%s", stop ? stop : "");
	}
	if (len == 0)
		return NULL;
	AUTO(llm_calls_release) struct llm_calls calls = {0};
	int blocks;
	ERR_TRY(llm_read_message(llm, data, len, &calls, &blocks));
	char *copy = xmalloc(len + 1);
	memcpy(copy, data, len);
	copy[len] = '\0';
	add_message(c, copy, len, is_user, blocks);
	return NULL;
}

err_t conversation_load(struct run_ctx *ctx, const struct llm *llm, int conv,
	const struct buf *prefix, struct conversation *ret)
{
	AUTO(conversation_release) struct conversation c = {.conv = conv};
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(ctx->db, Q_CONVERSATION_MESSAGES,
		DB_ARGS(db_i64(ctx->run.id), db_i64(c.conv)), &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_NOT_FOUND, "the run has no conversation");
	const void *data = db_rows_blob(rows, "content", &c.prefix_len);
	if (prefix && (c.prefix_len != prefix->len || memcmp(data, prefix->data, prefix->len) != 0))
		return err_new(ERR_NOT_FOUND, "the run's conversation has another prefix");
	c.prefix = xstrndup(data, c.prefix_len);
	c.next_seq = 1;
	while (db_rows_next(rows))
		ERR_TRY(load_row(llm, &c, rows));
	*ret = c;
	c = (struct conversation){0};
	return NULL;
}

bool conversation_ends_with_answer(const struct conversation *c)
{
	return c->last_answer_seq > 0 && c->last_answer_seq == c->next_seq - 1;
}

void conversation_unsay(struct conversation *c, size_t count)
{
	while (c->count > count) {
		free((char *)c->messages[--c->count].data);
		c->next_seq--;
	}
}

err_t conversation_add(
	const struct llm *llm, struct conversation *c, const struct llm_part *parts, size_t count)
{
	AUTO(buf_release) struct buf b = BUF(MAX_MESSAGE);
	llm_user_message(llm, parts, count, c->count == 0, &b);
	if (buf_cut(&b))
		return err_new(ERR_TOO_LARGE, "a message to the model is larger than %u bytes",
			MAX_MESSAGE);
	c->next_seq++;
	size_t len = b.len;
	add_message(c, buf_take(&b), len, true, (int)count);
	return NULL;
}

err_t conversation_say(struct run_ctx *ctx, const struct llm *llm, struct conversation *c,
	const struct llm_part *parts, size_t count)
{
	size_t said = c->count;
	ERR_TRY(conversation_add(llm, c, parts, count));
	const struct llm_message *m = &c->messages[said];
	c->next_seq--;
	err_t e = store(ctx, llm, c, "user", m->data, m->len);
	c->next_seq++;
	if (e)
		conversation_unsay(c, said);
	return e;
}

/* With the cost of its call: one transaction. */
static err_t store_answer(struct run_ctx *ctx, const struct llm *llm, const struct conversation *c,
	const struct llm_answer *a, bool keep, int64_t call_id)
{
	const struct llm_usage *u = &a->usage;
	int64_t written = u->written_5m + u->written_1h;
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(budget_query(ctx->db, Q_ANSWER_STORE,
		DB_ARGS(db_i64(ctx->run.id), db_i64(ctx->run.fence), db_i64(call_id),
			db_i64(c->conv), db_i64(c->next_seq), db_str(llm->profile.model),
			db_blob(a->message.data, keep ? a->message.len : 0), db_str(a->stop_name),
			db_str(a->request_id), db_i64(u->fresh), db_i64(written), db_i64(u->read),
			db_i64(u->output), db_i64(u->thinking),
			a->cost_known ? db_i64(a->cost_usd_micro) : db_null(),
			u->is_known ? db_i64(u->fresh + written + u->read + u->output) : db_null(),
			db_i64(a->latency_ms)),
		&rows));
	if (!db_rows_next(rows) || !db_rows_i64(rows, "ours"))
		return err_new(ERR_FENCE, "the run is not this worker's any more");
	if (!db_rows_i64(rows, "cancelled"))
		run_note_alive(ctx);
	return NULL;
}

/* An answer that was received is paid for: it is stored also when the database goes away for a
 * while. Whether a lost commit was one is told by the row, which can be there only once. */
static err_t store_surely(struct run_ctx *ctx, const struct llm *llm, const struct conversation *c,
	const struct llm_answer *answer, bool keep, int64_t call_id)
{
	for (int n = 0;; n++) {
		err_t e = store_answer(ctx, llm, c, answer, keep, call_id);
		enum err_code code = err_code(e);
		if (n > 0 && code == ERR_DB_DUPLICATE)
			return NULL;
		if ((code != ERR_DB_AWAY && code != ERR_DB_UNSURE) || n == AWAY_TRIES)
			return e;
		log_warning("%s; the answer is stored when the database is back", e->text);
		ERR_TRY(db_reconnect_within(ctx->db, AWAY_MS));
	}
}

err_t conversation_answer(struct run_ctx *ctx, const struct llm *llm, struct conversation *c,
	const struct llm_answer *answer, bool keep, int64_t call_id)
{
	FAULT_POINT("llm.received");
	err_t e = store_surely(ctx, llm, c, answer, keep, call_id);
	if (e)
		return why(ctx, e);
	FAULT_POINT("llm.stored");
	c->last_answer_seq = c->next_seq++;
	if (keep && answer->message.len > 0)
		add_message(c, xstrndup(answer->message.data, answer->message.len),
			answer->message.len, false, answer->blocks);
	return NULL;
}

err_t conversation_newest_tree(struct run_ctx *ctx, int conv, int64_t after_seq, char ret_tree[41])
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(ctx->db, Q_CONVERSATION_TREE,
		DB_ARGS(db_i64(ctx->run.id), db_i64(conv), db_i64(after_seq), db_i64(ctx->run.id),
			db_i64(conv)),
		&rows));
	if (db_rows_next(rows))
		snprintf(ret_tree, 41, "%s", db_rows_str(rows, "tree"));
	return NULL;
}

int conversation_added(const struct conversation *c)
{
	int blocks = 0;
	for (size_t i = c->count; i-- > 0;) { /* the newest user messages, and the answer before */
		blocks += c->messages[i].blocks;
		if (!c->messages[i].is_user)
			break;
	}
	return blocks;
}

err_t conversation_open_calls(
	const struct llm *llm, const struct conversation *c, struct llm_calls *ret_calls)
{
	const struct llm_message *last = c->count ? &c->messages[c->count - 1] : NULL;
	int blocks;
	return !last || last->is_user
		       ? NULL
		       : llm_read_message(llm, last->data, last->len, ret_calls, &blocks);
}

err_t conversation_spent(struct run_ctx *ctx, struct spent *ret_spent)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(ctx->db, Q_RUN_SPENT, DB_ARGS(db_i64(ctx->run.id)), &rows));
	if (!db_rows_next(rows))
		return err_new(ERR_FENCE, "run %lld is gone", (long long)ctx->run.id);
	*ret_spent = (struct spent){.turns = db_rows_i64(rows, "turns"),
		.usd_micro = db_rows_i64(rows, "cost_usd_micro")};
	return NULL;
}

err_t conversation_cached(struct run_ctx *ctx, int *ret_percent)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(ctx->db, Q_RUN_CACHE_SHARE, DB_ARGS(db_i64(ctx->run.id)), &rows));
	int64_t prompt = db_rows_next(rows) ? db_rows_i64(rows, "prompt") : 0;
	*ret_percent = prompt ? (int)(100 * db_rows_i64(rows, "from_cache") / prompt) : 0;
	return NULL;
}
