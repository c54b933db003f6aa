/*
 * The ring of errors and the one table of codes: name, HTTP status, retry, end of the run.
 * Called by everybody; logs nothing.
 */
#include "lib/err.h"

#include <errno.h>
#include <stdarg.h>
#include <stdio.h>
#include <string.h>

#include "lib/text.h"

static const struct {
	const char *name;
	int http_status;
	bool can_retry;
	enum err_end end;
} codes[ERR__MAX] = {
	[ERR_NONE] = {"none", 200, false, ERR_END_FAILED},
	[ERR_USAGE] = {"usage", 400, false, ERR_END_FAILED},
	[ERR_CONFIG] = {"config", 500, false, ERR_END_FAILED},
	[ERR_BAD_INPUT] = {"bad_input", 400, false, ERR_END_FAILED},
	[ERR_UNAUTHORIZED] = {"unauthorized", 401, false, ERR_END_FAILED},
	[ERR_FORBIDDEN] = {"forbidden", 403, false, ERR_END_FAILED},
	[ERR_NOT_FOUND] = {"not_found", 404, false, ERR_END_FAILED},
	[ERR_METHOD] = {"method_not_allowed", 405, false, ERR_END_FAILED},
	[ERR_CONFLICT] = {"conflict", 409, false, ERR_END_FAILED},
	[ERR_TOO_LARGE] = {"too_large", 413, false, ERR_END_FAILED},
	[ERR_IO] = {"io", 500, false, ERR_END_FAILED},
	[ERR_DISK_FULL] = {"disk_full", 503, true, ERR_END_REQUEUE},
	[ERR_DB] = {"database", 500, false, ERR_END_FAILED},
	[ERR_DB_AWAY] = {"database_away", 503, true, ERR_END_REQUEUE},
	[ERR_DB_UNSURE] = {"database_unsure", 503, false, ERR_END_REQUEUE},
	[ERR_DB_DUPLICATE] = {"duplicate", 409, false, ERR_END_FAILED},
	[ERR_DB_RETRY] = {"database_retry", 503, true, ERR_END_REQUEUE},
	[ERR_FENCE] = {"fence_lost", 409, false, ERR_END_ABANDON},
	[ERR_CANCELLED] = {"cancelled", 409, false, ERR_END_CANCELLED},
	[ERR_TIMEOUT] = {"timeout", 504, true, ERR_END_FAILED},
	[ERR_NETWORK] = {"network", 502, true, ERR_END_FAILED},
	[ERR_OUTSIDE] = {"outside", 502, true, ERR_END_FAILED},
	[ERR_OUTSIDE_FINAL] = {"outside_final", 502, false, ERR_END_FAILED},
	[ERR_SPENT] = {"provider_spent", 502, false, ERR_END_REQUEUE},
	[ERR_RATE] = {"rate_limited", 503, true, ERR_END_FAILED},
	[ERR_CONTEXT] = {"context_full", 502, false, ERR_END_BLOCKED},
	[ERR_LLM_ANSWER] = {"llm_answer", 502, false, ERR_END_FAILED},
	[ERR_GIT] = {"git", 500, false, ERR_END_FAILED},
	[ERR_PUSH_REFUSED] = {"push_refused", 502, false, ERR_END_BLOCKED},
	[ERR_MERGE] = {"merge_conflict", 409, false, ERR_END_BLOCKED},
	[ERR_LATER] = {"later", 503, false, ERR_END_REQUEUE},
	[ERR_SANDBOX] = {"sandbox", 500, false, ERR_END_FAILED},
	[ERR_CHECKS] = {"checks", 500, false, ERR_END_FAILED},
	[ERR_LIMIT] = {"limit", 500, false, ERR_END_BLOCKED},
	[ERR_QUESTION] = {"question", 500, false, ERR_END_BLOCKED},
	[ERR_UNROUTED] = {"unrouted", 500, false, ERR_END_FAILED},
	[ERR_STOPPING] = {"stopping", 503, true, ERR_END_REQUEUE},
	[ERR_INTERNAL] = {"internal", 500, false, ERR_END_FAILED},
};

static struct err ring[ERR_RING];
static unsigned ring_next;

static struct err *ring_take(enum err_code code)
{
	struct err *e = &ring[ring_next++ % ERR_RING];
	e->code = code;
	return e;
}

/* A cut or foreign byte must not reach JSON or the database: bytes that are not UTF-8 become '?',
 * controls ' '. */
static void clean(char *s)
{
	for (char *p = s, *end = s + strlen(s); p < end;) {
		size_t n = text_utf8_len(p, (size_t)(end - p));
		if (n == 0)
			*p = '?';
		else if ((unsigned char)*p < 0x20)
			*p = ' ';
		p += n ? n : 1;
	}
}

static err_t vmake(enum err_code code, const char *tail, const char *fmt, va_list ap)
{
	char text[ERR_TEXT_MAX]; /* first aside: fmt's arguments may lie in the ring */
	int n = vsnprintf(text, sizeof text, fmt, ap);
	if (n < 0)
		text[0] = '\0', n = 0;
	if (tail && (size_t)n < sizeof text)
		snprintf(text + n, sizeof text - (size_t)n, ": %s", tail);
	clean(text);
	struct err *e = ring_take(code);
	memcpy(e->text, text, sizeof text);
	return e;
}

err_t err_new(enum err_code code, const char *fmt, ...)
{
	va_list ap;
	va_start(ap, fmt);
	err_t e = vmake(code, NULL, fmt, ap);
	va_end(ap);
	return e;
}

err_t err_errno(const char *fmt, ...)
{
	int saved = errno;
	va_list ap;
	va_start(ap, fmt);
	bool is_full = saved == ENOSPC || saved == EDQUOT;
	err_t e = vmake(is_full ? ERR_DISK_FULL : ERR_IO, strerror(saved), fmt, ap);
	va_end(ap);
	return e;
}

err_t err_in(err_t inner, const char *fmt, ...)
{
	if (!inner)
		return NULL;
	char text[ERR_TEXT_MAX];
	enum err_code code = inner->code;
	memcpy(text, inner->text, sizeof text);
	va_list ap;
	va_start(ap, fmt);
	err_t e = vmake(code, text, fmt, ap);
	va_end(ap);
	return e;
}

enum err_code err_code(err_t e)
{
	return e ? e->code : ERR_NONE;
}

const char *err_text(err_t e)
{
	return e ? e->text : "";
}

const char *err_code_name(enum err_code code)
{
	return codes[code].name;
}

enum err_code err_code_named(const char *name)
{
	for (int code = 0; code < ERR__MAX; code++)
		if (strcmp(codes[code].name, name) == 0)
			return (enum err_code)code;
	return ERR_INTERNAL;
}

int err_http_status(enum err_code code)
{
	return codes[code].http_status;
}

bool err_can_retry(enum err_code code)
{
	return codes[code].can_retry;
}

enum err_end err_run_end(enum err_code code)
{
	return codes[code].end;
}
