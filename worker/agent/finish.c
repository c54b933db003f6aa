/*
 * finish is asked for twice when nothing was verified: a model that has not run a check or test
 * since its last change is told so once, with the files; its next finish counts. Called by
 * agent_tools.c.
 */
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"
#include "worker/agent/agent_private.h"
#include "worker/git/store.h"

#define PATHS_SHOWN 20

void agent_note_command(struct agent *a, const json_t *input)
{
	const char *command = json_string_value(json_object_get(input, "command"));
	if (command && command_checks(command))
		memcpy(a->verified_tree, a->result->tree, sizeof a->verified_tree);
}

static err_t paths_since(struct agent *a, json_t **ret_list)
{
	json_auto_t *paths = NULL;
	json_t *list = json_array(), *one;
	size_t i;
	ERR_TRY(store_changed_paths(
		work_tree_store(a->ctx->tree), a->verified_tree, a->result->tree, &paths));
	json_array_foreach (paths, i, one)
		if (i < PATHS_SHOWN)
			json_array_append(list, json_object_get(one, "path"));
	if (i > PATHS_SHOWN)
		json_array_append_new(list, json_string("…"));
	*ret_list = list;
	return NULL;
}

err_t agent_check_finish(struct agent *a, struct tool_result *result)
{
	const char *base = run_state_str(a->ctx, "checkout.base_tree");
	bool is_verified = strcmp(a->verified_tree, a->result->tree) == 0;
	if (a->asked_to_verify || is_verified || (base && strcmp(base, a->result->tree) == 0))
		return NULL;
	json_t *list = NULL;
	ERR_TRY(paths_since(a, &list));
	AUTO(speech_release) struct speech words = {0};
	ERR_TRY(speech_nudge(&words, a, json_pack("{s:{s:o}}", "unverified", "paths", list)));
	a->asked_to_verify = true;
	buf_reset(&result->text);
	tool_fail(result, "%s", words.count ? words.parts[0].text : "not verified");
	return NULL;
}
