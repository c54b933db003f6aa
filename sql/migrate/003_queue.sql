-- The queue in one round trip: claim, close and requeue are a procedure each. All of them lock the
-- repository's row first and then the run. A NULL due_at is "at once", so that the index on it holds
-- the few runs that wait for their time, and a claim changes fewer indexes.

ALTER TABLE runs
	MODIFY due_at DATETIME(3) NULL DEFAULT NULL COMMENT 'a queued run waits until then; NULL: it does not wait',
	ADD COLUMN worked_ms BIGINT NOT NULL DEFAULT 0
		COMMENT 'working time of earlier claims of attempt worked_attempt' AFTER started_at,
	ADD COLUMN worked_attempt INT NOT NULL DEFAULT 0 AFTER worked_ms,
	ADD COLUMN claimed_as BIGINT NOT NULL DEFAULT 0 COMMENT 'mark of the process that claimed it' AFTER locked_by,
	DROP KEY by_status,
	DROP KEY by_worker,
	ADD KEY by_due (due_at);
UPDATE runs SET due_at = NULL WHERE due_at <= NOW(3);

-- Writes the head of a queue into the repository's row, which is locked, and changes its running count.
-- Plain order: the lowest id of each priority and position is the first of its part of the index.
CREATE PROCEDURE put_head (IN the_repo BIGINT, IN is_open TINYINT, IN is_plain TINYINT, IN the_change INT)
SQL SECURITY INVOKER
BEGIN
	DECLARE next_id BIGINT DEFAULT NULL;
	DECLARE next_priority TINYINT DEFAULT 9;
	DECLARE next_position INT DEFAULT 0;
	IF is_open AND is_plain THEN
		SELECT MIN((SELECT r.id FROM runs r FORCE INDEX (by_queue)
			WHERE r.repo_id = the_repo AND r.status = 'queued' AND r.priority = part.priority
				AND r.position = part.position AND (r.due_at IS NULL OR r.due_at <= NOW(3))
				AND (SELECT busy.id FROM runs busy WHERE busy.running_line = r.line) IS NULL
			ORDER BY r.id LIMIT 1)) INTO next_id
		FROM (SELECT priority, position FROM runs FORCE INDEX (by_queue)
			WHERE repo_id = the_repo AND status = 'queued' GROUP BY repo_id, status, priority, position) part;
	ELSEIF is_open THEN
		SELECT r.id, r.priority, r.position INTO next_id, next_priority, next_position
		FROM runs r FORCE INDEX (by_queue)
		WHERE r.repo_id = the_repo AND r.status = 'queued' AND (r.due_at IS NULL OR r.due_at <= NOW(3))
			AND (SELECT busy.id FROM runs busy WHERE busy.running_line = r.line) IS NULL
		ORDER BY r.priority, r.position, r.id LIMIT 1;
	END IF;
	UPDATE repos SET running = GREATEST(running + the_change, 0), ready = next_id IS NOT NULL,
		head_priority = IFNULL(next_priority, 9), head_position = IFNULL(next_position, 0),
		head_run_id = IFNULL(next_id, 0)
	WHERE id = the_repo;
END;

-- Every change of a queued run calls it in the same transaction.
CREATE OR REPLACE PROCEDURE refresh_head (IN the_repo BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE is_open TINYINT DEFAULT 0;
	DECLARE is_plain TINYINT DEFAULT 0;
	SELECT paused = 0 AND (max_running = 0 OR running < max_running), plain_order INTO is_open, is_plain
	FROM repos WHERE id = the_repo FOR UPDATE;
	CALL put_head(the_repo, is_open, is_plain, 0);
END;

-- Claims the next run, or the run the_id, past order and pause but not past limit and line. No row:
-- nothing waits, or the_id cannot be claimed.
-- The head is read without locks first (SELECT INTO; SET would lock): a locking read of the index pays
-- much more for each entry that was taken and is not purged yet, and bars others from changing theirs.
-- The slot is the lowest free one below the limit, or the run's id where there is none. The UNIQUE
-- keys of slot and line decide, not the count: when they refuse, or the head is stale, the count is put
-- right and the head looked for anew. A step of the last claim that did not end in order is a crash.
CREATE PROCEDURE queue_claim (IN the_worker VARCHAR(64), IN the_mark BIGINT, IN lease_s INT, IN is_plain TINYINT,
	IN the_id BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE first_repo, the_repo, the_run, the_slot, the_fence BIGINT DEFAULT NULL;
	DECLARE most, busy, the_attempt, the_crashes, the_priority INT DEFAULT NULL;
	DECLARE repo_plain, is_open, taken TINYINT DEFAULT 0;
	DECLARE crashed TINYINT DEFAULT NULL;
	DECLARE tries INT DEFAULT IF(the_id, 1, 8);
	DECLARE the_kind VARCHAR(16);
	DECLARE the_issue, the_line VARCHAR(64);
	DECLARE the_project VARCHAR(32);
	DECLARE CONTINUE HANDLER FOR 1062 SET taken = 0;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	REPEAT
		SET first_repo = NULL, the_repo = NULL, tries = tries - 1;
		START TRANSACTION;
		IF the_id THEN
			SELECT repo_id INTO first_repo FROM runs WHERE id = the_id;
			SELECT id INTO first_repo FROM repos WHERE id = first_repo FOR UPDATE;
		ELSEIF is_plain THEN
			SELECT id INTO first_repo FROM repos FORCE INDEX (by_head_id) WHERE ready = 1 ORDER BY head_run_id LIMIT 1;
		ELSE
			SELECT id INTO first_repo FROM repos FORCE INDEX (by_head) WHERE ready = 1
			ORDER BY head_priority, head_position, last_claim_at, head_run_id LIMIT 1;
		END IF;
		try_one: WHILE first_repo IS NOT NULL DO
			SELECT p.id, p.max_running, p.running, p.plain_order, p.paused = 0, IFNULL(the_id, p.head_run_id), r.kind,
				r.issue_key, r.project_key, r.line, r.fence, r.attempt, r.crashes, r.priority
			INTO the_repo, most, busy, repo_plain, is_open, the_run, the_kind,
				the_issue, the_project, the_line, the_fence, the_attempt, the_crashes, the_priority
			FROM repos p LEFT JOIN runs r ON r.id = IFNULL(the_id, p.head_run_id)
			WHERE p.id = first_repo AND (p.ready = 1 OR the_id IS NOT NULL) FOR UPDATE SKIP LOCKED;
			SET first_repo = NULL;
			IF the_repo IS NULL AND the_id IS NULL THEN
				-- another worker claims from it: the next one that nobody holds
				FOR other IN (SELECT id FROM repos FORCE INDEX (by_head) WHERE ready = 1 ORDER BY IF(is_plain, 0, head_priority),
					IF(is_plain, 0, head_position), IF(is_plain, 0, last_claim_at), head_run_id LIMIT 16) DO
					IF first_repo IS NULL THEN
						SELECT id INTO first_repo FROM repos WHERE id = other.id AND ready = 1 FOR UPDATE SKIP LOCKED;
					END IF;
				END FOR;
			END IF;
		END WHILE;
		IF the_repo IS NOT NULL THEN
			SET taken = 1, the_slot = 1;
			IF most = 0 THEN
				SET the_slot = the_run;
			ELSEIF most > 1 OR the_id THEN
				SET the_slot = (SELECT MIN(free.slot) FROM (SELECT 1 AS slot UNION ALL
						SELECT slot + 1 FROM runs WHERE repo_id = the_repo AND slot < most) free
					WHERE NOT EXISTS (SELECT 1 FROM runs used WHERE used.repo_id = the_repo AND used.slot = free.slot));
			END IF;
			UPDATE runs SET status = 'running', slot = the_slot, running_line = line, queued_issue = NULL,
				locked_by = the_worker, claimed_as = the_mark, locked_at = NOW(3),
				lease_until = NOW(3) + INTERVAL lease_s SECOND, due_at = NULL, fence = fence + 1,
				started_at = IFNULL(started_at, NOW(3)), updated_at = NOW(3)
			WHERE id = the_run AND fence = the_fence AND status = 'queued' AND repo_id = the_repo
				AND the_slot IS NOT NULL AND (due_at IS NULL OR due_at <= NOW(3));
			IF ROW_COUNT() <> 1 THEN
				SET taken = 0;
			END IF;
		END IF;
		IF taken THEN
			IF the_fence > 0 THEN
				SELECT ended_at IS NULL INTO crashed FROM run_steps WHERE run_id = the_run ORDER BY id DESC LIMIT 1;
			END IF;
			IF crashed IS NOT NULL THEN
				SET the_crashes = the_crashes + crashed;
				UPDATE runs SET crashes = the_crashes WHERE id = the_run;
				UPDATE run_steps SET ended_at = NOW(3), outcome = 'crashed' WHERE run_id = the_run AND ended_at IS NULL;
			END IF;
			UPDATE repos SET running = running + 1, last_claim_at = NOW(3), ready = 0, head_priority = 9,
				head_position = 0, head_run_id = 0
			WHERE id = the_repo;
			IF is_open AND (most = 0 OR busy + 1 < most) THEN
				CALL put_head(the_repo, 1, repo_plain, 0);
			END IF;
		ELSEIF the_repo IS NOT NULL THEN
			UPDATE repos SET running = (SELECT COUNT(*) FROM runs WHERE repo_id = the_repo AND slot IS NOT NULL)
			WHERE id = the_repo;
			CALL refresh_head(the_repo);
		END IF;
		COMMIT;
	UNTIL taken OR the_repo IS NULL OR tries = 0 END REPEAT;
	SELECT the_run AS id, the_kind AS kind, the_issue AS issue_key, the_project AS project_key, the_line AS line,
		the_repo AS repo_id, the_fence + 1 AS fence, the_slot AS slot, the_attempt AS attempt, the_crashes AS crashes,
		the_priority AS priority
	FROM DUAL WHERE taken;
END;

-- Ends a running run. outcome: 'done'; 'again' when it has ended so before, by this fence; 'fenced'.
CREATE PROCEDURE queue_close (IN the_repo BIGINT, IN the_status VARCHAR(16), IN the_reason TEXT,
	IN the_category VARCHAR(64), IN the_metrics MEDIUMTEXT, IN the_run BIGINT, IN the_fence BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE is_open, is_plain TINYINT DEFAULT 0;
	DECLARE outcome VARCHAR(16) DEFAULT 'done';
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	START TRANSACTION;
	SELECT paused = 0 AND (max_running = 0 OR running - 1 < max_running), plain_order INTO is_open, is_plain
	FROM repos WHERE id = the_repo FOR UPDATE;
	UPDATE runs SET status = the_status, reason = the_reason, error_category = the_category, metrics = the_metrics,
		slot = NULL, running_line = NULL, lease_until = NULL, completed_at = NOW(3), updated_at = NOW(3)
	WHERE id = the_run AND fence = the_fence AND status = 'running';
	IF ROW_COUNT() = 1 THEN
		CALL put_head(the_repo, is_open, is_plain, -1);
	ELSE
		SET outcome = IF((SELECT COUNT(*) FROM runs WHERE id = the_run AND fence = the_fence AND status = the_status),
			'again', 'fenced');
	END IF;
	COMMIT;
	SELECT outcome;
END;

-- Puts a running run back. outcome: 'done'; 'again' when it was put back before, by this fence;
-- 'cancelled' when a person has cancelled it; 'other' when another run of its issue is queued; 'fenced'.
-- What a dead worker did not use of its lease is not counted as worked.
CREATE PROCEDURE queue_requeue (IN the_repo BIGINT, IN wait_s INT, IN the_run BIGINT, IN the_fence BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE is_open, is_plain TINYINT DEFAULT 0;
	DECLARE outcome VARCHAR(16) DEFAULT 'done';
	DECLARE CONTINUE HANDLER FOR 1062 SET outcome = 'other';
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	START TRANSACTION;
	SELECT paused = 0 AND (max_running = 0 OR running - 1 < max_running), plain_order INTO is_open, is_plain
	FROM repos WHERE id = the_repo FOR UPDATE;
	UPDATE runs SET status = 'queued', queued_issue = issue_key, slot = NULL, running_line = NULL,
		worked_ms = IF(worked_attempt = attempt, worked_ms, 0) + GREATEST(TIMESTAMPDIFF(MICROSECOND,
			IFNULL(locked_at, NOW(3)), LEAST(NOW(3), IFNULL(lease_until, NOW(3)))) DIV 1000, 0),
		worked_attempt = attempt, lease_until = NULL,
		due_at = IF(wait_s > 0, NOW(3) + INTERVAL wait_s SECOND, NULL), updated_at = NOW(3)
	WHERE id = the_run AND fence = the_fence AND status = 'running' AND cancel_at IS NULL;
	IF outcome = 'done' AND ROW_COUNT() = 1 THEN
		CALL put_head(the_repo, is_open, is_plain, -1);
	ELSEIF outcome = 'done' THEN
		SET outcome = IFNULL((SELECT CASE status WHEN 'queued' THEN 'again' WHEN 'running' THEN 'cancelled' ELSE 'fenced' END
			FROM runs WHERE id = the_run AND fence = the_fence), 'fenced');
	END IF;
	COMMIT;
	SELECT outcome;
END;

-- What became claimable by time, or because a line became free that a run of another repository held.
CREATE PROCEDURE queue_look ()
SQL SECURITY INVOKER
BEGIN
	DECLARE locked BIGINT;
	DECLARE heads INT DEFAULT 0;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	FOR due IN (SELECT id, repo_id FROM runs FORCE INDEX (by_due) WHERE due_at <= NOW(3) LIMIT 1000) DO
		START TRANSACTION;
		SELECT id INTO locked FROM repos WHERE id = due.repo_id FOR UPDATE;
		UPDATE runs SET due_at = NULL WHERE id = due.id AND due_at <= NOW(3);
		CALL refresh_head(due.repo_id);
		COMMIT;
		SET heads = heads + 1;
	END FOR;
	FOR open IN (SELECT id FROM repos WHERE ready = 0 AND paused = 0 AND (max_running = 0 OR running < max_running)
		AND (SELECT r.id FROM runs r FORCE INDEX (by_queue) WHERE r.repo_id = repos.id AND r.status = 'queued'
			AND (r.due_at IS NULL OR r.due_at <= NOW(3)) LIMIT 1) IS NOT NULL) DO
		START TRANSACTION;
		CALL refresh_head(open.id);
		COMMIT;
		SET heads = heads + 1;
	END FOR;
	SELECT heads;
END;

-- As in 001_first.sql, with the statements that an event needs and no more: the head is looked for only
-- when the new run may come before it.
CREATE OR REPLACE PROCEDURE intake (IN the_key CHAR(64) CHARACTER SET ascii COLLATE ascii_bin, IN has_id TINYINT,
	IN the_issue VARCHAR(64), IN the_project VARCHAR(32), IN the_event VARCHAR(64), IN the_priority TINYINT)
SQL SECURITY DEFINER
BEGIN
	DECLARE the_run, the_repo, run_repo, head_id BIGINT DEFAULT NULL;
	DECLARE seen_at DATETIME(3) DEFAULT NULL;
	DECLARE is_repeat, is_open, is_plain, is_ready TINYINT DEFAULT 0;
	DECLARE head_prio, was_priority TINYINT;
	DECLARE head_pos INT;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	SET SESSION TRANSACTION ISOLATION LEVEL READ COMMITTED;
	START TRANSACTION;
	SELECT repo_id INTO the_repo FROM repo_projects WHERE project_key = the_project;
	IF the_repo IS NULL THEN
		SELECT IFNULL(MIN(repo_id), 0) INTO the_repo FROM repo_projects WHERE is_default = 1 AND the_project <> '';
	END IF;
	-- the repository's row first, as a claim does: no deadlock between the two, nor between two deliveries
	SELECT paused = 0 AND (max_running = 0 OR running < max_running), plain_order, ready, head_priority, head_position,
		head_run_id
	INTO is_open, is_plain, is_ready, head_prio, head_pos, head_id FROM repos WHERE id = the_repo FOR UPDATE;
	SELECT run_id, received_at INTO the_run, seen_at FROM deliveries WHERE dedupe_key = the_key FOR UPDATE;
	IF the_run IS NOT NULL AND seen_at > NOW(3) - INTERVAL IF(has_id, 604800, 120) SECOND THEN
		SET is_repeat = 1;
		UPDATE deliveries SET repeats = repeats + 1 WHERE dedupe_key = the_key;
	ELSE
		-- looked for first, so that an event which joins a queued run burns no run id
		SET the_run = NULL;
		SELECT id, repo_id, priority INTO the_run, run_repo, was_priority FROM runs WHERE queued_issue = the_issue FOR UPDATE;
		IF the_run IS NULL THEN
			SET was_priority = IFNULL(the_priority, 3), run_repo = the_repo;
			INSERT INTO runs (issue_key, queued_issue, repo_id, project_key, line, priority)
			VALUES (the_issue, the_issue, the_repo, the_project, the_issue, was_priority)
			ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), updated_at = NOW(3);
			SET the_run = LAST_INSERT_ID();
		ELSE
			UPDATE runs SET priority = LEAST(priority, IFNULL(the_priority, 4)), updated_at = NOW(3) WHERE id = the_run;
		END IF;
		INSERT INTO deliveries (dedupe_key, has_identifier, issue_key, event, run_id)
		VALUES (the_key, has_id, the_issue, the_event, the_run)
		ON DUPLICATE KEY UPDATE run_id = the_run, received_at = NOW(3), repeats = repeats + 1;
		IF run_repo <> the_repo OR was_priority > the_priority THEN
			CALL refresh_head(run_repo);
		ELSEIF is_open AND NOT (is_ready AND IF(is_plain, head_id < the_run,
				(head_prio, head_pos, head_id) < (was_priority, 0, the_run))) THEN
			CALL put_head(the_repo, is_open, is_plain, 0);
		END IF;
	END IF;
	COMMIT;
	SELECT the_run AS run_id, is_repeat AS duplicate;
END;

GRANT EXECUTE ON PROCEDURE intake TO air_hook;
GRANT EXECUTE ON PROCEDURE intake TO air_worker;
GRANT EXECUTE ON PROCEDURE refresh_head TO air_worker;
GRANT EXECUTE ON PROCEDURE put_head TO air_worker;
GRANT EXECUTE ON PROCEDURE queue_claim TO air_worker;
GRANT EXECUTE ON PROCEDURE queue_close TO air_worker;
GRANT EXECUTE ON PROCEDURE queue_requeue TO air_worker;
GRANT EXECUTE ON PROCEDURE queue_look TO air_worker;
