/*
 * The turn's change of files, exactly and compressed, stored with its results: what `airunnerctl
 * replay` builds the trees from. Called by say.c, which stores it with the message.
 */
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/agent_private.h"
#include "worker/git/change.h"
#include "worker/journal.h"

err_t agent_change(struct agent *a, struct buf *out, bool *ret_changed)
{
	const char *noted = json_string_value(json_object_get(agent_notes(a), "recorded_tree"));
	const char *from = noted ? noted : run_state_str(a->ctx, "checkout.base_tree");
	*ret_changed = false;
	if (!from || strcmp(from, a->result->tree) == 0)
		return NULL;
	err_t e = change_make(work_tree_store(a->ctx->tree), from, a->result->tree, out);
	*ret_changed = !e || err_code(e) == ERR_TOO_LARGE;
	if (err_code(e) != ERR_TOO_LARGE)
		return e;
	buf_reset(out); /* the run goes on; its replay will say so */
	return journal_event(a->ctx, EVENT_INFO, NULL,
		"%s: it is not recorded, and the run cannot be replayed beyond it", err_text(e));
}

void agent_note_recorded(struct agent *a)
{
	json_object_set_new(agent_notes(a), "recorded_tree", json_string(a->result->tree));
}
