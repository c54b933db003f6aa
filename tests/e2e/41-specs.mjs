// Exact on the wire: whole runs, every request of which passes the service's OpenAPI document in a
// validating proxy, with heals, failing tools, several calls at once, thinking passed back and a
// conversation of twenty turns; then the same requests spoilt, to see that the proxy objects.
// SOAK=1 adds the sample of `make run`.
import { existsSync, mkdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { SPECS } from '../paths.mjs';
import { tryPort } from '../run/stack.mjs';
import { SAMPLE, sampleIssues } from '../sample/sample.mjs';
import { TREE, World, assert, bash, create, finish, finishTests, replace, skip, test, tinyProject, use, view } from './harness.mjs';
import { Wire, of, violations, words } from './wire.mjs';

const SOAK = process.env.SOAK === '1';
if (!existsSync(join(SPECS, 'openai.trimmed.json'))) {
	skip('every request of a run passes the OpenAPI documents', `the specs are not there (${SPECS})`);
	await finishTests();
}

const wire = new Wire();
const settings = { ...await wire.settings(), AIRUNNER_LLM_STALL_S: 60, AIRUNNER_RECONCILE_S: 3600 };
const files = tinyProject();
const w = new World({
	repos: { TWENTY: { files }, HEAL: { files }, RESP: { files }, CHAT: { files }, ...(SOAK ? { DEMO: { folder: join(TREE, 'tests/sample/project'), name: SAMPLE.name } } : {}) },
	issues: SOAK ? sampleIssues() : [], scripts: SOAK ? [SAMPLE.scripts] : [],
	settings,
});
mkdirSync(join(w.state, 'run'), { recursive: true });
const port = await tryPort(0);
writeFileSync(join(w.state, 'run/standin-port'), String(port));
const began = Date.now();
w.worker = false; // it asks Jira as soon as it is there
await Promise.all([wire.start(`http://127.0.0.1:${port}`), w.open()]);
w.startWorker();
console.log(`# Prism and the system are up after ${((Date.now() - began) / 1000).toFixed(1)} s`);

const thinking = (turn, n) => ({ thinking: `What comes after step ${n}? “Käse” — 🦓`, ...turn });

const twenty = [
	thinking({ text: 'I look.', tools: [{ name: 'view', input: { path: 'src.js', view_range: [1, 1] } }, { name: 'grep', input: { pattern: 'answer' } }, { name: 'view', input: { path: 'gone.js' } }] }, 1),
	{ blocks: [{ type: 'redacted_thinking', data: 'cmVkYWN0ZWQ=' }], tools: [{ name: 'bash', input: { command: 'exit 3' } }] },
	thinking(use('no_such_tool', { a: null, b: [1, 2.5] }), 3),
	...Array.from({ length: 15 }, (_, n) => thinking(create(`file-${n}.md`, `Grüße ${n} — "quoted"\n\ttabbed 🦓\n`), n + 4)),
	thinking(bash('node --test test.js >out.txt; rm out.txt; printf "\\001\\377"; npm test'), 19),
	finish('Wrote fifteen notes.'),
];
const asked = (path) => wire.requests.filter((r) => r.url.split('?')[0] === path).length;

await test('a conversation of twenty turns with tools of every kind ends with a pull request', async () => {
	const run = await w.work('TWENTY-1', twenty);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(asked('/v1/messages'), 20);
});

for (const [key, api, path] of [['RESP-1', 'responses', '/responses'], ['CHAT-1', 'chat', '/chat/completions']]) {
	await test(`the same by OpenAI's interface ${api}`, async () => {
		await w.parts.worker.stop();
		Object.assign(settings, { ANTHROPIC_MODEL: 'gpt-6.1-terra', AIRUNNER_OPENAI_API: api });
		w.startWorker();
		const { blocks, ...second } = twenty[1];
		const run = await w.work(key, [twenty[0], second, ...twenty.slice(2)]);
		assert.equal(run.status, 'completed', run.last_error);
		assert.equal(asked(path), 20);
	});
}

await test('a run that is healed, and asks again after errors, ends with a pull request', async () => {
	await w.parts.worker.stop();
	delete settings.ANTHROPIC_MODEL;
	w.startWorker();
	const run = await w.work('HEAL-1', [
		thinking(replace('src.js', '42', '41'), 1), finish('Changed the answer.'), finish('Changed the answer, and ran nothing.'),
		{ ...thinking(view('test.js'), 3), fault: { kind: 'status', status: 529 } },
		{ ...replace('src.js', '41', '42'), fault: { kind: 'error_event', after_events: 4 } },
		create('notes.md', 'y\n'), bash('npm test'), finish('As before.'),
	]);
	assert.equal(run.status, 'completed', run.last_error);
	const [{ n }] = await w.sql(`SELECT MAX(round) AS n FROM run_steps WHERE run_id = ${run.run_id}`);
	assert.ok(Number(n) >= 1, 'a heal round');
});

if (SOAK) {
	await test('the sample ends with a pull request', async () => {
		const run = await w.waitRun(await w.assign(SAMPLE.key));
		assert.equal(run.status, 'completed', run.last_error);
	});
}

/** Where a service itself does not do as its document says. */
const KNOWN = [
	[/^jira .*: response: The received media type ""/, 'the document gives 204 a media type; there is no body'],
	[/^jira .*: response\.body\.changelog\..*\.(from|fromString|to|toString): .* must be string/, 'Jira says null for "nobody"'],
];

/** Objections of one kind, each once, with the operation. */
function objections(kind) {
	const found = new Set();
	for (const one of wire.requests) {
		const name = wire.operation(one)?.name ?? `${one.service} ${one.method} ${one.url}`;
		if (one.error) found.add(`${name}: ${one.error.message}`);
		else for (const text of words(of(kind, violations(one.answer)))) found.add(`${name}: ${text}`);
	}
	return [...found].filter((text) => !KNOWN.some(([pattern]) => pattern.test(text))).sort();
}

await test('every request was of an operation in the documents', () => {
	const unknown = wire.requests.filter((one) => !wire.operation(one)).map((one) => `${one.service} ${one.method} ${one.url.split('?')[0]}`);
	assert.deepEqual([...new Set(unknown)], []);
});

await test('every request passed its document', () => {
	assert.deepEqual(objections('request'), []);
	const names = new Map();
	for (const one of wire.requests) {
		const { name } = wire.operation(one) ?? { name: 'none' };
		names.set(name, (names.get(name) ?? 0) + 1);
	}
	for (const [name, n] of [...names].sort()) console.log(`# ${String(n).padStart(4)} ${name}`);
	assert.ok(names.size >= 9, [...names.keys()].join('\n'));
});

await test('every answer of the stand-ins passed it too', () => assert.deepEqual(objections('response'), []));

await test('thinking, redacted thinking and failed calls went back', () => {
	const text = wire.requests.filter((r) => r.service === 'anthropic').map((r) => r.body.toString()).join('\n');
	for (const part of ['"type":"thinking"', '"type":"redacted_thinking"', '"is_error":true', 'no_such_tool']) assert.ok(text.includes(part), part);
});

/** Spoilt copies of a request: what a proxy that looks must object to. */
const json = (one) => JSON.parse(one.body.toString());
const spoils = {
	messages: [
		['a sampling parameter', (b) => ({ ...b, temperature: 1 })],
		['no max_tokens', ({ max_tokens, ...b }) => b],
		['a role that there is not', (b) => ({ ...b, messages: [{ ...b.messages[0], role: 'robot' }] })],
		['a block of an unknown kind', (b) => ({ ...b, messages: [{ role: 'user', content: [{ type: 'tex', text: 'x' }] }] })],
		['a tool result without its call', (b) => ({ ...b, messages: [{ role: 'user', content: [{ type: 'tool_result', content: 'x' }] }] })],
		['a cache mark of two hours', (b) => ({ ...b, system: [{ type: 'text', text: 'x', cache_control: { type: 'ephemeral', ttl: '2h' } }] })],
		['a tool without a schema', (b) => ({ ...b, tools: [{ name: 'view' }] })],
		['a thinking mode that there is not', (b) => ({ ...b, thinking: { type: 'deep' } })],
	],
	responses: [
		['a list for input text', (b) => ({ ...b, input: [{ role: 'user', content: 5 }] })],
		['a role that there is not', (b) => ({ ...b, input: [{ type: 'message', role: 'robot', content: 'x' }] })],
		['a call without arguments', (b) => ({ ...b, input: [{ type: 'function_call', name: 'x' }] })],
		['a limit in words', (b) => ({ ...b, max_output_tokens: 'many' })],
		['an effort that there is not', (b) => ({ ...b, reasoning: { effort: 'heroic' } })],
		['a tool of a kind that there is not', (b) => ({ ...b, tools: [{ type: 'functoin', name: 'x' }] })],
		['store in words', (b) => ({ ...b, store: 'no' })],
	],
	completions: [
		['no messages', ({ messages, ...b }) => b],
		['no model', ({ model, ...b }) => b],
		['a role that there is not', (b) => ({ ...b, messages: [{ role: 'robot', content: 'x' }] })],
		['a tool message without its call', (b) => ({ ...b, messages: [{ role: 'tool', content: 'x' }] })],
		['a call without arguments', (b) => ({ ...b, messages: [{ role: 'assistant', tool_calls: [{ id: 'a', type: 'function', function: { name: 'x' } }] }] })],
		['an effort that there is not', (b) => ({ ...b, reasoning_effort: 'heroic' })],
		['a tool without a function', (b) => ({ ...b, tools: [{ type: 'function' }] })],
	],
};
const spoilsFor = (one) => spoils[one.url.split('/').pop()];

/** For the other services: each member in turn is of a wrong type, then there is no body. */
function spoiltBodies(one) {
	const wrong = (value) => (typeof value === 'string' ? { wrong: 1 } : typeof value === 'object' ? 'wrong' : ['wrong']);
	const body = json(one);
	return [...Object.keys(body).map((name) => [`${name} of a wrong type`, { ...body, [name]: wrong(body[name]) }]), ['a list for a body', []], ['no member', {}]];
}

/** For requests without a body: a parameter of a type that text is not. */
function spoiltUrls(one, { operation, path }) {
	const resolved = [...(operation.parameters ?? []), ...(path.methods.parameters ?? [])];
	const at = one.url.includes('?') ? '&' : '?';
	return resolved.filter((p) => p.in === 'query' && (p.schema?.enum || ['integer', 'boolean'].includes(p.schema?.type)))
		.map((p) => [`${p.name}=wrong`, `${one.url.replace(new RegExp(`([?&])${p.name}=[^&]*&?`), '$1')}${at}${p.name}=wrong`]);
}

await test('the proxy objects to each operation\'s requests when they are spoilt', async () => {
	const tried = new Map();
	for (const one of wire.requests.filter((r) => r.answer?.status < 300)) {
		const found = wire.operation(one);
		if (!tried.has(found.name)) tried.set(found.name, { one, found });
	}
	const silent = [];
	for (const [name, { one, found }] of tried) {
		const spoilt = one.body.length > 0
			? (spoilsFor(one)?.map(([what, change]) => [what, { ...one, body: Buffer.from(JSON.stringify(change(json(one)))) }])
				?? spoiltBodies(one).map(([what, body]) => [what, { ...one, body: Buffer.from(JSON.stringify(body)) }]))
			: spoiltUrls(one, found).map(([what, url]) => [what, { ...one, url }]);
		const objected = [];
		for (const [what, copy] of spoilt) {
			const answer = await wire.pass(copy);
			if (of('request', violations(answer)).length > 0) objected.push(what);
			else if (spoilsFor(one)) silent.push(`${name}: ${what}`);
		}
		console.log(`# ${name}: objects to ${objected.join(', ') || 'nothing'}`);
		if (objected.length === 0) silent.push(name);
	}
	assert.ok(tried.size >= 9);
	assert.deepEqual(silent, []);
});

await test('the proxy objects to a request without a key', async () => {
	for (const service of ['anthropic', 'openai']) {
		const one = wire.requests.find((r) => r.service === service);
		if (!one) continue;
		const { authorization, 'x-api-key': key, ...headers } = one.headers;
		assert.ok(authorization ?? key);
		assert.equal((await wire.pass({ ...one, headers })).status, 401);
	}
});

await test('Prism stops', () => wire.stop());
await finishTests();
