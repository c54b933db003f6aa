// How the agent loop keeps a model in order: a model that goes round in circles climbs the ladder, finish
// without a check is asked for twice, a full conversation is followed by a new one, long outputs can be
// read on, a cache that fails is told. Killed in between it ends the same.
import { mkdirSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { git } from '../sample/sample.mjs';
import { STATE, TREE, assert, bash, create, finish, finishTests, replace, say, test, tinyProject, until, use, view, world } from './harness.mjs';

const faults = join(STATE, 'test/loop-faults');
rmSync(faults, { recursive: true, force: true });
mkdirSync(faults, { recursive: true });
const models = JSON.parse(readFileSync(join(TREE, 'etc/models.json'), 'utf8'));
models.models['claude-haiku-5-5'].context = 17000; // a model that holds little
writeFileSync(join(faults, 'models.json'), JSON.stringify(models));

const settings = { AIRUNNER_MODELS_PATH: join(faults, 'models.json'), AIRUNNER_MAX_RUNS: 1 };
const extraEnv = (letter) => (letter === 'W' ? { AIRUNNER_FAULT: `dir@${faults}` } : {});
const w = await world({ repos: { LOO: { files: tinyProject() } }, settings, extraEnv });
const small = await world({ repos: { SMA: { files: tinyProject() } }, settings: { ...settings, ANTHROPIC_MODEL: 'claude-haiku-5-5', AIRUNNER_TRACE: 'llm' }, extraEnv, suffix: '-small' });

const messages = async (self, run) => (await self.events(run.run_id)).map((e) => e.message);
const has = (list, words) => assert.ok(list.some((text) => words.test(text)), `${words} is not in:\n${list.join('\n')}`);
const show = (self, run, path) => git(Object.values(self.repos)[0].bare, 'show', `${run.branch}:${path}`);
const answers = async (self, run) => Number((await self.sql(`SELECT COUNT(*) AS n FROM run_messages WHERE run_id = ${run.run_id} AND role = 'assistant'`))[0].n);

const forth = replace('src.js', '42', '41');
const back = replace('src.js', '41', '42');

/** A model that changes a line and takes that back, until it is set back to where it was good. */
async function pingPong(key) {
	await w.script(key, [create('good.md', 'Kept.\n'), forth, back, forth, back, forth, back, forth, back, forth, back]);
	await w.script(key, [forth, back, forth, back, forth], { match: [key, 'went round in circles'], name: `${key} more` });
	await w.script(key, [view('src.js'), finish('The note is all it needs.')], { match: [key, 'the work tree was set back'], name: `${key} anew` });
}

async function judgePingPong(run) {
	assert.equal(run.status, 'completed', run.last_error);
	const said = await messages(w, run);
	const ladder = said.filter((text) => /^The model makes the same two calls/.test(text)).map((text) => text.replace(/^.*?: /, ''));
	assert.deepEqual(ladder, ['it is told so', 'a new conversation with more effort or another model follows', 'the work goes back to the last good state, in a new conversation']);
	assert.equal(show(w, run, 'good.md'), 'Kept.');
	assert.match(show(w, run, 'src.js'), /42/);
	const convs = await w.sql(`SELECT conv, COUNT(*) AS n FROM run_messages WHERE run_id = ${run.run_id} AND role = 'assistant' GROUP BY conv`);
	assert.deepEqual(convs.map((row) => Number(row.n)), [11, 5, 2]);
}

await test('two calls in turn are hinted at, then worked with more effort, then begun again from the last good state', async () => {
	await pingPong('LOO-1');
	const run = await w.work('LOO-1', null);
	await judgePingPong(run);
	const efforts = (await w.requests('?service=anthropic')).map((r) => (typeof r.body === 'string' ? JSON.parse(r.body) : r.body).output_config.effort);
	assert.deepEqual([...new Set(efforts)], ['high', 'xhigh']);
});

for (const [key, points] of [['LOO-2', ['tools.stored:5', 'conversation.switching:1']], ['LOO-9', ['event.edit:2', 'conversation.switched:2']]]) {
	await test(`killed at ${points.join(' and ')} it climbs the ladder on where it was`, async () => {
		await pingPong(key);
		writeFileSync(join(faults, key), points.map((point) => `kill@${point}\n`).join(''));
		await w.issue(key);
		const run = await w.waitRun(await w.assign(key));
		const [{ n }] = await w.sql(`SELECT COUNT(*) AS n FROM run_steps WHERE run_id = ${run.run_id} AND outcome = 'crashed'`);
		assert.equal(Number(n), 2);
		if (key === 'LOO-2') await judgePingPong(run);
		assert.equal(run.status, 'completed', run.last_error);
		assert.match(show(w, run, 'src.js'), /42/);
		assert.equal((await messages(w, run)).filter((text) => /^A new conversation/.test(text)).length, 2);
	});
}

await test('a model that never gets on ends with a question to the person, and what was tried', async () => {
	const run = await w.work('LOO-3', [use('view', { path: 'no-such-file' })], { script: { then: 'repeat_last' } });
	assert.equal(run.status, 'blocked');
	assert.match(run.last_error, /does not get on: it repeats the same call.*Tried: a hint, more effort.*a restart/);
	assert.equal(await answers(w, run), 12);
	has(await w.comments('LOO-3'), /does not get on/);
	assert.equal((await w.jiraIssue('LOO-3')).status, 'Blocked');
});

await test('finish without a check is asked for twice, with what was not verified', async () => {
	const plain = use('finish', { summary: 'Added a note.' });
	const run = await w.work('LOO-4', [create('note.md', 'A note.\n'), plain, plain]);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(await answers(w, run), 3);
	const last = (await w.requests('?service=anthropic')).at(-1);
	assert.match(JSON.stringify(last.body), /Not finished yet.*Not verified:.*- note\.md/);
	const checked = await w.work('LOO-5', [create('note2.md', 'A note.\n'), finish()]);
	assert.equal(await answers(w, checked), 2);
});

await test('a long output is cut for the model, and all of it can be read, but is no part of the change', async () => {
	const run = await w.work('LOO-6', [
		bash('for i in $(seq 1 5000); do echo "line $i of it"; done'),
		{ tools: [{ name: 'grep', input: { pattern: 'line 2500 ', path: '/output' } }, { name: 'bash', input: { command: 'tail -n 2 /output/1-1.txt | head -n 1 >last.txt; echo x >/output/mine' } }] },
		finish(),
	]);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(show(w, run, 'last.txt'), 'line 5000 of it');
	assert.equal(git(w.repos.LOO.bare, 'diff', '--name-only', 'main', run.branch), 'last.txt');
	const body = JSON.stringify((await w.requests('?service=anthropic')).at(-1).body);
	assert.match(body, /characters left out/);
	assert.match(body, /1-1\.txt:2500: line 2500 of it/);
	assert.match(body, /Read-only file system/);
});

await test('of a run of 20 calls nearly all that was sent before comes from the cache, and no event says otherwise', async () => {
	const turns = Array.from({ length: 19 }, (_, i) => (i % 2 ? bash(`echo ${i}; node --check src.js`) : create(`f${i}.md`, `${i}\n`)));
	const run = await w.work('LOO-7', [...turns, finish()]);
	assert.equal(run.status, 'completed', run.last_error);
	const rows = (await w.sql(`SELECT fresh_tokens AS f, written_tokens AS wr, read_tokens AS r FROM run_messages WHERE run_id = ${run.run_id} AND role = 'assistant' ORDER BY seq`))
		.map((row) => ({ read: Number(row.r), all: Number(row.f) + Number(row.wr) + Number(row.r) }));
	assert.equal(rows.length, 20);
	const later = rows.slice(1);
	const share = later.reduce((n, row) => n + row.read, 0) / later.reduce((n, row) => n + row.all, 0);
	console.log(`# ${(100 * share).toFixed(1)} % of the input after the first call was read from the cache`);
	assert.ok(share >= 0.95, `only ${share}`);
	const said = await messages(w, run);
	assert.ok(!said.some((text) => /came from the model's cache/.test(text)), said.join('\n'));
	const worked = (await w.events(run.run_id)).find((e) => /worked 20 turns/.test(e.message));
	assert.equal(worked.meta.cache_percent, Math.floor(100 * share));
});

await test('a cache that is lost in between is told in an event, once', async () => {
	await w.script('LOO-8', [bash('echo a'), bash('sleep 3; echo b'), bash('echo c'), create('a.md', 'a\n'), finish()]);
	await w.issue('LOO-8');
	const id = await w.assign('LOO-8');
	await until('the second answer', 60000, async () => (await w.sql(`SELECT seq FROM run_messages WHERE run_id = ${id} AND role = 'assistant'`)).length >= 2);
	await w.control('/clock', { advance_s: 400 });
	const run = await w.waitRun(id);
	assert.equal(run.status, 'completed', run.last_error);
	const said = (await w.events(id)).filter((e) => /came from the model's cache/.test(e.message));
	assert.equal(said.length, 1, JSON.stringify(said));
	assert.equal(said[0].meta.cache, 'lost');
	assert.match(said[0].message, /^Only 0 % of the conversation so far/);
});

const dump = "for i in $(seq 1 340); do echo \"a line of thirty bytes, $i\"; done";

async function full(key, order) {
	await small.script(key, [...Array.from({ length: 5 }, (_, i) => bash(`echo ${i}; ${dump}`)), say('Five listings were read; now write the note.'), say('never said')]);
	await small.script(key, [create('note.md', 'From the summary.\n'), finish()], { match: [key, 'grew too long', 'Five listings were read'], name: `${key} anew` });
	if (order) writeFileSync(join(faults, key), order);
	await small.issue(key);
	return small.waitRun(await small.assign(key));
}

for (const [key, order] of [['SMA-1', ''], ['SMA-2', 'kill@summary.stored:1\nkill@conversation.switching:1\n'], ['SMA-3', 'kill@llm.asking:6\n']]) {
	await test(`a conversation near its model's context is summed up and followed by a new one${order ? `, killed at ${order.split('\n')[0]}` : ''}`, async () => {
		const run = await full(key, order);
		assert.equal(run.status, 'completed', run.last_error);
		assert.equal(show(small, run, 'note.md'), 'From the summary.');
		has(await messages(small, run), /A new conversation with claude-haiku-5-5: the conversation grew too long/);
		const rows = await small.sql(`SELECT conv, COUNT(*) AS n FROM run_messages WHERE run_id = ${run.run_id} AND role = 'assistant' GROUP BY conv`);
		assert.deepEqual(rows.map((row) => Number(row.n)), [6, 2], 'answers asked for twice, or another moment');
	});
}

await test('AIRUNNER_TRACE=llm has one line for each call, with tokens, cost, waiting and request id', async () => {
	const log = readFileSync(small.log('worker'), 'utf8').split('\n').filter((line) => /claude-haiku-5-5: \d+ fresh, \d+ written \(5m\)/.test(line));
	const rows = await small.sql("SELECT request_id, read_tokens, cost_usd_micro FROM run_messages WHERE role = 'assistant'");
	assert.ok(rows.length >= 24, String(rows.length));
	for (const row of rows) {
		const lines = log.filter((line) => line.includes(row.request_id));
		assert.equal(lines.length, 1, `${row.request_id}: ${lines.length} lines`);
		assert.match(lines[0], new RegExp(` ${row.read_tokens} read, .* ${(Number(row.cost_usd_micro) / 1e6).toFixed(6)} USD, .* waited \\d+ ms, 1 tries`));
	}
});

await finishTests();
