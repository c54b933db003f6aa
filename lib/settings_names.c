/*
 * The settings table as an array, and the names in it: which there are, which one a mistyped name
 * may mean, which may stand in an env file or on a command line. Called by settings.c.
 */
#include <string.h>

#include "lib/env_file.h"
#include "lib/mem.h"
#include "lib/settings_spec.h"
#include "lib/text.h"

#define NAME_MAX_LEN 63

const struct setting_spec setting_specs[S__MAX] = {
#define SETTING(name, type, def, unit, who, flags, help) \
	[S_##name] = {#name, SET_##type, def, unit, who, flags, help},
#include "lib/settings_table.h"
#undef SETTING
};

/* Names in env files that `make run` reads, not we. */
static const char *const launcher_names[] = {"AIRUNNER_ENV_FILE", "AIRUNNER_SAMPLE"};

bool setting_names_program(enum setting id, enum program program)
{
	return strchr(setting_specs[id].who, (int)program) != NULL;
}

enum setting setting_by_name(const char *name)
{
	autofree char *base = text_ends(name, "_FILE") ? xstrndup(name, strlen(name) - 5) : NULL;
	enum setting by_file = S__MAX;
	for (enum setting id = 0; id < S__MAX; id++) {
		if (strcmp(setting_specs[id].name, name) == 0)
			return id;
		if (base && strcmp(setting_specs[id].name, base) == 0)
			by_file = id;
	}
	return by_file;
}

static size_t min3(size_t a, size_t b, size_t c)
{
	size_t ab = a < b ? a : b;
	return ab < c ? ab : c;
}

/* Levenshtein's distance, one row at a time. */
static size_t distance(const char *a, const char *b)
{
	size_t row[NAME_MAX_LEN + 1];
	size_t n = strnlen(b, NAME_MAX_LEN);
	for (size_t k = 0; k <= n; k++)
		row[k] = k;
	for (size_t i = 1; a[i - 1]; i++) {
		size_t diagonal = row[0];
		row[0] = i;
		for (size_t k = 1; k <= n; k++) {
			size_t above = row[k];
			row[k] = min3(above + 1, row[k - 1] + 1, diagonal + (a[i - 1] != b[k - 1]));
			diagonal = above;
		}
	}
	return row[n];
}

static const char *setting_nearest(const char *full_name)
{
	size_t len = strlen(full_name) - (text_ends(full_name, "_FILE") ? strlen("_FILE") : 0);
	autofree char *name = xstrndup(full_name, len);
	size_t best = 2 + len / 8; /* 2 or 3 letters wrong in a short name, 5 in a long one */
	const char *nearest = NULL;
	for (enum setting id = 0; id < S__MAX; id++) {
		size_t d = distance(name, setting_specs[id].name);
		if (d < best) {
			best = d;
			nearest = setting_specs[id].name;
		}
	}
	return nearest;
}

static err_t unknown_name(const char *where, const char *name)
{
	const char *nearest = setting_nearest(name);
	if (nearest)
		return err_new(ERR_CONFIG, "%s: %s is not a setting; did you mean %s?", where, name,
			nearest);
	return err_new(ERR_CONFIG, "%s: %s is not a setting; `airunnerctl config check` lists them",
		where, name);
}

static bool is_launcher_name(const char *name)
{
	for (size_t i = 0; i < ARRAY_LEN(launcher_names); i++)
		if (strcmp(name, launcher_names[i]) == 0)
			return true;
	return false;
}

/* Other systems may share the file; what begins with our prefix is meant for us. */
err_t settings_check_env_file(const struct env_file *file, const char *path)
{
	for (size_t i = 0; i < file->count; i++) {
		const struct env_entry *entry = &file->entries[i];
		if (!text_starts(entry->name, "AIRUNNER_") || is_launcher_name(entry->name) ||
			setting_by_name(entry->name) != S__MAX)
			continue;
		autofree char *where = xasprintf("%s:%d", path, entry->line);
		return unknown_name(where, entry->name);
	}
	return NULL;
}

err_t settings_check_flag(const char *flag, enum program program)
{
	const char *equals = strchr(flag, '=');
	if (!equals)
		return err_new(ERR_CONFIG, "--set %s: not of the form NAME=VALUE", flag);
	autofree char *name = xstrndup(flag, (size_t)(equals - flag));
	enum setting id = setting_by_name(name);
	if (id == S__MAX || strcmp(setting_specs[id].name, name) != 0)
		return unknown_name("--set", name);
	if (setting_specs[id].flags & SET_SECRET)
		return err_new(ERR_CONFIG,
			"--set %s: a secret must not stand on a command line, which every user can "
			"read; "
			"use %s_FILE",
			name, name);
	if (!setting_names_program(id, program) && program != PROGRAM_CTL)
		return err_new(ERR_CONFIG, "--set %s: this program does not read it", name);
	return NULL;
}
