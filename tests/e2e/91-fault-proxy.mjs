// A network that fails: a whole run behind a proxy (tests/fault/proxy.c) that delays, resets, cuts or
// drips what goes to one outside service at one turn. Each run completes with every effect once; a
// service that stays away ends it with words that name it. `make test` tries a seeded selection,
// SOAK=1 each kind at each turn of each service. FAULT_SEED chooses another selection, FAULTS="jira
// reset-answer 0 3,…" (service, kind, argument, turns let pass) certain ones.
import { randomBytes } from 'node:crypto';
import { join } from 'node:path';
import { effectsOf, wrongEnd } from '../fault/effects.mjs';
import { FaultProxy } from '../fault/proxy.mjs';
import { random, shuffled } from '../fault/seed.mjs';
import { git } from '../sample/sample.mjs';
import { gitServer } from './git-server.mjs';
import { STATE, assert, bash, create, finish, finishTests, sleep, test, tinyProject, until, world } from './harness.mjs';

const SOAK = process.env.SOAK === '1';
const SEED = Number(process.env.FAULT_SEED ?? 20261122);
const SERVICES = ['jira', 'github', 'anthropic', 'git'];
const BEHIND = [...SERVICES, 'openai']; // the other provider is only asked when Anthropic is away
const LLM_TIMEOUT_S = 4;
const TIME_BOX_MS = SOAK ? Infinity : 14000; // no further run is started after it
const RUN_MS = SOAK ? 240000 : 90000;

const token = `ghp_${randomBytes(20).toString('hex')}`;
const folder = join(STATE, 'test/91-git-server');
const server = await gitServer(folder, token);
const proxy = await FaultProxy.start(BEHIND, join(STATE, 'test/91-fault-proxy.log'));
const at = (name, path) => `http://127.0.0.1:${proxy.ports[name]}${path}`;
const bare = join(folder, 'repos/test/far.git');
const w = await world({
	repos: { FAR: { files: tinyProject(), name: 'far', bare, url: `https://127.0.0.1:${proxy.ports.git}/test/far.git` } },
	settings: {
		GH_TOKEN: token, AIRUNNER_CA_FILE: join(folder, 'ca.pem'), AIRUNNER_LLM_TIMEOUT_S: LLM_TIMEOUT_S,
		JIRA_BASE_URL: at('jira', '/jira'), GITHUB_API_URL: at('github', '/github'), ANTHROPIC_BASE_URL: at('anthropic', '/anthropic'),
		OPENAI_BASE_URL: at('openai', '/openai/v1'), AIRUNNER_OUTSIDE_PATIENCE_S: 3600,
	},
});
git(bare, 'config', 'http.receivepack', 'true');
for (const name of BEHIND) await proxy.target(name, name === 'git' ? server.port : w.standinPort);

let count = 100;
/** A run with these faults, each of another service; answers what is needed to judge it. */
async function work(faults, ends = (row) => !['queued', 'running'].includes(row.status)) {
	count += 1;
	const key = `FAR-${count}`;
	await w.script(key, [create('notes.md', `A note for ${key}.\n`), bash('cat notes.md'), finish('Added a note.')]);
	await w.issue(key);
	await proxy.clear();
	const before = await proxy.state();
	for (const fault of faults) await proxy.fault(fault.service, fault);
	const from = Date.now();
	const id = await w.assign(key);
	let row;
	for (const end = from + RUN_MS; Date.now() < end; await sleep(100)) {
		[row] = await w.sql(`SELECT status, reason, crashes, attempt, status = 'queued' AND due_at > NOW(3) AS waits FROM runs WHERE id = ${id}`);
		if (ends(row)) break;
		// A call whose end is not known is looked up after 30 s; nobody needs to wait so long here.
		await w.sql(`UPDATE outbox SET send_until = NOW(3) WHERE run_id = ${id} AND state = 'waiting' AND send_until > NOW(3)`);
	}
	const state = await proxy.state();
	await proxy.clear();
	return {
		key, id, row, bare, ms: Date.now() - from,
		turns: Object.fromEntries(BEHIND.map((name) => [name, state[name].turns - before[name].turns])),
		struck: Object.fromEntries(faults.map(({ service }) => [service, state[service].struck])),
	};
}

const words = ({ service, kind, arg, skip }) => `${service} ${kind} ${arg} ${skip}`;
/** An answer that came to nothing was worked all the same: the model's is asked for again. */
const asksAgain = (faults) => faults.some((f) => f.service === 'anthropic' && ['reset-answer', 'cut', 'drip'].includes(f.kind));

let turns = {};
await test('a run through the proxy without faults completes', async () => {
	await work([]); // then dependencies and baselines are there
	const ran = await work([]);
	assert.deepEqual(await wrongEnd(w, ran), []);
	turns = ran.turns;
	for (const name of SERVICES) assert.ok(turns[name] >= 2, JSON.stringify(turns));
	console.log(`# turns of a run: ${JSON.stringify(turns)}`);
});

const next = random(SEED);
const some = (from, to) => from + Math.floor(next() * (to - from + 1));
const KINDS = {
	delay: () => 1500, 'reset-before': () => 0, 'reset-request': () => some(1, 300), 'reset-answer': () => some(0, 200),
	cut: () => some(1, 400), drip: () => 1000, 'drip-request': () => 1000,
};
/** A call dripped to or from Jira, the forge or git takes until its limit: too long for the short form. */
const isQuick = ({ service, kind }) => service === 'anthropic' || !kind.startsWith('drip');
function all() {
	return SERVICES.flatMap((service) => Object.keys(KINDS).flatMap((kind) => (
		Array.from({ length: turns[service] }, (_, skip) => ({ service, kind, arg: KINDS[kind](), skip })))));
}
function chosen() {
	if (process.env.FAULTS) {
		return process.env.FAULTS.split(',').map((text) => {
			const [service, kind, arg, skip] = text.trim().split(' ');
			return [{ service, kind, arg: Number(arg), skip: Number(skip) }];
		});
	}
	if (SOAK) return all().map((fault) => [fault]);
	// One of each service in each run: what is tried in the short time is more.
	const of = Object.fromEntries(SERVICES.map((service) => [service, shuffled(all().filter((f) => f.service === service && isQuick(f)), SEED)]));
	return Array.from({ length: 12 }, (_, i) => SERVICES.map((service) => of[service][i % of[service].length]));
}

await test('a fault of any kind at any turn of any service: the run completes, every effect once', async () => {
	const bad = [];
	const took = [];
	let strikes = 0;
	const began = Date.now();
	for (const faults of chosen()) {
		if (Date.now() - began > TIME_BOX_MS) break;
		const ran = await work(faults);
		const wrong = await wrongEnd(w, { ...ran, askedTwice: asksAgain(faults) ? null : 0 });
		strikes += Object.values(ran.struck).filter((n) => n > 0).length;
		took.push(ran.ms);
		if (wrong.length > 0) bad.push(`${faults.map(words).join(', ')} (${ran.key}, run ${ran.id}): ${wrong.join('; ')}`);
		if (wrong.length > 0) console.log(`# ${bad.at(-1)}`);
	}
	took.sort((x, y) => x - y);
	console.log(`# ${took.length} runs with ${strikes} faults struck (seed ${SEED}): ${took.length - bad.length} completed with each effect once; `
		+ `a run ${(took[took.length >> 1] / 1000).toFixed(1)} s in the median, ${(took.at(-1) / 1000).toFixed(1)} s at most`);
	assert.deepEqual(bad, []);
	assert.ok(process.env.FAULTS || strikes >= took.length, `only ${strikes} faults struck`);
});

/** What a person is told while a service is away. */
const NAMES = { jira: /jira/i, github: /github/i, anthropic: /anthropic|openai/i, git: /git|https:\/\/127/i };
for (const service of SOAK ? SERVICES : shuffled(SERVICES, SEED).slice(0, 2)) {
	await test(`${service} away: the run waits with words that name it, and completes when it is back`, async () => {
		const away = (name) => ({ service: name, kind: 'reset-before', count: -1 });
		const ran = await work(service === 'anthropic' ? [away('anthropic'), away('openai')] : [away(service)], (row) => row.waits === '1' || row.status !== 'running' && row.status !== 'queued');
		assert.equal(ran.row.waits, '1', JSON.stringify(ran.row));
		const said = (await w.events(ran.id)).filter((e) => e.level === 'error').at(-1).message;
		assert.match(said, NAMES[service]);
		console.log(`# ${service} away: ${said}`);
		for (const [what, n] of Object.entries(await effectsOf(w, ran))) assert.ok(n <= 1, `${what}: ${n}`);
		await w.waitRun(ran.id);
		const [row] = await w.sql(`SELECT status, reason, crashes, attempt FROM runs WHERE id = ${ran.id}`);
		assert.deepEqual(await wrongEnd(w, { ...ran, row, askedTwice: null }), []);
		assert.deepEqual([row.crashes, row.attempt], ['0', '1']);
	});
}
await test('with one provider of models away the other works the run', async () => {
	const ran = await work([{ service: 'anthropic', kind: 'reset-before', count: -1 }]);
	assert.deepEqual(await wrongEnd(w, ran), []);
	assert.ok(ran.turns.openai > 0);
});

await test('one byte a second from the model ends at the limit of the call, and the next try completes', async () => {
	const ran = await work([{ service: 'anthropic', kind: 'drip', arg: 1000, skip: 1 }]);
	assert.deepEqual(await wrongEnd(w, { ...ran, askedTwice: 1 }), []);
	assert.equal(ran.struck.anthropic, 1);
	assert.ok(ran.ms > LLM_TIMEOUT_S * 1000 && ran.ms < LLM_TIMEOUT_S * 1000 + 30000, `${ran.ms} ms`);
});

await proxy.stop();
await server.stop();
await finishTests();
