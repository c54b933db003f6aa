/*
 * Errors. Every fallible function returns err_t: NULL is success, anything else points to one of
 * a small ring of static objects, valid until the next ERR_RING errors were made (who keeps one
 * longer copies code and text). Codes stand in one table (err.c) with name, HTTP status, whether
 * another try can help, and how a run ends by it. Nobody compares texts.
 */
#ifndef AIRUNNER_ERR_H
#define AIRUNNER_ERR_H

#include <stdbool.h>
#include <stddef.h>

#define ERR_RING 16
#define ERR_TEXT_MAX 1024

enum err_code {
	ERR_NONE,
	ERR_USAGE,         /* the program was called wrongly */
	ERR_CONFIG,        /* a setting, repos.json or a file of ours is wrong or missing */
	ERR_BAD_INPUT,     /* a request or an outside answer is malformed */
	ERR_UNAUTHORIZED,  /* no or wrong token, secret, signature */
	ERR_FORBIDDEN,     /* known, but may not */
	ERR_NOT_FOUND,     /* what was named does not exist */
	ERR_METHOD,        /* HTTP method not served at this path */
	ERR_CONFLICT,      /* the state does not allow it */
	ERR_TOO_LARGE,     /* over a size limit */
	ERR_IO,            /* file system, process or socket trouble on this machine */
	ERR_DISK_FULL,     /* no room left to write: the run waits in the queue */
	ERR_DB,            /* the database refused a statement */
	ERR_DB_AWAY,       /* the database cannot be reached */
	ERR_DB_UNSURE,     /* connection lost at commit: re-read before acting */
	ERR_DB_DUPLICATE,  /* a UNIQUE key objects */
	ERR_DB_RETRY,      /* deadlock or lock wait: transaction rolled back, may be repeated */
	ERR_FENCE,         /* this run is not ours any more: stop without effects */
	ERR_CANCELLED,     /* a person cancelled the run */
	ERR_TIMEOUT,       /* an outside call or command took too long */
	ERR_NETWORK,       /* connection refused, reset, cut, TLS */
	ERR_OUTSIDE,       /* an outside service answered with an error that may pass */
	ERR_OUTSIDE_FINAL, /* an outside service refused for good; waiting will not help */
	ERR_SPENT,         /* a provider's quota is used up: a person has to raise it */
	ERR_RATE,          /* an outside service wants us to wait longer than we do */
	ERR_CONTEXT,       /* a conversation no longer fits its model */
	ERR_LLM_ANSWER,    /* the model's answer cannot be used */
	ERR_GIT,           /* libgit2 reports an error */
	ERR_PUSH_REFUSED,  /* the remote refused a ref; text holds its words: ends blocked */
	ERR_MERGE,         /* the branch was changed by others in the same places: ends blocked */
	ERR_LATER,         /* an effect of before is still on its way: back to the queue */
	ERR_SANDBOX,       /* the sandbox cannot be set up */
	ERR_CHECKS,        /* checks still fail after the last heal round */
	ERR_LIMIT,         /* turns, time or money of a run used up: ends blocked */
	ERR_QUESTION,      /* the model asks a person: ends blocked */
	ERR_UNROUTED,      /* no repository for this project */
	ERR_STOPPING,      /* this worker is asked to end: the run goes back to the queue */
	ERR_INTERNAL,      /* a defect of ours */
	ERR__MAX
};

/** How a run ends when a step returns this code. */
enum err_end {
	ERR_END_FAILED,
	ERR_END_BLOCKED,
	ERR_END_CANCELLED,
	ERR_END_ABANDON,
	ERR_END_REQUEUE
};

struct err {
	enum err_code code;
	char text[ERR_TEXT_MAX]; /* valid UTF-8, no secrets, one line */
};
typedef const struct err *err_t;

/** Makes an error. Never fails; text is cut at ERR_TEXT_MAX - 1. */
err_t err_new(enum err_code code, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

/** Makes an error from errno: "<text>: <strerror>". Code ERR_IO, or ERR_DISK_FULL. */
err_t err_errno(const char *fmt, ...) __attribute__((format(printf, 1, 2)));

/** Puts "<where>: " before e's text; NULL stays NULL. */
err_t err_in(err_t e, const char *fmt, ...) __attribute__((format(printf, 2, 3)));

enum err_code err_code(err_t e); /* ERR_NONE for NULL */
const char *err_text(err_t e);   /* "" for NULL */
const char *err_code_name(enum err_code code);
/** ERR_INTERNAL for a name that is none. */
enum err_code err_code_named(const char *name);
int err_http_status(enum err_code code);
bool err_can_retry(enum err_code code);
enum err_end err_run_end(enum err_code code);

/** Returns from the calling function when the expression is an error. */
#define ERR_TRY(expr) \
	do { \
		err_t err_try_ = (expr); \
		if (err_try_) \
			return err_try_; \
	} while (0)

#endif
