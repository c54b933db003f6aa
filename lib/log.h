/*
 * Log lines to stderr (or LOG_FILE): human or JSON, the shapes of the Python system.
 * Human: [LEVEL] YYYY-MM-DD HH:MM:SS run=… issue=… worker=… - message name=field (123ms)
 * JSON: timestamp, level, logger, message, run_id, issue_key, worker_id, duration_ms, context.
 * Times are UTC. Control characters are escaped; known secrets are masked (lib/redact.h); a line is
 * one write(2) of at most 64 KiB, so that several processes can append to one file. lib/ itself
 * logs nothing above debug. Before log_open() lines go to stderr, human, from INFO on.
 * settings_log_options() fills the options.
 */
#ifndef AIRUNNER_LOG_H
#define AIRUNNER_LOG_H

#include <jansson.h>
#include <stdbool.h>
#include <stdint.h>

#include "lib/err.h"

enum log_level { LOG_DEBUG_, LOG_INFO_, LOG_WARNING_, LOG_ERROR_, LOG_CRITICAL_, LOG__MAX };

struct log_options {
	enum log_level level;
	bool json;
	const char *file;   /* NULL: stderr. Opened for appending, reopened by log_reopen() */
	const char *logger; /* program name */
	const char *trace;  /* AIRUNNER_TRACE: comma list of http, sql, proc, llm; may be NULL */
	bool plain;         /* no colour even on a terminal (NO_COLOR, TERM=dumb) */
	bool journal;       /* stderr is systemd's journal (JOURNAL_STREAM): <N> before each line */
};

/** Copies the options. @return ERR_CONFIG: no such file can be opened; the log stays as it was */
err_t log_open(const struct log_options *options);

/** After logrotate. When the file cannot be opened, the old one stays in use. */
err_t log_reopen(void);

/** What each following line of this process carries. NULL or 0: left out. Copies the strings. */
void log_set_context(int64_t run_id, const char *issue_key, const char *worker);

void log_debug(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_info(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_warning(const char *fmt, ...) __attribute__((format(printf, 1, 2)));
void log_error(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** A line with a duration (< 0: none) and fields (a JSON object, borrowed, or NULL). */
void log_fields(enum log_level level, int64_t duration_ms, const json_t *fields, const char *fmt,
	...) __attribute__((format(printf, 4, 5)));

/** A trace line, written only when AIRUNNER_TRACE names the topic. */
bool log_tracing(const char *topic);
void log_trace(const char *topic, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** "DEBUG", "INFO", … case-insensitive. @return false when unknown */
bool log_level_parse(const char *text, enum log_level *ret_level);

#endif
