/*
 * Parser of env files, the only one: NAME=value lines, `export ` allowed, single and double quotes
 * (\n, \", \\ in double ones), ` #` begins a comment outside quotes, CRLF and BOM tolerated.
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
void env_file_release(struct env_file *file);

#endif
