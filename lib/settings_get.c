/*
 * Asking for settings: values, what is missing, the log's options, files of the share folder.
 * Called by everybody who has a struct settings.
 */
#define _GNU_SOURCE
#include <limits.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <unistd.h>

#include "lib/mem.h"
#include "lib/settings_spec.h"

bool settings_has(const struct settings *set, enum setting id)
{
	return set->values[id].seen && set->values[id].kept;
}

/* A defect of the caller's, found by the first run of its code: no error to handle. */
static const struct setting_value *asked(
	const struct settings *set, enum setting id, unsigned types)
{
	const struct setting_value *value = &set->values[id];
	const char *wrong = !settings_has(set, id)                   ? "not for this program"
			    : !(types >> setting_specs[id].type & 1) ? "of another type"
								     : NULL;
	if (!wrong)
		return value;
	dprintf(STDERR_FILENO, "setting %s asked for, which is %s\n", setting_specs[id].name,
		wrong);
	abort();
}

const char *settings_str(const struct settings *set, enum setting id)
{
	return asked(set, id, 1 << SET_STR | 1 << SET_PATH | 1 << SET_LIST)->text;
}

int64_t settings_int(const struct settings *set, enum setting id)
{
	return asked(set, id, 1 << SET_INT | 1 << SET_USD)->number;
}

bool settings_bool(const struct settings *set, enum setting id)
{
	return asked(set, id, 1 << SET_BOOL)->number;
}

const char *settings_source(const struct settings *set, enum setting id)
{
	const char *source = set->values[id].source;
	return source ? source : "not read by this program";
}

err_t settings_require(const struct settings *set)
{
	if (set->program != PROGRAM_WORKER && set->program != PROGRAM_CTL)
		return NULL;
	AUTO(buf_release) struct buf missing = BUF(ERR_TEXT_MAX);
	for (enum setting id = 0; id < S__MAX; id++)
		if (setting_specs[id].flags & SET_NEED && !set->values[id].set)
			buf_addf(&missing, "%s%s", missing.len ? ", " : "", setting_specs[id].name);
	if (missing.len == 0)
		return NULL;
	return err_new(ERR_CONFIG,
		"missing: %s; set each in the environment, the env file, or a file named by "
		"NAME_FILE",
		missing.data);
}

void settings_log_options(const struct settings *set, const char *logger, struct log_options *ret)
{
	*ret = (struct log_options){
		.level = LOG_INFO_,
		.json = strcasecmp(settings_str(set, S_LOG_FORMAT), "json") == 0,
		.file = settings_str(set, S_LOG_FILE),
		.logger = logger,
		.trace = settings_str(set, S_AIRUNNER_TRACE),
		.plain = set->no_colour,
		.journal = set->journal,
	};
	log_level_parse(settings_str(set, S_LOG_LEVEL), &ret->level);
	if (settings_bool(set, S_DEBUG))
		ret->level = LOG_DEBUG_;
	if (!*ret->file)
		ret->file = NULL;
}

/* Beside the program (a build folder), else above it (PREFIX/sbin and PREFIX/share). */
static char *share_folder(const struct settings *set)
{
	const char *named = settings_str(set, S_AIRUNNER_SHARE_DIR);
	if (*named)
		return xstrdup(named);
	char program[PATH_MAX];
	ssize_t n = readlink("/proc/self/exe", program, sizeof program - 1);
	program[n > 0 ? n : 0] = '\0';
	char *slash = strrchr(program, '/');
	if (slash)
		*slash = '\0';
	char *beside = xasprintf("%s/share/airunner", program);
	autofree char *above = xasprintf("%s/../share/airunner", program);
	if (access(beside, F_OK) == 0 || access(above, F_OK) < 0)
		return beside;
	free(beside);
	return take(&above);
}

char *settings_share_path(const struct settings *set, const char *relative)
{
	autofree char *folder = share_folder(set);
	return xasprintf("%s/%s", folder, relative);
}
