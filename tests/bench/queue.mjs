// The queue: claim by depth in two shapes, enqueue to claimed, BullMQ beside it. The samples are taken
// by build/bench/queue, which calls worker/claim.c.
import { execFileSync } from 'node:child_process';
import { randomBytes } from 'node:crypto';
import { mkdirSync } from 'node:fs';
import { join } from 'node:path';
import { npmInstall } from '../npm.mjs';
import { BUILD, TREE } from '../paths.mjs';
import { Database, USERS } from '../run/database.mjs';
import { until } from '../run/parts.mjs';
import { secretFile } from '../run/settings.mjs';
import { Bull } from './bullmq.mjs';
import { ms, p50, p99, ratio, table } from './figures.mjs';

const REPOS = 1000;
// BENCH_DEPTHS=1000,100000 shortens it.
const DEPTHS = (process.env.BENCH_DEPTHS ?? "1000,100000,1000000").split(",").map(Number);
const BULL_DEPTHS = [1000, 100000];
const ROUNDS = 5;
const ROUND_SAMPLES = 200;
const WAKE = 'wake';
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

/** The trees to measure: this one and, to compare, another that is built (BENCH_BEFORE=DIR). */
const BUILDS = [{ label: '', build: BUILD, tree: TREE }]
	.concat(process.env.BENCH_BEFORE ? { label: 'before', build: join(process.env.BENCH_BEFORE, 'build'), tree: process.env.BENCH_BEFORE } : []);
const nameOf = ({ label }, what) => `bench_${what}${label}`;

async function startDatabase(state) {
	const database = new Database({
		dir: join(state, 'db'), socket: join(state, 'db.sock'), log: join(state, 'db.log'),
		more: ['--innodb-buffer-pool-size=4G', '--innodb-log-file-size=1G'],
	});
	await database.start();
	const passwords = Object.fromEntries(USERS.map((user) => [user, randomBytes(24).toString('hex')]));
	const env = ({ build }, user, name) => ({
		PATH: process.env.PATH, LANG: 'C.UTF-8', AIRUNNER_ENV_FILE: '', AIRUNNER_STATE_DIR: state,
		AIRUNNER_SHARE_DIR: join(build, 'share/airunner'), AIRUNNER_DB_SOCKET: database.socket, AIRUNNER_DB_NAME: name,
		AIRUNNER_POKE_SOCKET: join(state, 'poke.sock'), AIRUNNER_DB_USER: `air_${user}`,
		AIRUNNER_DB_PASSWORD_FILE: secretFile(join(state, 'secrets'), user, passwords[user]),
	});
	/** One database for each tree and depth, so that their samples can be taken in turn. */
	for (const tree of BUILDS) {
		for (const name of [WAKE, ...DEPTHS].map((what) => nameOf(tree, what))) {
			await database.createUsers(join(tree.tree, 'sql/users.sql'), passwords, name);
			execFileSync(join(tree.build, 'airunnerctl'), ['db', 'migrate'], { env: env(tree, 'migrate', name), cwd: tree.tree });
		}
	}
	/** Rows of microseconds. */
	const sample = (tree, at, what, count) => execFileSync(join(tree.build, 'bench/queue'), [what, String(count)], { env: env(tree, 'worker', nameOf(tree, at)), encoding: 'utf8', timeout: 120000, stdio: ['ignore', 'pipe', 'inherit'] })
		.trim().split('\n').map((line) => line.split(' ').map(Number));
	/** Until the rows just made are on their pages: the server writes them for a while, on the same processors. */
	const settle = async () => {
		await database.sql('SET GLOBAL innodb_io_capacity_max = 40000, GLOBAL innodb_io_capacity = 20000, GLOBAL innodb_max_dirty_pages_pct = 0', '');
		await until('pages are written', 120000, async () => Number((await database.sql("SHOW GLOBAL STATUS LIKE 'Innodb_buffer_pool_pages_dirty'", ''))[0].Value) < 100, 500);
		await database.sql('SET GLOBAL innodb_io_capacity = 200, GLOBAL innodb_io_capacity_max = 2000, GLOBAL innodb_max_dirty_pages_pct = 90', '');
	};
	return { database, sample, settle };
}

const column = (rows, n) => rows.map((row) => row[n]);
const pair = (values) => `${ms(p50(values))} / ${ms(p99(values))}`;
/** How much slower than the least depth: the median of the rounds' own ratios, so that a loud minute is in both. */
const growth = (rounds, base) => p50(rounds.map((round, i) => p50(column(round, 0)) / p50(column(base[i], 0)))).toFixed(2);

async function claims({ database, sample, settle }, bull) {
	for (const [shape, share] of [['even', 0], ['one busy repository', 0.5]]) {
		const found = new Map();
		for (const tree of BUILDS) {
			for (const depth of DEPTHS) {
				await database.sql(fill(depth, depth * share), nameOf(tree, depth));
				found.set(nameOf(tree, depth), []);
			}
		}
		await settle();
		for (let i = 0; i < ROUNDS; i++) {
			for (const depth of DEPTHS) {
				for (const tree of BUILDS) found.get(nameOf(tree, depth)).push(sample(tree, depth, 'claim', ROUND_SAMPLES));
			}
		}
		const rows = [];
		for (const depth of DEPTHS) {
			const bullUs = share === 0 && BULL_DEPTHS.includes(depth) ? await bull.claim(depth, ROUNDS * ROUND_SAMPLES) : null;
			for (const tree of BUILDS) {
				const rounds = found.get(nameOf(tree, depth));
				const all = rounds.flat();
				rows.push([`${depth.toLocaleString('en')} ${tree.label}`, ms(p50(column(all, 0))), ms(p99(column(all, 0))), growth(rounds, found.get(nameOf(tree, DEPTHS[0]))),
					all[0].length > 2 ? pair(column(all, 2)) : '-', pair(column(all, 1)), bullUs && !tree.label ? pair(bullUs) : '-']);
			}
		}
		table(`Claim by queued rows, ${shape}, ms (${ROUNDS} interleaved rounds of ${ROUND_SAMPLES}; goals: p50 at most 0.35, p99 1, ratio 1.2)`,
			['queued', 'claim p50', 'p99', `ratio to ${DEPTHS[0]}`, 'close p50 / p99', 'enqueue p50 / p99', 'BullMQ getNextJob p50 / p99'], rows);
	}
}

async function wakes({ database, sample }, bull) {
	const found = new Map(BUILDS.map((tree) => [tree, []]));
	const theirs = [];
	for (const tree of BUILDS) await database.sql(`${fill(1, 0)}; DELETE FROM runs; UPDATE repos SET ready = 0, head_run_id = 0`, nameOf(tree, WAKE));
	for (let i = 0; i < ROUNDS; i++) {
		for (const tree of BUILDS) found.get(tree).push(...sample(tree, WAKE, 'wake', ROUND_SAMPLES));
		theirs.push(...await bull.wake(ROUND_SAMPLES));
	}
	const row = (name, us) => [name, ms(p50(us)), ms(p99(us)), ratio(p50(us), p50(theirs)), ratio(p99(us), p99(theirs))];
	table(`Enqueue to claimed by a waiting worker, ms (${ROUNDS} interleaved rounds of ${ROUND_SAMPLES})`,
		['', 'p50', 'p99', 'p50 to BullMQ', 'p99 to BullMQ'],
		[
			...BUILDS.flatMap((tree) => [row(`AI Runner ${tree.label}: intake, poke, claim`, column(found.get(tree), 1)), row('of which intake', column(found.get(tree), 0))]),
			row('BullMQ: add, processor called', theirs),
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
