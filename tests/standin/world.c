/*
 * Configuration, clock and state. Called by every part; the lock is taken in http.c around each
 * handler, so handlers need not think of threads.
 */
#define _GNU_SOURCE
#include "tests/standin/world.h"

#include <pthread.h>
#include <stdio.h>
#include <string.h>
#include <sys/random.h>
#include <time.h>

#include "lib/mem.h"

static pthread_mutex_t lock = PTHREAD_MUTEX_INITIALIZER;
static json_t *config_file; /* as read */
static json_t *config;      /* as changed since */
static json_t *state;
static int64_t advanced_ms;
static char url[64];

static const char *state_path(void)
{
	return jstr(config, "state", NULL);
}

static void load_state(void)
{
	json_decref(state);
	state = state_path() ? json_load_file(state_path(), 0, NULL) : NULL;
	if (!state)
		state = json_object();
}

err_t world_open(const char *config_path)
{
	json_error_t e;
	config_file = json_load_file(config_path, 0, &e);
	if (!json_is_object(config_file))
		return err_new(ERR_CONFIG, "%s:%d: %s", config_path, e.line, e.text);
	config = json_deep_copy(config_file);
	load_state();
	return NULL;
}

void world_close(void)
{
	json_decref(config_file);
	json_decref(config);
	json_decref(state);
	config_file = config = state = NULL;
}

void world_lock(void)
{
	pthread_mutex_lock(&lock);
}

void world_unlock(void)
{
	pthread_mutex_unlock(&lock);
}

err_t world_reset(void)
{
	json_decref(config);
	config = json_deep_copy(config_file);
	json_object_clear(state);
	advanced_ms = 0;
	world_save();
	return NULL;
}

void world_save(void)
{
	if (!state_path())
		return;
	autofree char *tmp = xasprintf("%s.tmp", state_path());
	if (json_dump_file(state, tmp, JSON_INDENT(1)) != 0 || rename(tmp, state_path()) != 0)
		fprintf(stderr, "standin: cannot write %s: %m\n", state_path());
}

json_t *world_part(const char *name)
{
	json_t *part = json_object_get(state, name);
	if (part)
		return part;
	part = json_object();
	json_object_set_new(state, name, part);
	return part;
}

json_t *config_top(const char *name)
{
	return json_object_get(config, name);
}

json_t *config_get(const char *section, const char *name)
{
	return json_object_get(json_object_get(config, section), name);
}

const char *config_str(const char *section, const char *name, const char *otherwise)
{
	return jstr(json_object_get(config, section), name, otherwise);
}

int64_t config_int(const char *section, const char *name, int64_t otherwise)
{
	return jint(json_object_get(config, section), name, otherwise);
}

bool config_bool(const char *section, const char *name, bool otherwise)
{
	const json_t *v = config_get(section, name);
	return json_is_boolean(v) ? json_is_true(v) : otherwise;
}

void config_merge(const json_t *changes)
{
	json_t *copy = json_deep_copy(changes);
	json_object_update_recursive(config, copy);
	json_decref(copy);
}

void world_set_port(int port)
{
	snprintf(url, sizeof(url), "http://127.0.0.1:%d", port);
}

const char *world_url(void)
{
	return url;
}

int64_t world_now_ms(void)
{
	struct timespec ts;
	clock_gettime(CLOCK_REALTIME, &ts);
	return (int64_t)ts.tv_sec * 1000 + ts.tv_nsec / 1000000 + advanced_ms;
}

void world_advance_ms(int64_t ms)
{
	advanced_ms += ms;
}

static struct tm utc(int64_t ms)
{
	time_t s = (time_t)(ms / 1000);
	struct tm tm;
	gmtime_r(&s, &tm);
	return tm;
}

char *time_jira(int64_t ms)
{
	struct tm tm = utc(ms);
	char seconds[32];
	strftime(seconds, sizeof(seconds), "%Y-%m-%dT%H:%M:%S", &tm);
	return xasprintf("%s.%03d+0000", seconds, (int)(ms % 1000));
}

char *time_rfc3339(int64_t ms)
{
	struct tm tm = utc(ms);
	char text[32];
	strftime(text, sizeof(text), "%Y-%m-%dT%H:%M:%SZ", &tm);
	return xstrdup(text);
}

char *random_id(const char *prefix, size_t n)
{
	static const char digits[] =
		"0123456789ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz";
	unsigned char raw[64];
	if (n > sizeof(raw) || getrandom(raw, n, 0) != (ssize_t)n)
		abort();
	char text[sizeof(raw) + 1];
	for (size_t i = 0; i < n; i++)
		text[i] = digits[raw[i] % 62];
	text[n] = '\0';
	return xasprintf("%s%s", prefix, text);
}

const char *jstr(const json_t *object, const char *name, const char *otherwise)
{
	const char *s = json_string_value(json_object_get(object, name));
	return s ? s : otherwise;
}

int64_t jint(const json_t *object, const char *name, int64_t otherwise)
{
	const json_t *v = json_object_get(object, name);
	return json_is_integer(v) ? json_integer_value(v) : otherwise;
}
