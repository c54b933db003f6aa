// Rates and pauses: what one call is told holds for the calls of all, and a provider that is spent parks
// the runs that need it (no other provider is configured here).
import { assert, finishTests, goodTurns, test, tinyProject, until, world } from './harness.mjs';

const w = await world({
	repos: { ONE: { files: tinyProject() }, TWO: { files: tinyProject() } },
	settings: { AIRUNNER_RATE_CLAUDE: 40, AIRUNNER_RATE_JIRA: 1000, OPENAI_API_KEY: undefined, AIRUNNER_OUTSIDE_PATIENCE_S: 86400 },
});
const asked = () => w.requests('?service=anthropic');
const row = async (key) => (await w.sql(`SELECT id, status, attempt, crashes, TIMESTAMPDIFF(SECOND, NOW(3), due_at) AS due_s FROM runs WHERE issue_key = '${key}'`))[0];

async function order(key) {
	await w.script(key, goodTurns());
	await w.issue(key);
	return w.assign(key);
}

await test('a pause that one run is told holds for the other', async () => {
	await w.control('/faults', { service: 'anthropic', kind: 'status', status: 429, headers: { 'retry-after': '4' } });
	const first = await order('ONE-1');
	await until('the model has refused', 30000, async () => (await asked()).length === 1, 50);
	const second = await order('TWO-1');
	for (const id of [first, second]) assert.equal((await w.waitRun(id)).status, 'completed');
	const [refused, ...others] = await asked();
	assert.equal(refused.status, 429);
	for (const call of others) assert.ok(call.at_ms - refused.at_ms > 3900, `asked ${call.at_ms - refused.at_ms} ms after the refusal`);
});

await test('a provider that is spent parks the run with the reason and no attempt used up; the next run does not even ask', async () => {
	await w.control('/log', undefined, 'DELETE');
	await w.control('/faults', { service: 'anthropic', kind: 'status', status: 429, count: 100,
		body: { type: 'error', error: { type: 'rate_limit_error', message: 'Your organization is out of credit.', details: { error_code: 'enforced_spend_limit_reached' } } } });
	await order('ONE-2');
	await until('the first run is parked', 30000, async () => { const r = await row('ONE-2'); return r.status === 'queued' && r.due_s !== null; });
	await order('TWO-2');
	await until('the second run is parked', 30000, async () => { const r = await row('TWO-2'); return r.status === 'queued' && r.due_s !== null; });
	for (const key of ['ONE-2', 'TWO-2']) {
		const { id, attempt, crashes, due_s: dueS } = await row(key);
		assert.deepEqual([attempt, crashes], ['1', '0'], key);
		const events = (await w.events(id)).map((event) => event.message);
		assert.ok(events.some((text) => /out of credit\. Tries again in \d+ s/.test(text)), `${key}: ${events.join('\n')}`);
		if (key === 'ONE-2') assert.ok(Number(dueS) > 800 && Number(dueS) <= 900, dueS);
		assert.deepEqual(await w.comments(key), []);
	}
	assert.equal((await asked()).length, 1);
});

await test('when the provider may be asked again both runs end well', async () => {
	await w.control('/faults', undefined, 'DELETE');
	await w.sql("UPDATE rate_buckets SET paused_until = '2000-01-01'; UPDATE runs SET due_at = NOW(3) WHERE status = 'queued'");
	for (const key of ['ONE-2', 'TWO-2']) {
		const run = await w.waitRun(Number((await row(key)).id));
		assert.equal(run.status, 'completed');
		assert.equal((await row(key)).attempt, '1');
	}
});

await finishTests();
