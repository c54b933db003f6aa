/* The check-list of sub-tasks in a pull request's body. Called by pull_request.c. */
#include "worker/steps/checklist.h"

#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

/* "- [ ] " or "- [x] ", as the forge's own pages write them too. */
static bool is_item(const char *line)
{
	return (line[0] == '-' || line[0] == '*') && line[1] == ' ' && line[2] == '[' && line[3] &&
	       strchr(" xX", line[3]) && line[4] == ']' && line[5] == ' ';
}

static bool is_of(const char *line, const char *key)
{
	size_t n = strlen(key);
	return is_item(line) && strncmp(line + 6, key, n) == 0 && line[6 + n] == ':';
}

static size_t line_len(const char *line)
{
	size_t n = strcspn(line, "\n");
	return n + (line[n] == '\n');
}

static void add_item(struct buf *out, const char *key, const char *summary, bool is_done)
{
	buf_addf(out, "- [%c] %s: ", is_done ? 'x' : ' ', key);
	for (const char *p = summary; *p; p++)
		buf_addc(out, *p == '\n' || *p == '\r' ? ' ' : *p);
	buf_addc(out, '\n');
}

void checklist_set(
	struct buf *out, const char *body, const char *key, const char *summary, bool is_done)
{
	const char *own = NULL, *last = NULL;
	for (const char *line = body; *line; line += line_len(line)) {
		if (is_of(line, key))
			own = line;
		if (is_item(line))
			last = line;
	}
	const char *at = own ? own : last ? last + line_len(last) : body + strlen(body);
	buf_add(out, body, (size_t)(at - body));
	if (at > body && at[-1] != '\n')
		buf_addc(out, '\n');
	if (!own && !last && at > body)
		buf_addc(out, '\n');
	add_item(out, key, summary, is_done);
	buf_adds(out, own ? own + line_len(own) : at);
}
