/* Artifacts of a run, read back. */
#include "worker/artifact.h"

#include <string.h>
#include <zlib.h>

#include "lib/mem.h"

#define ARTIFACT_MAX ((size_t)16 << 20)

static err_t add_part(const struct db_rows *rows, struct buf *out)
{
	size_t packed_len;
	const void *packed = db_rows_blob(rows, "content", &packed_len);
	uLongf len = (uLongf)db_rows_i64(rows, "bytes");
	autofree unsigned char *plain = xmalloc(len + 1);
	if (uncompress(plain, &len, packed, packed_len) != Z_OK ||
		len != (uLongf)db_rows_i64(rows, "bytes"))
		return err_new(ERR_BAD_INPUT, "artifact %s, part %lld, is damaged",
			db_rows_str(rows, "name"), (long long)db_rows_i64(rows, "part"));
	buf_add(out, (const char *)plain, len);
	return NULL;
}

err_t artifacts_read(struct db *db, int64_t run_id, const char *kind, artifact_fn fn, void *arg)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	AUTO(buf_release) struct buf content = BUF(ARTIFACT_MAX);
	autofree char *name = NULL;
	ERR_TRY(db_query(db, Q_ARTIFACTS_OF_KIND, DB_ARGS(db_i64(run_id), db_str(kind)), &rows));
	while (db_rows_next(rows)) {
		const char *next = db_rows_str(rows, "name");
		if (name && (strcmp(name, next) != 0 || db_rows_i64(rows, "part") == 0)) {
			ERR_TRY(fn(arg, name, &content));
			buf_reset(&content);
		}
		free(name);
		name = xstrdup(next);
		ERR_TRY(add_part(rows, &content));
	}
	return name ? fn(arg, name, &content) : NULL;
}

err_t artifact_read(
	struct db *db, int64_t run_id, const char *kind, const char *name, struct buf *out)
{
	AUTO(db_rows_freep) struct db_rows *rows = NULL;
	ERR_TRY(db_query(
		db, Q_ARTIFACT_PARTS, DB_ARGS(db_i64(run_id), db_str(kind), db_str(name)), &rows));
	if (db_rows_count(rows) == 0)
		return err_new(ERR_NOT_FOUND, "no artifact %s %s", kind, name);
	while (db_rows_next(rows))
		ERR_TRY(add_part(rows, out));
	return NULL;
}
