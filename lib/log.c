/*
 * Log lines: human or JSON, one write(2) each, masked and with control characters escaped.
 * Called by the request loop, the daemon and the pipeline. What a line says is theirs; rotation is
 * the system's (log_reopen() follows it).
 */
#define _GNU_SOURCE
#include "lib/log.h"

#include <errno.h>
#include <fcntl.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>
#include <time.h>
#include <unistd.h>

#include "lib/log_line.h"
#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"

#define LINE_LIMIT 65536
#define FORMAT_LIMIT (1 << 20) /* before masking, so that no secret is cut into unknown halves */

/* syslog(3) */
static const int priorities[LOG__MAX] = {7, 6, 4, 3, 2};

static struct {
	enum log_level level;
	bool json, journal, colour;
	int fd;
	char *file, *logger, *trace;
	int64_t run_id;
	char *issue_key, *worker;
} state = {.level = LOG_INFO_, .fd = STDERR_FILENO};

/* ---- opening ---- */

static err_t open_file(const char *path, int *ret_fd)
{
	int fd = open(path, O_WRONLY | O_CREAT | O_APPEND | O_CLOEXEC | O_NOCTTY, 0640);
	if (fd < 0)
		return err_new(ERR_CONFIG, "LOG_FILE %s: %s; name a file that this user may write",
			path, strerror(errno));
	*ret_fd = fd;
	return NULL;
}

static void set_text(char **slot, const char *text)
{
	free(*slot);
	*slot = text && *text ? xstrdup(text) : NULL;
}

err_t log_open(const struct log_options *options)
{
	int fd = STDERR_FILENO;
	if (options->file && *options->file)
		ERR_TRY(open_file(options->file, &fd));
	if (state.fd != STDERR_FILENO)
		close(state.fd);
	state.fd = fd;
	state.level = options->level;
	state.json = options->json;
	state.journal = options->journal && fd == STDERR_FILENO;
	state.colour = !options->plain && !state.journal && isatty(fd);
	set_text(&state.file, options->file);
	set_text(&state.logger, options->logger);
	set_text(&state.trace, options->trace);
	return NULL;
}

err_t log_reopen(void)
{
	if (!state.file)
		return NULL;
	int fd = -1;
	ERR_TRY(open_file(state.file, &fd));
	close(state.fd);
	state.fd = fd;
	return NULL;
}

void log_set_context(int64_t run_id, const char *issue_key, const char *worker)
{
	state.run_id = run_id;
	set_text(&state.issue_key, issue_key);
	set_text(&state.worker, worker);
}

bool log_level_parse(const char *text, enum log_level *ret_level)
{
	for (enum log_level level = 0; level < LOG__MAX; level++)
		if (text_ieq(text, log_level_name(level))) {
			*ret_level = level;
			return true;
		}
	return false;
}

static void put_line(struct buf *line)
{
	buf_addc(line, '\n');
	for (size_t done = 0; done < line->len;) {
		ssize_t n = write(state.fd, line->data + done, line->len - done);
		if (n < 0 && errno == EINTR)
			continue;
		if (n <= 0)
			return; /* disk full or reader gone: a log must not stop the work */
		done += (size_t)n;
	}
}

static void write_line(enum log_level level, int64_t duration_ms, const json_t *fields,
	const char *prefix, const char *fmt, va_list ap)
{
	int saved = errno;
	autofree char *text = NULL;
	AUTO(buf_release) struct buf message = BUF(FORMAT_LIMIT);
	if (vasprintf(&text, fmt, ap) < 0)
		abort();
	buf_addf(&message, "%s%s", prefix, text);
	redact_buf(&message);
	if (message.len > LOG_MESSAGE_LIMIT) {
		buf_truncate(&message, LOG_MESSAGE_LIMIT - 8);
		buf_adds(&message, " …");
	}
	struct log_line line = {
		.level = level,
		.colour = state.colour,
		.logger = state.logger ? state.logger : "airunner",
		.message = message.data,
		.run_id = state.run_id,
		.issue_key = state.issue_key,
		.worker = state.worker,
		.fields = fields,
		.duration_ms = duration_ms,
	};
	clock_gettime(CLOCK_REALTIME, &line.at);

	AUTO(buf_release) struct buf out = BUF(LOG_LINE_LIMIT);
	(state.json ? log_line_json : log_line_human)(&out, &line);
	AUTO(buf_release) struct buf whole = BUF(LOG_LINE_LIMIT + 16);
	if (state.journal)
		buf_addf(&whole, "<%d>", priorities[level]);
	buf_add(&whole, out.data, out.len);
	put_line(&whole);
	errno = saved;
}

#define LOG_AT(level_) \
	if (state.level > (level_)) \
		return; \
	va_list ap; \
	va_start(ap, fmt); \
	write_line((level_), -1, NULL, "", fmt, ap); \
	va_end(ap)

void log_debug(const char *fmt, ...)
{
	LOG_AT(LOG_DEBUG_);
}

void log_info(const char *fmt, ...)
{
	LOG_AT(LOG_INFO_);
}

void log_warning(const char *fmt, ...)
{
	LOG_AT(LOG_WARNING_);
}

void log_error(const char *fmt, ...)
{
	LOG_AT(LOG_ERROR_);
}

void log_fields(
	enum log_level level, int64_t duration_ms, const json_t *fields, const char *fmt, ...)
{
	if (state.level > level)
		return;
	va_list ap;
	va_start(ap, fmt);
	write_line(level, duration_ms, json_is_object(fields) ? fields : NULL, "", fmt, ap);
	va_end(ap);
}

bool log_tracing(const char *topic)
{
	size_t n = strlen(topic);
	for (const char *p = state.trace; p && *p; p += strcspn(p, ", "), p += strspn(p, ", "))
		if (strncmp(p, topic, n) == 0 && (p[n] == '\0' || p[n] == ',' || p[n] == ' '))
			return true;
	return false;
}

void log_trace(const char *topic, const char *fmt, ...)
{
	if (!log_tracing(topic))
		return;
	autofree char *prefix = xasprintf("%s: ", topic);
	va_list ap;
	va_start(ap, fmt);
	write_line(LOG_DEBUG_, -1, NULL, prefix, fmt, ap);
	va_end(ap);
}
