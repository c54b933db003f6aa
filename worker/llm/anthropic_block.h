/* The content block that a stream of Anthropic's is telling: opened, added to, given on whole.
 * Private to anthropic_stream.c. */
#ifndef AIRUNNER_ANTHROPIC_BLOCK_H
#define AIRUNNER_ANTHROPIC_BLOCK_H

#include "worker/llm/llm.h"
#include "worker/llm/raw.h"

struct anthropic_block {
	json_t *json; /* NULL while none is open */
	json_int_t index;
	struct buf began; /* the bytes it began with: sent back as they are when nothing is added */
	struct buf text, thinking, signature, input;
	bool added; /* a delta changed the block */
};

void anthropic_block_init(struct anthropic_block *block);
void anthropic_block_release(struct anthropic_block *block);

/** Each takes the event that says so. @return ERR_OUTSIDE for what no whole stream holds */
err_t anthropic_block_open(struct anthropic_block *block, const json_t *event, struct raw bytes);
err_t anthropic_block_add(struct anthropic_block *block, const json_t *event);

/** Gives the block on and closes it. @return also ERR_TOO_LARGE and what fn returned */
err_t anthropic_block_close(
	struct anthropic_block *block, const json_t *event, llm_event_fn fn, void *arg);

#endif
