/* Events, artifacts and columns of the run's row; every write is fenced. Called by all steps. */
#include "worker/journal.h"

#include <stdarg.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <zlib.h>

#include "lib/log.h"
#include "lib/mem.h"
#include "lib/redact.h"
#include "lib/text.h"
#include "worker/fault.h"

#define MESSAGE_MAX ((size_t)8 << 10)
#define META_MAX ((size_t)256 << 10)
#define ARTIFACT_MAX ((size_t)8 << 20)
#define PART_MAX JOURNAL_PART_MAX

static char *meta_text(json_t *meta)
{
	json_auto_t *masked = meta ? redact_json(meta) : NULL;
	char *text = masked ? json_dumps(masked, JSON_COMPACT) : NULL;
	if (text && strlen(text) <= META_MAX)
		return text;
	free(text);
	return NULL;
}

err_t journal_event(struct run_ctx *ctx, enum event_level level, json_t *meta, const char *fmt, ...)
{
	json_auto_t *owned_meta = meta;
	va_list ap;
	va_start(ap, fmt);
	char *raw = NULL;
	if (vasprintf(&raw, fmt, ap) < 0)
		abort();
	va_end(ap);
	autofree char *owned_raw = raw;
	AUTO(buf_release) struct buf message = BUF(MESSAGE_MAX);
	text_clean(&message, raw, strlen(raw));
	redact_buf(&message);
	log_fields(
		level == EVENT_ERROR ? LOG_ERROR_ : LOG_INFO_, -1, owned_meta, "%s", message.data);
	autofree char *meta_json = meta_text(owned_meta);
	FAULT_POINT("event.%s", ctx->step);
	return db_exec_fenced(ctx->db, Q_EVENT_ADD,
		DB_ARGS(db_str(event_level_name(level)), db_str(run_stage_name(ctx->stage)),
			db_str(message.data), db_str(meta_json), db_i64(ctx->run.id),
			db_i64(ctx->run.fence)));
}

err_t journal_pack(const void *data, size_t len, void **ret_packed, size_t *ret_len)
{
	uLongf packed_len = compressBound(len);
	autofree void *packed = xmalloc(packed_len);
	if (compress2(packed, &packed_len, data, len, 6) != Z_OK)
		return err_new(ERR_INTERNAL, "zlib does not compress");
	*ret_packed = take(&packed);
	*ret_len = packed_len;
	return NULL;
}

static err_t artifact_part(
	struct run_ctx *ctx, const char *kind, const char *name, int part, const char *p, size_t n)
{
	autofree void *packed = NULL;
	size_t packed_len;
	FAULT_POINT("artifact.%s", kind);
	ERR_TRY(err_in(journal_pack(p, n, &packed, &packed_len), "artifact %s", name));
	return db_exec_fenced(ctx->db, Q_ARTIFACT_ADD,
		DB_ARGS(db_str(kind), db_str(name), db_i64(part), db_i64((int64_t)n),
			db_blob(packed, packed_len), db_i64(ctx->run.id), db_i64(ctx->run.fence)));
}

static err_t artifact_parts(
	struct run_ctx *ctx, const char *kind, const char *name, const char *data, size_t len)
{
	size_t done = 0;
	int parts = 0;
	while (parts == 0 || done < len) {
		size_t n = len - done < PART_MAX ? len - done : PART_MAX;
		ERR_TRY(artifact_part(ctx, kind, name, parts++, data + done, n));
		done += n;
	}
	return db_exec(ctx->db, Q_ARTIFACT_TRIM,
		DB_ARGS(db_i64(ctx->run.id), db_str(kind), db_str(name), db_i64(parts),
			db_i64(ctx->run.id), db_i64(ctx->run.fence)),
		NULL);
}

err_t journal_blob(
	struct run_ctx *ctx, const char *kind, const char *name, const void *data, size_t len)
{
	if (len > ARTIFACT_MAX)
		return err_new(ERR_TOO_LARGE, "%s is larger than %zu bytes", name, ARTIFACT_MAX);
	return artifact_parts(ctx, kind, name, data, len);
}

err_t journal_artifact(
	struct run_ctx *ctx, const char *kind, const char *name, const char *text, size_t len)
{
	AUTO(buf_release) struct buf clean = BUF(ARTIFACT_MAX + 4096);
	AUTO(buf_release) struct buf whole = BUF(ARTIFACT_MAX + 4096);
	text_clean(&clean, text, len);
	redact_buf(&clean);
	text_middle(&whole, clean.data, clean.len, ARTIFACT_MAX);
	return artifact_parts(ctx, kind, name, whole.data, whole.len);
}

err_t journal_branch(struct run_ctx *ctx, const char *branch)
{
	return db_exec_fenced(ctx->db, Q_RUN_SET_BRANCH,
		DB_ARGS(db_str(branch), db_i64(ctx->run.id), db_i64(ctx->run.fence)));
}

err_t journal_pull_request(struct run_ctx *ctx, const char *url)
{
	return db_exec_fenced(ctx->db, Q_RUN_SET_PULL_REQUEST,
		DB_ARGS(db_str(url), db_i64(ctx->run.id), db_i64(ctx->run.fence)));
}

err_t journal_issue(struct run_ctx *ctx, const char *type, const char *summary,
	const char *project_key, const char *line)
{
	AUTO(buf_release) struct buf cut = BUF(255);
	text_clean(&cut, summary ? summary : "", summary ? strlen(summary) : 0);
	/* the limit may have cut a character in two */
	while (cut.len && ((unsigned char)cut.data[cut.len - 1] & 0xc0) == 0x80 && buf_cut(&cut))
		buf_truncate(&cut, cut.len - 1);
	if (buf_cut(&cut) && cut.len && (unsigned char)cut.data[cut.len - 1] >= 0x80)
		buf_truncate(&cut, cut.len - 1);
	return db_exec_fenced(ctx->db, Q_RUN_SET_ISSUE,
		DB_ARGS(db_str(type), db_str(cut.data), db_str(project_key), db_str(line),
			db_i64(ctx->run.id), db_i64(ctx->run.fence)));
}
