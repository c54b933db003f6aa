/* The settings as data; for the settings_*.c files alone. */
#ifndef AIRUNNER_SETTINGS_SPEC_H
#define AIRUNNER_SETTINGS_SPEC_H

#include "lib/env_file.h"
#include "lib/settings.h"

struct setting_spec {
	const char *name;
	enum setting_type type;
	const char *def;
	const char *unit;
	const char *who; /* letters of enum program */
	unsigned flags;  /* enum setting_flag */
	const char *help;
};

extern const struct setting_spec setting_specs[S__MAX];

struct setting_value {
	bool seen; /* this program may ask for it */
	bool kept; /* false for secrets that airunnerctl only knows to be set */
	bool set;
	char *text;     /* owned; "" when not kept */
	int64_t number; /* INT, BOOL, USD */
	char *source;   /* owned */
};

struct settings {
	enum program program;
	bool no_colour, journal; /* for the log */
	struct setting_value values[S__MAX];
};

/**
 * Checks text by the setting's type and allowed words. Takes slashes off the end of URLs (in
 * place).
 * @return ERR_CONFIG with an example; the text itself is not shown when it is a secret
 */
err_t setting_value_parse(enum setting id, char *text, const char *source, int64_t *ret_number);

/** Does the table's `who` have this program? */
bool setting_names_program(enum setting id, enum program program);

/** The setting of this name, or that of NAME when this is NAME_FILE; S__MAX when there is none. */
enum setting setting_by_name(const char *name);

/** Names that begin with AIRUNNER_ must be settings. @return ERR_CONFIG "FILE:LINE: … did you mean
 * …?" */
err_t settings_check_env_file(const struct env_file *file, const char *path);

/** A flag NAME=VALUE names a setting of this program that is no secret. @return ERR_CONFIG */
err_t settings_check_flag(const char *flag, enum program program);

#endif
