-- One token bucket for each outside service, shared by all workers on all machines, by the database's
-- clock. It holds a minute's calls; what is kept is when it would be full again.
CREATE TABLE rate_buckets (
	service VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin NOT NULL PRIMARY KEY,
	full_at DATETIME(6) NOT NULL DEFAULT '2000-01-01',
	paused_until DATETIME(3) NOT NULL DEFAULT '2000-01-01' COMMENT 'the service asked for it',
	reason VARCHAR(255) NOT NULL DEFAULT '' COMMENT 'its words'
) COMMENT 'calls of outside services, a token bucket each';

INSERT INTO rate_buckets (service) VALUES ('jira'), ('github'), ('anthropic'), ('openai');

-- Takes the next call's place, unless the service is paused or the place is more than most_ms ahead.
-- wait_ms: how long the caller waits before it calls (taken), or before it asks again. has_place: one
-- that was taken before and waited for; only a pause counts then.
CREATE PROCEDURE rate_take (IN the_service VARCHAR(32) CHARACTER SET ascii COLLATE ascii_bin, IN per_minute INT, IN most_ms BIGINT,
	IN has_place TINYINT)
SQL SECURITY INVOKER
BEGIN
	DECLARE at, next_full DATETIME(6);
	DECLARE paused DATETIME(3) DEFAULT NULL;
	DECLARE why VARCHAR(255) DEFAULT '';
	DECLARE wait_ms BIGINT DEFAULT 0;
	DECLARE taken TINYINT DEFAULT 1;
	DECLARE EXIT HANDLER FOR SQLEXCEPTION BEGIN ROLLBACK; RESIGNAL; END;
	START TRANSACTION;
	SELECT full_at, paused_until, reason INTO next_full, paused, why
	FROM rate_buckets WHERE service = the_service FOR UPDATE;
	SET at = SYSDATE(6); -- NOW() is when the procedure was called, before it waited for the row
	IF paused > at THEN
		SET taken = has_place, wait_ms = TIMESTAMPDIFF(MICROSECOND, at, paused) DIV 1000 + 1;
	ELSEIF NOT has_place THEN
		SET why = '', next_full = GREATEST(next_full, at) + INTERVAL 60000000 DIV per_minute MICROSECOND;
		SET wait_ms = GREATEST(TIMESTAMPDIFF(MICROSECOND, at + INTERVAL 1 MINUTE, next_full) + 999, 0) DIV 1000;
		SET taken = wait_ms <= most_ms;
		IF taken THEN
			UPDATE rate_buckets SET full_at = next_full WHERE service = the_service;
		END IF;
	END IF;
	COMMIT;
	SELECT taken, wait_ms, why AS reason;
END;

GRANT SELECT, UPDATE ON rate_buckets TO air_worker;
GRANT SELECT ON rate_buckets TO air_api;
GRANT SELECT ON rate_buckets TO air_dash;
GRANT EXECUTE ON PROCEDURE rate_take TO air_worker;
