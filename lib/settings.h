/*
 * Settings, read once at start. Order: flag (--set NAME=VALUE), environment NAME, environment
 * NAME_FILE (a file that holds the value, without one line end), systemd credential
 * ($CREDENTIALS_DIRECTORY/NAME), env file (--env-file, or AIRUNNER_ENV_FILE, or
 * /etc/airunner/airunner.env when it exists; "": none; NAME and NAME_FILE as in the environment),
 * default. NAME and NAME_FILE both set and different is an error. An empty INT, BOOL or USD counts
 * as not set, an empty text is a value. Addresses (unit URL) lose their last slash. The only module
 * that reads the environment. A program sees only the settings whose `who` names it; secrets it
 * does not read are not even kept. airunnerctl sees all, but of other programs' secrets only
 * whether they are set.
 */
#ifndef AIRUNNER_SETTINGS_H
#define AIRUNNER_SETTINGS_H

#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"
#include "lib/buf.h"
#include "lib/log.h"

enum setting_type { SET_STR, SET_INT, SET_BOOL, SET_USD, SET_PATH, SET_LIST };
enum setting_flag { SET_SEED = 1, SET_NEED = 2, SET_SECRET = 4 };

enum setting {
#define SETTING(name, type, def, unit, who, flags, help) S_##name,
#include "lib/settings_table.h"
#undef SETTING
	S__MAX
};

struct settings;

enum program { PROGRAM_HOOK = 'H', PROGRAM_PAGES = 'P', PROGRAM_WORKER = 'W', PROGRAM_CTL = 'C' };

struct settings_options {
	enum program program;
	const char *env_file;         /* --env-file, or NULL */
	const char *const *overrides; /* NULL-terminated "NAME=VALUE", or NULL */
	const char *default_db_user;  /* air_hook, air_api, … */
};

/**
 * Reads all, checks types, registers secrets for masking (lib/redact.h).
 * @return ERR_CONFIG naming setting, source (and line in a file) and the remedy
 */
err_t settings_load(const struct settings_options *options, struct settings **ret_settings);
void settings_free(struct settings *set);
void settings_freep(struct settings **set);

/** Never NULL ("" when unset); borrowed. Asking for a setting of another type or program aborts. */
const char *settings_str(const struct settings *set, enum setting id);
int64_t settings_int(const struct settings *set, enum setting id); /* INT; USD in micro-dollars */
bool settings_bool(const struct settings *set, enum setting id);

/** Does this program read it? For lib code that serves several programs. */
bool settings_has(const struct settings *set, enum setting id);

/** "default", "environment", "/etc/airunner/airunner.env:12", …; borrowed. */
const char *settings_source(const struct settings *set, enum setting id);

/**
 * A variable of the process's environment that is no setting of ours (PATH, HTTPS_PROXY, …): for
 * what the install step passes on. NULL when unset, and for the name of a secret setting. Borrowed.
 */
const char *settings_environment(const struct settings *set, const char *name);

/**
 * Checks what NEED demands (of the worker, and of airunnerctl on its behalf; handlers need
 * nothing).
 * @return ERR_CONFIG naming all that is missing
 */
err_t settings_require(const struct settings *set);

/** Options for log_open() from LOG_LEVEL, LOG_FORMAT, LOG_FILE, DEBUG, AIRUNNER_TRACE, NO_COLOR.
 * Texts are borrowed. */
void settings_log_options(const struct settings *set, const char *logger, struct log_options *ret);

/** Path of a file in the share folder, e.g. "templates/pages/status.html"; freed by the caller. */
char *settings_share_path(const struct settings *set, const char *relative);

/** Prints every setting: name, value ("set" for secrets), source. For `airunnerctl config check` */
void settings_print(const struct settings *set, struct buf *out);

/** The example env file and the README's table, from the same table. */
void settings_print_example(struct buf *out);
void settings_print_markdown(struct buf *out);

#endif
