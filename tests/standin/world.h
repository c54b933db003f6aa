/*
 * All state of the stand-in: configuration, clock, and one JSON tree per service, behind one lock.
 * The tree is written to a file after each change when the configuration names one ("state"),
 * and read again at the start, so that a restarted stand-in remembers its issues.
 */
#ifndef STANDIN_WORLD_H
#define STANDIN_WORLD_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/buf.h"
#include "lib/err.h"

/** Reads the configuration file. @return ERR_CONFIG */
err_t world_open(const char *config_path);
void world_close(void);
void world_lock(void);
void world_unlock(void);

/** Back to the start: configuration as in the file, no requests, scripts, faults of the control
 * API. */
err_t world_reset(void);

/** Writes the state file, when there is one. Called with the lock held. */
void world_save(void);

/** A service's part of the state ("jira", "github", …), made when missing; borrowed. */
json_t *world_part(const char *name);

/** Settings of a section; changed at run time by PATCH /_control/config. Borrowed. */
const char *config_str(const char *section, const char *name, const char *otherwise);
int64_t config_int(const char *section, const char *name, int64_t otherwise);
bool config_bool(const char *section, const char *name, bool otherwise);
json_t *config_get(const char *section, const char *name); /* NULL when absent */
json_t *config_top(const char *name);
void config_merge(const json_t *changes);

/** http://127.0.0.1:PORT, once the server listens. Borrowed. */
const char *world_url(void);
void world_set_port(int port);

/** Milliseconds since 1970, real time plus what tests advanced. */
int64_t world_now_ms(void);
void world_advance_ms(int64_t ms);

/** Time texts of the services; freed by the caller. */
char *time_jira(int64_t ms);    /* 2026-11-22T10:11:12.345+0000 */
char *time_rfc3339(int64_t ms); /* 2026-11-22T10:11:12Z */

/** prefix and n random base62 characters; freed by the caller. */
char *random_id(const char *prefix, size_t n);

/* ---- small helpers on JSON trees ---- */

/** String member, or otherwise; borrowed. */
const char *jstr(const json_t *object, const char *name, const char *otherwise);
int64_t jint(const json_t *object, const char *name, int64_t otherwise);

#endif
