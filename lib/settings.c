/*
 * Loads the settings table from flags, environment, files and defaults; the one module that reads
 * the environment. Called once at the start of every program; what a value is used for is the
 * caller's. Names are settings_names.c's, types settings_value.c's, asking for values
 * settings_get.c's, printing settings_print.c's.
 */
#define _GNU_SOURCE
#include "lib/settings.h"

#include <stdlib.h>
#include <string.h>
#include <sys/stat.h>
#include <unistd.h>

#include "lib/env_file.h"
#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/settings_spec.h"
#include "lib/text.h"

#define DEFAULT_ENV_FILE "/etc/airunner/airunner.env"
#define SECRET_LIMIT 16384

struct sources {
	const struct settings_options *options;
	const char *env_file_path; /* NULL: none */
	struct env_file env_file;
};

static void sources_release(struct sources *sources)
{
	env_file_release(&sources->env_file);
}

/* What one place says about a setting. source NULL: nothing. */
struct found {
	char *text, *source;
};

static void found_release(struct found *found)
{
	free(found->text);
	free(found->source);
}

/* ---- the places ---- */

static err_t read_value_file(const char *name, const char *path, char **ret_text)
{
	AUTO(buf_release) struct buf b = BUF(SECRET_LIMIT);
	err_t e = buf_read_file(&b, path);
	if (e)
		return err_new(ERR_CONFIG, "%s_FILE: %s", name, err_text(e));
	if (b.len && b.data[b.len - 1] == '\n')
		buf_truncate(&b, b.len - 1);
	if (b.len && b.data[b.len - 1] == '\r')
		buf_truncate(&b, b.len - 1);
	if (strlen(b.data) != b.len)
		return err_new(ERR_CONFIG, "%s_FILE: %s holds NUL bytes", name, path);
	*ret_text = buf_take(&b);
	return NULL;
}

/* NAME and NAME_FILE of one place. An empty NAME beside a NAME_FILE counts as not set. */
static err_t from_pair(const struct setting_spec *spec, const char *text, const char *path,
	const char *where, bool keep, struct found *ret)
{
	bool by_file = path && *path;
	bool is_number = spec->type == SET_INT || spec->type == SET_BOOL || spec->type == SET_USD;
	if (!by_file && (!text || (!*text && is_number)))
		return NULL; /* an empty number is none; an empty text may be meant */
	if (!keep) {         /* a secret of another program: its being set is all we want to know */
		*ret = (struct found){xstrdup(""), xstrdup(where)};
		return NULL;
	}
	if (!by_file) {
		*ret = (struct found){xstrdup(text), xstrdup(where)};
		return NULL;
	}
	autofree char *read = NULL;
	ERR_TRY(read_value_file(spec->name, path, &read));
	if (text && *text && strcmp(text, read) != 0)
		return err_new(ERR_CONFIG, "%s and %s_FILE (%s) are both set and differ; keep one",
			spec->name, spec->name, where);
	*ret = (struct found){take(&read), xasprintf("%s, %s_FILE %s", where, spec->name, path)};
	return NULL;
}

static err_t from_flag(const struct sources *sources, const struct setting_spec *spec, bool keep,
	struct found *ret)
{
	size_t len = strlen(spec->name);
	const char *text = NULL;
	for (const char *const *p = sources->options->overrides; p && *p; p++)
		if (strncmp(*p, spec->name, len) == 0 && (*p)[len] == '=')
			text = *p + len + 1;
	return from_pair(spec, text, NULL, "flag", keep, ret);
}

static err_t from_environment(const struct sources *sources, const struct setting_spec *spec,
	bool keep, struct found *ret)
{
	(void)sources;
	autofree char *file_name = xasprintf("%s_FILE", spec->name);
	return from_pair(spec, getenv(spec->name), getenv(file_name), "environment", keep, ret);
}

static err_t from_credential(const struct sources *sources, const struct setting_spec *spec,
	bool keep, struct found *ret)
{
	(void)sources;
	const char *folder = getenv("CREDENTIALS_DIRECTORY");
	if (!folder || !*folder)
		return NULL;
	autofree char *path = xasprintf("%s/%s", folder, spec->name);
	if (access(path, F_OK) < 0)
		return NULL;
	struct found found = {0};
	ERR_TRY(from_pair(spec, NULL, path, "credential", keep, &found));
	free(found.source);
	*ret = (struct found){found.text, xasprintf("credential %s", path)};
	return NULL;
}

static err_t from_env_file(const struct sources *sources, const struct setting_spec *spec,
	bool keep, struct found *ret)
{
	autofree char *file_name = xasprintf("%s_FILE", spec->name);
	const struct env_entry *entry = env_file_entry(&sources->env_file, spec->name);
	const struct env_entry *by_file = env_file_entry(&sources->env_file, file_name);
	if (!entry && !by_file)
		return NULL;
	autofree char *where = xasprintf("%s:%d", sources->env_file_path,
		by_file && *by_file->value ? by_file->line : (entry ? entry : by_file)->line);
	return from_pair(spec, entry ? entry->value : NULL, by_file ? by_file->value : NULL, where,
		keep, ret);
}

static err_t from_default(const struct sources *sources, const struct setting_spec *spec, bool keep,
	struct found *ret)
{
	(void)sources;
	(void)keep;
	*ret = (struct found){xstrdup(spec->def), xstrdup("default")};
	return NULL;
}

/* The order of DESIGN 9. */
typedef err_t (*place_fn)(const struct sources *sources, const struct setting_spec *spec, bool keep,
	struct found *ret);
static const place_fn places[] = {
	from_flag, from_environment, from_credential, from_env_file, from_default};

/* ---- loading ---- */

/* A password in an address is a secret, too. */
static void mask_address_password(const char *name, const char *text)
{
	const char *user = strstr(text, "://");
	if (!user)
		return;
	user += 3;
	size_t len = strcspn(user, "/");
	const char *at = memrchr(user, '@', len), *colon = memchr(user, ':', len);
	if (!at)
		return;
	const char *from = colon && colon < at ? colon + 1 : user;
	autofree char *password = xstrndup(from, (size_t)(at - from));
	redact_add(name, password);
}

/* The user's name may come from the program: it is what "" stands for. */
static void name_db_user(const struct sources *sources, enum setting id, struct found *found)
{
	const char *user = sources->options->default_db_user;
	if (id != S_AIRUNNER_DB_USER || *found->text || !user)
		return;
	free(found->text);
	found->text = xstrdup(user);
}

static err_t load_one(const struct sources *sources, enum setting id, struct setting_value *value)
{
	const struct setting_spec *spec = &setting_specs[id];
	AUTO(found_release) struct found found = {0};
	for (size_t i = 0; i < ARRAY_LEN(places) && !found.source; i++)
		ERR_TRY(places[i](sources, spec, value->kept, &found));
	name_db_user(sources, id, &found);
	if (spec->flags & SET_SECRET && strlen(found.text) > SECRET_LIMIT)
		return err_new(ERR_CONFIG, "%s (%s): longer than %d bytes", spec->name,
			found.source, SECRET_LIMIT);
	if (value->kept && spec->flags & SET_SECRET)
		redact_add(spec->name, found.text);
	else if (value->kept)
		mask_address_password(spec->name, found.text);
	value->set = strcmp(found.source, "default") != 0 && (!value->kept || *found.text);
	if (value->kept)
		ERR_TRY(setting_value_parse(id, found.text, found.source, &value->number));
	value->text = take(&found.text);
	value->source = take(&found.source);
	return NULL;
}

static err_t open_env_file(struct sources *sources)
{
	const char *named = sources->options->env_file;
	if (!named)
		named = getenv("AIRUNNER_ENV_FILE");
	const char *path = named ? named : DEFAULT_ENV_FILE;
	if (!*path)
		return NULL;
	err_t e = env_file_read(path, &sources->env_file);
	if (!named && err_code(e) == ERR_NOT_FOUND)
		return NULL;
	if (e)
		return err_new(ERR_CONFIG, "env file: %s", err_text(e));
	sources->env_file_path = path;
	return settings_check_env_file(&sources->env_file, path);
}

/* systemd tells device:inode of the journal's stream, so that a redirected stderr is not taken for
 * it. */
static bool stderr_is_journal(void)
{
	const char *stream = getenv("JOURNAL_STREAM");
	struct stat st;
	if (!stream || fstat(STDERR_FILENO, &st) < 0)
		return false;
	autofree char *ours = xasprintf("%ju:%ju", (uintmax_t)st.st_dev, (uintmax_t)st.st_ino);
	return strcmp(stream, ours) == 0;
}

static bool wants_no_colour(void)
{
	const char *no_color = getenv("NO_COLOR"), *term = getenv("TERM");
	return (no_color && *no_color) || (term && strcmp(term, "dumb") == 0);
}

err_t settings_load(const struct settings_options *options, struct settings **ret_settings)
{
	AUTO(sources_release) struct sources sources = {.options = options};
	ERR_TRY(open_env_file(&sources));
	for (const char *const *p = options->overrides; p && *p; p++)
		ERR_TRY(settings_check_flag(*p, options->program));

	AUTO(settings_freep) struct settings *set = xcalloc(1, sizeof *set);
	set->program = options->program;
	set->journal = stderr_is_journal();
	set->no_colour = wants_no_colour();
	for (enum setting id = 0; id < S__MAX; id++) {
		struct setting_value *value = &set->values[id];
		bool named = setting_names_program(id, options->program);
		value->seen = named || options->program == PROGRAM_CTL;
		value->kept = named || !(setting_specs[id].flags & SET_SECRET);
		if (value->seen)
			ERR_TRY(load_one(&sources, id, value));
	}
	*ret_settings = take(&set);
	return NULL;
}

void settings_free(struct settings *set)
{
	if (!set)
		return;
	for (enum setting id = 0; id < S__MAX; id++) {
		if (set->values[id].text)
			explicit_bzero(set->values[id].text, strlen(set->values[id].text));
		free(set->values[id].text);
		free(set->values[id].source);
	}
	free(set);
}

void settings_freep(struct settings **set)
{
	settings_free(*set);
}

const char *settings_environment(const struct settings *set, const char *name)
{
	(void)set;
	enum setting id = setting_by_name(name);
	bool secret = id != S__MAX && setting_specs[id].flags & SET_SECRET;
	return secret ? NULL : getenv(name);
}
