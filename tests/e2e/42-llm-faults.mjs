// The models' services at their worst: streams cut at seeded offsets, and random sequences of 429, 500,
// 503, 529, stalls, resets and errors inside a stream. Every run ends with the tree of a run without
// any, nothing of a broken answer is used, and the waits between the tries, measured at the stand-in,
// are those that are documented. The seeded sample is `make test`'s; SOAK=1: a hundred sequences and a
// hundred cuts. WIRE_SEED chooses another sample.
import { git } from '../sample/sample.mjs';
import { assert, bash, create, finish, finishTests, replace, test, tinyProject, world } from './harness.mjs';

const SOAK = process.env.SOAK === '1';
const BASE_MS = 80;
const LATE_MS = 2000; // a machine under load starts late, never early; in the median it is soon
const SOON_MS = 120;
const STALL_S = 1;
const RETRIES = 3;
const TURNS = 8;
const SEQUENCES = SOAK ? 100 : 10;
const CUTS = SOAK ? 100 : 12;
const APIS = [
	{ name: 'messages', service: 'anthropic', path: '/v1/messages', settings: { ANTHROPIC_MODEL: 'claude-sonnet-5-5' } },
	{ name: 'responses', service: 'openai', path: '/responses', settings: { ANTHROPIC_MODEL: 'gpt-6.1-terra', AIRUNNER_OPENAI_API: 'responses' } },
	{ name: 'chat', service: 'openai', path: '/chat/completions', settings: { ANTHROPIC_MODEL: 'gpt-6.1-terra', AIRUNNER_OPENAI_API: 'chat' } },
];

let seed = Number(process.env.WIRE_SEED ?? 20261122);
/** 0 … n-1, the same for the same seed (mulberry32). */
function random(n) {
	seed = (seed + 0x6d2b79f5) | 0;
	let t = Math.imul(seed ^ (seed >>> 15), 1 | seed);
	t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
	return Math.floor(((t ^ (t >>> 14)) >>> 0) / 4294967296 * n);
}
const pick = (list) => list[random(list.length)];

const settings = { AIRUNNER_RETRY_BASE_MS: BASE_MS, AIRUNNER_LLM_STALL_S: STALL_S, ...APIS[0].settings };
const w = await world({ repos: { LLM: { files: tinyProject() } }, settings });

async function speak(api) {
	await w.parts.worker.stop();
	Object.assign(settings, api.settings);
	w.startWorker();
}

/** Every turn changes the tree, or would be missed in it: half an edit would show. */
const turns = [
	{ thinking: 'I look… 🦓', text: 'Zuerst schaue ich.', tools: [{ name: 'view', input: { path: 'src.js' } }, { name: 'create', input: { path: 'a.md', text: 'Grüße\n' } }] },
	...Array.from({ length: TURNS - 4 }, (_, n) => ({
		thinking: `step ${n}`, text: `Step ${n}: “ö” 世界.`,
		tools: [{ name: 'create', input: { path: `f${n}.md`, text: `line ${n}\n`.repeat(3) } }, { name: 'bash', input: { command: `echo ${n} >>count.txt` } }],
	})),
	replace('a.md', 'Grüße', 'Viele Grüße'), bash('npm test'), finish('All written.'),
];
const FIRST = 1000;
let count = FIRST;

/** Asked of the model for one run, in order: {at_ms, status, fault, …}. */
const asked = async (api, key) => (await w.requests(`?service=${api.service}&method=POST`))
	.filter((r) => r.path.endsWith(api.path) && JSON.stringify(r.body).includes(`Please do ${key}.`));

/** Works an issue with faults in its way (in this order, one a request) and answers what came of it. */
async function work(api, faults) {
	count += 1;
	const key = `LLM-${count}`;
	const body_contains = `Please do ${key}.`;
	if (faults.length > 0) await w.control('/faults', faults.map((f) => ({ service: api.service, method: 'POST', path_contains: api.path, body_contains, count: 1, ...f })));
	const run = await w.work(key, turns, { timeoutMs: 240000 });
	await w.control('/faults', undefined, 'DELETE');
	const branch = `ai/${key.toLowerCase()}`;
	const tree = run.status === 'completed' ? git(w.repos.LLM.bare, 'rev-parse', `${branch}^{tree}`) : null;
	const [{ n }] = await w.sql(`SELECT COUNT(*) AS n FROM run_messages WHERE run_id = ${run.run_id} AND role = 'assistant'`);
	return { key, run, tree, answers: Number(n), asked: await asked(api, key) };
}

const PASS = { kind: 'delay', ms: 0 }; // lets a request through, in its turn
let wanted; // the tree without faults

await test('a run without faults is what the others are held against', async () => {
	const { run, tree, answers, asked: requests } = await work(APIS[0], []);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(answers, TURNS);
	assert.equal(requests.length, TURNS);
	wanted = tree;
});

for (const api of APIS) {
	await test(`${api.name}: streams cut at any offset are asked for again, and the tree is the same`, async () => {
		if (api !== APIS[0]) await speak(api);
		for (let left = Math.ceil(CUTS / APIS.length); left > 0; left -= TURNS) {
			const offsets = Array.from({ length: Math.min(left, TURNS) }, () => random(1600));
			const { run, tree, answers, asked: requests } = await work(api, offsets.flatMap((after_bytes) => [{ kind: 'cut', after_bytes }, PASS]));
			assert.equal(run.status, 'completed', `${offsets}: ${run.last_error}`);
			assert.equal(tree, wanted, `${offsets}`);
			assert.equal(answers, TURNS);
			assert.equal(requests.length, TURNS + offsets.length, `${offsets}`);
			console.log(`# cut at ${offsets.join(', ')}`);
		}
	});
}

/** One fault, and the wait that must follow: null is our own. Each strikes before any stream's end. */
const FAULTS = [
	...[429, 500, 503, 529, 408, 409].map((status) => () => [{ kind: 'status', status }, null]),
	() => [{ kind: 'status', status: 429, headers: { 'retry-after-ms': '300' } }, 300],
	() => [{ kind: 'status', status: pick([429, 529]), headers: { 'retry-after': '1' } }, 1000],
	() => [{ kind: 'status', status: 503, headers: { 'retry-after': new Date(Date.now() - 60000).toUTCString() } }, null],
	() => [{ kind: 'status', status: 400, headers: { 'x-should-retry': 'true' } }, null],
	() => [{ kind: 'down', count: 1 }, null],
	() => [{ kind: 'cut', after_bytes: random(900) }, null],
	() => [{ kind: 'stall', seconds: 20, after_bytes: random(900) }, null],
	() => [{ kind: 'error_event', after_events: random(5), error_type: pick(['overloaded_error', 'api_error', 'a_new_error']) }, null],
	() => [{ kind: 'event_text', after_events: random(5) }, null],
];
const name = ({ kind, status, headers, after_bytes, after_events }) => [kind, status, after_bytes ?? after_events, ...Object.entries(headers ?? {}).map((h) => h.join(' '))].filter((x) => x !== undefined).join(' ');

/** What is wrong with the waits of a run: after each fault the next request comes when it should, and how late. */
function waits(requests, sequences) {
	const wrong = [];
	const late = [];
	let i = 0;
	for (const sequence of sequences) {
		let n = 0;
		for (const [fault, wish] of sequence) {
			const gap = requests[i + 1].at_ms - requests[i].at_ms;
			if (fault.kind === 'down' && gap < BASE_MS / 2) { // a kept connection that was closed: libcurl makes a new one
				i += 1;
				continue;
			}
			const [least, most] = wish ? [wish, wish] : [0.75 * BASE_MS * 2 ** n, BASE_MS * 2 ** n];
			const before = fault.kind === 'stall' ? STALL_S * 1000 : 0; // until we give it up
			if (!before) late.push(gap - most);
			if (gap < least + before - 2 || gap > most + before + LATE_MS) wrong.push(`${name(fault)}, retry ${n + 1}: ${gap} ms, not ${least + before} to ${most + before}`);
			i += 1;
			n += 1;
		}
		i += 1; // the one that was answered
	}
	return { wrong, late };
}

await test(`${SEQUENCES} random sequences of faults all end right, with waits as documented`, async () => {
	const bad = [];
	const kinds = new Set();
	const late = [];
	let done = 0;
	for (let run = 0; done < SEQUENCES; run++) {
		const api = APIS[run % APIS.length];
		await speak(api);
		const n = Math.min(SOAK ? TURNS : 4, SEQUENCES - done);
		const sequences = Array.from({ length: n }, () => Array.from({ length: 1 + random(RETRIES) }, () => pick(FAULTS)()));
		const { key, run: ended, tree, answers, asked: requests } = await work(api, sequences.flatMap((s) => [...s.map(([fault]) => fault), PASS]));
		done += n;
		const faults = sequences.flat().length;
		for (const [fault] of sequences.flat()) kinds.add(name(fault).replace(/ \d+$| \w\w\w, .*/, ''));
		const wrong = [];
		if (ended.status !== 'completed') wrong.push(`${ended.status}: ${ended.last_error}`);
		if (tree !== wanted) wrong.push('another tree');
		if (answers !== TURNS) wrong.push(`${answers} answers stored`);
		if (requests.length !== TURNS + faults) wrong.push(`${requests.length} requests, not ${TURNS + faults}`);
		else {
			const measured = waits(requests, sequences);
			wrong.push(...measured.wrong);
			late.push(...measured.late);
		}
		console.log(`# ${key} by ${api.name}: ${sequences.map((s) => s.map(([fault]) => name(fault)).join(', ')).join(' | ')}`);
		if (wrong.length > 0) bad.push(`${key} by ${api.name}: ${wrong.join('; ')}`);
	}
	late.sort((a, b) => a - b);
	const median = late[late.length >> 1];
	console.log(`# ${done} sequences of ${kinds.size} kinds of faults; ${late.length} waits measured, past the longest that is documented ${median} ms in the median, ${late.at(-1)} ms at most`);
	assert.deepEqual(bad, []);
	assert.ok(median < SOON_MS, `${median} ms too late in the median`);
});

const dead = Array.from({ length: 1 + RETRIES }, () => ({ kind: 'status', status: 529 }));

await test('a service that is away for longer than the retries is left for the other, with a word', async () => {
	await speak(APIS[0]);
	const { run, asked: requests } = await work(APIS[0], [PASS, PASS, ...dead]);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(requests.length, 2 + dead.length);
	assert.ok(run.events.some((e) => /answered 529|gpt-6\.1-terra/.test(e.message)), JSON.stringify(run.events));
});

await test('a service that asks for a pause of more than two minutes is not asked again, and is named with it', async () => {
	const { run, asked: requests } = await work(APIS[0], [{ kind: 'status', status: 429, headers: { 'retry-after': '600' } }]);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(requests.length, 1);
	assert.match(JSON.stringify(run.events), /pause of 600 s/);
});

await test('x-should-retry: false is obeyed', async () => {
	const { run, asked: requests } = await work(APIS[0], [{ kind: 'status', status: 503, headers: { 'x-should-retry': 'false' } }]);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(requests.length, 1);
});

await test('when no provider answers the run ends with the reason', async () => {
	await w.control('/faults', [{ service: 'openai', kind: 'status', status: 503, count: -1 }]);
	const { run, asked: requests } = await work(APIS[0], dead);
	console.log(`# ${run.status}: ${run.last_error}`);
	assert.equal(requests.length, dead.length);
	assert.notEqual(run.status, 'completed');
	assert.match(run.last_error, /answered (503|529)/);
});

await finishTests();
