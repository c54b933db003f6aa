/*
 * The table of effects: what is called at Jira and at the forge. Called by outbox_row.c, which
 * keeps the order of storing, sending and looking up.
 */
#include "worker/outbox_effects.h"

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/forge/forge.h"
#include "worker/jira/jira.h"

static const char *str(const struct effect_call *call, const char *member)
{
	const char *s = json_string_value(json_object_get(call->request, member));
	return s ? s : "";
}

static json_t *with_id(const char *id)
{
	return json_pack("{s:o}", "id", text_json(id));
}

/* ---- Jira ---- */

static err_t comment_send(const struct effect_call *call, json_t **ret_result)
{
	autofree char *id = NULL;
	ERR_TRY(jira_comment_add(
		call->ctx->jira, call->issue_key, str(call, "body_markdown"), call->marker, &id));
	*ret_result = with_id(id);
	return NULL;
}

static err_t comment_lookup(const struct effect_call *call, json_t **ret_result)
{
	autofree char *id = NULL;
	ERR_TRY(jira_comment_find(call->ctx->jira, call->issue_key, call->marker, &id));
	if (id)
		*ret_result = with_id(id);
	return NULL;
}

static err_t comment_edit_send(const struct effect_call *call, json_t **ret_result)
{
	ERR_TRY(jira_comment_edit(call->ctx->jira, call->issue_key, str(call, "id"),
		str(call, "body_markdown"), call->marker));
	*ret_result = with_id(str(call, "id"));
	return NULL;
}

static err_t transition_send(const struct effect_call *call, json_t **ret_result)
{
	ERR_TRY(jira_transition(call->ctx->jira, call->issue_key, str(call, "status")));
	*ret_result = json_pack("{s:o}", "status", text_json(str(call, "status")));
	return NULL;
}

static err_t transition_lookup(const struct effect_call *call, json_t **ret_result)
{
	autofree char *status = NULL;
	ERR_TRY(jira_status(call->ctx->jira, call->issue_key, &status));
	if (text_ieq(status, str(call, "status")))
		*ret_result = json_pack("{s:o}", "status", text_json(status));
	return NULL;
}

static err_t assign_send(const struct effect_call *call, json_t **ret_result)
{
	ERR_TRY(jira_assign(call->ctx->jira, call->issue_key, str(call, "account_id")));
	*ret_result = json_object();
	return NULL;
}

/* ---- the forge ---- */

static json_t *pull_request_json(const struct pull_request *pr)
{
	return json_pack("{s:I, s:o, s:b, s:b}", "number", (json_int_t)pr->number, "url",
		text_json(pr->url ? pr->url : ""), "draft", pr->draft, "found", pr->found);
}

static err_t need_forge(const struct effect_call *call)
{
	return call->ctx->forge ? NULL
				: err_new(ERR_INTERNAL, "no forge is open for %s", call->issue_key);
}

static err_t pull_request_send(const struct effect_call *call, json_t **ret_result)
{
	ERR_TRY(need_forge(call));
	AUTO(pull_request_release) struct pull_request pr = {0};
	ERR_TRY(forge_create_pull_request(call->ctx->forge, str(call, "head"), str(call, "base"),
		str(call, "title"), str(call, "body"),
		json_is_true(json_object_get(call->request, "draft")), &pr));
	*ret_result = pull_request_json(&pr);
	return NULL;
}

static err_t pull_request_lookup(const struct effect_call *call, json_t **ret_result)
{
	ERR_TRY(need_forge(call));
	AUTO(pull_request_release) struct pull_request pr = {0};
	ERR_TRY(forge_find_pull_request(call->ctx->forge, str(call, "head"), &pr));
	if (pr.number != 0)
		*ret_result = pull_request_json(&pr);
	return NULL;
}

static err_t pull_request_edit_send(const struct effect_call *call, json_t **ret_result)
{
	ERR_TRY(need_forge(call));
	AUTO(pull_request_release) struct pull_request pr = {0};
	json_int_t number = json_integer_value(json_object_get(call->request, "number"));
	ERR_TRY(forge_edit_pull_request(
		call->ctx->forge, number, str(call, "title"), str(call, "body"), &pr));
	*ret_result =
		json_pack("{s:I, s:o}", "number", number, "url", text_json(pr.url ? pr.url : ""));
	return NULL;
}

/* clang-format off */
const struct effect_service effect_services[EFFECT__MAX] = {
	[EFFECT_JIRA_COMMENT] =            {"jira_comment", comment_send, comment_lookup},
	[EFFECT_JIRA_COMMENT_EDIT] =       {"jira_comment_edit", comment_edit_send, NULL},
	[EFFECT_JIRA_TRANSITION] =         {"jira_transition", transition_send, transition_lookup},
	[EFFECT_JIRA_ASSIGN] =             {"jira_assign", assign_send, NULL},
	[EFFECT_FORGE_PULL_REQUEST] =      {"forge_pull_request", pull_request_send, pull_request_lookup, EFFECT_AT_FORGE},
	[EFFECT_FORGE_PULL_REQUEST_EDIT] = {"forge_pull_request_edit", pull_request_edit_send, NULL, EFFECT_AT_FORGE},
};
/* clang-format on */
