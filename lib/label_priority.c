/* The table of labels that mean a priority. Called by the webhook's intake and by step `fetch`. */
#include "lib/label_priority.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

static const struct {
	const char *label;
	enum run_priority priority;
} label_priorities[] = {
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

static int of_one(const char *label)
{
	static const char prefix[] = "priority-";
	autofree char *word = xstrdup(label);
	text_lower(word);
	for (char *p = word; *p; p++)
		if (*p == ':')
			*p = '-';
	const char *bare = text_starts(word, prefix) ? word + strlen(prefix) : word;
	for (size_t i = 0; i < ARRAY_LEN(label_priorities); i++)
		if (strcmp(label_priorities[i].label, bare) == 0)
			return label_priorities[i].priority;
	return 0;
}

int label_priority(const json_t *labels)
{
	int best = 0;
	size_t i;
	json_t *label;
	json_array_foreach (labels, i, label) {
		int priority = json_is_string(label) ? of_one(json_string_value(label)) : 0;
		if (priority && (!best || priority < best))
			best = priority;
	}
	return best;
}
