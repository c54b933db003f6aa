// Nothing lost, nothing done twice: a run is killed at a named point (worker/fault.h), its worker takes
// it up again, and what exists at the stand-ins is counted. The points are those that a whole run
// passes; `make test` tries a seeded sample of them within a time box, `make soak` (SOAK=1) all.
// KILL_SEED chooses another sample, KILL_POINTS="name:n,…" certain points.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { shuffled } from '../fault/seed.mjs';
import { wrongEnd } from '../fault/effects.mjs';
import { git } from '../sample/sample.mjs';
import { STATE, assert, bash, finish, replace, finishTests, sleep, test, tinyProject, until, world } from './harness.mjs';

const SOAK = process.env.SOAK === '1';
const SEED = Number(process.env.KILL_SEED ?? 20261122);
const SAMPLE_SIZE = 12;
const TIME_BOX_MS = SOAK ? Infinity : 80000; // no further run is started after it
const RUN_MS = 90000;
const LANES = ['KA', 'KB', 'KC']; // repositories that are worked at the same time

const faults = join(STATE, 'test/kill-points-faults');
rmSync(faults, { recursive: true, force: true });
mkdirSync(faults, { recursive: true });
const w = await world({
	repos: Object.fromEntries(LANES.map((lane) => [lane, { files: tinyProject() }])),
	settings: { AIRUNNER_MAX_RUNS: LANES.length },
	extraEnv: (letter) => (letter === 'W' ? { AIRUNNER_FAULT: `dir@${faults}` } : {}),
});

await until('the worker knows its repositories', 10000, async () => (
	Number((await w.sql('SELECT COUNT(*) AS n FROM repo_projects'))[0].n) === LANES.length));

/** Reads, runs a command, breaks the test, and is healed. */
const turnsFor = (key) => [
	{ text: 'I look.', tools: [{ name: 'view', input: { path: 'src.js' } }, { name: 'grep', input: { pattern: 'answer' } }] },
	bash('node --version; echo made >made.txt'),
	{ tools: [{ name: 'create', input: { path: 'notes.md', text: `A note for ${key}.\n` } }, { name: 'str_replace', input: { path: 'notes.md', old: 'A note', new: 'Two notes' } }] },
	{ tools: [{ name: 'grep', input: { pattern: 'note' } }, { name: 'bash', input: { command: 'git status 2>&1; cat notes.md' } }] },
	replace('src.js', '42', '41'),
	finish('Changed the answer.'),
	{ tools: [{ name: 'view', input: { path: 'test.js' } }, { name: 'bash', input: { command: 'node --test test.js; true' } }] },
	replace('src.js', '41', '42'),
	{ tools: [{ name: 'view', input: { path: 'src.js' } }, { name: 'bash', input: { command: 'node --test test.js' } }] },
	finish('Added notes; the answer is as before.'),
];

let count = 1000;
/** Has a run worked with these orders; answers what is needed to judge it. */
async function work(lane, order, killed = async () => {}) {
	count += 1;
	const key = `${lane}-${count}`;
	const file = join(faults, key);
	await w.script(key, turnsFor(key));
	await w.issue(key);
	writeFileSync(file, `${order}\n`);
	const id = await w.assign(key);
	const end = Date.now() + RUN_MS;
	let row = null;
	while (Date.now() < end) {
		[row] = await w.sql(`SELECT status, reason, crashes, fence FROM runs WHERE id = ${id}`);
		// What it was sending when it was killed is the drainer's to end.
		const ended = !['queued', 'running'].includes(row.status);
		if (ended && (await w.sql(`SELECT id FROM outbox WHERE run_id = ${id} AND state IN ('waiting', 'sending')`)).length === 0) break;
		if (!ended) await killed({ id, key, file, row });
		// What a dead process was sending is looked up after 30 s; nobody needs to wait so long here.
		await w.sql(`UPDATE outbox SET send_until = NOW(3) WHERE run_id = ${id} AND state = 'sending' AND fence < (SELECT fence FROM runs WHERE id = ${id})`);
		await sleep(100);
	}
	return { lane, key, id, order, row, fired: !existsSync(file) };
}

const lines = (text) => text.split('\n').filter(Boolean);

/** Everything that is wrong with a run's end, as words; empty when all is well. */
async function judge({ lane, key, id, order, row }) {
	const { bare } = w.repos[lane];
	// Killed between the answer and its row: nobody can know that it was received.
	const lost = /^kill@(llm\.received|http\.anthropic\.after):/.test(order) ? 1 : 0;
	const wrong = await wrongEnd(w, { key, id, bare, row, askedTwice: lost });
	const branch = `ai/${key.toLowerCase()}`;
	if (git(bare, 'branch', '--list', branch) === '') return wrong;
	const expect = (what, is, wanted) => is === wanted || wrong.push(`${what}: ${is}, not ${wanted}`);
	expect('files', git(bare, 'diff', '--name-only', 'main', branch), 'made.txt\nnotes.md');
	expect('note', git(bare, 'show', `${branch}:notes.md`), `Two notes for ${key}.`);
	return wrong;
}

let points = [];
await test('a run that is not killed passes named points and ends well', async () => {
	await Promise.all(LANES.map((lane) => work(lane, ''))); // then dependencies and baselines are there
	const trace = join(faults, 'trace');
	writeFileSync(trace, '');
	const ran = await work(LANES[0], `trace@${trace}`);
	assert.deepEqual(await judge(ran), []);
	const [{ n }] = await w.sql(`SELECT MAX(round) AS n FROM run_steps WHERE run_id = ${ran.id}`);
	assert.equal(Number(n), 1, 'a heal round belongs to it');
	const passed = new Map();
	points = lines(readFileSync(trace, 'utf8')).map((name) => {
		passed.set(name, (passed.get(name) ?? 0) + 1);
		return `${name}:${passed.get(name)}`;
	});
	console.log(`# ${points.length} kill points, ${passed.size} names`);
	assert.ok(points.length >= 200, `only ${points.length} points`);
});

await test('a run killed at any of them converges, with every effect once and no answer asked for twice', async () => {
	const wanted = process.env.KILL_POINTS?.split(',') ?? (SOAK ? points : shuffled(points, SEED).slice(0, SAMPLE_SIZE));
	const began = Date.now();
	const bad = [];
	const took = [];
	const todo = [...wanted];
	const lane = async (name) => {
		while (todo.length > 0 && Date.now() - began < TIME_BOX_MS) {
			const point = todo.shift();
			const from = Date.now();
			const ran = await work(name, `kill@${point}`);
			const wrong = [...await judge(ran), ...(ran.fired ? [] : ['the point was not reached'])];
			took.push(Date.now() - from);
			if (wrong.length > 0) bad.push(`${point} (${ran.key}, run ${ran.id}): ${wrong.join('; ')}`);
			if (wrong.length > 0) console.log(`# ${bad.at(-1)}`);
		}
	};
	await Promise.all(LANES.map(lane));
	took.sort((x, y) => x - y);
	console.log(`# killed at ${took.length} of ${points.length} points (seed ${SEED}): ${took.length - bad.length} converged with each effect once; `
		+ `${((Date.now() - began) / 1000).toFixed(1)} s, a run ${(took[took.length >> 1] / 1000).toFixed(1)} s in the median, ${(took.at(-1) / 1000).toFixed(1)} s at most`);
	assert.deepEqual(bad, []);
	assert.ok(took.length >= Math.min(wanted.length, 6), `only ${took.length} runs within the time box`);
});

await test('killed again while it is put in order it goes on all the same', async () => {
	const bad = [];
	const firsts = SOAK ? ['step.baseline.ended:1', 'tool.bash.noted:1', 'tools.stored:3', 'step.edit.ended:1', 'step.test.begun:2', 'git.committed:1', 'git.push.after:2']
		: ['tools.stored:3', 'git.push.after:1'];
	for (const [i, first] of firsts.entries()) {
		const second = i % 2 === 0 ? 'resume.tree_open:1' : 'resume.tree_set:1';
		const ran = await work(LANES[0], `kill@${first}\nkill@${second}`);
		const wrong = [...await judge(ran), ...(ran.fired ? [] : ['a point was not reached'])];
		if (wrong.length > 0) bad.push(`${first}, ${second} (run ${ran.id}): ${wrong.join('; ')}`);
	}
	assert.deepEqual(bad, []);
});

await test('a run that crashes its worker three times in a step fails and names the step', async () => {
	const ran = await work(LANES[0], Array(4).fill('kill@step.verify.begun:1').join('\n'));
	assert.equal(ran.row.status, 'failed');
	assert.match(ran.row.reason, /crashed 3 times in step verify/);
	assert.equal(lines(readFileSync(join(faults, ran.key), 'utf8')).length, 1, 'kills that are left');
	const comments = (await w.comments(ran.key)).filter((text) => text.includes(`run ${ran.id} ·`));
	assert.equal(comments.length, 1, 'the person is told once');
	assert.match(comments[0], /step verify/);
});

await test('crashes in different steps do not add up', async () => {
	const orders = ['step.baseline.begun:1', 'step.context.begun:1', 'step.edit.begun:1', 'step.verify.begun:1', 'step.commit.begun:1'];
	const ran = await work(LANES[0], orders.map((point) => `kill@${point}`).join('\n'));
	assert.deepEqual([...await judge(ran), ...(ran.fired ? [] : ['a point was not reached'])], []);
});

await test('where the snapshots are on another machine the edit begins anew from the base, killed again or not', async () => {
	const { workdir } = w.repos[LANES[1]];
	let paused = false;
	let moved = false;
	const ran = await work(LANES[1], 'kill@step.verify.begun:1\nkill@tool.bash.noted:1', async ({ file, row }) => {
		if (moved) return;
		if (!paused) {
			paused = true;
			await w.sql('UPDATE repos SET paused = 1');
		}
		if (row.status !== 'queued' || lines(readFileSync(file, 'utf8')).length > 1) return;
		moved = true;
		rmSync(workdir, { recursive: true, force: true });
		await w.sql('UPDATE repos SET paused = 0');
	});
	const events = await w.events(ran.id);
	assert.ok(events.some((e) => /is not on this machine/.test(e.message)), events.map((e) => e.message).join('\n'));
	assert.deepEqual((await judge(ran)).filter((text) => !text.startsWith('answers asked for twice')), []);
});

await finishTests();
