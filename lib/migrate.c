/*
 * Applies sql/migrate/NNN_name.sql in order, under a lock of the database, with a checksum each.
 * Called by `airunnerctl db migrate`; the programs only check (migrate_check).
 */
#include "lib/migrate.h"

#include <dirent.h>
#include <stdio.h>
#include <string.h>

#include "lib/crypto.h"
#include "lib/mem.h"

#define LOCK_NAME "airunner-migrate"
#define LOCK_WAIT_S 60
#define MIGRATION_MAX ((size_t)4 << 20)

/* What this program was built for; raised with each migration. */
#define SCHEMA_VERSION 6

struct applied {
	int64_t version;
	char checksum[SHA256_HEX_LEN + 1];
};

static err_t read_applied(struct db *db, struct applied **ret_list, size_t *ret_count)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_SCHEMA_VERSIONS, DB_NO_ARGS, &rows));
	struct applied *list = xcalloc(db_rows_count(rows), sizeof *list);
	for (size_t i = 0; db_rows_next(rows); i++) {
		list[i].version = db_rows_i64(rows, "version");
		snprintf(list[i].checksum, sizeof list[i].checksum, "%s",
			db_rows_str(rows, "checksum"));
	}
	*ret_list = list;
	*ret_count = db_rows_count(rows);
	return NULL;
}

static const struct applied *find(const struct applied *list, size_t count, int64_t version)
{
	for (size_t i = 0; i < count; i++) {
		if (list[i].version == version)
			return &list[i];
	}
	return NULL;
}

static err_t apply_one(struct db *db, const char *folder, const char *file, int64_t version,
	const struct applied *list, size_t count, int *applied)
{
	AUTO(buf_release) struct buf sql = BUF(MIGRATION_MAX);
	autofree char *path = xasprintf("%s/%s", folder, file);
	ERR_TRY(buf_read_file(&sql, path));
	char checksum[SHA256_HEX_LEN + 1];
	crypto_sha256_hex(sql.data, sql.len, checksum);
	const struct applied *was = find(list, count, version);
	if (was && strcmp(was->checksum, checksum) != 0)
		return err_new(ERR_CONFIG,
			"%s was applied with other content: put the file back as released and "
			"write a new migration",
			path);
	if (was)
		return NULL;
	ERR_TRY(db_script(db, file, sql.data));
	ERR_TRY(db_exec(
		db, Q_SCHEMA_ADD, DB_ARGS(db_i64(version), db_str(file), db_str(checksum)), NULL));
	(*applied)++;
	return NULL;
}

static int is_migration(const struct dirent *entry)
{
	int version;
	return sscanf(entry->d_name, "%3d_", &version) == 1 &&
	       strstr(entry->d_name, ".sql") != NULL;
}

static err_t apply_all(struct db *db, const char *folder, int *ret_applied)
{
	ERR_TRY(db_exec(db, Q_SCHEMA_TABLE, DB_NO_ARGS, NULL));
	autofree struct applied *list = NULL;
	size_t count = 0;
	ERR_TRY(read_applied(db, &list, &count));
	struct dirent **files = NULL;
	int n = scandir(folder, &files, is_migration, alphasort);
	if (n < 0)
		return err_errno("migrations in %s", folder);
	err_t e = NULL;
	int64_t newest = 0;
	for (int i = 0; i < n; i++) {
		newest = strtoll(files[i]->d_name, NULL, 10);
		if (!e)
			e = apply_one(
				db, folder, files[i]->d_name, newest, list, count, ret_applied);
		free(files[i]);
	}
	free(files);
	if (!e && count && list[count - 1].version > newest)
		e = err_new(ERR_CONFIG,
			"the schema is version %lld, newer than this program's %lld: install the "
			"newer program",
			(long long)list[count - 1].version, (long long)newest);
	return e;
}

static err_t lock(struct db *db, bool *ret_got)
{
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	ERR_TRY(db_query(db, Q_LOCK_GET, DB_ARGS(db_str(LOCK_NAME), db_i64(LOCK_WAIT_S)), &rows));
	*ret_got = db_rows_next(rows) && db_rows_i64(rows, "got") == 1;
	return NULL;
}

err_t migrate_apply(struct db *db, const char *folder, int *ret_applied)
{
	bool got = false;
	ERR_TRY(lock(db, &got));
	if (!got)
		return err_new(ERR_CONFLICT, "another migration is running for more than %d s",
			LOCK_WAIT_S);
	int applied = 0;
	err_t e = apply_all(db, folder, &applied);
	struct db_rows *rows AUTO(db_rows_freep) = NULL;
	err_t released = db_query(db, Q_LOCK_RELEASE, DB_ARGS(db_str(LOCK_NAME)), &rows);
	if (e)
		return e;
	*ret_applied = applied;
	return released;
}

err_t migrate_check(struct db *db)
{
	autofree struct applied *list = NULL;
	size_t count = 0;
	err_t e = read_applied(db, &list, &count);
	if (err_code(e) == ERR_DB)
		return err_new(
			ERR_CONFIG, "the database has no schema: run `airunnerctl db migrate`");
	ERR_TRY(e);
	int64_t version = count ? list[count - 1].version : 0;
	if (version < SCHEMA_VERSION)
		return err_new(ERR_CONFIG,
			"the schema is version %lld, this program needs %d: run `airunnerctl db "
			"migrate`",
			(long long)version, SCHEMA_VERSION);
	if (version > SCHEMA_VERSION)
		return err_new(ERR_CONFIG,
			"the schema is version %lld, newer than this program's %d: install the "
			"newer program",
			(long long)version, SCHEMA_VERSION);
	return NULL;
}
