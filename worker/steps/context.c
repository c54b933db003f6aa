/*
 * Step context: the conversation's first message, from issue, parent, comments and a look at the
 * repository, rendered by templates/prompts/task.md into state.context {text}.
 */
#include <fcntl.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/template.h"
#include "lib/text.h"
#include "worker/agent/outside.h"
#include "worker/agent/overview.h"
#include "worker/agent/path.h"
#include "worker/git/store.h"
#include "worker/journal.h"
#include "worker/pipeline.h"

#define TEXT_MAX 20000 /* a description */
#define COMMENT_MAX 4000
#define COMMENTS_MAX 20 /* the newest */
#define TASK_MAX (256u << 10)

/* A member's text, cleaned. @param hidden  grows by what was dropped */
static void set_text(json_t *to, const json_t *from, const char *member, size_t max, int *hidden)
{
	const char *s = json_string_value(json_object_get(from, member));
	AUTO(buf_release) struct buf b = BUF(2 * TEXT_MAX);
	if (s)
		*hidden += outside_text(&b, s, strlen(s), max);
	json_object_set_new(to, member, text_jsonn(b.data, b.len));
}

static json_t *clean_comments(const json_t *comments, int *hidden)
{
	json_t *out = json_array();
	size_t i;
	json_t *comment;
	json_array_foreach (comments, i, comment) {
		if (json_is_true(json_object_get(comment, "own")))
			continue;
		json_t *clean = json_object();
		set_text(clean, comment, "author", 200, hidden);
		set_text(clean, comment, "created", 100, hidden);
		set_text(clean, comment, "body", COMMENT_MAX, hidden);
		json_array_append_new(out, clean);
	}
	while (json_array_size(out) > COMMENTS_MAX)
		json_array_remove(out, 0);
	return out;
}

static json_t *labels_text(const json_t *labels)
{
	AUTO(buf_release) struct buf b = BUF(1000), clean = BUF(2000);
	size_t i;
	json_t *label;
	json_array_foreach (labels, i, label) {
		if (json_is_string(label))
			buf_addf(&b, "%s%s", b.len ? ", " : "", json_string_value(label));
	}
	outside_text(&clean, b.data, b.len, 1000);
	return clean.len ? text_jsonn(clean.data, clean.len) : json_null();
}

static json_t *clean_issue(const json_t *issue, int *hidden)
{
	static const char *const members[] = {"key", "type", "summary", "description"};
	json_t *out = json_object(), *parent = json_object_get(issue, "parent");
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		set_text(out, issue, members[i], TEXT_MAX, hidden);
	json_object_set_new(out, "labels_text", labels_text(json_object_get(issue, "labels")));
	json_object_set_new(
		out, "comments", clean_comments(json_object_get(issue, "comments"), hidden));
	if (!json_is_object(parent))
		return out;
	json_t *clean = json_object();
	for (size_t i = 0; i < ARRAY_LEN(members); i++)
		set_text(clean, parent, members[i], TEXT_MAX, hidden);
	json_object_set_new(out, "parent", clean);
	return out;
}

static err_t make_data(struct run_ctx *ctx, json_t **ret_data)
{
	AUTO(path_close) int root_fd = -1;
	const char *top = work_tree_path(ctx->tree);
	root_fd = open(top, O_RDONLY | O_DIRECTORY | O_CLOEXEC);
	if (root_fd < 0)
		return err_errno("work tree %s", top);
	json_t *data;
	ERR_TRY(overview_make(root_fd, &data));
	int hidden = 0;
	json_t *issue = clean_issue(run_state_get(ctx, "fetch.issue"), &hidden);
	json_object_set_new(data, "has_comments",
		json_boolean(json_array_size(json_object_get(issue, "comments")) > 0));
	json_object_set_new(data, "issue", issue);
	const char *base = run_state_str(ctx, "route.base_branch");
	json_object_set_new(data, "base_branch", text_json(base ? base : ""));
	*ret_data = data;
	if (hidden == 0)
		return NULL;
	return journal_event(ctx, EVENT_INFO, json_pack("{s:i}", "hidden", hidden),
		"The issue holds %d hidden characters or comments; the model does not see them.",
		hidden);
}

err_t step_context(struct run_ctx *ctx, enum step_next *ret_next)
{
	(void)ret_next;
	json_auto_t *data = NULL;
	ERR_TRY(make_data(ctx, &data));
	AUTO(buf_release) struct buf text = BUF(TASK_MAX);
	ERR_TRY(template_render(ctx->set, "prompts/task.md", data, &text));
	run_state_set(ctx, "context", json_pack("{s:o}", "text", text_jsonn(text.data, text.len)));
	return NULL;
}
