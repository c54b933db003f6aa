/*
 * Parser of server-sent events (WHATWG HTML, 9.2.6): bytes in any pieces, one event at a time.
 *
 *   while (len > 0) {
 *           bool complete;
 *           ERR_TRY(sse_feed(&sse, &data, &len, &complete));
 *           if (complete) use(sse.event.data, sse.data.data, sse.data.len);
 *   }
 */
#ifndef AIRUNNER_SSE_H
#define AIRUNNER_SSE_H

#include "lib/buf.h"

struct sse {
	struct buf event; /* name of the event, "" for none */
	struct buf data;  /* its data lines, joined by \n */
	struct buf line;  /* the unfinished line */
	bool has_data, complete, after_cr, begun;
};

/** @param limit  most bytes of one event's data and of one line */
void sse_init(struct sse *sse, size_t limit);
void sse_release(struct sse *sse);

/**
 * Reads up to the end of the next event and moves *data and *len on.
 * @param ret_complete  true: sse->event and sse->data hold an event, valid until the next call
 * @return ERR_TOO_LARGE
 */
err_t sse_feed(struct sse *sse, const char **data, size_t *len, bool *ret_complete);

#endif
