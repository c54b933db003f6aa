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
SET time_zone = '+00:00', tx_isolation = 'READ-COMMITTED', wsrep_sync_wait = 7, innodb_lock_wait_timeout = 5, sql_mode = 'STRICT_TRANS_TABLES,ERROR_FOR_DIVISION_BY_ZERO,NO_ENGINE_SUBSTITUTION';

-- Does this server take writes? A node of a Galera cluster does not while it is out of it.
-- name: node_state
-- out: ready
SELECT @@global.read_only = 0 AND (@@wsrep_on = 0 OR (SELECT VARIABLE_VALUE
	FROM information_schema.GLOBAL_STATUS WHERE VARIABLE_NAME = 'WSREP_READY') = 'ON') AS ready;

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

-- name: database_now
-- out: now_ms
SELECT CAST(UNIX_TIMESTAMP(NOW(3)) * 1000 AS INTEGER) AS now_ms;

-- ============================== api and pages (cgi) ==============================

-- name: auth_token
-- in: secret_hash
-- out: name, role
SELECT name, role FROM api_tokens
WHERE secret_hash = ? AND revoked_at IS NULL AND (expires_at IS NULL OR expires_at > NOW(3));

-- A session ends 8 hours after its last use, and with the token it was opened with.
-- name: auth_session
-- in: id_hash
-- out: id_hash, name, role, csrf_key, stale
SELECT id_hash, name, role, csrf_key, seen_at < NOW(3) - INTERVAL 1 MINUTE AS stale FROM sessions s
WHERE id_hash = ? AND kind = 'session' AND expires_at > NOW(3) AND seen_at > NOW(3) - INTERVAL 8 HOUR
	AND NOT EXISTS (SELECT 1 FROM api_tokens t WHERE t.name = s.name
		AND (t.revoked_at IS NOT NULL OR t.expires_at <= NOW(3)));

-- name: auth_session_seen
-- in: id_hash
UPDATE sessions SET seen_at = NOW(3) WHERE id_hash = ?;

-- A sign-in code is good for one use: who deletes the row has it.
-- name: session_take_code
-- in: id_hash
-- out: name, role
DELETE FROM sessions WHERE id_hash = ? AND kind = 'code' AND expires_at > NOW(3) RETURNING name, role;

-- name: session_add
-- in: id_hash, name, role, csrf_key
INSERT INTO sessions (id_hash, kind, name, role, csrf_key, expires_at)
VALUES (?, 'session', ?, ?, ?, NOW(3) + INTERVAL 24 HOUR);

-- name: session_delete
-- in: id_hash
DELETE FROM sessions WHERE id_hash = ?;

-- name: sessions_purge
DELETE FROM sessions WHERE expires_at < NOW(3) LIMIT 100;

-- name: status_runs
-- in: hours
-- out: id, issue_key, issue_type, issue_summary, status, priority, repo_key, locked_by, locked_at, created_at, started_at, completed_at, branch, pr_url, reason, cost_usd_micro, cost_known, turns, event_message, event_stage, event_level, event_at, event_meta
SELECT r.id, r.issue_key, r.issue_type, r.issue_summary, r.status, r.priority, r.project_key AS repo_key, r.locked_by,
	UNIX_TIMESTAMP(r.locked_at) AS locked_at, UNIX_TIMESTAMP(r.created_at) AS created_at,
	UNIX_TIMESTAMP(r.started_at) AS started_at, UNIX_TIMESTAMP(r.completed_at) AS completed_at,
	r.branch, r.pr_url, r.reason, r.cost_usd_micro, r.cost_known, r.turns, e.message AS event_message,
	e.stage AS event_stage, e.level AS event_level, UNIX_TIMESTAMP(e.at) AS event_at, e.meta AS event_meta
FROM (SELECT * FROM runs WHERE created_at > NOW(3) - INTERVAL ? HOUR ORDER BY created_at DESC, id DESC LIMIT 50) r
LEFT JOIN run_events e ON e.id = (SELECT x.id FROM run_events x
	WHERE x.run_id = r.id AND x.level <> 'info' ORDER BY x.id DESC LIMIT 1)
ORDER BY r.created_at DESC, r.id DESC;

-- The progress of a run, oldest first; the newest 200.
-- name: status_events
-- in: run_id
-- out: message, stage, level, at, meta
SELECT message, stage, level, at, meta FROM (
	SELECT id, message, stage, level, UNIX_TIMESTAMP(at) AS at, meta FROM run_events
	WHERE run_id = ? AND level <> 'info' ORDER BY id DESC LIMIT 200) newest
ORDER BY id;

-- What the status page shows has changed when one of these has. Each is the end of an index.
-- name: status_etag
-- out: updated_at, event_id
SELECT (SELECT UNIX_TIMESTAMP(MAX(updated_at)) FROM runs) AS updated_at, (SELECT MAX(id) FROM run_events) AS event_id;

-- name: metrics_by_status
-- in: hours
-- out: status, runs, cost_usd_micro, duration_s, timed, tokens, cached_tokens, input_tokens, heals, healed
SELECT status, COUNT(*) AS runs, SUM(cost_usd_micro) AS cost_usd_micro,
	SUM(TIMESTAMPDIFF(MICROSECOND, started_at, completed_at)) / 1000000 AS duration_s,
	SUM(started_at IS NOT NULL AND completed_at IS NOT NULL) AS timed, SUM(input_tokens + output_tokens) AS tokens,
	SUM(cached_tokens) AS cached_tokens, SUM(input_tokens) AS input_tokens,
	SUM(CAST(JSON_VALUE(metrics, '$.self_heal_attempts') AS INT)) AS heals, COUNT(JSON_VALUE(metrics, '$.self_heal_attempts')) AS healed
FROM runs WHERE created_at > NOW(3) - INTERVAL ? HOUR GROUP BY status;

-- name: metrics_errors
-- in: hours
-- out: error_category, runs
SELECT error_category, COUNT(*) AS runs FROM runs
WHERE created_at > NOW(3) - INTERVAL ? HOUR AND error_category IS NOT NULL
GROUP BY error_category ORDER BY runs DESC, error_category;

-- name: queue_counts
-- out: status, priority, repo_key, runs
SELECT status, priority, project_key AS repo_key, COUNT(*) AS runs FROM runs
WHERE queued_issue IS NOT NULL GROUP BY status, priority, project_key
UNION ALL SELECT status, priority, project_key, COUNT(*) FROM runs
WHERE running_line IS NOT NULL GROUP BY status, priority, project_key ORDER BY repo_key, priority;

-- name: run_full
-- in: id
-- out: id, kind, issue_key, issue_type, issue_summary, status, priority, repo_key, line, attempt, branch, pr_url, reason, error_category, locked_by, locked_at, created_at, updated_at, started_at, completed_at, cancelled, cost_usd_micro, cost_known, turns, model, metrics
SELECT id, kind, issue_key, issue_type, issue_summary, status, priority, project_key AS repo_key, line, attempt,
	branch, pr_url, reason, error_category, locked_by, UNIX_TIMESTAMP(locked_at) AS locked_at,
	UNIX_TIMESTAMP(created_at) AS created_at, UNIX_TIMESTAMP(updated_at) AS updated_at,
	UNIX_TIMESTAMP(started_at) AS started_at, UNIX_TIMESTAMP(completed_at) AS completed_at,
	cancel_at IS NOT NULL AS cancelled, cost_usd_micro, cost_known, turns, model, metrics
FROM runs WHERE id = ?;

-- name: run_events_all
-- in: run_id
-- out: level, stage, message, meta, at
SELECT level, stage, message, meta, UNIX_TIMESTAMP(at) AS at FROM run_events
WHERE run_id = ? ORDER BY id LIMIT 5000;

-- name: run_steps_all
-- in: run_id
-- out: step, attempt, round, began_at, ended_at, outcome, duration_ms
SELECT step, attempt, round, UNIX_TIMESTAMP(began_at) AS began_at, UNIX_TIMESTAMP(ended_at) AS ended_at, outcome,
	TIMESTAMPDIFF(MICROSECOND, began_at, ended_at) DIV 1000 AS duration_ms
FROM run_steps WHERE run_id = ? ORDER BY id LIMIT 1000;

-- was: the status before, NULL when there is no such run.
-- name: run_cancel
-- in: id, who
-- out: was
CALL run_cancel(?, ?);

-- name: run_retry
-- in: id, start_over, who
-- out: was, other, attempt
CALL run_retry(?, ?, ?);

-- name: run_reorder
-- in: id, priority, position, who
-- out: was, priority, position
CALL run_set_priority(?, ?, ?, ?);

-- name: health_runs
-- out: runs
SELECT COUNT(*) AS runs FROM runs;

-- name: health_workers
-- out: name, host, pid, capacity, version, sandbox, started_at, seen_at, stopped, alive, running
SELECT w.name, w.host, w.pid, w.capacity, w.version, w.sandbox, UNIX_TIMESTAMP(w.started_at) AS started_at,
	UNIX_TIMESTAMP(w.seen_at) AS seen_at, w.stopped_at IS NOT NULL AS stopped,
	w.stopped_at IS NULL AND w.seen_at > NOW(3) - INTERVAL 60 SECOND AS alive,
	(SELECT COUNT(*) FROM runs r WHERE r.running_line IS NOT NULL AND r.locked_by = w.name) AS running
FROM workers w WHERE w.seen_at > NOW(3) - INTERVAL 7 DAY ORDER BY w.name;

-- ============================== queue (worker/claim) ==============================

-- The next run for this worker (only: this one, else NULL), claimed and committed; no row: none.
-- mark: of the process, so that a claim whose answer was lost is found again (runs_of_worker).
-- name: queue_claim
-- in: worker, mark, lease_s, by_id_alone, only
-- out: id, kind, issue_key, project_key, line, repo_id, fence, slot, attempt, crashes, priority
CALL queue_claim(?, ?, ?, ?, ?);

-- Not fenced by cancel_at: a cancelled run is closed too. outcome: done, again, fenced.
-- name: queue_close
-- in: repo_id, status, reason, error_category, metrics, id, fence
-- out: outcome
CALL queue_close(?, ?, ?, ?, ?, ?, ?);

-- outcome: done, again, cancelled, other (another run of the issue is queued), fenced.
-- name: queue_requeue
-- in: repo_id, wait_s, id, fence
-- out: outcome
CALL queue_requeue(?, ?, ?, ?);

-- Heads of repositories whose runs became due, or whose lines became free elsewhere.
-- name: queue_look
-- out: heads
CALL queue_look();

-- A step of the last claim that began and did not end in order: the worker crashed in it.
-- name: claim_open_step
-- in: run_id
-- out: step, ended
SELECT step, ended_at IS NOT NULL AS ended FROM run_steps WHERE run_id = ? ORDER BY id DESC LIMIT 1;

-- name: repo_lock
-- in: id
-- out: id, max_running
SELECT id, max_running FROM repos WHERE id = ? FOR UPDATE;

-- name: repo_released
-- in: id
UPDATE repos SET running = GREATEST(running - 1, 0) WHERE id = ?;

-- name: repo_refresh_head
-- in: id
CALL refresh_head(?);

-- name: repo_put
-- in: address, max_running, plain_order
INSERT INTO repos (address, max_running, plain_order) VALUES (?, ?, ?)
ON DUPLICATE KEY UPDATE id = LAST_INSERT_ID(id), max_running = VALUES(max_running), plain_order = VALUES(plain_order);

-- name: repo_id
-- in: address
-- out: id
SELECT id FROM repos WHERE address = ?;

-- name: repo_projects_clear
DELETE FROM repo_projects;

-- name: repo_project_put
-- in: project_key, repo_id, is_default
INSERT INTO repo_projects (project_key, repo_id, is_default) VALUES (?, ?, ?);

-- name: run_by_id
-- in: id
-- out: id, kind, issue_key, project_key, line, repo_id, status, fence, slot, attempt, crashes, priority
SELECT id, kind, issue_key, project_key, line, repo_id, status, fence, slot, attempt, crashes, priority
FROM runs WHERE id = ?;

-- FENCED
-- name: lease_renew
-- in: lease_s, id, fence
UPDATE runs SET lease_until = NOW(3) + INTERVAL ? SECOND WHERE id = ? AND fence = ? AND status = 'running';

-- Only running runs have a running_line: its index holds no others.
-- name: leases_lost
-- out: id, fence, repo_id
SELECT id, fence, repo_id FROM runs FORCE INDEX (one_line)
WHERE running_line IS NOT NULL AND lease_until < NOW(3) LIMIT 100;

-- name: runs_of_worker
-- in: mark, worker
-- out: id, fence, repo_id, cancelled, same_process
SELECT id, fence, repo_id, cancel_at IS NOT NULL AS cancelled, claimed_as = ? AS same_process
FROM runs FORCE INDEX (one_line) WHERE running_line IS NOT NULL AND locked_by = ?;

-- What a run that gives way to a newer one of its issue has seen does not count as worked.
-- name: run_forget_trigger
-- in: id
UPDATE runs SET trigger_key = NULL WHERE id = ?;

-- A failed try of the last moment may have put a row back after the cancellation.
-- name: outbox_void_cancelled
-- in: run_id
UPDATE outbox SET state = 'void', last_error = 'the run was cancelled'
WHERE run_id = ? AND state = 'waiting' AND is_closing = 0
	AND EXISTS (SELECT 1 FROM runs WHERE runs.id = outbox.run_id AND runs.status = 'cancelled');

-- name: worker_put
-- in: name, host, pid, capacity, version, sandbox
INSERT INTO workers (name, host, pid, capacity, version, sandbox) VALUES (?, ?, ?, ?, ?, ?)
ON DUPLICATE KEY UPDATE host = VALUES(host), pid = VALUES(pid), capacity = VALUES(capacity),
	version = VALUES(version), sandbox = VALUES(sandbox), started_at = NOW(3), seen_at = NOW(3), stopped_at = NULL;

-- name: worker_seen
-- in: name
UPDATE workers SET seen_at = NOW(3) WHERE name = ?;

-- name: worker_stopped
-- in: name
UPDATE workers SET stopped_at = NOW(3) WHERE name = ?;

-- ============================== run and journal (worker) ==============================

-- name: run_alive
-- in: fence, id
-- out: ours, cancelled
SELECT status = 'running' AND fence = ? AS ours, cancel_at IS NOT NULL AS cancelled FROM runs WHERE id = ?;

-- How long this attempt has been worked, the claim that runs included.
-- name: run_worked
-- in: id
-- out: ms
SELECT IF(worked_attempt = attempt, worked_ms, 0)
	+ GREATEST(TIMESTAMPDIFF(MICROSECOND, IFNULL(locked_at, NOW(3)), NOW(3)) DIV 1000, 0) AS ms FROM runs WHERE id = ?;

-- FENCED
-- name: event_add
-- in: level, stage, message, meta, id, fence
INSERT INTO run_events (run_id, level, stage, message, meta)
SELECT id, ?, ?, ?, ? FROM runs WHERE id = ? AND fence = ? AND status = 'running';

-- FENCED
-- name: step_begin
-- in: attempt, step, round, id, fence
INSERT INTO run_steps (run_id, attempt, fence, step, round)
SELECT id, ?, fence, ?, ? FROM runs WHERE id = ? AND fence = ? AND status = 'running';

-- FENCED
-- name: step_end
-- in: outcome, result, step_id, id, fence
UPDATE run_steps SET ended_at = NOW(3), outcome = ?, result = ?
WHERE run_steps.id = ? AND EXISTS (SELECT 1 FROM runs WHERE id = ? AND fence = ? AND status = 'running');

-- The open step of a worker that cannot go on and puts the run back.
-- name: steps_park
-- in: outcome, run_id, fence
UPDATE run_steps SET ended_at = NOW(3), outcome = ? WHERE run_id = ? AND fence = ? AND ended_at IS NULL;

-- FENCED. What a step knows before it ends; a step that is repeated after a crash goes on from it.
-- name: step_note
-- in: result, step_id, id, fence
UPDATE run_steps SET result = ?
WHERE run_steps.id = ? AND EXISTS (SELECT 1 FROM runs WHERE id = ? AND fence = ? AND status = 'running');

-- The journal of an attempt, in the order in which its steps began; with that of those before it
-- when a retry continues them (base_attempt).
-- name: steps_of_attempt
-- in: run_id, attempt
-- out: step, attempt, round, outcome, result
SELECT step, attempt, round, IFNULL(outcome, '') AS outcome, result FROM run_steps
WHERE run_id = ? AND attempt BETWEEN (SELECT base_attempt FROM runs WHERE runs.id = run_steps.run_id) AND ? ORDER BY id;

-- When a step of this attempt began first: the one time that its repeats use too.
-- name: step_first_began
-- in: run_id, attempt, step
-- out: began
SELECT UNIX_TIMESTAMP(MIN(began_at)) DIV 1 AS began FROM run_steps
WHERE run_id = ? AND attempt BETWEEN (SELECT base_attempt FROM runs WHERE runs.id = run_steps.run_id) AND ? AND step = ?;

-- How long an attempt has been waiting for an outside service: ends of steps by its errors since one went well.
-- name: steps_waited
-- in: run_id, attempt, run_id, attempt
-- out: waits, waited_s
SELECT COUNT(*) AS waits, IFNULL(TIMESTAMPDIFF(SECOND, MIN(ended_at), NOW(3)), 0) AS waited_s FROM run_steps
WHERE run_id = ? AND attempt = ? AND outcome IN ('timeout', 'network', 'outside', 'rate_limited')
	AND id > IFNULL((SELECT MAX(id) FROM run_steps
		WHERE run_id = ? AND attempt = ? AND outcome IN ('ok', 'heal', 'merged') AND step <> 'resume'), 0);

-- FENCED. A step ended: the worker does not crash in it again and again.
-- name: run_crashes_clear
-- in: id, fence
UPDATE runs SET crashes = 0 WHERE id = ? AND fence = ? AND status = 'running';

-- FENCED. A step that is repeated replaces what it left.
-- name: artifact_add
-- in: kind, name, part, bytes, content, id, fence
REPLACE INTO artifacts (run_id, kind, name, part, bytes, content)
SELECT id, ?, ?, ?, ?, ? FROM runs WHERE id = ? AND fence = ? AND status = 'running';

-- name: artifacts_of_kind
-- in: run_id, kind
-- out: name, part, bytes, content
SELECT name, part, bytes, content FROM artifacts WHERE run_id = ? AND kind = ? ORDER BY name, part, id;

-- name: artifact_parts
-- in: run_id, kind, name
-- out: name, part, bytes, content
SELECT name, part, bytes, content FROM artifacts WHERE run_id = ? AND kind = ? AND name = ? ORDER BY part;

-- What a longer one of the same name left behind the last part.
-- name: artifact_trim
-- in: run_id, kind, name, parts, id, fence
DELETE FROM artifacts WHERE run_id = ? AND kind = ? AND name = ? AND part >= ?
	AND EXISTS (SELECT 1 FROM runs WHERE id = ? AND fence = ? AND status = 'running');

-- FENCED
-- name: run_set_branch
-- in: branch, id, fence
UPDATE runs SET branch = ?, updated_at = NOW(3) WHERE id = ? AND fence = ? AND status = 'running';

-- FENCED
-- name: run_set_pull_request
-- in: pr_url, id, fence
UPDATE runs SET pr_url = ?, updated_at = NOW(3) WHERE id = ? AND fence = ? AND status = 'running';

-- FENCED
-- name: run_set_issue
-- in: issue_type, issue_summary, project_key, line, id, fence
UPDATE runs SET issue_type = ?, issue_summary = ?, project_key = ?, line = ?, running_line = line, updated_at = NOW(3)
WHERE id = ? AND fence = ? AND status = 'running';

-- ============================== conversations (worker/agent) ==============================

-- name: conversation_newest
-- in: run_id
-- out: conv
SELECT IFNULL(MAX(conv), 0) AS conv FROM run_messages WHERE run_id = ?;

-- name: conversation_messages
-- in: run_id, conv
-- out: seq, role, content, stop_reason, prompt_tokens, asked_at
SELECT seq, role, content, stop_reason, IFNULL(fresh_tokens + written_tokens + read_tokens, 0) AS prompt_tokens,
	CAST(UNIX_TIMESTAMP(at) * 1000 AS INTEGER) - IFNULL(latency_ms, 0) AS asked_at
FROM run_messages WHERE run_id = ? AND conv = ? ORDER BY seq;

-- How much of a run's prompts came from the cache, but for each conversation's first call.
-- name: run_cache_share
-- in: run_id
-- out: from_cache, prompt
SELECT IFNULL(SUM(m.read_tokens), 0) AS from_cache,
	IFNULL(SUM(m.fresh_tokens + m.written_tokens + m.read_tokens), 0) AS prompt
FROM run_messages m WHERE m.run_id = ? AND m.role = 'assistant' AND EXISTS (SELECT 1 FROM run_messages b
	WHERE b.run_id = m.run_id AND b.conv = m.conv AND b.role = 'assistant' AND b.seq < m.seq);

-- The work tree as the newest answer left it whose results were stored, in what was said after a message.
-- name: conversation_tree
-- in: run_id, conv, after_seq, run_id, conv
-- out: tree
SELECT tree FROM run_messages WHERE run_id = ? AND conv = ? AND seq > ? AND tree IS NOT NULL
	AND seq < (SELECT MAX(seq) FROM run_messages WHERE run_id = ? AND conv = ? AND role = 'user')
ORDER BY seq DESC LIMIT 1;

-- What airunnerctl replay reads of a run.
-- name: replay_run
-- in: id
-- out: issue_key, status, repo_id
SELECT issue_key, status, repo_id FROM runs WHERE id = ?;

-- name: replay_messages
-- in: run_id
-- out: conv, seq, role, model, content, fresh_tokens, written_tokens, read_tokens, output_tokens, cost_usd_micro, tree
SELECT conv, seq, role, model, content, fresh_tokens, written_tokens, read_tokens, output_tokens, cost_usd_micro, tree
FROM run_messages WHERE run_id = ? AND role <> 'prefix' ORDER BY conv, seq;

-- name: replay_steps
-- in: run_id
-- out: step, result
SELECT step, result FROM run_steps
WHERE run_id = ? AND step IN ('checkout', 'edit', 'commit') AND result IS NOT NULL ORDER BY id;

-- FENCED
-- name: message_add
-- in: conv, seq, role, model, content, id, fence
INSERT INTO run_messages (run_id, conv, seq, role, model, content)
SELECT id, ?, ?, ?, ?, ? FROM runs WHERE id = ? AND fence = ? AND status = 'running' AND cancel_at IS NULL;

-- ours 0: as FENCED. What a turn leaves, and the reservation for the next call (004_money.sql).
-- name: turn_store
-- in: own_transaction, id, fence, conv, seq, model, content, answer_seq, tree, step_id, notes, change_kind, change_name, change_bytes, change, by_price, input_cost, output_price, wanted, least, day_cap, repo_cap, issue_cap, run_cap
-- out: ours, call_id, granted, amount, lost, refused, only_reserved, needed, spent, reserved, renews
CALL turn_store(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- ours 0: as FENCED. One transaction: the answer, the run's totals, the settled call (004_money.sql).
-- name: answer_store
-- in: id, fence, call_id, conv, seq, model, content, stop_reason, request_id, fresh, written, read, output, thinking, cost_usd_micro, tokens, latency_ms
-- out: ours, cancelled
CALL answer_store(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- Of this attempt: a retry that continues counts its limits anew.
-- name: run_spent
-- in: id
-- out: turns, cost_usd_micro, cost_known
SELECT MAX(r.turns) - COUNT(m.run_id) AS turns, MAX(r.cost_usd_micro) - IFNULL(SUM(m.cost_usd_micro), 0) AS cost_usd_micro,
	MAX(r.cost_known) AS cost_known
FROM runs r LEFT JOIN run_messages m ON m.run_id = r.id AND m.role = 'assistant' AND m.at < IFNULL(r.started_at, r.created_at)
WHERE r.id = ?;

-- ============================== money (worker/budget) ==============================

-- One transaction. Amounts are micro-dollars or, of a model without a price, tokens; a cap of 0 is none.
-- name: money_reserve
-- in: id, fence, conv, model, by_price, input_cost, output_price, wanted, least, day_cap, repo_cap, issue_cap, run_cap
-- out: ours, call_id, granted, amount, lost, refused, only_reserved, needed, spent, reserved, renews
CALL money_reserve(?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?);

-- A call that brought no answer: state estimated or released.
-- name: money_end
-- in: id, fence, call_id, state, cost_usd_micro, tokens
-- out: ours, charged
CALL money_end(?, ?, ?, ?, ?, ?);

-- Open calls of runs that no process works on any more.
-- name: money_sweep
-- out: swept
CALL money_sweep();

-- What a run and its scopes have spent, in the order of scopes; the day is the database's.
-- name: money_of_run
-- in: id, id, id, id
-- out: scope, spent_usd_micro, estimated_usd_micro, reserved_usd_micro, spent_tokens, cap
SELECT scope, spent_usd_micro, estimated_usd_micro, reserved_usd_micro, spent_tokens, cap FROM budgets
WHERE (scope = 'day' AND name = CAST(UTC_DATE() AS CHAR) COLLATE utf8mb4_bin AND ? > 0)
	OR (scope = 'repo' AND name = (SELECT CONCAT(repo_id, ' ', UTC_DATE()) FROM runs WHERE id = ?) COLLATE utf8mb4_bin)
	OR (scope = 'issue' AND name = (SELECT issue_key FROM runs WHERE id = ?))
	OR (scope = 'run' AND name = CAST(? AS CHAR) COLLATE utf8mb4_bin)
ORDER BY scope;

-- What the calls of a run cost, by model.
-- name: money_by_model
-- in: run_id
-- out: model, calls, cost_usd_micro, estimated_usd_micro, open
SELECT model, COUNT(*) AS calls, SUM(cost_usd_micro) AS cost_usd_micro,
	SUM(IF(state = 'estimated', cost_usd_micro, 0)) AS estimated_usd_micro, SUM(state = 'open') AS open
FROM llm_calls WHERE run_id = ? AND state <> 'released' GROUP BY model ORDER BY MIN(id);

-- The day's budgets: the whole system's, then each repository's.
-- name: money_of_day
-- out: scope, address, spent_usd_micro, estimated_usd_micro, reserved_usd_micro, cap, day
SELECT b.scope, r.address, b.spent_usd_micro, b.estimated_usd_micro, b.reserved_usd_micro, b.cap, UTC_DATE() AS day
FROM budgets b LEFT JOIN repos r ON b.scope = 'repo' AND r.id = CAST(b.name AS INT)
WHERE (b.scope = 'day' AND b.name = CAST(UTC_DATE() AS CHAR) COLLATE utf8mb4_bin)
	OR (b.scope = 'repo' AND b.name LIKE CONCAT('% ', UTC_DATE()))
ORDER BY b.scope, r.address;

-- ============================== checks (worker/check) ==============================

-- name: baseline_get
-- in: repo_id, tree, check_name, tool_key
-- out: result
SELECT result FROM baselines WHERE repo_id = ? AND tree = ? AND check_name = ? AND tool_key = ?;

-- FENCED
-- name: baseline_put
-- in: tree, check_name, tool_key, result, id, fence
REPLACE INTO baselines (repo_id, tree, check_name, tool_key, result)
SELECT repo_id, ?, ?, ?, ? FROM runs
WHERE id = ? AND fence = ? AND status = 'running' AND cancel_at IS NULL;

-- ============================== outbox (worker/outbox) ==============================

-- FENCED, but for the closing report (last input 1), which a cancellation does not stop.
-- name: outbox_add
-- in: effect_key, issue_key, kind, is_closing, request, id, fence, closing
INSERT INTO outbox (effect_key, run_id, fence, issue_key, kind, is_closing, request)
SELECT ?, id, fence, ?, ?, ?, ? FROM runs
WHERE id = ? AND fence = ? AND status = 'running' AND (cancel_at IS NULL OR ?);

-- open_ms: how long the row may not be touched yet. behind: an earlier effect of the issue is not over.
-- name: outbox_get
-- in: effect_key
-- out: id, run_id, effect_key, issue_key, kind, is_closing, state, attempts, request, result, last_error, open_ms, behind
SELECT id, run_id, effect_key, issue_key, kind, is_closing, state, attempts, request, result, last_error,
	GREATEST(IFNULL(TIMESTAMPDIFF(MICROSECOND, NOW(3), send_until), 0), 0) DIV 1000 AS open_ms,
	EXISTS (SELECT 1 FROM outbox earlier WHERE earlier.issue_key = outbox.issue_key
		AND earlier.state IN ('waiting', 'sending') AND earlier.id < outbox.id) AS behind
FROM outbox WHERE effect_key = ?;

-- FENCED. The one compare-and-set to sending; send_until is 30 s ahead, the call ends within 20 s.
-- attempts is what the row had when it was read: who has raised it, and nobody else, ends the try.
-- name: outbox_take
-- in: fence, id, attempts, run_id, fence, closing
UPDATE outbox SET state = 'sending', fence = ?, attempts = attempts + 1,
	send_until = NOW(3) + INTERVAL 30 SECOND
WHERE id = ? AND attempts = ? AND state IN ('waiting', 'sending') AND (send_until IS NULL OR send_until <= NOW(3))
	AND NOT EXISTS (SELECT 1 FROM outbox earlier WHERE earlier.issue_key = outbox.issue_key
		AND earlier.state IN ('waiting', 'sending') AND earlier.id < outbox.id)
	AND EXISTS (SELECT 1 FROM runs WHERE runs.id = ? AND runs.fence = ? AND runs.status = 'running'
		AND (runs.cancel_at IS NULL OR ?));

-- The same by a drainer, for runs that no child works. withdrawn, as read: is the run cancelled?
-- name: outbox_take_left
-- in: id, attempts, withdrawn
UPDATE outbox SET state = 'sending', attempts = attempts + 1, send_until = NOW(3) + INTERVAL 30 SECOND
WHERE id = ? AND attempts = ? AND state IN ('waiting', 'sending') AND (send_until IS NULL OR send_until <= NOW(3))
	AND NOT EXISTS (SELECT 1 FROM outbox earlier WHERE earlier.issue_key = outbox.issue_key
		AND earlier.state IN ('waiting', 'sending') AND earlier.id < outbox.id)
	AND EXISTS (SELECT 1 FROM runs WHERE runs.id = outbox.run_id AND runs.status <> 'running'
		AND ((runs.cancel_at IS NOT NULL OR runs.status = 'cancelled') AND NOT outbox.is_closing) = ?);

-- The first open effect of each issue, where it may be sent now and no child works its run.
-- name: outbox_left
-- in: limit
-- out: effect_key, kind, withdrawn
SELECT o.effect_key, o.kind, (r.cancel_at IS NOT NULL OR r.status = 'cancelled') AND NOT o.is_closing AS withdrawn
FROM outbox o JOIN runs r ON r.id = o.run_id
WHERE o.state IN ('waiting', 'sending') AND (o.send_until IS NULL OR o.send_until <= NOW(3)) AND r.status <> 'running'
	AND NOT EXISTS (SELECT 1 FROM outbox earlier WHERE earlier.issue_key = o.issue_key
		AND earlier.state IN ('waiting', 'sending') AND earlier.id < o.id)
LIMIT ?;

-- name: outbox_done
-- in: result, id, attempts
UPDATE outbox SET state = 'done', result = ?, done_at = NOW(3), send_until = NULL, last_error = NULL
WHERE id = ? AND state = 'sending' AND attempts = ?;

-- unsure: the call may have had its effect, so the row stays untouched until send_until.
-- name: outbox_failed
-- in: state, last_error, unsure, wait_us, wait_us, id, attempts
UPDATE outbox SET state = ?, last_error = ?,
	send_until = IF(?, GREATEST(send_until, NOW(3) + INTERVAL ? MICROSECOND), NOW(3) + INTERVAL ? MICROSECOND)
WHERE id = ? AND state = 'sending' AND attempts = ?;

-- Those behind a row that waits are not due before it.
-- name: outbox_hold
-- in: wait_us, issue_key, id
UPDATE outbox SET send_until = NOW(3) + INTERVAL ? MICROSECOND WHERE issue_key = ? AND state = 'waiting' AND id > ?;

-- Is anything of the issue not over?
-- name: outbox_open
-- in: issue_key
-- out: effect_key
SELECT effect_key FROM outbox WHERE issue_key = ? AND state IN ('waiting', 'sending') LIMIT 1;

-- In the transaction that ends a drainer's try.
-- name: outbox_event
-- in: level, message, run_id
INSERT INTO run_events (run_id, level, stage, message)
SELECT id, ?, IF(status = 'completed', 'completed', IF(status = 'queued', 'committing', 'failed')), ? FROM runs WHERE id = ?;

-- The queued run that waits for an issue's outbox.
-- name: outbox_waiter
-- in: issue_key
-- out: id, repo_id
SELECT id, repo_id FROM runs WHERE queued_issue = ? AND due_at > NOW(3);

-- name: outbox_wake
-- in: id
UPDATE runs SET due_at = NULL, updated_at = NOW(3) WHERE id = ? AND status = 'queued';

-- Where the run left its issue: the status it was routed in and the one that its last report moved it to.
-- name: retry_left
-- in: run_id, run_id
-- out: route, moved
SELECT (SELECT result FROM run_steps WHERE run_id = ? AND step = 'route' AND outcome = 'ok' ORDER BY id DESC LIMIT 1) AS route,
	(SELECT request FROM outbox WHERE run_id = ? AND kind = 'jira_transition' AND state = 'done' ORDER BY id DESC LIMIT 1) AS moved;

-- ============================== fetch (worker/steps/fetch) ==============================

-- FENCED
-- name: run_set_priority
-- in: priority, id, fence
UPDATE runs SET priority = ?, updated_at = NOW(3)
WHERE id = ? AND fence = ? AND status = 'running' AND cancel_at IS NULL;

-- FENCED
-- name: run_set_trigger
-- in: trigger_key, id, fence
UPDATE runs SET trigger_key = ?, updated_at = NOW(3)
WHERE id = ? AND fence = ? AND status = 'running' AND cancel_at IS NULL;

-- name: trigger_seen
-- in: issue_key, id, trigger_key
-- out: id
SELECT id FROM runs WHERE issue_key = ? AND id <> ? AND trigger_key = ?
	AND status IN ('completed', 'failed', 'blocked', 'cancelled') ORDER BY id LIMIT 1;

-- FENCED. Back to the queue of the repository, line and key that the issue turned out to have.
-- name: run_move
-- in: repo_id, project_key, issue_key, line, issue_key, id, fence
UPDATE runs SET repo_id = ?, project_key = ?, issue_key = ?, line = ?, status = 'queued', queued_issue = ?,
	slot = NULL, running_line = NULL, locked_by = NULL, locked_at = NULL, lease_until = NULL,
	due_at = NULL, updated_at = NOW(3)
WHERE id = ? AND fence = ? AND status = 'running' AND cancel_at IS NULL;

-- In run_move's transaction: the step that found it out ended in order.
-- name: run_move_step
-- in: run_id
UPDATE run_steps SET ended_at = NOW(3), outcome = 'moved' WHERE run_id = ? AND ended_at IS NULL;

-- ============================== rates (worker/rate) ==============================

-- name: rate_take
-- in: service, per_minute, most_ms, has_place
-- out: taken, wait_ms, reason
CALL rate_take(?, ?, ?, ?);

-- The longer pause holds.
-- name: rate_pause
-- in: pause_us, reason, pause_us, service
UPDATE rate_buckets SET reason = IF(paused_until < NOW(3) + INTERVAL ? MICROSECOND, ?, reason),
	paused_until = GREATEST(paused_until, NOW(3) + INTERVAL ? MICROSECOND)
WHERE service = ?;

-- ============================== reconcile (worker/reconcile) ==============================

-- name: reconcile_open
-- in: issue_key, issue_id
-- out: id
SELECT id FROM runs WHERE issue_key IN (?, ?)
	AND (status IN ('queued', 'running') OR completed_at > NOW(3) - INTERVAL 1 MINUTE) LIMIT 1;

-- ============================== metrics (worker/metrics) ==============================

-- name: run_metrics_row
-- in: id
-- out: started_at, ended_at, seconds, issue_type, model, input_tokens, output_tokens, thinking_tokens, cached_tokens, cost_usd_micro, cost_known, turns, attempt, crashes, pr_url, branch
SELECT DATE_FORMAT(IFNULL(started_at, created_at), '%Y-%m-%dT%H:%i:%s.%fZ') AS started_at,
	DATE_FORMAT(NOW(3), '%Y-%m-%dT%H:%i:%s.%fZ') AS ended_at,
	TIMESTAMPDIFF(MICROSECOND, IFNULL(started_at, created_at), NOW(3)) / 1000000 AS seconds,
	issue_type, model, input_tokens, output_tokens, thinking_tokens, cached_tokens, cost_usd_micro, cost_known,
	turns, attempt, crashes, pr_url, branch
FROM runs WHERE id = ?;

-- What each model of a run did and cost, in the order in which they came in. cost_known: each of its answers has a cost.
-- name: run_models
-- in: run_id
-- out: model, turns, fresh, written, cached, output, thinking, cost_usd_micro, cost_known
SELECT model, COUNT(*) AS turns, SUM(fresh_tokens) AS fresh, SUM(written_tokens) AS written, SUM(read_tokens) AS cached,
	SUM(output_tokens) AS output, SUM(thinking_tokens) AS thinking, IFNULL(SUM(cost_usd_micro), 0) AS cost_usd_micro,
	COUNT(cost_usd_micro) = COUNT(*) AS cost_known
FROM run_messages WHERE run_id = ? AND role = 'assistant' GROUP BY model ORDER BY MIN(conv), model;
