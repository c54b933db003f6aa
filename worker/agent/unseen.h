/* Characters that people do not see: in a path they disguise a name, in a text they hide
 * instructions. */
#ifndef AIRUNNER_UNSEEN_H
#define AIRUNNER_UNSEEN_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

/** Reads one code point of UTF-8. @return its bytes, 0 when they are not valid */
size_t utf8_read(const char *s, size_t len, uint32_t *ret_code_point);

bool is_unseen(uint32_t code_point);

#endif
