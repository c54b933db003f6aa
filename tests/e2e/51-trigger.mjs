// What counts as new: events that say nothing new end without any effect, a person's word or retry
// starts work again; and orders whose webhook was lost are found by the reconciling poll.
import { assert, bash, finish, finishTests, goodTurns, sleep, test, tinyProject, until, world } from './harness.mjs';

const w = await world({ repos: { ONE: { files: tinyProject(), name: 'one' } } });
const lost = await world({ worker: false, suffix: '-lost', repos: { ONE: { files: tinyProject(), name: 'one' } }, settings: { AIRUNNER_RECONCILE_S: 2 } });
const runsOf = (world_, key) => world_.sql(`SELECT id, status, reason, attempt FROM runs WHERE issue_key = '${key}' ORDER BY id`);
const outside = async (key) => (await w.requests()).filter((r) => (r.service === 'anthropic' && JSON.stringify(r.body ?? '').includes(key)) || (['jira', 'github'].includes(r.service) && r.method !== 'GET')).length;

let first;
await test('an event that brings nothing new ends completed, says so, and has no effect', async () => {
	await w.script('ONE-1', [bash('sleep 3596'), finish()]);
	await w.issue('ONE-1');
	first = await w.assign('ONE-1');
	await until('the model was asked', 30000, async () => (await w.requests('?service=anthropic')).length > 0, 50);
	await w.api(`/api/runs/${first}/cancel`, { method: 'POST' });
	await w.waitRun(first);
	const before = await outside('ONE-1');
	for (const summary of ['once', 'twice']) {
		await w.control('/jira/automation/ONE-1', { summary });
		const run = await w.waitRun(Number((await runsOf(w, 'ONE-1')).at(-1).id));
		assert.equal(run.status, 'completed');
		assert.equal(run.reason, `nothing new in ONE-1 since run ${first}`);
	}
	assert.equal((await runsOf(w, 'ONE-1')).length, 3);
	assert.equal(await outside('ONE-1'), before);
	assert.deepEqual(await w.sql(`SELECT id FROM outbox WHERE run_id > ${first}`), []);
});

await test('a retry by a person works the same issue all the same', async () => {
	await w.script('ONE-1', goodTurns());
	const id = Number((await runsOf(w, 'ONE-1')).at(-1).id);
	assert.equal((await w.api(`/api/runs/${id}/retry`, { method: 'POST' })).status, 200);
	const run = await w.waitRun(id);
	assert.equal(run.status, 'completed');
	assert.ok(run.pr_url, run.reason);
});

await test('a person\'s comment is something new, a comment of ours is not', async () => {
	await w.script('ONE-2', [bash('sleep 3596'), finish()]);
	await w.issue('ONE-2');
	const id = await w.assign('ONE-2');
	await until('the command runs', 30000, async () => (await w.sql(`SELECT COUNT(*) AS n FROM run_messages WHERE run_id = ${id} AND role = 'assistant'`))[0].n === '1', 50);
	await w.api(`/api/runs/${id}/cancel`, { method: 'POST' });
	await w.waitRun(id);
	await w.script('ONE-2', goodTurns('two.md'));
	await w.control('/jira/issues/ONE-2/act', { comment: 'ours', actor: '5b10a2844c20165700ede21a', webhook: false });
	await w.control('/jira/automation/ONE-2', { summary: 'once' });
	assert.match((await w.waitRun(Number((await runsOf(w, 'ONE-2')).at(-1).id))).reason, /nothing new/);
	await w.control('/jira/issues/ONE-2/act', { comment: 'Please go on.' });
	const run = await w.waitRun(Number((await runsOf(w, 'ONE-2')).at(-1).id));
	assert.ok(run.pr_url, run.reason);
});

await test('at its start the worker finds an order whose webhook was lost', async () => {
	await lost.script('ONE-5', goodTurns());
	await lost.issue('ONE-5');
	await lost.control('/jira/issues/ONE-5/act', { assignee: 'ai', webhook: false });
	await lost.issue('ONE-6', { assignee: null });
	await lost.issue('ONE-7', { status: 'Backlog' });
	await lost.control('/jira/issues/ONE-7/act', { assignee: 'ai', webhook: false });
	assert.deepEqual(await lost.sql('SELECT id FROM runs'), []);
	lost.startWorker();
	await until('a run of ONE-5', 10000, async () => (await runsOf(lost, 'ONE-5')).length > 0);
	const run = await lost.waitRun(Number((await runsOf(lost, 'ONE-5'))[0].id));
	assert.equal(run.status, 'completed', run.last_error);
	assert.ok(run.pr_url);
});

await test('it finds a later one within its interval, although the search lags, and none twice', async () => {
	await lost.control('/config', { jira: { search_lag_ms: 1500 } }, 'PATCH');
	await lost.script('ONE-8', goodTurns('eight.md'));
	await lost.issue('ONE-8');
	await lost.control('/jira/issues/ONE-8/act', { assignee: 'ai', webhook: false });
	const from = Date.now();
	await until('a run of ONE-8', 15000, async () => (await runsOf(lost, 'ONE-8')).length > 0, 50);
	console.log(`# found ${Date.now() - from} ms after the change`);
	assert.ok((await lost.waitRun(Number((await runsOf(lost, 'ONE-8'))[0].id))).pr_url);
	await sleep(5000);
	assert.deepEqual((await lost.sql('SELECT issue_key FROM runs ORDER BY id')).map((row) => row.issue_key), ['ONE-5', 'ONE-8']);
});

await test('Jira away at the poll is a word in the log and nothing more', async () => {
	await lost.control('/faults', { service: 'jira', path_contains: '/search', kind: 'status', status: 503, count: 50 });
	await until('it is said', 30000, () => /could not be searched/.test(lost.logText('worker')));
	await lost.control('/faults', undefined, 'DELETE');
	assert.ok(lost.parts.worker.running);
});

await finishTests();
