/*
 * Priority from labels. The webhook's body often carries none, so it is set when the issue was
 * fetched. Called by step `fetch`.
 */
#include "worker/steps/fetch_priority.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

static const struct {
	const char *label; /* ':' is written '-' */
	enum run_priority priority;
} labels_priorities[] = {
	{"urgent", PRIORITY_URGENT},
	{"p0", PRIORITY_URGENT},
	{"critical", PRIORITY_URGENT},
	{"high", PRIORITY_HIGH},
	{"p1", PRIORITY_HIGH},
	{"important", PRIORITY_HIGH},
	{"low", PRIORITY_LOW},
	{"p3", PRIORITY_LOW},
	{"cleanup", PRIORITY_LOW},
};

/* "priority:high" and "Priority-High" mean what "high" means. */
static int priority_of_label(const char *label)
{
	autofree char *word = xstrdup(label);
	text_lower(word);
	for (char *p = word; *p; p++)
		if (*p == ':')
			*p = '-';
	const char *bare = text_starts(word, "priority-") ? word + strlen("priority-") : word;
	for (size_t i = 0; i < ARRAY_LEN(labels_priorities); i++)
		if (strcmp(labels_priorities[i].label, bare) == 0)
			return labels_priorities[i].priority;
	return 0;
}

int priority_of_labels(const json_t *labels)
{
	int best = 0;
	size_t i;
	json_t *label;
	json_array_foreach (labels, i, label) {
		int p = json_is_string(label) ? priority_of_label(json_string_value(label)) : 0;
		if (p != 0 && (best == 0 || p < best))
			best = p;
	}
	return best;
}

err_t fetch_priority(struct run_ctx *ctx, const json_t *labels)
{
	int priority = priority_of_labels(labels);
	if (priority == 0 || priority == ctx->run.priority)
		return NULL;
	ERR_TRY(db_exec_fenced(ctx->db, Q_RUN_SET_PRIORITY,
		DB_ARGS(db_i64(priority), db_i64(ctx->run.id), db_i64(ctx->run.fence))));
	ctx->run.priority = priority;
	return NULL;
}
