-- The first schema. Times are UTC DATETIME(3); money is micro-dollars; ids are BIGINT.
-- No UNIQUE key on a VIRTUAL column: they do not survive crashes (MDEV-36613).

CREATE TABLE repos (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	address VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE COMMENT 'canonical clone address',
	max_running INT NOT NULL DEFAULT 1 COMMENT '0: without limit',
	paused TINYINT NOT NULL DEFAULT 0,
	plain_order TINYINT NOT NULL DEFAULT 0 COMMENT 'USE_SMART_QUEUE=false: by id alone',
	running INT NOT NULL DEFAULT 0 COMMENT 'running runs',
	ready TINYINT NOT NULL DEFAULT 0 COMMENT 'has a claimable run: head_* name the first',
	head_priority TINYINT NOT NULL DEFAULT 9,
	head_position INT NOT NULL DEFAULT 0,
	head_run_id BIGINT NOT NULL DEFAULT 0,
	last_claim_at DATETIME(3) NOT NULL DEFAULT '2000-01-01',
	KEY by_head (ready, head_priority, head_position, last_claim_at, head_run_id),
	KEY by_head_id (ready, head_run_id)
) COMMENT 'repositories; the head of each one''s queue beside its running count';

CREATE TABLE repo_projects (
	project_key VARCHAR(32) NOT NULL PRIMARY KEY,
	repo_id BIGINT NOT NULL,
	is_default TINYINT NOT NULL DEFAULT 0,
	KEY by_repo (repo_id),
	CONSTRAINT project_repo FOREIGN KEY (repo_id) REFERENCES repos (id)
) COMMENT 'which Jira project belongs to which repository; written by the worker from repos.json';

CREATE TABLE runs (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	kind VARCHAR(16) NOT NULL DEFAULT 'issue',
	issue_key VARCHAR(64) NOT NULL,
	repo_id BIGINT NOT NULL DEFAULT 0,
	project_key VARCHAR(32) NOT NULL DEFAULT '',
	line VARCHAR(64) NOT NULL COMMENT 'Story, Epic or issue: at most one running run each',
	status ENUM('queued','running','completed','failed','blocked','cancelled') NOT NULL DEFAULT 'queued',
	priority TINYINT NOT NULL DEFAULT 3,
	position INT NOT NULL DEFAULT 0,
	attempt INT NOT NULL DEFAULT 1 COMMENT 'raised by a retry, not by a crash',
	crashes INT NOT NULL DEFAULT 0,
	fence BIGINT NOT NULL DEFAULT 0,
	slot BIGINT NULL COMMENT 'NULL unless running',
	running_line VARCHAR(64) NULL COMMENT 'line while running',
	queued_issue VARCHAR(64) NULL COMMENT 'issue_key while queued: one queued run an issue',
	locked_by VARCHAR(64) NULL,
	locked_at DATETIME(3) NULL,
	lease_until DATETIME(3) NULL,
	cancel_at DATETIME(3) NULL,
	due_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	started_at DATETIME(3) NULL COMMENT 'first claim of this attempt',
	completed_at DATETIME(3) NULL,
	issue_type VARCHAR(64) NULL,
	issue_summary VARCHAR(255) NULL,
	branch VARCHAR(255) NULL,
	pr_url VARCHAR(512) NULL,
	reason TEXT NULL COMMENT 'why it ended so, for a person',
	error_category VARCHAR(64) NULL,
	cost_usd_micro BIGINT NOT NULL DEFAULT 0,
	cost_known TINYINT NOT NULL DEFAULT 1 COMMENT '0 when a model without price was used',
	turns INT NOT NULL DEFAULT 0,
	model VARCHAR(64) NULL,
	input_tokens BIGINT NOT NULL DEFAULT 0 COMMENT 'fresh + written + read',
	output_tokens BIGINT NOT NULL DEFAULT 0,
	thinking_tokens BIGINT NOT NULL DEFAULT 0,
	cached_tokens BIGINT NOT NULL DEFAULT 0 COMMENT 'read from the provider''s cache',
	metrics MEDIUMTEXT NULL COMMENT 'JSON, members of the seed',
	CONSTRAINT slot_while_running CHECK ((status = 'running') = (slot IS NOT NULL)),
	CONSTRAINT line_while_running CHECK ((status = 'running') = (running_line IS NOT NULL)),
	CONSTRAINT issue_while_queued CHECK ((status = 'queued') = (queued_issue IS NOT NULL)),
	CONSTRAINT run_repo FOREIGN KEY (repo_id) REFERENCES repos (id),
	UNIQUE KEY one_slot (repo_id, slot),
	UNIQUE KEY one_line (running_line),
	UNIQUE KEY one_queued (queued_issue),
	KEY by_queue (repo_id, status, priority, position, id),
	KEY by_status (status, due_at),
	KEY by_worker (locked_by, status),
	KEY by_issue (issue_key, id),
	KEY by_created (created_at, id),
	KEY by_updated (updated_at)
) COMMENT 'one row per unit of work';

CREATE TABLE run_events (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	run_id BIGINT NOT NULL,
	at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	level ENUM('info','error','progress') NOT NULL,
	stage VARCHAR(16) NOT NULL,
	message TEXT NOT NULL,
	meta MEDIUMTEXT NULL COMMENT 'JSON object',
	KEY by_run (run_id, id),
	CONSTRAINT event_run FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
) COMMENT 'what a person reads as progress';

CREATE TABLE run_steps (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	run_id BIGINT NOT NULL,
	attempt INT NOT NULL,
	fence BIGINT NOT NULL,
	step VARCHAR(32) NOT NULL,
	round INT NOT NULL DEFAULT 0 COMMENT 'heal round',
	began_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	ended_at DATETIME(3) NULL,
	outcome VARCHAR(32) NULL COMMENT 'ok, heal, or the error code''s name',
	result MEDIUMTEXT NULL COMMENT 'JSON: what later steps read',
	KEY by_run (run_id, id),
	CONSTRAINT step_run FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
) COMMENT 'the journal: which step of which attempt began and ended';

CREATE TABLE run_messages (
	run_id BIGINT NOT NULL,
	conv INT NOT NULL,
	seq INT NOT NULL COMMENT '0: the prefix (model, system, tools)',
	role ENUM('prefix','user','assistant') NOT NULL,
	model VARCHAR(64) NULL,
	content LONGBLOB NOT NULL COMMENT 'byte-exact JSON as sent or received',
	stop_reason VARCHAR(64) NULL,
	request_id VARCHAR(128) NULL,
	fresh_tokens BIGINT NULL,
	written_tokens BIGINT NULL,
	read_tokens BIGINT NULL,
	output_tokens BIGINT NULL,
	thinking_tokens BIGINT NULL,
	cost_usd_micro BIGINT NULL COMMENT 'NULL: the model has no price',
	latency_ms BIGINT NULL,
	tree CHAR(40) CHARACTER SET ascii NULL COMMENT 'snapshot of the work tree after this turn''s tools',
	at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	PRIMARY KEY (run_id, conv, seq),
	CONSTRAINT message_run FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
) COMMENT 'the LLM conversations, append-only';

CREATE TABLE artifacts (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	run_id BIGINT NOT NULL,
	kind VARCHAR(32) NOT NULL COMMENT 'diff, check_log, tool_output',
	name VARCHAR(190) NOT NULL,
	part INT NOT NULL DEFAULT 0,
	bytes INT NOT NULL COMMENT 'uncompressed',
	content MEDIUMBLOB NOT NULL COMMENT 'zlib',
	at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	KEY by_run (run_id, kind, name, part),
	CONSTRAINT artifact_run FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
) COMMENT 'diffs, tool output and check logs, in compressed parts of at most 256 kB';

CREATE TABLE deliveries (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	dedupe_key CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE COMMENT 'SHA-256 of identifier or body',
	has_identifier TINYINT NOT NULL,
	received_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	issue_key VARCHAR(64) NOT NULL,
	event VARCHAR(64) NOT NULL DEFAULT '',
	run_id BIGINT NOT NULL,
	repeats INT NOT NULL DEFAULT 0,
	KEY by_received (received_at)
) COMMENT 'webhook deliveries received';

CREATE TABLE outbox (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	effect_key VARCHAR(190) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE COMMENT 'run/kind/name: looked up before a repeat',
	run_id BIGINT NOT NULL,
	fence BIGINT NOT NULL,
	issue_key VARCHAR(64) NOT NULL,
	kind VARCHAR(32) NOT NULL,
	is_closing TINYINT NOT NULL DEFAULT 0 COMMENT 'the closing report: not voided by a cancellation',
	request MEDIUMTEXT NOT NULL COMMENT 'JSON',
	state ENUM('waiting','sending','done','void') NOT NULL DEFAULT 'waiting',
	send_until DATETIME(3) NULL,
	attempts INT NOT NULL DEFAULT 0,
	result MEDIUMTEXT NULL COMMENT 'JSON',
	last_error TEXT NULL,
	created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	done_at DATETIME(3) NULL,
	KEY by_run (run_id, id),
	KEY by_state (state, issue_key, id),
	CONSTRAINT outbox_run FOREIGN KEY (run_id) REFERENCES runs (id)
) COMMENT 'writes to Jira and the forge that must happen exactly once in effect';

CREATE TABLE baselines (
	repo_id BIGINT NOT NULL,
	tree CHAR(40) CHARACTER SET ascii NOT NULL,
	check_name VARCHAR(32) NOT NULL,
	tool_key CHAR(64) CHARACTER SET ascii NOT NULL COMMENT 'SHA-256 of what else decides: lock file, node version, command',
	result LONGTEXT NOT NULL COMMENT 'JSON',
	at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	PRIMARY KEY (repo_id, tree, check_name, tool_key)
) COMMENT 'check findings of a base tree';

CREATE TABLE workers (
	name VARCHAR(64) NOT NULL PRIMARY KEY,
	host VARCHAR(190) NOT NULL,
	pid INT NOT NULL,
	capacity INT NOT NULL,
	version VARCHAR(32) NOT NULL,
	sandbox VARCHAR(190) NOT NULL DEFAULT '',
	started_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	seen_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	stopped_at DATETIME(3) NULL
) COMMENT 'who is alive, with what capacity';

CREATE TABLE api_tokens (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	name VARCHAR(64) NOT NULL UNIQUE,
	secret_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL UNIQUE COMMENT 'SHA-256, hexadecimal',
	role ENUM('viewer','operator','admin') NOT NULL DEFAULT 'viewer',
	created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	expires_at DATETIME(3) NULL,
	revoked_at DATETIME(3) NULL
) COMMENT 'bearer tokens of the API';

CREATE TABLE sessions (
	id_hash CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
	kind ENUM('code','session') NOT NULL COMMENT 'code: a one-time sign-in code',
	role ENUM('viewer','operator','admin') NOT NULL,
	name VARCHAR(64) NOT NULL,
	created_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	seen_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	expires_at DATETIME(3) NOT NULL,
	KEY by_expiry (expires_at)
) COMMENT 'browser sessions and one-time sign-in codes';

SET SESSION sql_mode = CONCAT(@@sql_mode, ',NO_AUTO_VALUE_ON_ZERO');
INSERT INTO repos (id, address, max_running) VALUES (0, 'unrouted', 0);

-- Writes the head of a repository's queue into its row. Every change of a queued or running run
-- of the repository calls it in the same transaction; the row's lock orders them.
CREATE PROCEDURE refresh_head (IN the_repo BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE is_open TINYINT DEFAULT 0;
	DECLARE is_plain TINYINT DEFAULT 0;
	DECLARE next_id BIGINT DEFAULT NULL;
	DECLARE next_priority TINYINT DEFAULT 9;
	DECLARE next_position INT DEFAULT 0;
	SELECT paused = 0 AND (max_running = 0 OR running < max_running), plain_order INTO is_open, is_plain
	FROM repos WHERE id = the_repo FOR UPDATE;
	IF is_open AND is_plain THEN
		SELECT MIN(r.id) INTO next_id FROM runs r
		WHERE r.repo_id = the_repo AND r.status = 'queued' AND r.due_at <= NOW(3)
			AND NOT EXISTS (SELECT 1 FROM runs busy WHERE busy.running_line = r.line);
	ELSEIF is_open THEN
		SELECT r.id, r.priority, r.position INTO next_id, next_priority, next_position
		FROM runs r
		WHERE r.repo_id = the_repo AND r.status = 'queued' AND r.due_at <= NOW(3)
			AND NOT EXISTS (SELECT 1 FROM runs busy WHERE busy.running_line = r.line)
		ORDER BY r.priority, r.position, r.id LIMIT 1;
	END IF;
	UPDATE repos SET ready = next_id IS NOT NULL, head_priority = IFNULL(next_priority, 9),
		head_position = IFNULL(next_position, 0), head_run_id = IFNULL(next_id, 0)
	WHERE id = the_repo;
END;

-- (the_key has the column's character set: with another the index of deliveries is not used.)
-- Records a delivery and its run in one transaction and answers the run's id. A repeat (same
-- key within its window) answers the run it made; an issue with a queued run shares that run.
CREATE PROCEDURE intake (IN the_key CHAR(64) CHARACTER SET ascii COLLATE ascii_bin, IN has_id TINYINT, IN the_issue VARCHAR(64),
	IN the_project VARCHAR(32), IN the_event VARCHAR(64), IN the_priority TINYINT)
SQL SECURITY DEFINER
BEGIN
	DECLARE the_run BIGINT DEFAULT NULL;
	DECLARE the_repo BIGINT DEFAULT 0;
	DECLARE seen_at DATETIME(3) DEFAULT NULL;
	DECLARE is_repeat TINYINT DEFAULT 0;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
	START TRANSACTION;
	SET the_repo = IFNULL((SELECT repo_id FROM repo_projects WHERE project_key = the_project),
		IFNULL((SELECT MIN(repo_id) FROM repo_projects WHERE is_default = 1 AND the_project <> ''), 0));
	-- the repository's row first, as a claim does: no deadlock between the two, nor between two deliveries
	SELECT id INTO the_repo FROM repos WHERE id = the_repo FOR UPDATE;
	SELECT run_id, received_at INTO the_run, seen_at FROM deliveries WHERE dedupe_key = the_key FOR UPDATE;
	IF the_run IS NOT NULL AND seen_at > NOW(3) - INTERVAL IF(has_id, 604800, 120) SECOND THEN
		SET is_repeat = 1;
		UPDATE deliveries SET repeats = repeats + 1 WHERE dedupe_key = the_key;
	ELSE
		-- looked for first, so that an event which joins a queued run burns no run id
		SET the_run = NULL;
		SELECT id, repo_id INTO the_run, the_repo FROM runs WHERE queued_issue = the_issue FOR UPDATE;
		IF the_run IS NULL THEN
			INSERT INTO runs (issue_key, queued_issue, repo_id, project_key, line, priority)
			VALUES (the_issue, the_issue, the_repo, the_project, the_issue, IFNULL(the_priority, 3))
			ON DUPLICATE KEY UPDATE updated_at = NOW(3);
			SELECT id, repo_id INTO the_run, the_repo FROM runs WHERE queued_issue = the_issue;
		END IF;
		UPDATE runs SET priority = LEAST(priority, IFNULL(the_priority, 4)), updated_at = NOW(3) WHERE id = the_run;
		INSERT INTO deliveries (dedupe_key, has_identifier, issue_key, event, run_id)
		VALUES (the_key, has_id, the_issue, the_event, the_run)
		ON DUPLICATE KEY UPDATE run_id = the_run, received_at = NOW(3), repeats = repeats + 1;
		CALL refresh_head(the_repo);
	END IF;
	COMMIT;
	SELECT the_run AS run_id, is_repeat AS duplicate;
END;

GRANT EXECUTE ON PROCEDURE intake TO air_hook;
GRANT SELECT ON runs TO air_api;
GRANT SELECT ON runs TO air_dash;
GRANT SELECT ON run_events TO air_api;
GRANT SELECT ON run_events TO air_dash;
GRANT SELECT ON run_steps TO air_api;
GRANT SELECT ON run_steps TO air_dash;
GRANT SELECT ON repos TO air_api;
GRANT SELECT ON repos TO air_dash;
GRANT SELECT ON repo_projects TO air_api;
GRANT SELECT ON repo_projects TO air_dash;
GRANT SELECT ON workers TO air_api;
GRANT SELECT ON workers TO air_dash;
GRANT SELECT ON api_tokens TO air_api;
GRANT SELECT, INSERT, UPDATE, DELETE ON sessions TO air_dash;
GRANT SELECT, UPDATE ON sessions TO air_api;
GRANT SELECT ON api_tokens TO air_dash;
GRANT SELECT ON schema_migrations TO air_worker;
GRANT SELECT, INSERT, UPDATE ON repos TO air_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON repo_projects TO air_worker;
GRANT SELECT, INSERT, UPDATE ON runs TO air_worker;
GRANT SELECT, INSERT ON run_events TO air_worker;
GRANT SELECT, INSERT, UPDATE ON run_steps TO air_worker;
GRANT SELECT, INSERT, UPDATE ON run_messages TO air_worker;
GRANT SELECT, INSERT, DELETE ON artifacts TO air_worker;
GRANT SELECT ON deliveries TO air_worker;
GRANT SELECT, INSERT, UPDATE ON outbox TO air_worker;
GRANT SELECT, INSERT, DELETE ON baselines TO air_worker;
GRANT SELECT, INSERT, UPDATE, DELETE ON workers TO air_worker;
GRANT EXECUTE ON PROCEDURE refresh_head TO air_worker;
