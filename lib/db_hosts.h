/*
 * The ordered list of database hosts (AIRUNNER_DB_HOSTS) and which of them is worth a try. Knows
 * nothing of connections: times come from the caller (CLOCK_MONOTONIC, ms), so it can be tested
 * alone. Used by lib/db_connect.c.
 */
#ifndef AIRUNNER_DB_HOSTS_H
#define AIRUNNER_DB_HOSTS_H

#include <stdbool.h>
#include <stddef.h>
#include <stdint.h>

#include "lib/err.h"

#define DB_HOST_NONE SIZE_MAX

struct db_host {
	char *name;  /* owned */
	char *label; /* owned; host and port as they were written */
	unsigned port;
	int64_t avoid_until_ms; /* 0: was never away */
	int64_t penalty_ms;     /* how long it was avoided the last time */
};

struct db_hosts {
	struct db_host *items; /* owned; in order of preference */
	size_t count;
	size_t current; /* DB_HOST_NONE: not connected */
	int64_t since_ms;
};

/** Reads "host:port,[::1]:3307,host" (port 3306 when none is given). @return ERR_CONFIG */
err_t db_hosts_parse(const char *list, struct db_hosts *ret_hosts);
void db_hosts_release(struct db_hosts *hosts);

/**
 * The order in which to try: by preference, but hosts that failed a short while ago come last.
 * @param ret_order  hosts->count indexes
 */
void db_hosts_order(const struct db_hosts *hosts, int64_t now_ms, size_t *ret_order);

/** A connection to it stands now. */
void db_hosts_good(struct db_hosts *hosts, size_t i, int64_t now_ms);

/**
 * It does not answer, is not ready or was lost: avoided for 30 s, twice as long each time that it
 * fails again soon after (at most 10 minutes), so that nobody goes back and forth with a host that
 * comes and goes.
 */
void db_hosts_failed(struct db_hosts *hosts, size_t i, int64_t now_ms);

/** A host before the current one that may be tried again; DB_HOST_NONE when there is none. */
size_t db_hosts_better(const struct db_hosts *hosts, int64_t now_ms);

#endif
