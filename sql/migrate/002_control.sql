-- What a person may change of a run: cancel, retry, priority. Each is one procedure that locks the
-- repository's row first and then the run, as a claim does, and leaves a line in the audit log.

CREATE TABLE audit_log (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	who VARCHAR(64) NOT NULL COMMENT 'name of the token or of the session',
	what VARCHAR(32) NOT NULL,
	object VARCHAR(64) NOT NULL,
	detail VARCHAR(255) NOT NULL DEFAULT '',
	KEY by_object (object, id)
) COMMENT 'who did what; written by procedures only';

ALTER TABLE runs
	ADD COLUMN base_attempt INT NOT NULL DEFAULT 1
		COMMENT 'steps of this attempt and later ones count; a retry that starts over raises it' AFTER attempt,
	ADD COLUMN trigger_key CHAR(64) CHARACTER SET ascii COLLATE ascii_bin NULL
		COMMENT 'SHA-256 of what of the issue made this run: the same again is nothing new' AFTER metrics;

ALTER TABLE sessions
	ADD COLUMN csrf_key VARCHAR(64) CHARACTER SET ascii COLLATE ascii_bin NOT NULL DEFAULT ''
		COMMENT 'the pages'' token is an HMAC with it; empty: the session may only read';

-- Locks a run with its repository. the_status is NULL when there is none. A run that is given to
-- another repository meanwhile is followed.
CREATE PROCEDURE run_lock (IN the_run BIGINT, OUT the_repo BIGINT, OUT the_status VARCHAR(16), OUT the_issue VARCHAR(64))
SQL SECURITY INVOKER
BEGIN
	DECLARE locked BIGINT;
	SET the_status = NULL;
	follow: LOOP
		SET the_repo = (SELECT repo_id FROM runs WHERE id = the_run);
		IF the_repo IS NULL THEN
			LEAVE follow;
		END IF;
		SELECT id INTO locked FROM repos WHERE id = the_repo FOR UPDATE;
		SELECT status, issue_key INTO the_status, the_issue FROM runs
		WHERE id = the_run AND repo_id = the_repo FOR UPDATE;
		IF the_status IS NOT NULL THEN
			LEAVE follow;
		END IF;
	END LOOP;
END;

-- A queued run is cancelled at once; of a running one the worker is told. What was not sent yet
-- never will be, but for the closing report.
CREATE PROCEDURE run_cancel (IN the_run BIGINT, IN the_who VARCHAR(64))
SQL SECURITY DEFINER
BEGIN
	DECLARE the_repo BIGINT DEFAULT NULL;
	DECLARE was VARCHAR(16) DEFAULT NULL;
	DECLARE the_issue VARCHAR(64) DEFAULT NULL;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
	START TRANSACTION;
	CALL run_lock(the_run, the_repo, was, the_issue);
	IF was = 'queued' THEN
		UPDATE runs SET status = 'cancelled', queued_issue = NULL, cancel_at = NOW(3), completed_at = NOW(3),
			reason = CONCAT('cancelled by ', the_who), error_category = 'cancelled', updated_at = NOW(3)
		WHERE id = the_run;
		CALL refresh_head(the_repo);
	ELSEIF was = 'running' THEN
		UPDATE runs SET cancel_at = IFNULL(cancel_at, NOW(3)), updated_at = NOW(3) WHERE id = the_run;
	END IF;
	IF was IN ('queued', 'running') THEN
		UPDATE outbox SET state = 'void', last_error = CONCAT('cancelled by ', the_who)
		WHERE run_id = the_run AND state = 'waiting' AND is_closing = 0;
		INSERT INTO audit_log (who, what, object, detail) VALUES (the_who, 'cancel', CONCAT('run ', the_run), was);
	END IF;
	COMMIT;
	SELECT was;
END;

-- Takes an ended run back to the queue. other: a run of the same issue that is queued already.
CREATE PROCEDURE run_retry (IN the_run BIGINT, IN start_over TINYINT, IN the_who VARCHAR(64))
SQL SECURITY DEFINER
BEGIN
	DECLARE the_repo BIGINT DEFAULT NULL;
	DECLARE was VARCHAR(16) DEFAULT NULL;
	DECLARE the_issue VARCHAR(64) DEFAULT NULL;
	DECLARE other BIGINT DEFAULT NULL;
	DECLARE the_attempt INT DEFAULT NULL;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
	START TRANSACTION;
	CALL run_lock(the_run, the_repo, was, the_issue);
	SET other = (SELECT id FROM runs WHERE queued_issue = the_issue AND id <> the_run);
	IF was IN ('completed', 'failed', 'blocked', 'cancelled') AND other IS NULL THEN
		-- assignments go from left to right: base_attempt gets the new attempt
		UPDATE runs SET status = 'queued', queued_issue = issue_key, attempt = attempt + 1,
			base_attempt = IF(start_over, attempt, base_attempt), crashes = 0, started_at = NULL, reason = NULL,
			error_category = NULL, completed_at = NULL, cancel_at = NULL, metrics = NULL, locked_by = NULL,
			locked_at = NULL, due_at = NOW(3), updated_at = NOW(3)
		WHERE id = the_run;
		SET the_attempt = (SELECT attempt FROM runs WHERE id = the_run);
		INSERT INTO audit_log (who, what, object, detail)
		VALUES (the_who, 'retry', CONCAT('run ', the_run), CONCAT(was, ', ', IF(start_over, 'restart', 'continue')));
		CALL refresh_head(the_repo);
	END IF;
	COMMIT;
	SELECT was, other, the_attempt AS attempt;
END;

-- NULL leaves a value as it is.
CREATE PROCEDURE run_set_priority (IN the_run BIGINT, IN the_priority TINYINT, IN the_position INT, IN the_who VARCHAR(64))
SQL SECURITY DEFINER
BEGIN
	DECLARE the_repo BIGINT DEFAULT NULL;
	DECLARE was VARCHAR(16) DEFAULT NULL;
	DECLARE the_issue VARCHAR(64) DEFAULT NULL;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
	START TRANSACTION;
	CALL run_lock(the_run, the_repo, was, the_issue);
	IF was = 'queued' THEN
		UPDATE runs SET priority = IFNULL(the_priority, priority), position = IFNULL(the_position, position),
			updated_at = NOW(3)
		WHERE id = the_run;
		INSERT INTO audit_log (who, what, object, detail)
		SELECT the_who, 'priority', CONCAT('run ', id), CONCAT('priority ', priority, ', position ', position)
		FROM runs WHERE id = the_run;
		CALL refresh_head(the_repo);
	END IF;
	COMMIT;
	SELECT was, (SELECT priority FROM runs WHERE id = the_run) AS priority,
		(SELECT position FROM runs WHERE id = the_run) AS position;
END;

GRANT EXECUTE ON PROCEDURE run_cancel TO air_api;
GRANT EXECUTE ON PROCEDURE run_retry TO air_api;
GRANT EXECUTE ON PROCEDURE run_set_priority TO air_api;
GRANT SELECT ON audit_log TO air_api;
GRANT SELECT ON audit_log TO air_dash;
GRANT EXECUTE ON PROCEDURE intake TO air_worker;
