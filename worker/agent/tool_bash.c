/* bash: one command in the sandbox, in a fresh shell. Called through the table in tools.c. */
#include "worker/agent/tools.h"

#include <string.h>

#include "lib/mem.h"
#include "worker/check/sandbox.h"
#include "worker/git/store.h"

#define COMMAND_MAX 100000 /* the kernel takes 128 KiB an argument */

err_t tool_bash(struct tool_env *env, const json_t *input, struct tool_result *result)
{
	const char *command = tool_arg(input, "command", result);
	if (!command)
		return NULL;
	if (strlen(command) > COMMAND_MAX) {
		tool_fail(result,
			"the command is longer than %d bytes; write large files with create",
			COMMAND_MAX);
		return NULL;
	}
	const char *const argv[] = {"bash", "-c", command, NULL};
	const char *const vars[] = {"CI=true", "NO_COLOR=1", "PAGER=cat", "GIT_PAGER=cat", NULL};
	autofree char *outputs = xasprintf("%s.output", work_tree_path(env->ctx->tree));
	int64_t timeout_s = settings_int(env->ctx->set, S_AIRUNNER_COMMAND_TIMEOUT_S);
	const struct sandbox_command cmd = {.argv = argv,
		.env = vars,
		.network = SANDBOX_OFFLINE,
		.timeout_ms = timeout_s * 1000,
		.shown_dir = outputs,
		.shown_as = TOOL_OUTPUT_DIR,
		.alive = run_alive_callback,
		.alive_arg = env->ctx};
	AUTO(sandbox_result_release) struct sandbox_result res = {.output = BUF(0)};
	ERR_TRY(sandbox_run(env->ctx->sandbox, &cmd, &res));
	buf_add(&result->text, res.output.data, res.output.len);
	if (res.output.len && res.output.data[res.output.len - 1] != '\n')
		buf_addc(&result->text, '\n');
	if (res.output_cut)
		buf_adds(&result->text, "[more output was dropped]\n");
	if (*res.limit)
		buf_addf(&result->text, "[stopped at its limit of %s]", res.limit);
	else
		buf_addf(&result->text, "[exit code %d]", res.exit_code);
	result->is_error = res.timed_out; /* a failing command is an answer like another */
	return NULL;
}
