/* One form for what may be written in several: content as blocks, blocks without cache marks. */
#ifndef STANDIN_CANON_H
#define STANDIN_CANON_H

#include <jansson.h>

/** Content (string or blocks) as an array of blocks; new reference, the blocks are the given ones.
 */
json_t *canon_content(const json_t *content);

/** A block's compact JSON, members in the order given, without cache_control. Freed by the caller.
 */
char *canon_block_text(const json_t *block);

/**
 * A value to compare by: members sorted by name, without cache_control, null members and a tool
 * call's direct caller. without_thinking leaves thinking blocks out of an array.
 * Freed by the caller.
 */
char *canon_value_text(const json_t *content, int without_thinking);

#endif
