/*
 * What is done about a model that does not get on: the ladder of discipline.c, a rung each time,
 * told in an event. A switch is noted with the turn's results and made before the next call, so
 * that a run that was killed between them makes it all the same. Called by agent.c and opening.c.
 */
#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/agent/agent_private.h"
#include "worker/agent/outside.h"
#include "worker/journal.h"

#define CALL_SHOWN 200

void agent_note_watch(struct agent *a)
{
	json_t *edit = agent_notes(a);
	json_object_set_new(edit, "watch", watch_json(&a->watch));
	json_object_set_new(edit, "cut", json_integer(a->cut));
	json_object_set_new(edit, "max_output", json_integer(a->max_output));
	json_object_set_new(edit, "verified_tree", json_string(a->verified_tree));
	json_object_set_new(edit, "asked_to_verify", json_boolean(a->asked_to_verify));
	json_object_set_new(edit, "cache_told", json_integer(a->cache.told));
}

void agent_read_watch(struct agent *a)
{
	const json_t *edit = agent_notes(a);
	const char *verified = json_string_value(json_object_get(edit, "verified_tree"));
	const json_t *max_output = json_object_get(edit, "max_output");
	watch_read(json_object_get(edit, "watch"), &a->watch);
	a->cut = (int)json_integer_value(json_object_get(edit, "cut"));
	if (max_output)
		a->max_output = json_integer_value(max_output);
	a->asked_to_verify = json_is_true(json_object_get(edit, "asked_to_verify"));
	snprintf(a->verified_tree, sizeof a->verified_tree, "%s", verified ? verified : "");
}

/* ---- the ladder ---- */

static const char *tried(struct agent *a)
{
	bool more = agent_switched(a, SWITCH_STUCK) > 0,
	     anew = agent_switched(a, SWITCH_RESTART) > 0;
	return more && anew
		       ? "a hint, more effort or another model, a restart from the last good state"
	       : anew ? "a hint and a restart from the last good state"
	       : more ? "a hint and more effort or another model"
		      : "a hint";
}

/* More effort where the model has it, else the other model. @return false when there is neither */
static bool plan_effort(const struct agent *a, json_t *pending)
{
	const struct profile *p = &a->llm.profile;
	bool has_more = *p->more_effort && strcmp(p->more_effort, p->effort) != 0;
	const char *other = has_more ? NULL : agent_other_model(a);
	if (has_more)
		json_object_set_new(pending, "effort", json_string(p->more_effort));
	else if (other)
		json_object_set_new(pending, "model", json_string(other));
	return has_more || other;
}

static err_t tell(struct agent *a, enum trouble trouble, enum rung rung)
{
	static const char *const deeds[RUNG__MAX] = {[RUNG_HINT] = "it is told so",
		[RUNG_EFFORT] = "a new conversation with more effort or another model follows",
		[RUNG_RESTART] = "the work goes back to the last good state, in a new conversation",
		[RUNG_PERSON] = "a person is asked"};
	return journal_event(a->ctx, EVENT_INFO,
		json_pack("{s:s, s:s, s:I}", "trouble", trouble_name(trouble), "rung",
			rung_name(rung), "turn", (json_int_t)a->spent.turns),
		"The model %s: %s", trouble_words(trouble), deeds[rung]);
}

/* "it repeats the same call with the same result: view {"path":"a.ts"}" */
static err_t describe(struct agent *a, enum trouble trouble, struct buf *out)
{
	AUTO(llm_calls_release) struct llm_calls calls = {0};
	ERR_TRY(conversation_open_calls(&a->llm, &a->conv, &calls));
	buf_addf(out, "it %s", trouble_words(trouble));
	if (calls.count == 0)
		return NULL;
	const struct llm_call *last = &calls.items[calls.count - 1];
	autofree char *line = xasprintf(": %s %s", last->name, last->raw);
	outside_code(out, line, strlen(line), CALL_SHOWN);
	return NULL;
}

static err_t step_up(struct agent *a, enum trouble trouble, enum rung rung, struct speech *speech)
{
	if (rung == RUNG_HINT)
		return speech_nudge(
			speech, a, json_pack("{s:{s:b}}", "trouble", trouble_name(trouble), true));
	AUTO(buf_release) struct buf detail = BUF(2000);
	ERR_TRY(describe(a, trouble, &detail));
	json_t *pending = json_pack("{s:s, s:o}", "reason", rung_name(rung), "detail",
		text_jsonn(detail.data, detail.len));
	if (rung == RUNG_EFFORT)
		plan_effort(a, pending);
	if (rung == RUNG_RESTART && *a->watch.good)
		json_object_set_new(pending, "tree", json_string(a->watch.good));
	agent_switch_later(a, pending);
	return NULL;
}

err_t agent_discipline(struct agent *a, struct speech *speech)
{
	enum rung rung = RUNG_NONE;
	enum trouble trouble = watch_turn(&a->watch, &rung);
	json_auto_t *probe = json_object();
	if (trouble == TROUBLE_NONE)
		return NULL;
	if (rung == RUNG_EFFORT && !plan_effort(a, probe))
		rung = a->watch.rung = RUNG_RESTART;
	ERR_TRY(tell(a, trouble, rung));
	return step_up(a, trouble, rung, speech);
}

/* ---- switches that wait ---- */

void agent_switch_later(struct agent *a, json_t *pending)
{
	json_object_set_new(agent_notes(a), "pending", pending);
}

bool agent_switch_waits(struct agent *a)
{
	return json_is_object(json_object_get(agent_notes(a), "pending"));
}

static const char *member(const json_t *pending, const char *name)
{
	return json_string_value(json_object_get(pending, name));
}

/* The copies outlive the note, which goes with the switch. */
err_t agent_switch_now(struct agent *a)
{
	json_auto_t *pending = json_deep_copy(json_object_get(agent_notes(a), "pending"));
	const char *reason = member(pending, "reason"), *detail = member(pending, "detail");
	if (reason && strcmp(reason, "context") == 0)
		return agent_compact_now(a);
	if (reason && strcmp(reason, rung_name(RUNG_PERSON)) == 0)
		return err_new(ERR_QUESTION,
			"the model does not get on: %s. Tried: %s. Is the task right, or what "
			"should "
			"be done otherwise?",
			detail ? detail : "", tried(a));
	bool restart = reason && strcmp(reason, rung_name(RUNG_RESTART)) == 0;
	return agent_switch(
		a, &(struct agent_switch){.reason = restart ? SWITCH_RESTART : SWITCH_STUCK,
			   .model = member(pending, "model"),
			   .effort = member(pending, "effort"),
			   .tree = member(pending, "tree"),
			   .detail = detail});
}
