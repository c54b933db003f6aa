// Stop means stop, wherever a run is: it is held at a named point (worker/fault.h) or in something slow
// (a stalled service, a transfer that drips, npm, a build, a test, a command), then cancelled by the API
// or its worker gets SIGTERM. Measured: the time to the last process; watched: that nothing happens
// afterwards. `make test` tries a seeded sample of the points, SOAK=1 all. STOP_SEED chooses another.
import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { randomBytes } from 'node:crypto';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { effectsOf, wrongEnd } from '../fault/effects.mjs';
import { alive, below, commands, patient } from '../fault/processes.mjs';
import { FaultProxy } from '../fault/proxy.mjs';
import { percentile, shuffled } from '../fault/seed.mjs';
import { git } from '../sample/sample.mjs';
import { gitServer } from './git-server.mjs';
import { STATE, assert, bash, create, finish, finishTests, sleep, test, tinyProject, until, world } from './harness.mjs';

const SOAK = process.env.SOAK === '1';
const SEED = Number(process.env.STOP_SEED ?? 20261122);
const LANES = ['SA', 'SB', 'SC'];
const SAMPLE = { cancel: SOAK ? Infinity : 9, term: SOAK ? Infinity : 6 };
const QUIET_MS = 2000; // how long nothing may happen after a cancellation
const STEPS = ['fetch', 'route', 'checkout', 'baseline', 'context', 'edit', 'verify', 'test', 'tag', 'commit', 'push', 'pull_request', 'report'];

const faults = join(STATE, 'test/95-faults');
rmSync(faults, { recursive: true, force: true });
mkdirSync(faults, { recursive: true });
const token = `ghp_${randomBytes(20).toString('hex')}`;
const folder = join(STATE, 'test/95-git-server');
const server = await gitServer(folder, token);
const proxy = await FaultProxy.start(['jira', 'github', 'anthropic', 'git'], join(STATE, 'test/95-fault-proxy.log'));
const hole = createServer(() => {}).listen(0, '127.0.0.1'); // takes connections and says nothing
await until('the hole listens', 5000, () => hole.address());

const slow = { ...tinyProject(), 'package.json': `${JSON.stringify({
	name: 'slow', version: '1.0.0', private: true,
	scripts: { build: 'test ! -e build.md || sleep 3596', test: 'test ! -e test.md || sleep 3595' },
}, null, 2)}\n` };
const ghost = { ...tinyProject(),
	'package.json': `${JSON.stringify({ name: 'ghost', version: '1.0.0', private: true, dependencies: { nothing: '1.0.0' }, scripts: { test: 'true' } }, null, 2)}\n`,
	'package-lock.json': `${JSON.stringify({ name: 'ghost', version: '1.0.0', lockfileVersion: 3, requires: true, packages: {
		'': { name: 'ghost', version: '1.0.0', dependencies: { nothing: '1.0.0' } },
		'node_modules/nothing': { version: '1.0.0', resolved: `http://127.0.0.1:${hole.address().port}/nothing-1.0.0.tgz`, integrity: `sha512-${'A'.repeat(86)}==` },
	} }, null, 2)}\n`,
};
const at = (name, path) => `http://127.0.0.1:${proxy.ports[name]}${path}`;
const far = (name, files) => ({ files, name, bare: join(folder, 'repos/test', `${name}.git`), url: `https://127.0.0.1:${proxy.ports.git}/test/${name}.git` });
const w = await world({
	repos: { ...Object.fromEntries(LANES.map((lane) => [lane, { files: tinyProject() }])), FAR: far('far', tinyProject()), SLOW: { files: slow }, GHOST: { files: ghost } },
	settings: {
		AIRUNNER_MAX_RUNS: LANES.length, GH_TOKEN: token, AIRUNNER_CA_FILE: join(folder, 'ca.pem'),
		JIRA_BASE_URL: at('jira', '/jira'), GITHUB_API_URL: at('github', '/github'), ANTHROPIC_BASE_URL: at('anthropic', '/anthropic'),
	},
	extraEnv: (letter) => (letter === 'W' ? { AIRUNNER_FAULT: `dir@${faults}` } : {}),
});
git(w.repos.FAR.bare, 'config', 'http.receivepack', 'true');
for (const name of ['jira', 'github', 'anthropic', 'git']) await proxy.target(name, name === 'git' ? server.port : w.standinPort);
await until('the worker knows its repositories', 10000, async () => (
	Number((await w.sql('SELECT COUNT(*) AS n FROM repo_projects'))[0].n) === LANES.length + 3));

let count = 100;
/** Begins a run, which is held at `point` when one is given. */
async function begin(lane, { point, turns } = {}) {
	count += 1;
	const key = `${lane}-${count}`;
	await w.script(key, turns ?? [create('notes.md', `A note for ${key}.\n`), bash('cat notes.md'), finish('Added a note.')]);
	await w.issue(key);
	if (point) writeFileSync(join(faults, key), `wait@${point}\n`);
	return { key, lane, id: await w.assign(key), bare: w.repos[lane].bare };
}
const rowOf = (id) => w.sql(`SELECT status, reason, crashes, attempt, slot FROM runs WHERE id = ${id}`).then(([row]) => row);
const held = (run) => until(`${run.key} waits`, patient(40000), () => existsSync(join(faults, `${run.key}.waits`)), 10);
/** The processes of one run: its own and all below it. */
function tree(id) {
	const all = below(w.parts.worker.pid);
	const words = commands(all);
	const own = all.find((pid, i) => words[i].includes(` --run ${id} `));
	return own ? [own, ...below(own)] : [];
}
/** What the outside can see of the run: counts, and every write that was received. */
async function seen(run) {
	const writes = (await w.requests(`?path_contains=${run.key}`)).filter((r) => r.method !== 'GET').length;
	const calls = (await w.requests('?service=anthropic')).filter((r) => JSON.stringify(r.body).includes(`Please do ${run.key}.`)).length;
	return { ...await effectsOf(w, run), writes, calls, refs: git(run.bare, 'for-each-ref', '--format=%(refname) %(objectname)').split('\n').filter((line) => line.includes(run.key.toLowerCase())) };
}

/** Cancels; answers {ms: until the last process was gone, wrong: what went wrong}. */
async function cancel(run) {
	const pids = tree(run.id);
	const before = await seen(run);
	const wrong = pids.length > 0 ? [] : ['it had no process'];
	const from = performance.now();
	const answer = await w.api(`/api/runs/${run.id}/cancel`, { method: 'POST' });
	if (answer.status !== 200) wrong.push(`cancel answered ${answer.status} ${answer.text}`);
	await until('all processes are gone', patient(10000), () => alive(pids).length === 0 && tree(run.id).length === 0, 2).catch((e) => wrong.push(e.message));
	const ms = performance.now() - from;
	await w.waitRun(run.id, undefined, patient(5000)).catch((e) => wrong.push(e.message));
	const { status } = await rowOf(run.id);
	if (status !== 'cancelled') wrong.push(`status ${status}`);
	await sleep(QUIET_MS);
	const after = await seen(run);
	try {
		assert.deepEqual(after, before);
	} catch (e) {
		wrong.push(`after the cancellation: ${e.message.replace(/\s+/g, ' ')}`);
	}
	// What was just being sent keeps its row until it is looked up; the closing report is not withdrawn.
	const open = await w.sql(`SELECT effect_key, state FROM outbox WHERE run_id = ${run.id} AND state = 'waiting' AND is_closing = 0`);
	if (open.length > 0) wrong.push(`outbox ${JSON.stringify(open)}`);
	return { ms, wrong, processes: pids.length };
}
const figures = (list) => `p50 ${percentile(list, 0.5).toFixed(0)} ms, p99 ${percentile(list, 0.99).toFixed(0)} ms, at most ${percentile(list, 1).toFixed(0)} ms`;

let points = [];
await test('a run passes every step', async () => {
	const trace = join(faults, 'trace');
	await Promise.all(LANES.map(async (lane) => w.waitRun((await begin(lane)).id))); // then baselines are there
	writeFileSync(join(faults, `${LANES[0]}-${count + 1}`), `trace@${trace}\n`);
	const run = await begin(LANES[0]);
	await w.waitRun(run.id);
	const passed = new Map();
	points = readFileSync(trace, 'utf8').split('\n').filter(Boolean).map((name) => {
		passed.set(name, (passed.get(name) ?? 0) + 1);
		return `${name}:${passed.get(name)}`;
	}).filter((point) => !point.startsWith('run.close.')); // then it has ended
	for (const step of STEPS) assert.ok(points.includes(`step.${step}.begun:1`), step);
});

const took = [];
await test('cancelled at any point: gone at once, and nothing happens afterwards', async () => {
	const bad = [];
	const begun = points.filter((point) => /^step\..*\.begun:/.test(point));
	const todo = SOAK ? [...points] : shuffled(begun, SEED).slice(0, SAMPLE.cancel);
	const all = todo.length;
	await Promise.all(LANES.map(async (lane) => {
		while (todo.length > 0) {
			const point = todo.shift();
			const run = await begin(lane, { point });
			await held(run);
			const { ms, wrong } = await cancel(run);
			took.push(ms);
			if (wrong.length > 0) bad.push(`${point} (run ${run.id}): ${wrong.join('; ')}`);
			if (wrong.length > 0) console.log(`# ${bad.at(-1)}`);
		}
	}));
	console.log(`# cancelled at ${all} points of ${points.length} (seed ${SEED}): last process gone after ${figures(took)}`);
	assert.deepEqual(bad, []);
	assert.ok(percentile(took, 0.99) < patient(2000));
});

const busy = (what) => (run) => commands(tree(run.id)).some((line) => line.includes(what));
const stalled = (service) => async () => (await proxy.state())[service].struck > 0;
const answers = (service, skip) => ({ service, kind: 'drip', arg: 1000, skip });
/** Something slow in each step that has something slow: what is there when it is cancelled. */
const SLOW = {
	'fetch, Jira drips': { lane: 'FAR', fault: answers('jira', 0), there: stalled('jira') },
	'checkout, git drips': { lane: 'FAR', fault: answers('git', 1), there: stalled('git') },
	'baseline, npm installs': { lane: 'GHOST', there: busy('npm') },
	'edit, the model drips': { lane: 'FAR', fault: answers('anthropic', 1), there: stalled('anthropic') },
	'edit, a command with a daemon': { lane: 'SLOW', turns: [bash('sleep 3594 & setsid sleep 3594 & sleep 3594')], there: busy('sleep 3594') },
	'verify, the build hangs': { lane: 'SLOW', turns: [create('build.md', 'x\n'), finish()], there: busy('sleep 3596') },
	'test, the tests hang': { lane: 'SLOW', turns: [create('test.md', 'x\n'), finish()], there: busy('sleep 3595') },
	'push, git drips': { lane: 'FAR', fault: answers('git', 11), there: stalled('git') },
	'pull_request, the forge drips': { lane: 'FAR', fault: answers('github', 0), there: stalled('github') },
	'report, Jira drips': { lane: 'FAR', fault: answers('jira', 4), there: stalled('jira') },
};
await test('cancelled in the midst of something slow: the whole tree is gone at once', async () => {
	const bad = [];
	const list = [];
	const names = SOAK ? Array(5).fill(Object.keys(SLOW)).flat() : shuffled(Object.keys(SLOW), SEED).slice(0, 4);
	for (const name of names) {
		const { lane, fault, turns, there } = SLOW[name];
		await proxy.clear();
		if (fault) await proxy.fault(fault.service, fault);
		const run = await begin(lane, { turns });
		await until(`${run.key}: ${name}`, patient(40000), () => there(run), 20);
		await sleep(100);
		const { ms, wrong, processes } = await cancel(run);
		await proxy.clear();
		list.push(ms);
		if (wrong.length > 0) bad.push(`${name} (run ${run.id}): ${wrong.join('; ')}`);
		console.log(`# ${name}: ${processes} processes gone after ${ms.toFixed(0)} ms${wrong.length > 0 ? `: ${bad.at(-1)}` : ''}`);
	}
	console.log(`# cancelled ${list.length} times in something slow: last process gone after ${figures(list)}; all cancellations: ${figures([...took, ...list])} of ${took.length + list.length}`);
	assert.deepEqual(bad, []);
	assert.ok(percentile(list, 1) < patient(2000));
});

await test('SIGTERM at any point: the run is put back without a crash or an attempt, and completes later', async () => {
	const bad = [];
	const list = [];
	const todo = SOAK ? [...points] : shuffled(points, SEED + 1).slice(0, SAMPLE.term);
	const all = todo.length;
	let late = 0;
	while (todo.length > 0) {
		const runs = await Promise.all(LANES.slice(0, todo.length).map((lane) => ({ lane, point: todo.shift() })).map(async ({ lane, point }) => {
			const run = { ...await begin(lane, { point }), point };
			await held(run);
			return run;
		}));
		const from = performance.now();
		await w.parts.worker.stop();
		list.push(performance.now() - from);
		for (const run of runs) {
			run.left = await rowOf(run.id);
			late += run.left.status === 'completed';
			if (!(run.left.status === 'queued' && run.left.slot === null) && run.left.status !== 'completed') bad.push(`${run.point} (run ${run.id}): ${JSON.stringify(run.left)}`);
			else if (run.left.crashes !== '0' || run.left.attempt !== '1') bad.push(`${run.point} (run ${run.id}): ${JSON.stringify(run.left)}`);
		}
		w.startWorker();
		for (const run of runs) {
			await w.waitRun(run.id);
			const row = await rowOf(run.id);
			const wrong = await wrongEnd(w, { ...run, row });
			if (row.attempt !== '1' || row.crashes !== '0') wrong.push(`attempt ${row.attempt}, crashes ${row.crashes}`);
			if (wrong.length > 0) bad.push(`${run.point} (run ${run.id}): ${wrong.join('; ')}`);
			if (wrong.length > 0) console.log(`# ${bad.at(-1)}`);
		}
	}
	console.log(`# SIGTERM at ${all} points (seed ${SEED}): the worker had stopped after ${figures(list)}; ${late} runs were so near their end that they completed`);
	assert.deepEqual(bad, []);
});

hole.close();
await proxy.stop();
await server.stop();
await finishTests();
