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
