/*
 * Result sets of prepared statements, copied whole into memory: values as text, looked up by
 * column name. Pages and steps read at most some hundred rows.
 */
#include "lib/db_private.h"

#include <stdio.h>
#include <string.h>

#include "lib/mem.h"
#include "lib/text.h"

#define RESULT_MAX ((size_t)64 << 20)
#define NUMBER_MAX 64

struct cell {
	size_t offset; /* into bytes */
	size_t len;
	bool null;
};

struct db_rows {
	size_t columns;
	size_t count;
	size_t current; /* 1-based; 0 before the first */
	char **names;
	struct cell *cells; /* count * columns */
	struct buf bytes;
	enum query q;
};

static void read_names(struct db_rows *rows, MYSQL_STMT *stmt)
{
	MYSQL_RES *meta = mysql_stmt_result_metadata(stmt);
	rows->columns = meta ? mysql_num_fields(meta) : 0;
	rows->names = xcalloc(rows->columns, sizeof *rows->names);
	MYSQL_FIELD *fields = meta ? mysql_fetch_fields(meta) : NULL;
	for (size_t i = 0; i < rows->columns; i++)
		rows->names[i] = xstrdup(fields[i].name);
	if (meta)
		mysql_free_result(meta);
}

/* One row: lengths come with the fetch, values by column, straight into bytes. */
static err_t read_row(struct db *db, struct db_rows *rows, MYSQL_STMT *stmt, MYSQL_BIND *binds)
{
	rows->cells =
		xrealloc(rows->cells, (rows->count + 1) * rows->columns * sizeof *rows->cells);
	for (size_t i = 0; i < rows->columns; i++) {
		struct cell *cell = &rows->cells[rows->count * rows->columns + i];
		*cell = (struct cell){.offset = rows->bytes.len,
			.len = *binds[i].length,
			.null = *binds[i].is_null};
		if (cell->null) {
			cell->len = 0;
			continue;
		}
		/* of a number that becomes text the length is not known before */
		size_t room = cell->len < NUMBER_MAX ? NUMBER_MAX : cell->len;
		autofree char *value = xcalloc(room + 1, 1);
		unsigned long got = 0;
		my_bool null = 0;
		MYSQL_BIND column = {.buffer_type = MYSQL_TYPE_STRING,
			.buffer = value,
			.buffer_length = room + 1,
			.length = &got,
			.is_null = &null};
		if (mysql_stmt_fetch_column(stmt, &column, (unsigned)i, 0))
			return db_error(db, mysql_stmt_errno(stmt), query_rows[rows->q].name,
				mysql_stmt_error(stmt));
		cell->len = got < room ? got : room;
		buf_add(&rows->bytes, value, cell->len);
		buf_addc(&rows->bytes, '\0');
	}
	rows->count++;
	return buf_cut(&rows->bytes)
		       ? err_new(ERR_TOO_LARGE, "result of %s is larger than %zu bytes",
				 query_rows[rows->q].name, RESULT_MAX)
		       : NULL;
}

static err_t read_all(struct db *db, struct db_rows *rows, MYSQL_STMT *stmt)
{
	autofree MYSQL_BIND *binds = xcalloc(rows->columns, sizeof *binds);
	autofree unsigned long *lengths = xcalloc(rows->columns, sizeof *lengths);
	autofree my_bool *nulls = xcalloc(rows->columns, sizeof *nulls);
	static char nowhere[1];
	for (size_t i = 0; i < rows->columns; i++)
		binds[i] = (MYSQL_BIND){.buffer_type = MYSQL_TYPE_STRING,
			.buffer = nowhere,
			.buffer_length = 0,
			.length = &lengths[i],
			.is_null = &nulls[i]};
	const char *name = query_rows[rows->q].name;
	if (mysql_stmt_bind_result(stmt, binds) || mysql_stmt_store_result(stmt))
		return db_error(db, mysql_stmt_errno(stmt), name, mysql_stmt_error(stmt));
	for (;;) {
		int got = mysql_stmt_fetch(stmt);
		if (got == MYSQL_NO_DATA)
			return NULL;
		if (got == 1)
			return db_error(db, mysql_stmt_errno(stmt), name, mysql_stmt_error(stmt));
		ERR_TRY(read_row(db, rows, stmt, binds));
	}
}

static err_t query_once(
	struct db *db, enum query q, const struct db_arg *args, struct db_rows **ret_rows)
{
	MYSQL_STMT *stmt = NULL;
	ERR_TRY(db_execute(db, q, args, &stmt));
	struct db_rows *rows = xcalloc(1, sizeof *rows);
	rows->q = q;
	buf_init(&rows->bytes, RESULT_MAX);
	read_names(rows, stmt);
	err_t e = rows->columns
			  ? read_all(db, rows, stmt)
			  : err_new(ERR_INTERNAL, "query %s has no result", query_rows[q].name);
	err_t drained = db_finish(db, q, stmt);
	if (!e)
		e = drained;
	if (e) {
		db_rows_free(rows);
		return e;
	}
	*ret_rows = rows;
	return NULL;
}

err_t db_query(struct db *db, enum query q, const struct db_arg *args, struct db_rows **ret_rows)
{
	for (int tries = 1;; tries++) {
		err_t e = query_once(db, q, args, ret_rows);
		if (!db_statement_again(db, e, tries))
			return e;
	}
}

bool db_rows_next(struct db_rows *rows)
{
	if (rows->current >= rows->count)
		return false;
	rows->current++;
	return true;
}

size_t db_rows_count(const struct db_rows *rows)
{
	return rows->count;
}

static const struct cell *cell_at(const struct db_rows *rows, const char *column)
{
	for (size_t i = 0; i < rows->columns && rows->current > 0; i++) {
		if (strcmp(rows->names[i], column) == 0)
			return &rows->cells[(rows->current - 1) * rows->columns + i];
	}
	fprintf(stderr, "query %s: no column %s, or no current row\n", query_rows[rows->q].name,
		column);
	abort();
}

bool db_rows_null(const struct db_rows *rows, const char *column)
{
	return cell_at(rows, column)->null;
}

const char *db_rows_str(const struct db_rows *rows, const char *column)
{
	const struct cell *cell = cell_at(rows, column);
	return cell->null ? NULL : rows->bytes.data + cell->offset;
}

int64_t db_rows_i64(const struct db_rows *rows, const char *column)
{
	const char *s = db_rows_str(rows, column);
	return s ? strtoll(s, NULL, 10) : 0;
}

double db_rows_double(const struct db_rows *rows, const char *column)
{
	const char *s = db_rows_str(rows, column);
	return s ? strtod(s, NULL) : 0;
}

const void *db_rows_blob(const struct db_rows *rows, const char *column, size_t *ret_len)
{
	const struct cell *cell = cell_at(rows, column);
	*ret_len = cell->len;
	return cell->null ? NULL : rows->bytes.data + cell->offset;
}

void db_rows_free(struct db_rows *rows)
{
	if (!rows)
		return;
	for (size_t i = 0; i < rows->columns; i++)
		free(rows->names[i]);
	free(rows->names);
	free(rows->cells);
	buf_release(&rows->bytes);
	free(rows);
}

void db_rows_freep(struct db_rows **rows)
{
	db_rows_free(*rows);
}
