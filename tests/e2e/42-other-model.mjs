// The other provider's model takes over: in the third heal round, after a refusal, and when the first
// one does not answer; a run that is killed in the handover goes on in the new conversation.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { git } from '../sample/sample.mjs';
import { STATE, assert, bash, create, finish, finishTests, goodTurns, replace, test, tinyProject, use, view, world } from './harness.mjs';

const CLAUDE = 'claude-sonnet-5-5';
const GPT = 'gpt-6.1-terra';
const faults = join(STATE, 'test/other-model-faults');
rmSync(faults, { recursive: true, force: true });
mkdirSync(faults, { recursive: true });
const w = await world({
	repos: { OM: { files: tinyProject() } },
	extraEnv: (letter) => (letter === 'W' ? { AIRUNNER_FAULT: `dir@${faults}` } : {}),
});

const refuses = (words) => ({ text: words, stop_reason: 'refusal' });
/** Scripts of both models for one issue; the newest is looked at first. */
async function scripts(key, claude, gpt) {
	await w.script(key, gpt, { name: `${key} gpt`, model: 'gpt' });
	await w.script(key, claude, { name: `${key} claude`, model: 'claude' });
}
const conversations = (id) => w.sql(`SELECT conv, model, SUM(role = 'assistant') AS answers FROM run_messages WHERE run_id = ${id} GROUP BY conv, model ORDER BY conv`);
const messages = async (id) => (await w.events(id)).map((e) => e.message);
const asked = (service, key) => w.requests(`?service=${service}&method=POST`)
	.then((list) => list.filter((r) => JSON.stringify(r.body).includes(`Please do ${key}.`)));
const input = (request) => (typeof request.body === 'string' ? JSON.parse(request.body) : request.body);

/** Breaks the test and leaves it broken in another way, twice. */
const claudeFails = (key) => [
	{ thinking: 'A secret thought of mine.', text: 'I look.', tools: [{ name: 'view', input: { path: 'src.js' } }] },
	create('notes.md', `A note for ${key}.\n`),
	replace('src.js', '42', '41'), finish('Changed the answer.'),
	replace('src.js', '41', '43'), finish('Changed it again.'),
	replace('src.js', '43', '44'), finish('And again.'),
];
const patch = (...lines) => use('apply_patch', { patch: ['*** Begin Patch', ...lines, '*** End Patch'].join('\n') });
const gptMends = [view('src.js'), patch('*** Update File: src.js', '@@', '-exports.answer = () => 44;', '+exports.answer = () => 42;'), bash('node --test test.js'), finish('The answer is as before.')];

let run;
await test('a run that two rounds do not heal is healed by the other model in the third, killed in the handover or not', async () => {
	await scripts('OM-1', claudeFails('OM-1'), gptMends);
	await w.issue('OM-1');
	writeFileSync(join(faults, 'OM-1'), 'kill@conversation.switching:1\nkill@conversation.switched:1\n');
	run = await w.waitRun(await w.assign('OM-1'), undefined, 120000);
	assert.equal(run.status, 'completed', run.last_error);
	assert.ok(!existsSync(join(faults, 'OM-1')), 'it was killed twice');
	assert.equal(run.metrics.self_heal_attempts, 3);
	assert.deepEqual((await conversations(run.run_id)).map((c) => [Number(c.conv), c.model]), [[1, CLAUDE], [2, GPT]]);
	assert.equal(git(w.repos.OM.bare, 'diff', '--name-only', 'main', run.branch), 'notes.md');
	const told = (await messages(run.run_id)).filter((m) => m.startsWith('A new conversation with'));
	assert.deepEqual(told, [`A new conversation with ${GPT}: the checks failed again, another model takes over`]);
});

await test('each model has its own tokens and cost', async () => {
	assert.equal(run.metrics.model_used, GPT);
	const { models } = run.metrics.metadata;
	assert.deepEqual(models.map((m) => [m.model, m.turns, m.cost_known]), [[CLAUDE, 8, true], [GPT, 4, true]]);
	assert.ok(models.every((m) => m.cost_usd_micro > 0 && m.fresh + m.written + m.cached > 0));
	const sum = models.reduce((n, m) => n + m.cost_usd_micro, 0);
	assert.equal(Math.round(run.metrics.estimated_cost * 1e6), sum, 'the run cost what its models cost');
});

await test('it was told the task, the diff, a summary and the findings, and none of the first one\'s thoughts', async () => {
	const requests = await asked('openai', 'OM-1');
	assert.equal(requests.length, 4, 'no answer was asked for twice');
	const first = input(requests[0]).input;
	assert.equal(first.length, 1);
	const text = first[0].content;
	for (const part of ['Please do OM-1.', '<diff>', '+A note for OM-1.', '+exports.answer = () => 44;', 'Summary so far:', 'And again.', 'The checks ran on your work']) {
		assert.ok(text.includes(part), `${part} is not in ${text}`);
	}
	assert.ok(!JSON.stringify(first).includes('secret thought'));
	const bodies = requests.map((r) => input(r));
	assert.deepEqual(bodies[0].tools.map((t) => t.name), ['view', 'grep', 'apply_patch', 'bash', 'ask_human', 'finish'], 'it is offered its own way of editing');
	for (const body of bodies) {
		assert.equal(body.store, false);
		assert.equal(body.prompt_cache_key, bodies[0].prompt_cache_key);
	}
	bodies.slice(1).forEach((body, i) => assert.deepEqual(body.input.slice(0, bodies[i].input.length), bodies[i].input, 'nothing said before is changed'));
});

await test('what one model refuses the other one does', async () => {
	await scripts('OM-3', [create('notes.md', 'Half a note.\n'), refuses('I had rather not.')], [view('notes.md'), patch('*** Add File: more.md', '+More.'), finish('Added the rest.')]);
	const run = await w.work('OM-3');
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(git(w.repos.OM.bare, 'diff', '--name-only', 'main', run.branch), 'more.md\nnotes.md');
	assert.ok((await messages(run.run_id)).some((m) => m.startsWith(`A new conversation with ${GPT}: the model refused`)));
});

await test('what both refuse is a person\'s', async () => {
	await scripts('OM-4', [refuses('No.')], [refuses('I will not do that either.')]);
	const run = await w.work('OM-4');
	assert.equal(run.status, 'blocked', run.last_error);
	assert.match(run.last_error, /gpt-6\.1-terra refuses this task: I will not do that either\./);
	assert.equal((await asked('openai', 'OM-4')).length, 1, 'a refusal is not asked again');
	assert.equal((await w.jiraIssue('OM-4')).status, 'Blocked');
});

await test('when the first provider is overloaded for good the other one does the work', async () => {
	await w.control('/faults', { service: 'anthropic', kind: 'status', status: 529, count: -1, body_contains: 'Please do OM-5.' });
	await scripts('OM-5', goodTurns('five.md'), goodTurns('five.md'));
	const run = await w.work('OM-5');
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal((await asked('anthropic', 'OM-5')).length, 4, 'one try and three more');
	assert.equal(run.metrics.model_used, GPT);
	assert.ok((await messages(run.run_id)).some((m) => m.startsWith(`A new conversation with ${GPT}: its provider does not answer: anthropic answered 529`)));
});

await test('when neither answers the run fails with the second one\'s words', async () => {
	await w.control('/faults', { service: 'anthropic', kind: 'status', status: 529, count: -1, body_contains: 'Please do OM-6.' });
	await w.control('/faults', { service: 'openai', kind: 'status', status: 503, count: -1, body_contains: 'Please do OM-6.' });
	const run = await w.work('OM-6', goodTurns('six.md'));
	assert.equal(run.status, 'failed', run.last_error);
	assert.match(run.last_error, /openai answered 503/);
	assert.equal((await asked('openai', 'OM-6')).length, 4);
	await w.control('/faults', undefined, 'DELETE');
});

// Chat Completions, as compatible servers speak it, by a model without a price.
const chat = await world({
	suffix: '-chat', repos: { CH: { files: tinyProject() } },
	settings: { ANTHROPIC_MODEL: 'gpt-5.5', AIRUNNER_OPENAI_API: 'chat' },
});

await test('a model of Chat Completions works a task with several tool calls in an answer', async () => {
	const both = { text: 'I look at two.', tools: [{ name: 'view', input: { path: 'src.js' } }, { name: 'grep', input: { pattern: 'answer' } }] };
	const run = await chat.work('CH-1', [both, patch('*** Add File: notes.md', '+Ein Fähnchen.'), finish('Added a note.')]);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(git(chat.repos.CH.bare, 'show', `${run.branch}:notes.md`), 'Ein Fähnchen.');
	const requests = (await chat.requests('?service=openai&method=POST')).map(input);
	assert.equal(requests.length, 3);
	assert.ok((await chat.requests('?service=openai&method=POST')).every((r) => r.path.endsWith('/chat/completions')));
	requests.slice(1).forEach((body, i) => assert.deepEqual(body.messages.slice(0, requests[i].messages.length), requests[i].messages));
	assert.equal(run.metrics.metadata.cost_known, false);
	assert.equal(run.metrics.estimated_cost, 0);
	const said = (await chat.events(run.run_id)).filter((e) => e.message.includes('price of gpt-5.5 is not known'));
	assert.equal(said.length, 1, 'said once');
});

await finishTests();
