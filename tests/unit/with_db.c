/* Opens the test database. */
#include "tests/unit/with_db.h"

#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "lib/db_private.h"
#include "lib/mem.h"
#include "lib/migrate.h"

#define OVERRIDES_MAX 32

static void must(err_t e, const char *what)
{
	if (!e)
		return;
	fprintf(stderr, "%s: %s\n", what, err_text(e));
	exit(1);
}

struct settings *with_db_settings(const char *const *overrides)
{
	static const char *const names[] = {"SOCKET", "USER", "PASSWORD", "NAME"};
	const char *all[OVERRIDES_MAX + 1] = {0};
	size_t n = 0;
	for (size_t i = 0; i < ARRAY_LEN(names); i++) {
		char variable[64];
		snprintf(variable, sizeof variable, "AIRUNNER_TEST_DB_%s", names[i]);
		const char *value = getenv(variable);
		if (!value) {
			fprintf(stderr, "%s is not set: run this by `make test`\n", variable);
			exit(1);
		}
		/* by the environment: the password may not stand in overrides */
		char setting[64];
		snprintf(setting, sizeof setting, "AIRUNNER_DB_%s", names[i]);
		setenv(setting, value, 1);
	}
	for (size_t i = 0; overrides && overrides[i]; i++)
		all[n++] = overrides[i];
	struct settings *set = NULL;
	must(settings_load(&(struct settings_options){.program = PROGRAM_WORKER,
				   .overrides = all,
				   .default_db_user = "air_worker"},
		     &set),
		"settings");
	return set;
}

struct db *with_db_open(struct settings **ret_set)
{
	struct db *db = NULL;
	*ret_set = with_db_settings(NULL);
	must(db_open(*ret_set, &db), "database");
	if (migrate_check(db)) {
		int applied = 0;
		must(migrate_apply(db, "sql/migrate", &applied), "migrations");
	}
	return db;
}

void with_db_sql(struct db *db, const char *sql)
{
	must(db_script(db, "test", sql), sql);
}

long long with_db_number(struct db *db, const char *sql)
{
	if (mysql_query(db->conn, sql)) {
		fprintf(stderr, "%s: %s\n", sql, mysql_error(db->conn));
		exit(1);
	}
	MYSQL_RES *result = mysql_store_result(db->conn);
	MYSQL_ROW row = result ? mysql_fetch_row(result) : NULL;
	long long value = row && row[0] ? strtoll(row[0], NULL, 10) : -1;
	mysql_free_result(result);
	return value;
}
