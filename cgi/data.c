/* Columns to JSON values. Called by the data_*.c files. */
#include "cgi/data.h"

#include "lib/text.h"

json_t *data_text(const struct db_rows *rows, const char *column)
{
	const char *s = db_rows_str(rows, column);
	return s ? text_json(s) : json_null();
}

json_t *data_int(const struct db_rows *rows, const char *column)
{
	return db_rows_null(rows, column) ? json_null() : json_integer(db_rows_i64(rows, column));
}

json_t *data_time(const struct db_rows *rows, const char *column)
{
	return data_int(rows, column); /* UNIX_TIMESTAMP() has decimals, which end the number */
}

json_t *data_json(const struct db_rows *rows, const char *column)
{
	const char *s = db_rows_str(rows, column);
	json_t *json = s ? json_loads(s, 0, NULL) : NULL;
	return json ? json : json_null();
}

json_t *data_meta(const struct db_rows *rows, const char *column, const char *stage_column)
{
	json_t *meta = data_json(rows, column);
	if (!json_is_object(meta)) {
		json_decref(meta);
		meta = json_object();
	}
	json_object_set_new(meta, "stage", data_text(rows, stage_column));
	return meta;
}

double data_round(double value, int decimals)
{
	double scale = 1;
	while (decimals-- > 0)
		scale *= 10;
	return (double)(long long)(value * scale + (value < 0 ? -0.5 : 0.5)) / scale;
}

json_t *data_usd(int64_t usd_micro)
{
	return json_real(data_round((double)usd_micro / 1e6, 6));
}
