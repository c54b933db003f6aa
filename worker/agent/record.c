/*
 * The turn's change of files, exactly and compressed, stored with its results: what `airunnerctl
 * replay` builds the trees from. Named by conversation and message, e.g. "1.4". Called by
 * opening.c in the transaction of the message.
 */
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/agent_private.h"
#include "worker/git/change.h"
#include "worker/journal.h"

static err_t store(struct agent *a, const char *name, const char *from)
{
	AUTO(buf_release) struct buf change = BUF(CHANGE_MAX);
	err_t e = change_make(work_tree_store(a->ctx->tree), from, a->result->tree, &change);
	if (err_code(e) == ERR_TOO_LARGE) /* the run goes on; its replay will say so */
		return journal_event(a->ctx, EVENT_INFO, NULL,
			"%s: it is not recorded, and the run cannot be replayed beyond it",
			err_text(e));
	ERR_TRY(e);
	return journal_blob(a->ctx, RECORD_KIND, name, change.data, change.len);
}

err_t agent_store_change(struct agent *a)
{
	json_t *edit = agent_notes(a);
	const char *noted = json_string_value(json_object_get(edit, "recorded_tree"));
	const char *from = noted ? noted : run_state_str(a->ctx, "checkout.base_tree");
	if (!from || strcmp(from, a->result->tree) == 0)
		return NULL;
	autofree char *name = xasprintf("%d.%d", a->conv.conv, a->conv.next_seq - 1);
	ERR_TRY(store(a, name, from));
	json_object_set_new(edit, "recorded_tree", json_string(a->result->tree));
	return NULL;
}
