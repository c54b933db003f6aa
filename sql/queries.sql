-- Every statement of the programs. Read by sql/queries.awk at build time into enum query and a
-- table; all are prepared statements.
--
--   -- name: run_by_id            becomes Q_RUN_BY_ID
--   -- in:  id                    one word per question mark, in order (names for the reader)
--   -- out: id, issue_key, …      columns of the result, by name (none: statement without result)
--   SELECT … ;
--
-- "FENCED" in a comment: the WHERE proves that the run is still this worker's and not cancelled;
-- no affected row means that it is not (db_exec_fenced).

-- ============================== schema ==============================

-- What each connection begins with.
-- name: session_setup
SET time_zone = '+00:00', tx_isolation = 'READ-COMMITTED', innodb_lock_wait_timeout = 5, sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';

-- name: schema_table
CREATE TABLE IF NOT EXISTS schema_migrations (
	version INT NOT NULL PRIMARY KEY,
	name VARCHAR(128) NOT NULL,
	checksum CHAR(64) NOT NULL,
	at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3)
);

-- name: schema_versions
-- out: version, name, checksum
SELECT version, name, checksum FROM schema_migrations ORDER BY version;

-- name: schema_add
-- in: version, name, checksum
INSERT INTO schema_migrations (version, name, checksum) VALUES (?, ?, ?);

-- name: lock_get
-- in: name, wait_s
-- out: got
SELECT GET_LOCK(?, ?) AS got;

-- name: lock_release
-- in: name
-- out: released
SELECT RELEASE_LOCK(?) AS released;

-- ============================== intake (cgi/webhook) ==============================

-- name: intake
-- in: dedupe_key, has_identifier, issue_key, project_key, event, priority
-- out: run_id, duplicate
CALL intake(?, ?, ?, ?, ?, ?);

-- ============================== api and pages (cgi) ==============================

-- ============================== queue (worker/claim) ==============================

-- ============================== run and journal (worker) ==============================

-- ============================== conversations (worker/agent) ==============================

-- ============================== checks (worker/check) ==============================

-- ============================== outbox (worker/outbox) ==============================
