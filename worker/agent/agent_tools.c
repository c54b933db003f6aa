/*
 * One answer's tool calls: run in order, their output cleaned, redacted and cut, the work tree
 * noted. Called by agent.c.
 */
#include <stdio.h>
#include <string.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/agent/agent_private.h"
#include "worker/fault.h"
#include "worker/git/store.h"
#include "worker/journal.h"

#define OUTPUT_MAX (4u << 20)
#define SHOWN_MAX 20000

void speech_add(struct speech *speech, const char *tool_id, const char *text, bool is_error)
{
	speech->parts = xrealloc(speech->parts, (speech->count + 1) * sizeof *speech->parts);
	speech->parts[speech->count++] =
		(struct llm_part){xstrdup(tool_id), xstrdup(text), is_error};
}

err_t speech_nudge(struct speech *speech, const struct agent *a, json_t *data)
{
	json_auto_t *own = data;
	AUTO(buf_release) struct buf b = BUF(8192);
	ERR_TRY(template_render(a->ctx->set, "prompts/nudge.md", own, &b));
	while (b.len && strchr(" \n", b.data[b.len - 1]))
		buf_truncate(&b, b.len - 1);
	if (b.len)
		speech_add(speech, NULL, b.data, false);
	return NULL;
}

void speech_release(struct speech *speech)
{
	for (size_t i = 0; i < speech->count; i++) {
		free((char *)speech->parts[i].tool_id);
		free((char *)speech->parts[i].text);
	}
	free(speech->parts);
	*speech = (struct speech){0};
}

err_t agent_snapshot(struct agent *a)
{
	char tree[OID_HEX + 1];
	ERR_TRY(work_tree_snapshot(a->ctx->tree, NULL, tree));
	memcpy(a->result->tree, tree, sizeof tree);
	return NULL;
}

static char *own_words(const char *text)
{
	AUTO(buf_release) struct buf b = BUF(64u << 10);
	text_clean(&b, text, strlen(text));
	redact_buf(&b);
	return buf_take(&b);
}

static void end_with(struct agent *a, enum tool_end end, const json_t *input)
{
	if (end == TOOL_ASK)
		a->result->question =
			own_words(json_string_value(json_object_get(input, "question")));
	else
		a->result->summary =
			own_words(json_string_value(json_object_get(input, "summary")));
	a->ended = true;
}

/* A change that cannot be kept is the model's to take back, not the end of the run. */
static err_t note_tree(struct agent *a, struct tool_result *res)
{
	err_t e = agent_snapshot(a);
	if (err_code(e) == ERR_CONFLICT) {
		tool_fail(res, "\n%s", err_text(e));
		return NULL;
	}
	ERR_TRY(e);
	a->tree_changed = true; /* stored with the results */
	return NULL;
}

static err_t run_tool(struct agent *a, const struct llm_call *call, struct tool_result *res)
{
	const struct tool *tool = tool_find(call->name);
	if (!tool)
		tool_fail(res, "there is no tool %.64s", call->name);
	else if (!call->input)
		tool_fail(res, "the input is not a JSON object");
	if (res->is_error)
		return NULL;
	ERR_TRY(run_check_recent(a->ctx));
	int64_t began_ms = monotonic_ms();
	FAULT_POINT("tool.%s.before", call->name);
	ERR_TRY(tool->run(&a->env, call->input, res));
	log_debug("turn %lld: %s %.200s: %zu bytes%s in %lld ms", (long long)a->spent.turns,
		call->name, call->raw, res->text.len, res->is_error ? " (error)" : "",
		(long long)(monotonic_ms() - began_ms));
	FAULT_POINT("tool.%s.done", call->name);
	if (tool->may_change)
		ERR_TRY(note_tree(a, res));
	FAULT_POINT("tool.%s.noted", call->name);
	if (tool->run == tool_bash && !res->is_error)
		agent_note_command(a, call->input);
	if (tool->end == TOOL_FINISH && !res->is_error)
		ERR_TRY(agent_check_finish(a, res));
	if (tool->end != TOOL_GOES_ON && !res->is_error)
		end_with(a, tool->end, call->input);
	return NULL;
}

static err_t one_call(struct agent *a, const struct llm_call *call, struct speech *speech)
{
	AUTO(buf_release) struct buf shown = BUF(SHOWN_MAX);
	char before[OID_HEX + 1];
	memcpy(before, a->result->tree, sizeof before);
	struct tool_result res = {.text = BUF(OUTPUT_MAX)};
	err_t e = run_tool(a, call, &res);
	if (!e)
		e = agent_present(a, call->name, &res.text, &shown);
	buf_release(&res.text);
	ERR_TRY(e);
	watch_call(&a->watch, &(struct watch_event){.tool = call->name,
				      .input = call->raw,
				      .result = shown.data,
				      .before = before,
				      .after = a->result->tree,
				      .is_error = res.is_error});
	speech_add(speech, call->id, shown.data, res.is_error);
	return NULL;
}

err_t agent_run_tools(struct agent *a, const struct llm_calls *calls, struct speech *speech)
{
	for (size_t i = 0; i < calls->count; i++) {
		if (a->ended)
			speech_add(speech, calls->items[i].id,
				"Not run: the call before it ended the work.", true);
		else
			ERR_TRY(one_call(a, &calls->items[i], speech));
	}
	return NULL;
}
