-- Money: what each scope has spent and reserved, and a row for each call of a model.
-- Locks are taken in one order everywhere: repository, run, then the budgets in the order of their
-- scopes: day, repo, issue, run; then the row of the call. What is reserved is the most that a call may cost; it is settled
-- in the transaction that stores the answer. Days are UTC by this server's clock.

CREATE TABLE budgets (
	scope ENUM('day','repo','issue','run') NOT NULL COMMENT 'locked in this order',
	name VARCHAR(96) NOT NULL COMMENT 'day: 2026-11-22; repo: its id and the day; issue: its key; run: its id',
	spent_usd_micro BIGINT NOT NULL DEFAULT 0,
	estimated_usd_micro BIGINT NOT NULL DEFAULT 0 COMMENT 'part of spent that is not known exactly: at most so much',
	reserved_usd_micro BIGINT NOT NULL DEFAULT 0 COMMENT 'of calls that are under way',
	spent_tokens BIGINT NOT NULL DEFAULT 0 COMMENT 'of models without a price',
	reserved_tokens BIGINT NOT NULL DEFAULT 0,
	cap BIGINT NOT NULL DEFAULT 0 COMMENT 'micro-dollars, at the last call with a price; 0: none',
	updated_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	PRIMARY KEY (scope, name),
	CONSTRAINT reserved_not_negative CHECK (reserved_usd_micro >= 0 AND reserved_tokens >= 0)
) COMMENT 'spending and reservations by scope';

CREATE TABLE llm_calls (
	id BIGINT NOT NULL PRIMARY KEY AUTO_INCREMENT,
	run_id BIGINT NOT NULL,
	open_run BIGINT NULL COMMENT 'run_id while it is open: one open call a run, kept by the lock of the run',
	fence BIGINT NOT NULL,
	repo_id BIGINT NOT NULL,
	issue_key VARCHAR(64) NOT NULL,
	day DATE NOT NULL COMMENT 'UTC; of its reservation, charged there',
	conv INT NOT NULL,
	model VARCHAR(64) NOT NULL,
	max_tokens BIGINT NOT NULL COMMENT 'granted for the answer',
	reserved_usd_micro BIGINT NOT NULL,
	reserved_tokens BIGINT NOT NULL COMMENT 'of a model without a price',
	state ENUM('open','settled','estimated','released') NOT NULL DEFAULT 'open'
		COMMENT 'estimated: it may have been billed, by at most cost; released: it was not billed',
	cost_usd_micro BIGINT NULL COMMENT 'NULL while open, and of a model without a price',
	tokens BIGINT NULL COMMENT 'counted against the cap of models without a price',
	began_at DATETIME(3) NOT NULL DEFAULT CURRENT_TIMESTAMP(3),
	ended_at DATETIME(3) NULL,
	KEY by_run (run_id, id),
	KEY by_open (open_run), -- not UNIQUE: its check locks the neighbours too
	CONSTRAINT open_names_run CHECK ((state = 'open') = (open_run IS NOT NULL)),
	CONSTRAINT call_run FOREIGN KEY (run_id) REFERENCES runs (id) ON DELETE CASCADE
) COMMENT 'calls of models: what was reserved for each, and what it cost';

-- What was spent before there were budgets.
INSERT INTO budgets (scope, name, spent_usd_micro) SELECT 'run', id, cost_usd_micro FROM runs WHERE cost_usd_micro > 0;
INSERT INTO budgets (scope, name, spent_usd_micro)
SELECT 'issue', issue_key, SUM(cost_usd_micro) FROM runs WHERE cost_usd_micro > 0 GROUP BY issue_key;
INSERT INTO budgets (scope, name, spent_usd_micro)
SELECT 'day', UTC_DATE(), SUM(m.cost_usd_micro) FROM run_messages m WHERE m.at >= UTC_DATE()
	AND m.cost_usd_micro > 0 HAVING COUNT(*) > 0;
INSERT INTO budgets (scope, name, spent_usd_micro)
SELECT 'repo', CONCAT(r.repo_id, ' ', UTC_DATE()), SUM(m.cost_usd_micro) FROM run_messages m JOIN runs r ON r.id = m.run_id
WHERE m.at >= UTC_DATE() AND m.cost_usd_micro > 0 GROUP BY r.repo_id;

-- Adds to the four budgets, in the order of locks.
CREATE PROCEDURE money_add (IN the_day DATE, IN the_repo BIGINT, IN the_issue VARCHAR(64), IN the_run BIGINT,
	IN spent BIGINT, IN estimated BIGINT, IN reserved BIGINT, IN tokens BIGINT, IN tokens_reserved BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE day_name, repo_name, run_name VARCHAR(96); -- of the column's type, so that the key is used
	SET day_name = the_day, repo_name = CONCAT(the_repo, ' ', the_day), run_name = the_run;
	UPDATE budgets SET spent_usd_micro = spent_usd_micro + spent, estimated_usd_micro = estimated_usd_micro + estimated,
		reserved_usd_micro = reserved_usd_micro + reserved, spent_tokens = spent_tokens + tokens,
		reserved_tokens = reserved_tokens + tokens_reserved, updated_at = NOW(3)
	WHERE scope = 'day' AND name = day_name;
	UPDATE budgets SET spent_usd_micro = spent_usd_micro + spent, estimated_usd_micro = estimated_usd_micro + estimated,
		reserved_usd_micro = reserved_usd_micro + reserved, spent_tokens = spent_tokens + tokens,
		reserved_tokens = reserved_tokens + tokens_reserved, updated_at = NOW(3)
	WHERE scope = 'repo' AND name = repo_name;
	UPDATE budgets SET spent_usd_micro = spent_usd_micro + spent, estimated_usd_micro = estimated_usd_micro + estimated,
		reserved_usd_micro = reserved_usd_micro + reserved, spent_tokens = spent_tokens + tokens,
		reserved_tokens = reserved_tokens + tokens_reserved, updated_at = NOW(3)
	WHERE scope = 'issue' AND name = the_issue;
	UPDATE budgets SET spent_usd_micro = spent_usd_micro + spent, estimated_usd_micro = estimated_usd_micro + estimated,
		reserved_usd_micro = reserved_usd_micro + reserved, spent_tokens = spent_tokens + tokens,
		reserved_tokens = reserved_tokens + tokens_reserved, updated_at = NOW(3)
	WHERE scope = 'run' AND name = run_name;
END;

-- Ends a run's open call, in a transaction that has locked the run. the_call NULL: whichever is open.
-- the_state 'estimated' with the_cost NULL: in full. the_cost NULL else: the model has no price. charged:
-- what was added to the run's budget; NULL when there was no such call.
CREATE PROCEDURE money_settle (IN the_run BIGINT, IN the_call BIGINT, IN the_state VARCHAR(16), IN the_cost BIGINT,
	IN the_tokens BIGINT, OUT charged BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE found, the_repo, was_usd, was_tokens BIGINT DEFAULT NULL;
	DECLARE the_day DATE;
	DECLARE the_issue VARCHAR(64);
	DECLARE by_price TINYINT;
	SET charged = NULL;
	SELECT id, day, repo_id, issue_key, reserved_usd_micro, reserved_tokens INTO found, the_day, the_repo, the_issue, was_usd, was_tokens
	FROM llm_calls WHERE open_run = the_run; -- the run's lock is held: nobody changes it
	IF found IS NOT NULL AND found = IFNULL(the_call, found) THEN
		SET by_price = was_tokens = 0;
		IF the_state = 'settled' AND by_price AND the_cost IS NULL THEN
			SET the_state = 'estimated'; -- its usage was not told
		END IF;
		SET charged = IF(the_state = 'released' OR NOT by_price, 0, IFNULL(the_cost, was_usd));
		SET the_tokens = IF(the_state = 'released' OR by_price, 0, IFNULL(the_tokens, was_tokens));
		CALL money_add(the_day, the_repo, the_issue, the_run, charged, IF(the_state = 'estimated', charged, 0), -was_usd,
			the_tokens, -was_tokens);
		UPDATE llm_calls SET state = the_state, open_run = NULL, cost_usd_micro = IF(by_price, charged, NULL),
			tokens = IF(by_price, NULL, the_tokens), ended_at = NOW(3)
		WHERE id = found;
	END IF;
END;

-- Reserves the most that a call may cost, or says why not, in a transaction that has locked the run. Amounts are
-- micro-dollars, or, of a model without a price, tokens (by_price 0, output_price 1000000, day_cap, repo_cap and
-- issue_cap 0). A cap of 0 is none. granted: tokens for the answer, at most wanted, at least `least`; 0: refused by
-- a scope, by its spending or (only_reserved) by what other calls that are under way may still cost. A call of the
-- run that is still open is one of a process that is gone: it is settled in full (lost).
CREATE PROCEDURE money_grant (IN the_run BIGINT, IN the_fence BIGINT, IN the_repo BIGINT, IN the_issue VARCHAR(64),
	IN the_conv INT, IN the_model VARCHAR(64), IN by_price TINYINT, IN input_cost BIGINT, IN output_price BIGINT,
	IN wanted BIGINT, IN least BIGINT, IN day_cap BIGINT, IN repo_cap BIGINT, IN issue_cap BIGINT, IN run_cap BIGINT,
	OUT the_call BIGINT, OUT granted BIGINT, OUT amount BIGINT, OUT lost BIGINT, OUT refused VARCHAR(8),
	OUT only_reserved TINYINT, OUT needed BIGINT, OUT spent BIGINT, OUT reserved BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE the_day DATE DEFAULT UTC_DATE();
	DECLARE day_spent, day_reserved, repo_spent, repo_reserved, issue_spent, issue_reserved, run_spent, run_reserved BIGINT DEFAULT NULL;
	DECLARE room BIGINT;
	DECLARE day_name, repo_name, run_name VARCHAR(96); -- of the column's type, so that the key is used
	SET day_name = the_day, repo_name = CONCAT(the_repo, ' ', the_day), run_name = the_run;
	SET the_call = NULL, amount = NULL, lost = NULL, refused = NULL, only_reserved = 0, spent = NULL, reserved = NULL;
	CALL money_settle(the_run, NULL, 'estimated', NULL, NULL, lost);
	IF lost > 0 THEN
		UPDATE runs SET cost_usd_micro = cost_usd_micro + lost WHERE id = the_run;
	END IF;
	-- in the order of locks; a row that is missing is made in its turn, and locked as one that is there
	SELECT IF(by_price, spent_usd_micro, spent_tokens), IF(by_price, reserved_usd_micro, reserved_tokens)
	INTO day_spent, day_reserved FROM budgets WHERE scope = 'day' AND name = day_name FOR UPDATE;
	IF day_spent IS NULL THEN
		INSERT INTO budgets (scope, name) VALUES ('day', day_name) ON DUPLICATE KEY UPDATE cap = cap;
		SELECT IF(by_price, spent_usd_micro, spent_tokens), IF(by_price, reserved_usd_micro, reserved_tokens)
		INTO day_spent, day_reserved FROM budgets WHERE scope = 'day' AND name = day_name FOR UPDATE;
	END IF;
	SELECT IF(by_price, spent_usd_micro, spent_tokens), IF(by_price, reserved_usd_micro, reserved_tokens)
	INTO repo_spent, repo_reserved FROM budgets WHERE scope = 'repo' AND name = repo_name FOR UPDATE;
	IF repo_spent IS NULL THEN
		INSERT INTO budgets (scope, name) VALUES ('repo', repo_name) ON DUPLICATE KEY UPDATE cap = cap;
		SELECT IF(by_price, spent_usd_micro, spent_tokens), IF(by_price, reserved_usd_micro, reserved_tokens)
		INTO repo_spent, repo_reserved FROM budgets WHERE scope = 'repo' AND name = repo_name FOR UPDATE;
	END IF;
	SELECT IF(by_price, spent_usd_micro, spent_tokens), IF(by_price, reserved_usd_micro, reserved_tokens)
	INTO issue_spent, issue_reserved FROM budgets WHERE scope = 'issue' AND name = the_issue FOR UPDATE;
	IF issue_spent IS NULL THEN
		INSERT INTO budgets (scope, name) VALUES ('issue', the_issue) ON DUPLICATE KEY UPDATE cap = cap;
		SELECT IF(by_price, spent_usd_micro, spent_tokens), IF(by_price, reserved_usd_micro, reserved_tokens)
		INTO issue_spent, issue_reserved FROM budgets WHERE scope = 'issue' AND name = the_issue FOR UPDATE;
	END IF;
	SELECT IF(by_price, spent_usd_micro, spent_tokens), IF(by_price, reserved_usd_micro, reserved_tokens)
	INTO run_spent, run_reserved FROM budgets WHERE scope = 'run' AND name = run_name FOR UPDATE;
	IF run_spent IS NULL THEN
		INSERT INTO budgets (scope, name) VALUES ('run', run_name) ON DUPLICATE KEY UPDATE cap = cap;
		SELECT IF(by_price, spent_usd_micro, spent_tokens), IF(by_price, reserved_usd_micro, reserved_tokens)
		INTO run_spent, run_reserved FROM budgets WHERE scope = 'run' AND name = run_name FOR UPDATE;
	END IF;
	SET room = LEAST(
		IF(day_cap > 0, day_cap - day_spent - day_reserved, 9223372036854775807),
		IF(repo_cap > 0, repo_cap - repo_spent - repo_reserved, 9223372036854775807),
		IF(issue_cap > 0, issue_cap - issue_spent - issue_reserved, 9223372036854775807),
		IF(run_cap > 0, run_cap - run_spent - run_reserved, 9223372036854775807));
	SET granted = wanted;
	IF output_price > 0 AND room - input_cost < (wanted * output_price + 999999) DIV 1000000 THEN
		SET granted = (CAST(GREATEST(room - input_cost, 0) AS DECIMAL(38, 0)) * 1000000) DIV output_price;
	END IF;
	SET needed = input_cost + (least * output_price + 999999) DIV 1000000;
	IF granted < least OR room < needed THEN
		SET granted = 0;
		SET refused = CASE
			WHEN run_cap > 0 AND run_spent + needed > run_cap THEN 'run'
			WHEN issue_cap > 0 AND issue_spent + needed > issue_cap THEN 'issue'
			WHEN repo_cap > 0 AND repo_spent + needed > repo_cap THEN 'repo'
			WHEN day_cap > 0 AND day_spent + needed > day_cap THEN 'day' END;
		IF refused IS NULL THEN
			SET only_reserved = 1;
			SET refused = CASE
				WHEN run_cap > 0 AND run_spent + run_reserved + needed > run_cap THEN 'run'
				WHEN issue_cap > 0 AND issue_spent + issue_reserved + needed > issue_cap THEN 'issue'
				WHEN repo_cap > 0 AND repo_spent + repo_reserved + needed > repo_cap THEN 'repo'
				ELSE 'day' END;
		END IF;
		SET spent = CASE refused WHEN 'run' THEN run_spent WHEN 'issue' THEN issue_spent WHEN 'repo' THEN repo_spent ELSE day_spent END;
		SET reserved = CASE refused WHEN 'run' THEN run_reserved WHEN 'issue' THEN issue_reserved
			WHEN 'repo' THEN repo_reserved ELSE day_reserved END;
	ELSE
		SET amount = input_cost + (granted * output_price + 999999) DIV 1000000;
		UPDATE budgets SET reserved_usd_micro = reserved_usd_micro + IF(by_price, amount, 0),
			reserved_tokens = reserved_tokens + IF(by_price, 0, amount), cap = IF(by_price, day_cap, cap), updated_at = NOW(3)
		WHERE scope = 'day' AND name = day_name;
		UPDATE budgets SET reserved_usd_micro = reserved_usd_micro + IF(by_price, amount, 0),
			reserved_tokens = reserved_tokens + IF(by_price, 0, amount), cap = IF(by_price, repo_cap, cap), updated_at = NOW(3)
		WHERE scope = 'repo' AND name = repo_name;
		UPDATE budgets SET reserved_usd_micro = reserved_usd_micro + IF(by_price, amount, 0),
			reserved_tokens = reserved_tokens + IF(by_price, 0, amount), cap = IF(by_price, issue_cap, cap), updated_at = NOW(3)
		WHERE scope = 'issue' AND name = the_issue;
		UPDATE budgets SET reserved_usd_micro = reserved_usd_micro + IF(by_price, amount, 0),
			reserved_tokens = reserved_tokens + IF(by_price, 0, amount), cap = IF(by_price, run_cap, cap), updated_at = NOW(3)
		WHERE scope = 'run' AND name = run_name;
		INSERT INTO llm_calls (run_id, open_run, fence, repo_id, issue_key, day, conv, model, max_tokens,
			reserved_usd_micro, reserved_tokens)
		VALUES (the_run, the_run, the_fence, the_repo, the_issue, the_day, the_conv, the_model, granted,
			IF(by_price, amount, 0), IF(by_price, 0, amount));
		SET the_call = LAST_INSERT_ID();
		UPDATE runs SET updated_at = NOW(3) WHERE id = the_run; -- pages show what is reserved
	END IF;
END;

-- The same as a transaction of its own. ours 0: the run is another's, or cancelled.
CREATE PROCEDURE money_reserve (IN the_run BIGINT, IN the_fence BIGINT, IN the_conv INT, IN the_model VARCHAR(64),
	IN by_price TINYINT, IN input_cost BIGINT, IN output_price BIGINT, IN wanted BIGINT, IN least BIGINT,
	IN day_cap BIGINT, IN repo_cap BIGINT, IN issue_cap BIGINT, IN run_cap BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE the_repo, ours, lost, the_call, amount, granted, needed, spent, reserved BIGINT DEFAULT NULL;
	DECLARE the_issue VARCHAR(64) DEFAULT NULL;
	DECLARE refused VARCHAR(8) DEFAULT NULL;
	DECLARE only_reserved TINYINT DEFAULT 0;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	START TRANSACTION;
	SELECT id, repo_id, issue_key INTO ours, the_repo, the_issue FROM runs
	WHERE id = the_run AND fence = the_fence AND status = 'running' AND cancel_at IS NULL FOR UPDATE;
	IF ours IS NOT NULL THEN
		CALL money_grant(the_run, the_fence, the_repo, the_issue, the_conv, the_model, by_price, input_cost, output_price,
			wanted, least, day_cap, repo_cap, issue_cap, run_cap,
			the_call, granted, amount, lost, refused, only_reserved, needed, spent, reserved);
	END IF;
	COMMIT;
	SELECT ours IS NOT NULL AS ours, the_call AS call_id, granted, amount, lost, refused, only_reserved, needed, spent,
		reserved, UTC_DATE() + INTERVAL 1 DAY AS renews;
END;

-- What a turn leaves, in one go: the message with its results, the work tree under the answer before it (the_tree
-- NULL: it did not change), the change of files (change_name NULL: none, or more than one part), the step's notes; and
-- the reservation for the next call (wanted 0: none), which may be refused while the rest is stored.
CREATE PROCEDURE turn_store (IN own_transaction TINYINT, IN the_run BIGINT, IN the_fence BIGINT, IN the_conv INT, IN the_seq INT,
	IN the_model VARCHAR(64), IN the_content LONGBLOB, IN the_answer INT, IN the_tree CHAR(40) CHARACTER SET ascii,
	IN the_step BIGINT, IN the_notes MEDIUMTEXT, IN change_kind VARCHAR(32), IN change_name VARCHAR(190), IN change_bytes INT,
	IN the_change MEDIUMBLOB, IN by_price TINYINT, IN input_cost BIGINT, IN output_price BIGINT, IN wanted BIGINT,
	IN least BIGINT, IN day_cap BIGINT, IN repo_cap BIGINT, IN issue_cap BIGINT, IN run_cap BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE the_repo, ours, lost, the_call, amount, granted, needed, spent, reserved BIGINT DEFAULT NULL;
	DECLARE the_issue VARCHAR(64) DEFAULT NULL;
	DECLARE refused VARCHAR(8) DEFAULT NULL;
	DECLARE only_reserved TINYINT DEFAULT 0;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	IF own_transaction THEN
		START TRANSACTION;
	END IF;
	SELECT id, repo_id, issue_key INTO ours, the_repo, the_issue FROM runs
	WHERE id = the_run AND fence = the_fence AND status = 'running' AND cancel_at IS NULL FOR UPDATE;
	IF ours IS NOT NULL THEN
		INSERT INTO run_messages (run_id, conv, seq, role, model, content)
		VALUES (the_run, the_conv, the_seq, 'user', the_model, the_content);
		IF the_tree IS NOT NULL THEN
			UPDATE run_messages SET tree = the_tree WHERE run_id = the_run AND conv = the_conv AND seq = the_answer;
		END IF;
		IF change_name IS NOT NULL THEN
			DELETE FROM artifacts WHERE run_id = the_run AND kind = change_kind AND name = change_name;
			INSERT INTO artifacts (run_id, kind, name, part, bytes, content)
			VALUES (the_run, change_kind, change_name, 0, change_bytes, the_change);
		END IF;
		UPDATE run_steps SET result = the_notes WHERE id = the_step;
		IF wanted > 0 THEN
			CALL money_grant(the_run, the_fence, the_repo, the_issue, the_conv, the_model, by_price, input_cost,
				output_price, wanted, least, day_cap, repo_cap, issue_cap, run_cap,
				the_call, granted, amount, lost, refused, only_reserved, needed, spent, reserved);
		END IF;
	END IF;
	IF own_transaction THEN
		COMMIT;
	END IF;
	SELECT ours IS NOT NULL AS ours, the_call AS call_id, granted, amount, lost, refused, only_reserved, needed, spent,
		reserved, UTC_DATE() + INTERVAL 1 DAY AS renews;
END;

-- Ends an open call that brought no answer. the_cost and the_tokens as in money_settle. A cancelled run's too.
CREATE PROCEDURE money_end (IN the_run BIGINT, IN the_fence BIGINT, IN the_call BIGINT, IN the_state VARCHAR(16),
	IN the_cost BIGINT, IN the_tokens BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE ours, charged BIGINT DEFAULT NULL;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	START TRANSACTION;
	SELECT id INTO ours FROM runs WHERE id = the_run AND fence = the_fence AND status = 'running' FOR UPDATE;
	IF ours IS NOT NULL THEN
		CALL money_settle(the_run, the_call, the_state, the_cost, the_tokens, charged);
		UPDATE runs SET cost_usd_micro = cost_usd_micro + IFNULL(charged, 0), updated_at = NOW(3) WHERE id = the_run;
	END IF;
	COMMIT;
	SELECT ours IS NOT NULL AS ours, IFNULL(charged, 0) AS charged;
END;

-- Open calls of runs that are not worked any more, or by another process: settled in full.
CREATE PROCEDURE money_sweep ()
SQL SECURITY INVOKER
BEGIN
	DECLARE ours, charged BIGINT;
	DECLARE swept INT DEFAULT 0;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	FOR gone IN (SELECT c.id, c.run_id FROM llm_calls c JOIN runs r ON r.id = c.run_id
		WHERE c.open_run IS NOT NULL AND (r.status <> 'running' OR r.fence <> c.fence) LIMIT 100) DO
		SET ours = NULL, charged = NULL;
		START TRANSACTION;
		SELECT id INTO ours FROM runs WHERE id = gone.run_id FOR UPDATE;
		CALL money_settle(gone.run_id, gone.id, 'estimated', NULL, NULL, charged);
		IF charged > 0 THEN
			UPDATE runs SET cost_usd_micro = cost_usd_micro + charged, updated_at = NOW(3) WHERE id = gone.run_id;
			INSERT INTO run_events (run_id, level, stage, message, meta)
			VALUES (gone.run_id, 'info', 'executing', CONCAT('A call of the model''s was left open by a process that ended: ',
				'it is counted as an estimate, at most ', CAST(charged / 1000000 AS DECIMAL(20, 6)), ' USD'),
				JSON_OBJECT('cost_usd_micro', charged, 'estimated', TRUE));
		END IF;
		COMMIT;
		SET swept = swept + (charged IS NOT NULL);
	END FOR;
	SELECT swept;
END;

-- Stores an answer, counts it to the run and settles its call: one transaction. An answer is kept, and its
-- cost counted, even when the run was cancelled meanwhile. the_cost, the_tokens NULL: not known.
CREATE PROCEDURE answer_store (IN the_run BIGINT, IN the_fence BIGINT, IN the_call BIGINT, IN the_conv INT, IN the_seq INT,
	IN the_model VARCHAR(64), IN the_content LONGBLOB, IN the_stop VARCHAR(64), IN the_request VARCHAR(128),
	IN fresh BIGINT, IN written BIGINT, IN cached BIGINT, IN output BIGINT, IN thinking BIGINT, IN the_cost BIGINT,
	IN the_tokens BIGINT, IN the_latency BIGINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE ours, charged BIGINT DEFAULT NULL;
	DECLARE is_cancelled TINYINT DEFAULT 1;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	START TRANSACTION;
	SELECT id, cancel_at IS NOT NULL INTO ours, is_cancelled FROM runs
	WHERE id = the_run AND fence = the_fence AND status = 'running' FOR UPDATE;
	IF ours IS NOT NULL THEN
		INSERT INTO run_messages (run_id, conv, seq, role, model, content, stop_reason, request_id, fresh_tokens,
			written_tokens, read_tokens, output_tokens, thinking_tokens, cost_usd_micro, latency_ms)
		VALUES (the_run, the_conv, the_seq, 'assistant', the_model, the_content, the_stop, the_request, fresh,
			written, cached, output, thinking, the_cost, the_latency);
		CALL money_settle(the_run, the_call, 'settled', the_cost, the_tokens, charged);
		UPDATE runs SET turns = turns + 1, cost_usd_micro = cost_usd_micro + IFNULL(charged, IFNULL(the_cost, 0)),
			cost_known = cost_known AND the_cost IS NOT NULL, model = the_model,
			input_tokens = input_tokens + fresh + written + cached, output_tokens = output_tokens + output,
			thinking_tokens = thinking_tokens + thinking, cached_tokens = cached_tokens + cached, updated_at = NOW(3)
		WHERE id = the_run;
	END IF;
	COMMIT;
	SELECT ours IS NOT NULL AS ours, is_cancelled AS cancelled;
END;

GRANT SELECT ON budgets TO air_api;
GRANT SELECT ON budgets TO air_dash;
GRANT SELECT ON llm_calls TO air_api;
GRANT SELECT ON llm_calls TO air_dash;
GRANT SELECT, INSERT, UPDATE ON budgets TO air_worker;
GRANT SELECT, INSERT, UPDATE ON llm_calls TO air_worker;
GRANT EXECUTE ON PROCEDURE money_add TO air_worker;
GRANT EXECUTE ON PROCEDURE money_settle TO air_worker;
GRANT EXECUTE ON PROCEDURE money_grant TO air_worker;
GRANT EXECUTE ON PROCEDURE money_reserve TO air_worker;
GRANT EXECUTE ON PROCEDURE turn_store TO air_worker;
GRANT EXECUTE ON PROCEDURE money_end TO air_worker;
GRANT EXECUTE ON PROCEDURE money_sweep TO air_worker;
GRANT EXECUTE ON PROCEDURE answer_store TO air_worker;
