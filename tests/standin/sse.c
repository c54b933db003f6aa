/* Server-sent events. Called by anthropic_sse.c and the OpenAI APIs. */
#define _GNU_SOURCE
#include "tests/standin/sse.h"

#include <string.h>

#include "lib/mem.h"

void sse_event(struct buf *out, const char *name, json_t *data)
{
	autofree char *text = json_dumps(data, JSON_COMPACT);
	json_decref(data);
	if (name)
		buf_addf(out, "event: %s\n", name);
	buf_addf(out, "data: %s\n\n", text ? text : "{}");
}

size_t sse_piece(const char *s, size_t n)
{
	size_t len = strlen(s);
	if (len <= n)
		return len;
	while (n > 1 && ((unsigned char)s[n] & 0xc0) == 0x80)
		n--;
	return n;
}
