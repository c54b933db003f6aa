// Nothing lost, nothing done twice: a run is killed at a named point (worker/fault.h), its worker takes
// it up again, and what exists at the stand-ins is counted. The points are those that a whole run
// passes; `make test` tries a seeded sample of them within a time box, `make soak` (SOAK=1) all.
// KILL_SEED chooses another sample, KILL_POINTS="name:n,…" certain points.
import { existsSync, mkdirSync, readFileSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { git } from '../sample/sample.mjs';
import { STATE, assert, bash, create, finish, finishTests, sleep, test, tinyProject, until, use, world } from './harness.mjs';

const SOAK = process.env.SOAK === '1';
const SEED = Number(process.env.KILL_SEED ?? 20261122);
const SAMPLE_SIZE = 12;
const TIME_BOX_MS = SOAK ? Infinity : 80000; // no further run is started after it
const RUN_MS = 90000;
const LANES = ['KA', 'KB', 'KC']; // repositories that are worked at the same time

const faults = join(STATE, 'test/kill-points-faults');
mkdirSync(faults, { recursive: true });
const w = await world({
	repos: Object.fromEntries(LANES.map((lane) => [lane, { files: tinyProject() }])),
	settings: { AIRUNNER_MAX_RUNS: LANES.length },
	extraEnv: (letter) => (letter === 'W' ? { AIRUNNER_FAULT: `dir@${faults}` } : {}),
});

await until('the worker knows its repositories', 10000, async () => (
	Number((await w.sql('SELECT COUNT(*) AS n FROM repo_projects'))[0].n) === LANES.length));

const WRONG = 'exports.answer = () => 41;\n';
const RIGHT = 'exports.answer = () => 42;\n';
/** Reads, runs a command, breaks the test, and is healed. */
const turns = [
	{ text: 'I look.', tools: [{ name: 'view', input: { path: 'src.js' } }, { name: 'grep', input: { pattern: 'answer' } }] },
	bash('node --version; echo made >made.txt'),
	{ tools: [{ name: 'create', input: { path: 'notes.md', text: 'A note.\n' } }, { name: 'str_replace', input: { path: 'notes.md', old: 'A note', new: 'Two notes' } }] },
	create('src.js', WRONG),
	finish('Changed the answer.'),
	use('create', { path: 'src.js', text: RIGHT }, 'The answer is 42 after all.'),
	finish('Added notes; the answer is as before.'),
];

let count = 1000;
/** Has a run worked with these orders; answers what is needed to judge it. */
async function work(lane, order) {
	count += 1;
	const key = `${lane}-${count}`;
	const file = join(faults, key);
	await w.script(key, turns);
	await w.issue(key);
	writeFileSync(file, `${order}\n`);
	const id = await w.assign(key);
	const end = Date.now() + RUN_MS;
	let row = null;
	while (Date.now() < end) {
		[row] = await w.sql(`SELECT status, reason, crashes, fence FROM runs WHERE id = ${id}`);
		if (!['queued', 'running'].includes(row.status)) break;
		// What a dead process was sending is looked up after 30 s; nobody needs to wait so long here.
		await w.sql(`UPDATE outbox SET send_until = NOW(3) WHERE run_id = ${id} AND state = 'sending' AND fence < (SELECT fence FROM runs WHERE id = ${id})`);
		await sleep(100);
	}
	return { lane, key, id, order, row, fired: !existsSync(file) };
}

const lines = (text) => text.split('\n').filter(Boolean);

/** Identical requests to the model of one run, beyond the first, that were answered whole. */
async function askedTwice(key) {
	const asked = (await w.requests('?service=anthropic&method=POST'))
		.filter((r) => r.status === 200 && JSON.stringify(r.body).includes(`Please do ${key}.`))
		.map((r) => (typeof r.body === 'string' ? r.body : JSON.stringify(r.body)));
	return asked.length - new Set(asked).size;
}

/** Everything that is wrong with a run's end, as words; empty when all is well. */
async function judge({ lane, key, id, order, row }) {
	const wrong = [];
	const expect = (what, is, wanted) => is === wanted || wrong.push(`${what}: ${is}, not ${wanted}`);
	expect(`status (${row.reason ?? ''})`, row.status, 'completed');
	const { bare } = w.repos[lane];
	const branch = `ai/${key.toLowerCase()}`;
	expect('comments', (await w.comments(key)).filter((text) => text.includes(`run ${id} ·`)).length, 1);
	const jira = await w.requests(`?service=jira&path_contains=${key}`);
	expect('transitions', jira.filter((r) => r.method === 'POST' && r.path.endsWith('/transitions') && r.status < 300).length, 1);
	expect('status in Jira', (await w.jiraIssue(key)).status, 'In Testing');
	expect('tags', lines(git(bare, 'tag', '--list', `rollback/${key.toLowerCase()}/*`)).length, 1);
	expect('branch', lines(git(bare, 'branch', '--list', branch)).length, 1);
	if (wrong.every((text) => !text.startsWith('branch'))) {
		expect('commits', git(bare, 'rev-list', '--count', `main..${branch}`), '1');
		expect('files', git(bare, 'diff', '--name-only', 'main', branch), 'made.txt\nnotes.md');
		expect('note', git(bare, 'show', `${branch}:notes.md`), 'Two notes.');
	}
	const pulls = (await w.requests('?service=github&method=POST'))
		.filter((r) => /\/pulls$/.test(r.path) && r.status === 201 && JSON.stringify(r.body).includes(branch));
	expect('pull requests', pulls.length, 1);
	const open = await w.sql(`SELECT effect_key, state FROM outbox WHERE run_id = ${id} AND state <> 'done'`);
	expect('open outbox rows', JSON.stringify(open), '[]');
	// Killed between the answer and its row: nobody can know that it was received.
	const lost = order.startsWith('kill@llm.received:') ? 1 : 0;
	expect('answers asked for twice', await askedTwice(key), lost);
	return wrong;
}

let points = [];
await test('a run that is not killed passes named points and ends well', async () => {
	const trace = join(faults, 'trace');
	writeFileSync(trace, '');
	const ran = await work(LANES[0], `trace@${trace}`);
	assert.deepEqual(await judge(ran), []);
	const passed = new Map();
	points = lines(readFileSync(trace, 'utf8')).map((name) => {
		passed.set(name, (passed.get(name) ?? 0) + 1);
		return `${name}:${passed.get(name)}`;
	});
	console.log(`# ${points.length} kill points, ${passed.size} names`);
	assert.ok(points.length >= 200, `only ${points.length} points`);
});

/** A shuffled copy, the same for the same seed (mulberry32). */
function shuffled(list, seed) {
	let a = seed;
	const random = () => {
		a = (a + 0x6d2b79f5) | 0;
		let t = Math.imul(a ^ (a >>> 15), 1 | a);
		t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
		return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
	};
	return list.map((item) => ({ item, at: random() })).sort((x, y) => x.at - y.at).map(({ item }) => item);
}

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

await finishTests();
