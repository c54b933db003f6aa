/* GET /v1/models: the table of models as the service shows it. Called by anthropic.c. */
#define _GNU_SOURCE
#include "lib/mem.h"
#include "tests/standin/anthropic.h"

static json_t *supports(bool yes)
{
	return json_pack("{s:b}", "supported", yes);
}

static json_t *view_thinking(const struct model *m)
{
	json_t *types = json_pack("{s:o, s:o, s:o, s:o}", "adaptive",
		supports(m->thinking & THINK_ADAPTIVE), "between_tools",
		supports(m->thinking & THINK_BETWEEN_TOOLS), "disabled",
		supports(m->thinking & THINK_DISABLED), "enabled",
		supports(m->thinking & THINK_ENABLED));
	return json_pack("{s:b, s:o}", "supported", m->thinking != 0, "types", types);
}

static json_t *view_effort(const struct model *m)
{
	bool any = m->flags & MODEL_EFFORT;
	return json_pack("{s:b, s:o, s:o, s:o, s:o, s:o}", "supported", any, "low", supports(any),
		"medium", supports(any), "high", supports(any), "xhigh",
		supports(m->flags & MODEL_XHIGH), "max", supports(m->flags & MODEL_NO_PREFILL));
}

static json_t *view_capabilities(const struct model *m)
{
	static const char *const all_have[] = {"batch", "citations", "code_execution",
		"image_input", "pdf_input", "structured_outputs"};
	json_t *view = json_pack("{s:o, s:o, s:{s:b, s:o, s:o, s:n}, s:{s:b, s:o, s:o}}",
		"thinking", view_thinking(m), "effort", view_effort(m), "context_management",
		"supported", 1, "clear_tool_uses_20250919", supports(true),
		"clear_thinking_20251015", supports(true), "compact_20260112", "server_tools",
		"supported", 1, "code_execution", supports(true), "web_search", supports(true));
	for (size_t i = 0; i < ARRAY_LEN(all_have); i++)
		json_object_set_new(view, all_have[i], supports(true));
	return view;
}

static json_t *view_model(const struct model *m)
{
	return json_pack("{s:s, s:s, s:s, s:s, s:s, s:s, s:I, s:I, s:n, s:n, s:o}", "id", m->id,
		"type", "model", "display_name", m->id, "created_at", "2026-01-01T00:00:00Z",
		"lifecycle", "active", "line", m->line, "max_input_tokens", (json_int_t)m->context,
		"max_tokens", (json_int_t)m->max_output, "deprecated_at", "retires_at",
		"capabilities", view_capabilities(m));
}

void anthropic_get_model(struct req *q)
{
	const struct model *m = model_find(q->param[0]);
	if (m)
		answer_json(q, 200, view_model(m));
	else
		anthropic_fail(q, 404, "not_found_error", refuse("model: %s", q->param[0]));
}

void anthropic_get_models(struct req *q)
{
	json_t *list = json_array();
	for (size_t i = 0; i < models_count; i++)
		json_array_append_new(list, view_model(&models[i]));
	answer_json(q, 200,
		json_pack("{s:o, s:b, s:s, s:s}", "data", list, "has_more", 0, "first_id",
			models[0].id, "last_id", models[models_count - 1].id));
}
