// Repeats of a delivery, and several events for one issue (DESIGN 4.3).
import { createHmac } from 'node:crypto';
import { keptSecret } from '../run/standins.mjs';
import { assert, finishTests, test, world } from './harness.mjs';

const w = await world({ worker: false });
const secret = keptSecret(w.state, 'jira-webhook-secret');

async function post(body, headers = {}) {
	const text = JSON.stringify(body);
	const answer = await fetch(`${w.url}/webhook/jira`, {
		method: 'POST', body: text,
		headers: { 'x-hub-signature': `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`, ...headers },
	});
	assert.equal(answer.status, 200);
	return answer.json();
}
const endRun = (id) => w.sql(`UPDATE runs SET status = 'completed', queued_issue = NULL WHERE id = ${id}`);

await test('the same identifier answers the same run as a duplicate, whatever the body', async () => {
	const first = await post({ issue_key: 'REP-1', n: 1 }, { 'x-atlassian-webhook-identifier': 'id-1' });
	assert.ok(!first.duplicate);
	await endRun(first.run_id);
	const again = await post({ issue_key: 'REP-1', n: 2 }, { 'x-atlassian-webhook-identifier': 'id-1' });
	assert.deepEqual({ ...again }, { ok: true, run_id: first.run_id, duplicate: true });
	const other = await post({ issue_key: 'REP-1', n: 2 }, { 'x-atlassian-webhook-identifier': 'id-2' });
	assert.notEqual(other.run_id, first.run_id);
});

await test('without an identifier the same body within 120 s is a repeat, later it is not', async () => {
	const first = await post({ issue_key: 'REP-2' });
	await endRun(first.run_id);
	assert.equal((await post({ issue_key: 'REP-2' })).duplicate, true);
	await w.sql("UPDATE deliveries SET received_at = NOW(3) - INTERVAL 121 SECOND WHERE issue_key = 'REP-2'");
	const later = await post({ issue_key: 'REP-2' });
	assert.ok(!later.duplicate);
	assert.notEqual(later.run_id, first.run_id);
});

await test('an identifier is remembered for seven days', async () => {
	const first = await post({ issue_key: 'REP-3' }, { 'x-atlassian-webhook-identifier': 'id-3' });
	await endRun(first.run_id);
	await w.sql("UPDATE deliveries SET received_at = NOW(3) - INTERVAL 167 HOUR WHERE issue_key = 'REP-3'");
	assert.equal((await post({ issue_key: 'REP-3' }, { 'x-atlassian-webhook-identifier': 'id-3' })).duplicate, true);
	await w.sql("UPDATE deliveries SET received_at = NOW(3) - INTERVAL 169 HOUR WHERE issue_key = 'REP-3'");
	assert.ok(!(await post({ issue_key: 'REP-3' }, { 'x-atlassian-webhook-identifier': 'id-3' })).duplicate);
});

await test('another event of an issue joins its queued run', async () => {
	const first = await post({ issue_key: 'REP-4', n: 1 });
	const second = await post({ issue_key: 'REP-4', n: 2 });
	assert.equal(second.run_id, first.run_id);
	assert.ok(!second.duplicate);
	const rows = await w.sql("SELECT COUNT(*) AS n FROM deliveries WHERE issue_key = 'REP-4'");
	assert.equal(rows[0].n, '2');
});

await test('200 repeats at once make one run', async () => {
	const answers = await Promise.all(Array.from({ length: 200 }, () => post({ issue_key: 'REP-5' }, { 'x-atlassian-webhook-identifier': 'id-5' })));
	assert.equal(new Set(answers.map((a) => a.run_id)).size, 1);
	assert.equal(answers.filter((a) => !a.duplicate).length, 1);
	assert.equal((await w.sql("SELECT COUNT(*) AS n FROM runs WHERE issue_key = 'REP-5'"))[0].n, '1');
});

await test('100 different events of one issue at once make one run', async () => {
	const answers = await Promise.all(Array.from({ length: 100 }, (_, n) => post({ issue_key: 'REP-6', n })));
	assert.equal(new Set(answers.map((a) => a.run_id)).size, 1);
});

await finishTests();
