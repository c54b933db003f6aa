// Disks that are full: of the work trees and the worker's log, and of the database. A run is not claimed
// or waits with words that name the disk, and goes on by itself when there is room; nothing is half
// written. The disks are small tmpfs in a mount namespace of this test's own (bubblewrap, without root).
// `make test` fills them a few times, SOAK=1 at many moments of a run.
import { spawnSync } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { closeSync, mkdirSync, openSync, rmSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { wrongEnd } from '../fault/effects.mjs';
import { below, commands } from '../fault/processes.mjs';
import { random } from '../fault/seed.mjs';
import { Database } from '../run/database.mjs';
import { keptSecret } from '../run/standins.mjs';
import { git } from '../sample/sample.mjs';
import { STATE, assert, bash, create, finish, finishTests, sleep, test, tinyProject, until, world } from './harness.mjs';

const SOAK = process.env.SOAK === '1';
const TIMES = SOAK ? 25 : 2;
const disks = join(STATE, 'test/97-disks');
const disk = (name) => join(disks, name);
const SIZES_MB = { work: 48, raw: 48, db: 180 };

if (process.env.AIRUNNER_SMALL_DISKS !== '1') {
	rmSync(disks, { recursive: true, force: true });
	for (const name of Object.keys(SIZES_MB)) mkdirSync(disk(name), { recursive: true });
	const mounts = Object.entries(SIZES_MB).flatMap(([name, mb]) => ['--size', String(mb << 20), '--tmpfs', disk(name)]);
	const ran = spawnSync('bwrap', ['--dev-bind', '/', '/', ...mounts, '--', process.execPath, ...process.argv.slice(1)],
		{ stdio: 'inherit', env: { ...process.env, AIRUNNER_SMALL_DISKS: '1' } });
	process.exit(ran.status ?? 1);
}

/** Takes all room of the disk. */
function fill(name) {
	const fd = openSync(join(disk(name), 'filler'), 'a');
	for (let piece = 1 << 20; piece > 0; piece >>= 1) {
		const bytes = Buffer.alloc(piece, 1);
		try {
			for (;;) if (writeSync(fd, bytes) === 0) break;
		} catch (e) {
			assert.equal(e.code, 'ENOSPC');
		}
	}
	closeSync(fd);
}
const free = (name) => rmSync(join(disk(name), 'filler'), { force: true });

/** The worker's files on a disk of this name; its database too, when it has one there. */
async function smallWorld(name, least_mb, more = {}) {
	return world({
		suffix: `-${name}`, repos: { DI: { files: tinyProject(), workdir: join(disk(name), 'work') } },
		settings: { AIRUNNER_MIN_FREE_MB: least_mb },
		extraEnv: (letter) => (letter === 'W' ? { LOG_FILE: join(disk(name), 'worker.log') } : {}),
		...more,
	});
}
async function smallDatabase(stack) {
	const database = new Database({ dir: join(disk('db'), 'data'), socket: join(stack.sockets, 'db.sock'), log: stack.log('database'), env: stack.base, durable: true });
	await database.start();
	stack.parts.database = database.part;
	return database;
}

let count = 0;
async function begin(w, turns) {
	count += 1;
	const key = `DI-${count}`;
	await w.script(key, turns ?? [create('notes.md', `A note for ${key}.\n`), bash('sleep 1'), create('more.md', 'More.\n'), finish()]);
	await w.issue(key);
	return { key, id: await w.assign(key), bare: w.repos.DI.bare };
}
const rowOf = (w, id) => w.sql(`SELECT status, reason, attempt, crashes, fence FROM runs WHERE id = ${id}`).then(([row]) => row);
async function endsWell(w, run) {
	await w.waitRun(run.id);
	const row = await rowOf(w, run.id);
	assert.deepEqual(await wrongEnd(w, { ...run, row }), []);
	assert.deepEqual([row.attempt, row.crashes], ['1', '0'], JSON.stringify(row));
}
const told = async (w, id) => (await w.events(id)).filter((e) => e.level === 'error').map((e) => e.message).join('\n');
const busy = (w, what) => () => commands(below(w.parts.worker.pid)).some((line) => line.includes(what));
/** Objects and refs of the worker's own store are whole. */
function fsck(name) {
	const store = spawnSync('find', [join(disk(name), 'work'), '-name', 'HEAD', '-path', '*.git/HEAD'], { encoding: 'utf8' }).stdout.split('\n')[0];
	assert.ok(store, 'there is a store');
	assert.doesNotMatch(git(join(store, '..'), 'fsck', '--full'), /corrupt|missing|error/);
}

const w = await smallWorld('work', 8);
await endsWell(w, await begin(w)); // then store and baselines are there

await test('with too little room no run is claimed, which is said, and it is when there is room', async () => {
	fill('work');
	const run = await begin(w);
	await sleep(1500);
	assert.equal((await rowOf(w, run.id)).status, 'queued');
	free('work');
	await endsWell(w, run);
	assert.equal(w.parts.worker.deaths.length, 0, 'a full log ended the worker');
});

await test('the disk fills amid a run: it waits with words that name the disk, and goes on by itself', async () => {
	const run = await begin(w, [create('notes.md', 'A note.\n'), bash('sleep 1.3'), create('more.md', 'More.\n'), finish()]);
	await until('the command runs', 30000, busy(w, 'sleep 1.3'), 10);
	fill('work');
	await until('the run waits', 30000, async () => (await rowOf(w, run.id)).status === 'queued');
	assert.match(await told(w, run.id), /disk of .*97-disks\/work|No space left on device/);
	free('work');
	await endsWell(w, run);
	fsck('work');
});

const raw = await smallWorld('raw', 0, { openDatabase: smallDatabase });
await test('without looking ahead, too: what the full disk refused is done again when there is room', async () => {
	const next = random(20261122);
	await endsWell(raw, await begin(raw));
	const waited = [];
	const bad = [];
	for (let i = 0; i < TIMES; i += 1) {
		const run = await begin(raw);
		await sleep(2500 * next());
		fill('raw');
		await sleep(1500);
		const { status } = await rowOf(raw, run.id);
		free('raw');
		await raw.waitRun(run.id);
		const row = await rowOf(raw, run.id);
		const wrong = await wrongEnd(raw, { ...run, row, askedTwice: null });
		if (row.attempt !== '1') wrong.push(`attempt ${row.attempt}`);
		if (Number(row.fence) > 1) waited.push(await told(raw, run.id));
		if (wrong.length > 0) bad.push(`run ${run.id}, ${status} while it was full: ${wrong.join('; ')}; ${JSON.stringify(row)}; ${await told(raw, run.id)}`);
	}
	fsck('raw');
	console.log(`# the disk filled ${TIMES} times at a moment of a run: ${waited.length} were put back, ${TIMES - bad.length} completed with each effect once`);
	assert.deepEqual(bad, []);
	for (const text of waited) assert.match(text, /No space left on device/);
});

await test('the database\'s disk fills: webhooks get 503, and with room all that was acknowledged is there', async () => {
	const run = await begin(raw, [create('notes.md', 'A note.\n'), bash('sleep 1'), create('more.md', 'More.\n'), finish()]);
	fill('db');
	const answers = {};
	const taken = [];
	const secret = keptSecret(raw.state, 'jira-webhook-secret');
	await raw.sql('UPDATE repos SET paused = 1').catch(() => {}); // these need not be worked
	for (let i = 0; i < 4000 && !(answers[503] > 3 || answers[500] > 3); i += 1) {
		const text = JSON.stringify({ issue_key: `FULL-${i}`, filler: 'x'.repeat(100) });
		const answer = await fetch(`${raw.url}/webhook/jira`, { method: 'POST', body: text, signal: AbortSignal.timeout(60000),
			headers: { 'x-hub-signature': `sha256=${createHmac('sha256', secret).update(text).digest('hex')}` } });
		answers[answer.status] = (answers[answer.status] ?? 0) + 1;
		if (answer.status === 200) taken.push((await answer.json()).run_id);
	}
	console.log(`# answers while the database's disk was full: ${JSON.stringify(answers)}`);
	assert.ok(answers[503] > 0, JSON.stringify(answers));
	assert.ok(!answers[500], JSON.stringify(answers));
	free('db');
	await until('MariaDB answers again', 60000, () => raw.sql('SELECT 1').then(() => true, () => false));
	const there = new Set((await raw.sql("SELECT id FROM runs WHERE issue_key LIKE 'FULL-%'")).map((row) => row.id));
	assert.deepEqual(taken.filter((id) => !there.has(String(id))), []);
	await raw.sql("DELETE FROM runs WHERE issue_key LIKE 'FULL-%'; UPDATE repos SET paused = 0");
	await until(`run ${run.id} ends`, 120000, async () => {
		await raw.sql(`UPDATE runs SET due_at = NOW(3) WHERE id = ${run.id} AND status = 'queued'`);
		return !['queued', 'running'].includes((await rowOf(raw, run.id)).status);
	}, 300);
	const row = await rowOf(raw, run.id);
	assert.deepEqual(await wrongEnd(raw, { ...run, row, askedTwice: null }), []);
	raw.parts.database.deaths = [];
});

await finishTests();
