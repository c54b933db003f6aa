/*
 * What a turn leaves, stored in one round trip: the message with its results, the work tree, the
 * change of files, the step's notes, and the reservation for the next call (procedure turn_store).
 * Called by agent.c and opening.c.
 */
#include <stdlib.h>
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/agent_private.h"
#include "worker/git/change.h"
#include "worker/journal.h"

/* The turn's change of files, as it is stored. */
struct change {
	bool is_new; /* there is one, though maybe too large to keep */
	bool is_made;
	char name[32]; /* conversation and message, e.g. "1.4" */
	struct buf bytes;
	void *packed; /* NULL: none, or larger than one part */
	size_t packed_len;
};

static void change_release(struct change *c)
{
	buf_release(&c->bytes);
	free(c->packed);
}

static err_t make_change(struct agent *a, struct change *c)
{
	c->bytes = BUF(CHANGE_MAX);
	ERR_TRY(agent_change(a, &c->bytes, &c->is_new));
	c->is_made = c->is_new && c->bytes.len > 0;
	snprintf(c->name, sizeof c->name, "%d.%d", a->conv.conv, a->conv.next_seq - 1);
	if (c->is_made && c->bytes.len <= JOURNAL_PART_MAX)
		ERR_TRY(journal_pack(c->bytes.data, c->bytes.len, &c->packed, &c->packed_len));
	return NULL;
}

/* Nothing is reserved when no call follows in this conversation. */
static struct budget_ask next_call(struct agent *a)
{
	struct llm_request request = agent_request(a);
	bool follows = !a->ended && !a->call.id && !agent_switch_waits(a);
	return follows ? budget_ask_of(
				 a->ctx, &a->llm, a->conv.conv, &request, agent_wanted_output(a))
		       : (struct budget_ask){0};
}

static err_t store_turn(struct agent *a, const struct change *change, bool own_transaction)
{
	struct run_ctx *ctx = a->ctx;
	AUTO(db_rows_freep) struct db_rows *row = NULL;
	const struct llm_message *m = &a->conv.messages[a->conv.count - 1];
	const struct budget_ask ask = next_call(a);
	autofree char *notes = json_dumps(agent_notes(a), JSON_COMPACT);
	bool with_change = change->packed != NULL;
	ERR_TRY(budget_query(ctx->db, Q_TURN_STORE,
		DB_ARGS(db_i64(own_transaction), db_i64(ctx->run.id), db_i64(ctx->run.fence),
			db_i64(a->conv.conv), db_i64(a->conv.next_seq - 1),
			db_str(a->llm.profile.model), db_blob(m->data, m->len),
			db_i64(a->conv.last_answer_seq),
			db_str(a->tree_changed ? a->result->tree : NULL), db_i64(ctx->step_id),
			db_str(notes), db_str(RECORD_KIND),
			db_str(with_change ? change->name : NULL),
			db_i64((int64_t)change->bytes.len),
			with_change ? db_blob(change->packed, change->packed_len) : db_null(),
			BUDGET_ARGS(&ask)),
		&row));
	if (!db_rows_next(row) || !db_rows_i64(row, "ours")) {
		ERR_TRY(run_check_alive(ctx));
		return err_new(ERR_FENCE, "the run is not this worker's any more");
	}
	run_note_alive(ctx);
	bool busy;
	if (ask.wanted) /* a refusal is heard, or waited for, when the call is made */
		(void)budget_granted(row, &ask, &a->call, &busy);
	return NULL;
}

/* A change of several parts needs statements of its own. */
static err_t store_all(struct agent *a, const struct change *change)
{
	if (!change->is_made || change->packed)
		return store_turn(a, change, true);
	struct db_try t = {0};
	while (db_try(a->ctx->db, &t)) {
		a->call = (struct budget_call){0};
		t.error = journal_blob(
			a->ctx, RECORD_KIND, change->name, change->bytes.data, change->bytes.len);
		if (!t.error)
			t.error = store_turn(a, change, false);
	}
	return t.error;
}

err_t agent_say(struct agent *a, const struct speech *speech)
{
	AUTO(change_release) struct change change = {0};
	size_t said = a->conv.count;
	json_auto_t *notes = json_deep_copy(agent_notes(a));
	agent_note_watch(a);
	ERR_TRY(conversation_add(&a->llm, &a->conv, speech->parts, speech->count));
	err_t e = make_change(a, &change);
	if (!e && change.is_new)
		agent_note_recorded(a);
	if (!e)
		e = store_all(a, &change);
	if (e) { /* nothing of it was stored */
		conversation_unsay(&a->conv, said);
		a->call = (struct budget_call){0};
		run_state_set(a->ctx, "edit", take(&notes));
		return e;
	}
	a->tree_changed = false;
	return NULL;
}
