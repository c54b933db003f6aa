/*
 * A conversation that nears the end of its model's context is followed by a new one. It is asked
 * for a summary as its last turn, between turns, when all results are stored; nothing of it is
 * rewritten. The provider's own figures say how full it is. Called by agent.c, answer.c, stuck.c.
 */
#include <string.h>

#include "lib/mem.h"
#include "worker/agent/agent_private.h"
#include "worker/fault.h"

#define FULL_PERCENT 80
#define BYTES_A_TOKEN 3     /* of what the provider has not counted yet */
#define SUMMARY_TOKENS 8000 /* with its thinking */
#define TOO_SHORT 6         /* messages: a new conversation would be no shorter */

err_t agent_compact(struct agent *a, const struct llm_usage *u, struct speech *speech)
{
	int64_t bytes = 0;
	for (size_t i = 0; i < speech->count; i++)
		bytes += (int64_t)strlen(speech->parts[i].text);
	int64_t used = u->fresh + u->written_5m + u->written_1h + u->read + u->output +
		       bytes / BYTES_A_TOKEN;
	if (used < a->llm.profile.context / 100 * FULL_PERCENT || a->conv.count < TOO_SHORT ||
		agent_switch_waits(a))
		return NULL;
	agent_switch_later(a, json_pack("{s:s}", "reason", "context"));
	return speech_nudge(speech, a, json_pack("{s:b}", "summary", true));
}

/* Texts of an answer, whatever its provider calls them; its thinking is none. */
static void add_texts(const json_t *value, struct buf *out)
{
	const char *type = json_string_value(json_object_get(value, "type"));
	const char *text = json_string_value(json_object_get(value, "text"));
	const char *content = json_string_value(json_object_get(value, "content"));
	if (type && text && (strcmp(type, "text") == 0 || strcmp(type, "output_text") == 0))
		buf_addf(out, "%s\n", text);
	else if (content)
		buf_addf(out, "%s\n", content);
	size_t i;
	json_t *one;
	const json_t *list = json_is_array(value) ? value : json_object_get(value, "content");
	json_array_foreach (list, i, one)
		add_texts(one, out);
}

static void last_words(const struct conversation *c, struct buf *out)
{
	const struct llm_message *last = c->count ? &c->messages[c->count - 1] : NULL;
	if (!last || last->is_user)
		return;
	/* an answer may be stored as a list's items without its brackets */
	autofree char *list = xasprintf("[%.*s]", (int)last->len, last->data);
	json_auto_t *value = json_loads(list, JSON_ALLOW_NUL | JSON_DECODE_INT_AS_REAL, NULL);
	add_texts(value, out);
}

static err_t ask_summary(struct agent *a)
{
	AUTO(llm_answer_release)
	struct llm_answer answer = {.message = BUF(0), .text = BUF(0)};
	int64_t max_output = a->max_output;
	a->max_output = SUMMARY_TOKENS;
	err_t e = agent_ask(a, &answer);
	a->max_output = max_output;
	ERR_TRY(e);
	agent_count(a, &answer);
	FAULT_POINT("summary.stored");
	return NULL;
}

err_t agent_compact_now(struct agent *a)
{
	AUTO(buf_release) struct buf words = BUF(256u << 10);
	if (!conversation_ends_with_answer(&a->conv))
		ERR_TRY(ask_summary(a));
	last_words(&a->conv, &words);
	return agent_switch(a, &(struct agent_switch){.reason = SWITCH_CONTEXT,
				       .summary = words.len ? words.data : NULL});
}

err_t agent_context_full(struct agent *a)
{
	if (a->conv.count < TOO_SHORT)
		return err_new(ERR_LIMIT,
			"the conversation no longer fits the model's context of %lld tokens",
			(long long)a->llm.profile.context);
	agent_switch_later(a, json_pack("{s:s}", "reason", "context"));
	return NULL;
}
