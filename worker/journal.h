/*
 * What a run writes about itself: events for people, artifacts for pages, columns of its row. Every
 * write is fenced: ERR_FENCE when the run is not ours any more. Texts are cleaned and redacted
 * here.
 */
#ifndef AIRUNNER_JOURNAL_H
#define AIRUNNER_JOURNAL_H

#include "worker/run.h"

/** Adds an event with the running step's stage, and logs the same line. meta is taken over, may be
 * NULL. */
err_t journal_event(struct run_ctx *ctx, enum event_level level, json_t *meta, const char *fmt, ...)
	__attribute__((format(printf, 4, 5)));

/** Keeps a text as an artifact: compressed parts of at most 256 kB, at most 8 MiB a piece (middle
 * cut). */
err_t journal_artifact(
	struct run_ctx *ctx, const char *kind, const char *name, const char *text, size_t len);

/** Keeps bytes exactly as they are, likewise in parts. They must hold no secrets. @return
 * ERR_TOO_LARGE over 8 MiB */
err_t journal_blob(
	struct run_ctx *ctx, const char *kind, const char *name, const void *data, size_t len);

/** A part as it is stored: compressed, to be freed. */
err_t journal_pack(const void *data, size_t len, void **ret_packed, size_t *ret_len);
#define JOURNAL_PART_MAX ((size_t)256 << 10)

/** Sets branch / pr_url / issue columns of the run's row; NULL leaves a column as it is. */
err_t journal_branch(struct run_ctx *ctx, const char *branch);
err_t journal_pull_request(struct run_ctx *ctx, const char *url);
err_t journal_issue(struct run_ctx *ctx, const char *type, const char *summary,
	const char *project_key, const char *line);

#endif
