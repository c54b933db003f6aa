/* Which paths never become part of a commit. */
#ifndef AIRUNNER_PATH_RULE_H
#define AIRUNNER_PATH_RULE_H

#include <stdbool.h>

/**
 * Is a part of this path (relative, '/' between parts) git's own on some file system: .git in any
 * case, with trailing dots, spaces or streams (NTFS), with characters that HFS+ ignores, git~1; or
 * is it empty, ".", "..", or does it hold a backslash or control character? Libgit2's index takes
 * some of these (reliability.md 0.9).
 */
bool path_is_refused(const char *path);

bool path_has_part(const char *path, const char *part);

#endif
