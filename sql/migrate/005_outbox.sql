-- What a drainer looks for, and artifacts that are replaced instead of doubled.

ALTER TABLE outbox
	MODIFY COLUMN send_until DATETIME(3) NULL
		COMMENT 'sending: nobody touches the row before; waiting: no further try before',
	MODIFY COLUMN attempts INT NOT NULL DEFAULT 0 COMMENT 'tries begun; who began the last one ends it',
	ADD KEY by_due (state, send_until),
	ADD KEY by_issue (issue_key, state, id);

DELETE older FROM artifacts older JOIN artifacts newer ON newer.run_id = older.run_id AND newer.kind = older.kind
	AND newer.name = older.name AND newer.part = older.part AND newer.id > older.id;

ALTER TABLE artifacts
	ADD UNIQUE KEY one_part (run_id, kind, name, part),
	DROP KEY by_run;
