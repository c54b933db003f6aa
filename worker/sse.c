/* Server-sent events. Called by the LLM clients with the bytes of worker/http.c; ids and retry
 * times are ignored. */
#include "worker/sse.h"

#include <string.h>

void sse_init(struct sse *sse, size_t limit)
{
	*sse = (struct sse){.event = BUF(256), .data = BUF(limit), .line = BUF(limit)};
}

void sse_release(struct sse *sse)
{
	buf_release(&sse->event);
	buf_release(&sse->data);
	buf_release(&sse->line);
}

/* One line without its end. @return true when it ends an event */
static bool take_line(struct sse *sse)
{
	const char *line = sse->line.data;
	size_t len = sse->line.len;
	if (!sse->begun && len >= 3 && memcmp(line, "\xef\xbb\xbf", 3) == 0)
		line += 3, len -= 3;
	sse->begun = true;
	if (len == 0) {
		if (!sse->has_data) /* an event without data is none */
			buf_reset(&sse->event);
		return sse->has_data;
	}
	const char *colon = memchr(line, ':', len);
	size_t name_len = colon ? (size_t)(colon - line) : len;
	const char *value = colon ? colon + 1 : line + len;
	if (value < line + len && *value == ' ')
		value++;
	size_t value_len = (size_t)(line + len - value);
	if (name_len == 5 && memcmp(line, "event", 5) == 0) {
		buf_reset(&sse->event);
		buf_add(&sse->event, value, value_len);
	} else if (name_len == 4 && memcmp(line, "data", 4) == 0) {
		if (sse->has_data)
			buf_addc(&sse->data, '\n');
		buf_add(&sse->data, value, value_len);
		sse->has_data = true;
	}
	return false;
}

static void begin_event(struct sse *sse)
{
	buf_reset(&sse->event);
	buf_reset(&sse->data);
	sse->has_data = sse->complete = false;
}

static err_t too_large(const struct sse *sse)
{
	return err_new(
		ERR_TOO_LARGE, "an event of the stream is larger than %zu bytes", sse->data.limit);
}

err_t sse_feed(struct sse *sse, const char **data, size_t *len, bool *ret_complete)
{
	*ret_complete = false;
	if (sse->complete)
		begin_event(sse);
	if (*len > 0 && sse->after_cr && **data == '\n')
		++*data, --*len, sse->after_cr = false;
	while (*len > 0) {
		sse->after_cr = false;
		size_t n = 0;
		while (n < *len && (*data)[n] != '\n' && (*data)[n] != '\r')
			n++;
		buf_add(&sse->line, *data, n);
		if (buf_cut(&sse->line))
			return too_large(sse);
		*data += n;
		*len -= n;
		if (*len == 0)
			break;
		sse->after_cr = **data == '\r';
		++*data, --*len;
		if (sse->after_cr && *len > 0 && **data == '\n')
			++*data, --*len, sse->after_cr = false;
		sse->complete = take_line(sse);
		buf_reset(&sse->line);
		if (sse->complete)
			break;
	}
	if (buf_cut(&sse->data))
		return too_large(sse);
	*ret_complete = sse->complete;
	return NULL;
}
