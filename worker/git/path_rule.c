/* Which paths never become part of a commit. Called by snapshot.c. */
#include "worker/git/path_rule.h"

#include <string.h>
#include <strings.h>

#include "lib/mem.h"

/* Characters that HFS+ leaves out when it compares names, as UTF-8. */
static const char *const hfs_ignored[] = {
	"\xe2\x80\x8c", "\xe2\x80\x8d", "\xe2\x80\x8e", "\xe2\x80\x8f", /* U+200C … U+200F */
	"\xe2\x80\xaa", "\xe2\x80\xab", "\xe2\x80\xac", "\xe2\x80\xad",
	"\xe2\x80\xae", /* U+202A … */
	"\xe2\x81\xaa", "\xe2\x81\xab", "\xe2\x81\xac", "\xe2\x81\xad", "\xe2\x81\xae",
	"\xe2\x81\xaf", "\xef\xbb\xbf", /* U+206A … U+206F, U+FEFF */
};

static size_t ignored_len(const char *s)
{
	for (size_t i = 0; i < ARRAY_LEN(hfs_ignored); i++)
		if (strncmp(s, hfs_ignored[i], 3) == 0)
			return 3;
	return 0;
}

/* NTFS drops trailing dots and spaces, and takes what follows a colon as a stream of the same file.
 */
static bool is_end(const char *rest)
{
	rest += strspn(rest, ". ");
	return *rest == '\0' || *rest == ':';
}

static bool is_git(const char *part, size_t len)
{
	char seen[256];
	size_t n = 0;
	for (size_t i = 0; i < len && n < sizeof seen - 1;) {
		size_t skip = ignored_len(part + i);
		if (!skip)
			seen[n++] = part[i];
		i += skip ? skip : 1;
	}
	seen[n] = '\0';
	return (strncasecmp(seen, ".git", 4) == 0 && is_end(seen + 4)) ||
	       (strncasecmp(seen, "git~1", 5) == 0 && is_end(seen + 5));
}

bool path_is_refused(const char *path)
{
	for (const char *p = path; *p; p++)
		if (*p == '\\' || (unsigned char)*p < 0x20 || *p == 0x7f)
			return true;
	for (const char *part = path;; part++) {
		size_t len = strcspn(part, "/");
		if (len == 0 || (len == 1 && *part == '.') ||
			(len == 2 && strncmp(part, "..", 2) == 0) || is_git(part, len))
			return true;
		part += len;
		if (!*part)
			return false;
	}
}

bool path_has_part(const char *path, const char *part)
{
	size_t want = strlen(part);
	for (;; path++) {
		size_t len = strcspn(path, "/");
		if (len == want && strncmp(path, part, len) == 0)
			return true;
		path += len;
		if (!*path)
			return false;
	}
}
