/* Cleaning of outside texts. Called by worker/steps/context.c and edit.c, and when a new
 * conversation takes the work over (switch.c). */
#define _GNU_SOURCE
#include "worker/agent/outside.h"

#include <string.h>
#include <strings.h>

#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"
#include "worker/agent/unseen.h"

#define WORK_MAX (8u << 20)

/* The tags of templates/prompts: a text that closes one would speak with our voice. */
static const char *const tags[] = {"task", "title", "description", "labels", "parent", "comment",
	"files", "package_scripts", "project_file", "finding", "output", "diff", "summary"};

static int drop_comments(const struct buf *in, struct buf *out)
{
	int dropped = 0;
	const char *p = in->data;
	for (const char *begin; (begin = strstr(p, "<!--")); dropped++) {
		const char *end = strstr(begin, "-->");
		buf_add(out, p, (size_t)(begin - p));
		p = end ? end + 3 : in->data + in->len;
	}
	buf_adds(out, p);
	return dropped;
}

static bool closes_tag(const char *s)
{
	if (s[0] != '<' || s[1] != '/')
		return false;
	for (size_t i = 0; i < ARRAY_LEN(tags); i++) {
		size_t n = strlen(tags[i]);
		if (strncasecmp(s + 2, tags[i], n) == 0 && strchr("> \t\n", s[2 + n]))
			return true;
	}
	return false;
}

/* An emoji's variation selector or joiner is no disguise: dropped, but not counted. */
static bool is_harmless(uint32_t c)
{
	return c == 0xfe0f || c == 0x200d || c == 0xad || c == 0xfeff;
}

static int drop_unseen(const struct buf *in, struct buf *out)
{
	int dropped = 0;
	for (size_t i = 0; i < in->len;) {
		uint32_t c = 0;
		size_t n = utf8_read(in->data + i, in->len - i, &c);
		if (n == 0)
			n = 1;
		if (is_unseen(c))
			dropped += !is_harmless(c);
		else
			buf_add(out, in->data + i, n);
		i += n;
	}
	return dropped;
}

static void disarm_tags(const struct buf *in, struct buf *out)
{
	for (size_t i = 0; i < in->len; i++) {
		buf_addc(out, in->data[i]);
		if (closes_tag(in->data + i))
			buf_addc(out, ' ');
	}
}

/* In this order: what is dropped must not join what stood around it to a comment or a tag. */
int outside_text(struct buf *out, const char *s, size_t len, size_t max)
{
	AUTO(buf_release) struct buf clean = BUF(WORK_MAX), seen = BUF(WORK_MAX);
	AUTO(buf_release) struct buf bare = BUF(WORK_MAX), safe = BUF(WORK_MAX);
	text_clean(&clean, s, len);
	int dropped = drop_unseen(&clean, &seen);
	dropped += drop_comments(&seen, &bare);
	disarm_tags(&bare, &safe);
	redact_buf(&safe);
	text_middle(out, safe.data, safe.len, max);
	return dropped;
}

void outside_code(struct buf *out, const char *s, size_t len, size_t max)
{
	AUTO(buf_release) struct buf clean = BUF(WORK_MAX), safe = BUF(WORK_MAX);
	text_clean(&clean, s, len);
	disarm_tags(&clean, &safe);
	redact_buf(&safe);
	text_middle(out, safe.data, safe.len, max);
}
