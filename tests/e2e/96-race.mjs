// 32 workers, 3 repositories with a limit of one: never more than one running run in each, no run claimed
// twice, none forgotten, heads and counters right at the end (tests/fault/race.c, the worker's own
// functions). Two observers: memory that the workers share, and a connection that counts running rows.
// `make test` races for 12,000 runs, SOAK=1 for a million. First it is shown that the observers see a
// broken limit.
import { execFile } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync, rmSync } from 'node:fs';
import { join } from 'node:path';
import { promisify } from 'node:util';
import { BUILD, STATE, TREE } from '../paths.mjs';
import { Database, USERS } from '../run/database.mjs';
import { removeAtEnd, sleep } from '../run/parts.mjs';
import { secretFile } from '../run/settings.mjs';
import { done, test } from '../tap.mjs';
import assert from 'node:assert/strict';

const SOAK = process.env.SOAK === '1';
const RUNS = Number(process.env.RACE_RUNS ?? (SOAK ? 1000000 : 12000));
const ADDED = 0.1; // share that comes in while the race is on
const WORKERS = 32;
const REPOS = ['A', 'B', 'C'];
const WATCH_MS = SOAK ? 100 : 20;
const run = promisify(execFile);

const state = join(STATE, 'test/race');
rmSync(state, { recursive: true, force: true });
mkdirSync(state, { recursive: true });
let socket = join(state, 'db.sock');
if (socket.length > 90) {
	const short = `/tmp/airunner-race-${process.pid}`;
	mkdirSync(short, { mode: 0o700 });
	removeAtEnd(short);
	socket = join(short, 'db.sock');
}
const db = new Database({ dir: join(state, 'db'), socket, log: join(state, 'db.log'), more: ['--innodb-buffer-pool-size=1G', '--innodb-log-file-size=256M'] });
await db.start();
const passwords = Object.fromEntries(USERS.map((user) => [user, randomBytes(24).toString('hex')]));
const env = (user) => ({
	...process.env, AIRUNNER_ENV_FILE: '', AIRUNNER_STATE_DIR: state, AIRUNNER_SHARE_DIR: join(BUILD, 'share/airunner'),
	AIRUNNER_DB_SOCKET: socket, AIRUNNER_DB_NAME: db.name, AIRUNNER_DB_USER: `air_${user}`,
	AIRUNNER_DB_PASSWORD_FILE: secretFile(join(state, 'secrets'), user, passwords[user]),
});
await db.createUsers(join(TREE, 'sql/users.sql'), passwords);
await run(join(BUILD, 'airunnerctl'), ['db', 'migrate'], { env: env('migrate'), cwd: TREE });

/** Three repositories with `count` queued runs of all priorities; answers the first id. */
async function fill(count, limit) {
	await db.sql(`SET foreign_key_checks = 0; TRUNCATE runs; TRUNCATE deliveries; TRUNCATE repo_projects; DELETE FROM repos WHERE id > 0;
		INSERT INTO repos (id, address, max_running) VALUES ${REPOS.map((name, i) => `(${i + 1}, '${name}', ${limit})`).join()};
		INSERT INTO repo_projects (project_key, repo_id) VALUES ${REPOS.map((name, i) => `('${name}', ${i + 1})`).join()};
		INSERT INTO runs (id, issue_key, queued_issue, line, repo_id, project_key, priority)
		SELECT seq, CONCAT(p, '-', seq), CONCAT(p, '-', seq), CONCAT(p, '-', seq), 1 + seq MOD 3, p, 1 + (seq DIV 3) MOD 4
		FROM (SELECT seq, ELT(1 + seq MOD 3, ${REPOS.map((name) => `'${name}'`).join()}) AS p FROM seq_1_to_${count}) made;
		ANALYZE TABLE runs; ${REPOS.map((_, i) => `CALL refresh_head(${i + 1});`).join(' ')}`);
	return 1;
}

/** Has them raced for, in every `long`-th run a worker stays for a moment; answers what both observers saw. */
async function race(count, limit, long) {
	const added = Math.floor(count * ADDED);
	const first = await fill(count - added, limit);
	const args = [WORKERS, first, count, added, long].map(String);
	let over = false;
	const watched = { looks: 0, most: 0 };
	const watch = (async () => {
		while (!over) {
			// With locks: what is seen holds until all is seen. A plain read's snapshot is not taken in one moment.
			const rows = await db.sql('SELECT repo_id FROM runs FORCE INDEX (one_line) WHERE running_line IS NOT NULL LOCK IN SHARE MODE').catch((e) => {
				if (!/Deadlock/.test(e.message)) throw e;
				return null;
			});
			if (rows) watched.looks += 1;
			const counts = REPOS.map((_, i) => (rows ?? []).filter((row) => row.repo_id === String(i + 1)).length);
			watched.most = Math.max(watched.most, ...counts);
			await sleep(WATCH_MS);
		}
	})();
	const { stdout, stderr } = await run(join(BUILD, 'race'), args, { env: env('worker'), cwd: TREE });
	over = true;
	await watch;
	return { ...JSON.parse(stdout), watched, stderr };
}

await test('both observers see a limit that is not kept', async () => {
	const seen = await race(600, 2, 2);
	assert.ok(seen.overlaps > 0, 'the workers saw nobody beside them');
	assert.equal(seen.watched.most, 2);
	assert.equal(seen.claims, 600);
});

let seen;
await test(`${WORKERS} workers claim ${RUNS.toLocaleString('en')} runs of ${REPOS.length} repositories, never two of one at a time and none twice`, async () => {
	seen = await race(RUNS, 1, 256);
	console.log(`# ${seen.claims} claims in ${seen.seconds} s, ${Math.round(seen.claims / seen.seconds)} a second; looked at ${seen.watched.looks} times`);
	assert.equal(seen.stderr, '');
	assert.equal(seen.errors, 0);
	assert.equal(seen.overlaps, 0);
	assert.equal(seen.twice, 0);
	assert.equal(seen.strangers, 0);
	assert.equal(seen.claims, RUNS, 'a run was never claimed');
	assert.ok(seen.watched.most <= 1, `${seen.watched.most} running rows of one repository`);
	assert.ok(seen.watched.looks > 10);
});

await test('afterwards every run is completed, by one claim, and heads, counters and indexes are right', async () => {
	const runs = await db.sql('SELECT status, fence, crashes, COUNT(*) AS n FROM runs GROUP BY status, fence, crashes');
	assert.deepEqual(runs, [{ status: 'completed', fence: '1', crashes: '0', n: String(RUNS) }]);
	const repos = await db.sql('SELECT running, ready, head_run_id FROM repos WHERE id > 0');
	assert.deepEqual(repos, REPOS.map(() => ({ running: '0', ready: '0', head_run_id: '0' })));
	for (const table of ['runs', 'repos', 'deliveries']) {
		const rows = await db.sql(`CHECK TABLE ${table}`);
		assert.equal(rows.at(-1).Msg_text, 'OK', table);
	}
});

await db.stop();
rmSync(state, { recursive: true, force: true });
done();
