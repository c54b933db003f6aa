/*
 * When the other provider's model goes on with the work: the third heal round, a refusal, a
 * provider that does not answer. Each is told in the events; without another provider the work
 * stays, or ends with a word to a person. Called by opening.c, answer.c and agent.c.
 */
#include <stdio.h>
#include <string.h>

#include "worker/agent/agent_private.h"
#include "worker/journal.h"

#define OTHER_ROUND 3 /* the heal round that another model works */
#define DETAIL_MAX 300

err_t agent_third_round(struct agent *a, bool *ret_switched)
{
	if (a->ctx->heal_round != OTHER_ROUND)
		return NULL;
	const char *other = agent_other_model(a);
	bool has_refused = agent_switched(a, SWITCH_REFUSAL) > 0;
	if (!other || has_refused)
		return journal_event(a->ctx, EVENT_INFO, NULL,
			"The third heal round stays with %s: %s", a->llm.profile.model,
			other ? "the other model refused" : "no other provider is configured");
	agent_begin_round(a);
	ERR_TRY(agent_switch(a, &(struct agent_switch){.reason = SWITCH_HEAL, .model = other}));
	*ret_switched = true;
	return NULL;
}

err_t agent_refused(struct agent *a, const char *words)
{
	const char *other = agent_switched(a, SWITCH_REFUSAL) ? NULL : agent_other_model(a);
	const char *between = *words ? ": " : "";
	if (other)
		return agent_switch(a, &(struct agent_switch){.reason = SWITCH_REFUSAL,
					       .model = other,
					       .detail = *words ? words : NULL});
	return err_new(ERR_QUESTION,
		"%s refuses this task%s%s. Can it be worded otherwise, or does a person do it?",
		a->llm.profile.model, between, words);
}

/* Errors that say nothing against the request: the provider cannot be had now. */
static bool is_away(enum err_code code)
{
	static const enum err_code codes[] = {
		ERR_NETWORK, ERR_TIMEOUT, ERR_OUTSIDE, ERR_RATE, ERR_SPENT};
	for (size_t i = 0; i < sizeof codes / sizeof *codes; i++)
		if (codes[i] == code)
			return true;
	return false;
}

/* Did the one that was taken over from not answer either, and this one not yet? Then none does. */
static bool both_are_away(struct agent *a)
{
	const json_t *list = json_object_get(agent_notes(a), "switches");
	const json_t *last = json_array_get(list, json_array_size(list) - 1);
	const char *reason = json_string_value(json_object_get(last, "reason"));
	return reason && strcmp(reason, "away") == 0 && a->conv.last_answer_seq == 0;
}

err_t agent_away(struct agent *a, err_t e)
{
	char detail[DETAIL_MAX];
	const char *other = is_away(err_code(e)) && !both_are_away(a) ? agent_other_model(a) : NULL;
	if (!other)
		return e;
	snprintf(detail, sizeof detail, "%s", err_text(e));
	return agent_switch(
		a, &(struct agent_switch){.reason = SWITCH_AWAY, .model = other, .detail = detail});
}
