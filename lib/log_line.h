/* Forms of a log line; for log.c alone. */
#ifndef AIRUNNER_LOG_LINE_H
#define AIRUNNER_LOG_LINE_H

#include <jansson.h>
#include <time.h>

#include "lib/buf.h"
#include "lib/log.h"

#define LOG_LINE_LIMIT 65535    /* without the line end */
#define LOG_MESSAGE_LIMIT 16384 /* what JSON's escapes can make of it fits a line */

struct log_line {
	enum log_level level;
	bool colour;
	const char *logger;
	const char *message; /* masked; any bytes */
	int64_t run_id;      /* 0: none; the next two NULL: none */
	const char *issue_key, *worker;
	const json_t *fields; /* an object, or NULL */
	int64_t duration_ms;  /* < 0: none */
	struct timespec at;
};

/** Append the line without its end; everything but the message is masked here. */
void log_line_human(struct buf *out, const struct log_line *line);
void log_line_json(struct buf *out, const struct log_line *line);

const char *log_level_name(enum log_level level);

#endif
