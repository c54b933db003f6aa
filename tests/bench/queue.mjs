// The queue: claim by depth in two shapes, enqueue to claimed, BullMQ beside it. The samples are taken
// by build/bench/queue, which calls worker/claim.c.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { npmInstall } from '../npm.mjs';
import { BUILD, TREE } from '../paths.mjs';
import { Database, USERS } from '../run/database.mjs';
import { secretFile } from '../run/settings.mjs';
import { Bull } from './bullmq.mjs';
import { ms, p50, p99, ratio, table } from './figures.mjs';

const REPOS = 1000;
// BENCH_DEPTHS=1000,100000 shortens it.
const DEPTHS = (process.env.BENCH_DEPTHS ?? "1000,100000,1000000").split(",").map(Number);
const BULL_DEPTHS = [1000, 100000];
const ROUNDS = 5;
const ROUND_SAMPLES = 200;
const WAKE = 'bench_wake';
const nameOf = (depth) => `bench_${depth}`;
const NPM_BENCH = join(TREE, 'build/npm-bench');

/** Rows of one shape: `busy` of them urgent and of repository 1, which has a run already. */
const fill = (rows, busy) => `
	SET foreign_key_checks = 0, unique_checks = 0;
	TRUNCATE runs; TRUNCATE deliveries; TRUNCATE repo_projects;
	DELETE FROM repos WHERE id > 0;
	INSERT INTO repos (id, address, max_running, running) SELECT seq, CONCAT('bench/', seq), 1, seq = 1 AND ${busy} > 0 FROM seq_1_to_${REPOS};
	INSERT INTO repo_projects (project_key, repo_id) SELECT CONCAT('B', seq), seq FROM seq_1_to_${REPOS};
	INSERT INTO runs (issue_key, queued_issue, line, repo_id, project_key, priority)
	SELECT CONCAT('B', repo, '-', n), CONCAT('B', repo, '-', n), CONCAT('B', repo, '-', n), repo, CONCAT('B', repo), priority
	FROM (SELECT seq AS n, IF(seq <= ${busy}, 1, ${busy ? `2 + seq MOD ${REPOS - 1}` : `1 + seq MOD ${REPOS}`}) AS repo,
		IF(seq <= ${busy}, 1, 1 + (seq DIV ${REPOS}) MOD 4) AS priority FROM seq_1_to_${rows}) AS made;
	INSERT INTO runs (issue_key, line, running_line, repo_id, project_key, status, slot, fence, locked_by, lease_until)
	SELECT 'B1-0', 'B1-0', 'B1-0', 1, 'B1', 'running', 1, 1, 'other', NOW(3) + INTERVAL 1 DAY FROM DUAL WHERE ${busy} > 0;
	ANALYZE TABLE runs;
	${Array.from({ length: REPOS }, (_, i) => `CALL refresh_head(${i + 1});`).join('\n')}`;

async function startDatabase(state) {
	const database = new Database({
		dir: join(state, 'db'), socket: join(state, 'db.sock'), log: join(state, 'db.log'),
		more: ['--innodb-buffer-pool-size=2G', '--innodb-log-file-size=512M'],
	});
	await database.start();
	const passwords = Object.fromEntries(USERS.map((user) => [user, randomBytes(24).toString('hex')]));
	const env = (user, name) => ({
		PATH: process.env.PATH, LANG: 'C.UTF-8', AIRUNNER_ENV_FILE: '', AIRUNNER_STATE_DIR: state,
		AIRUNNER_SHARE_DIR: join(BUILD, 'share/airunner'), AIRUNNER_DB_SOCKET: database.socket, AIRUNNER_DB_NAME: name,
		AIRUNNER_POKE_SOCKET: join(state, 'poke.sock'), AIRUNNER_DB_USER: `air_${user}`,
		AIRUNNER_DB_PASSWORD_FILE: secretFile(join(state, 'secrets'), user, passwords[user]),
	});
	/** One database for each depth, so that their samples can be taken in turn. */
	for (const name of [WAKE, ...DEPTHS.map(nameOf)]) {
		await database.createUsers(join(TREE, 'sql/users.sql'), passwords, name);
		execFileSync(join(BUILD, 'airunnerctl'), ['db', 'migrate'], { env: env('migrate', name) });
	}
	/** Pairs of microseconds. */
	const sample = (name, what, count) => execFileSync(join(BUILD, 'bench/queue'), [what, String(count)], { env: env('worker', name), encoding: 'utf8', stdio: ['ignore', 'pipe', 'inherit'] })
		.trim().split('\n').map((line) => line.split(' ').map(Number));
	return { database, sample };
}

const first = (pairs) => pairs.map(([a]) => a);
const second = (pairs) => pairs.map(([, b]) => b);

async function claims({ database, sample }, bull) {
	for (const [shape, share] of [['even', 0], ['one busy repository', 0.5]]) {
		const rows = [];
		const found = new Map(DEPTHS.map((depth) => [depth, []]));
		for (const depth of DEPTHS) await database.sql(fill(depth, depth * share), nameOf(depth));
		for (let i = 0; i < ROUNDS; i++) {
			for (const depth of DEPTHS) found.get(depth).push(...sample(nameOf(depth), 'claim', ROUND_SAMPLES));
		}
		const base = first(found.get(DEPTHS[0]));
		for (const depth of DEPTHS) {
			const [claim, enqueue] = [first(found.get(depth)), second(found.get(depth))];
			const bullUs = share === 0 && BULL_DEPTHS.includes(depth) ? await bull.claim(depth, ROUNDS * ROUND_SAMPLES) : null;
			rows.push([depth.toLocaleString('en'), ms(p50(claim)), ms(p99(claim)), ratio(p50(claim), p50(base)), ratio(p99(claim), p99(base)),
				ms(p50(enqueue)), ms(p99(enqueue)), bullUs ? `${ms(p50(bullUs))} / ${ms(p99(bullUs))}` : '-']);
		}
		table(`Claim by queued rows, ${shape}, ms (${ROUNDS} interleaved rounds of ${ROUND_SAMPLES}; goal: p50 ratio at most 1.2)`,
			['queued', 'claim p50', 'p99', `p50 to ${DEPTHS[0]}`, `p99 to ${DEPTHS[0]}`, 'enqueue p50', 'p99', 'BullMQ getNextJob p50 / p99'], rows);
	}
}

async function wakes({ database, sample }, bull) {
	const ours = [];
	const theirs = [];
	await database.sql(`${fill(1, 0)}; DELETE FROM runs; UPDATE repos SET ready = 0, head_run_id = 0`, WAKE);
	for (let i = 0; i < ROUNDS; i++) {
		ours.push(...sample(WAKE, 'wake', ROUND_SAMPLES));
		theirs.push(...await bull.wake(ROUND_SAMPLES));
	}
	const [woken, added] = [second(ours), first(ours)];
	table(`Enqueue to claimed by a waiting worker, ms (${ROUNDS} interleaved rounds of ${ROUND_SAMPLES})`,
		['', 'p50', 'p99', 'p50 to BullMQ', 'p99 to BullMQ'],
		[
			['AI Runner: intake, poke, claim', ms(p50(woken)), ms(p99(woken)), ratio(p50(woken), p50(theirs)), ratio(p99(woken), p99(theirs))],
			['of which intake', ms(p50(added)), ms(p99(added)), '', ''],
			['BullMQ: add, processor called', ms(p50(theirs)), ms(p99(theirs)), '1.00', '1.00'],
		]);
}

export async function measure(state) {
	const folder = join(state, 'queue');
	mkdirSync(folder, { recursive: true });
	npmInstall(join(TREE, 'tests/bench'), NPM_BENCH);
	const bull = new Bull(folder, NPM_BENCH);
	let ours;
	try {
		await bull.start();
		ours = await startDatabase(folder);
		await wakes(ours, bull);
		await claims(ours, bull);
	} finally {
		await bull.stop();
		await ours?.database.stop();
	}
}
