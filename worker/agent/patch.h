/*
 * Patches in the form that GPT models are trained on ("*** Begin Patch"): files added, updated in
 * hunks, moved, deleted. Pure functions over texts; reading and writing files is tool_patch.c's.
 */
#ifndef AIRUNNER_PATCH_H
#define AIRUNNER_PATCH_H

#include <stdbool.h>
#include <stddef.h>

#include "lib/buf.h"

enum patch_kind { PATCH_ADD, PATCH_UPDATE, PATCH_DELETE };

/** Lines of the patch, without their first character; not terminated, pointing into its text. */
struct patch_line {
	char kind; /* ' ' context, '-' old, '+' new, '@' anchor */
	const char *text;
	size_t len;
};

struct patch_file {
	enum patch_kind kind;
	char *path, *move_to; /* move_to may be NULL */
	struct patch_line *lines;
	size_t count;
};

struct patch {
	struct patch_file *files;
	size_t count;
};

/**
 * Reads a patch; fences and text around it are passed over.
 * @param text   must outlive ret_patch
 * @param words  why it is none, with the line
 */
bool patch_parse(const char *text, struct patch *ret_patch, struct buf *words);
void patch_release(struct patch *patch);

/**
 * The content after a file's changes. A hunk's context and old lines must stand together once, or
 * be the first such place after its anchor (@@ line); trailing blanks do not count. Line ends are
 * the file's.
 * @param content  "" for a file that is added
 * @param words    which hunk does not fit, and what stands there
 */
bool patch_apply(
	const struct patch_file *file, const char *content, struct buf *out, struct buf *words);

#endif
