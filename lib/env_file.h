/*
 * Parser of env files, the only one: NAME=value lines, `export ` allowed, single and double quotes
 * (\n, \t, \r, \", \\, \$ in double ones), ` #` begins a comment outside quotes, blanks around =
 * and at the end do not count, CRLF and BOM tolerated. No variables are put in, and a value ends on
 * its line.
 */
#ifndef AIRUNNER_ENV_FILE_H
#define AIRUNNER_ENV_FILE_H

#include "lib/err.h"

struct env_entry {
	char *name;
	char *value;
	int line;
};

struct env_file {
	struct env_entry *entries; /* owned; the last of a name counts */
	size_t count;
};

/** @return ERR_NOT_FOUND, ERR_IO, ERR_CONFIG ("FILE:LINE: …") */
err_t env_file_read(const char *path, struct env_file *ret_file);
err_t env_file_parse(const char *text, const char *path, struct env_file *ret_file);
const char *env_file_get(const struct env_file *file, const char *name); /* NULL when absent */

/** The same with its line. */
const struct env_entry *env_file_entry(const struct env_file *file, const char *name);

void env_file_release(struct env_file *file); /* wipes the values */

#endif
