/*
 * What the model sees of a tool's output: cut in the middle, and kept whole. The whole is an
 * artifact of the run, and a file outside the work tree that the tools can read: /output/3-1.txt is
 * the first long output of turn 3, for view and grep as for commands. It is no part of any change.
 * Called by agent_tools.c and opening.c.
 */
#include <fcntl.h>
#include <stdio.h>
#include <string.h>
#include <zlib.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"
#include "worker/agent/agent_private.h"
#include "worker/agent/path.h"
#include "worker/artifact.h"
#include "worker/git/store.h"
#include "worker/git/tree_files.h"
#include "worker/journal.h"

#define CLEAN_MAX (8u << 20)
#define SHOWN_MAX 10000 /* characters of an output that the model sees */
#define KIND "tool_output"

static char *folder_of(const struct agent *a)
{
	return xasprintf("%s.output", work_tree_path(a->ctx->tree));
}

static err_t write_output(const struct agent *a, const char *name, const struct buf *text)
{
	autofree char *folder = folder_of(a);
	autofree char *path = xasprintf("%s/%s", folder, name);
	return buf_write_file(text, path, 0644);
}

static err_t keep(struct agent *a, const char *tool, const struct buf *clean, struct buf *out)
{
	autofree char *name = xasprintf("%lld-%d.txt", (long long)a->spent.turns, ++a->outputs);
	autofree char *title = xasprintf("%s (%s)", name, tool);
	ERR_TRY(journal_artifact(a->ctx, KIND, title, clean->data, clean->len));
	err_t e = write_output(a, name, clean);
	if (e) /* the artifact is there: that suffices for people */
		return NULL;
	buf_addf(out, "\n[All %zu bytes are in %s%s: view, grep and commands can read it.]",
		clean->len, TOOL_OUTPUT_DIR "/", name);
	return NULL;
}

err_t agent_present(struct agent *a, const char *tool, const struct buf *raw, struct buf *out)
{
	AUTO(buf_release) struct buf clean = BUF(CLEAN_MAX);
	text_clean(&clean, raw->data, raw->len);
	redact_buf(&clean);
	if (clean.len == 0)
		buf_adds(&clean, "[no output]");
	text_middle(out, clean.data, clean.len, SHOWN_MAX);
	return clean.len > SHOWN_MAX ? keep(a, tool, &clean, out) : NULL;
}

/* ---- the folder ---- */

static err_t bring_back(void *arg, const char *title, const struct buf *text)
{
	const struct agent *a = arg;
	autofree char *name = xstrndup(title, strcspn(title, " "));
	return strchr(name, '/') ? NULL : write_output(a, name, text);
}

err_t agent_open_outputs(struct agent *a)
{
	autofree char *folder = folder_of(a);
	ERR_TRY(tree_files_remove(folder)); /* another run of this slot may have left it */
	ERR_TRY(tree_files_mkdir(folder));
	a->env.output_fd = open(folder, O_RDONLY | O_DIRECTORY | O_CLOEXEC | O_NOFOLLOW);
	if (a->env.output_fd < 0)
		return err_errno("open %s", folder);
	bool goes_on = run_state_i64(a->ctx, "edit.conv") > 0;
	return goes_on ? artifacts_read(a->ctx->db, a->ctx->run.id, KIND, bring_back, a) : NULL;
}
