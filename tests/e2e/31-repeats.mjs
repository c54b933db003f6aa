// Repeats of a delivery, and several events for one issue (DESIGN 4.3).
import { createHmac } from 'node:crypto';
import { keptSecret } from '../run/standins.mjs';
import { AI_ACCOUNT, HUMAN_ACCOUNT, assert, finishTests, test, world } from './harness.mjs';

const w = await world({ worker: false, settings: { JIRA_WEBHOOK_SECRET_PREVIOUS: 'the-one-before' } });
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

await test('events made by the AI account start nothing, and hide no person\'s', async () => {
	const own = [
		{ webhookEvent: 'jira:issue_updated', user: { accountId: AI_ACCOUNT }, issue: { key: 'REP-7' } },
		{ webhookEvent: 'comment_created', comment: { id: '1', author: { accountId: AI_ACCOUNT } }, issue: { key: 'REP-7' } },
		{ event_type: 'issue_assigned', issue_key: 'REP-7', actor: AI_ACCOUNT },
	];
	for (const body of own) assert.deepEqual(await post(body, { 'x-atlassian-webhook-identifier': 'id-7' }), { ok: true, ignored: 'made by the AI account' });
	for (const table of ['runs', 'deliveries']) assert.equal((await w.sql(`SELECT COUNT(*) AS n FROM ${table} WHERE issue_key = 'REP-7'`))[0].n, '0');
	const first = await post({ ...own[0], user: { accountId: HUMAN_ACCOUNT } }, { 'x-atlassian-webhook-identifier': 'id-7' });
	assert.ok(first.run_id > 0 && !first.duplicate);
	assert.ok((await post({ issue_key: 'REP-8', assignee_account_id: AI_ACCOUNT, actor: 'AI Runner' })).run_id > first.run_id);
});

await test('while the secret is changed the one before is good, too, in header and signature', async () => {
	const send = (headers, body = '{"issue_key":"REP-9"}') => fetch(`${w.url}/webhook/jira`, { method: 'POST', body, headers }).then((r) => r.status);
	const sign = (key) => ({ 'x-hub-signature': `sha256=${createHmac('sha256', key).update('{"issue_key":"REP-9"}').digest('hex')}` });
	for (const key of [secret, 'the-one-before']) {
		assert.equal(await send({ 'x-moveware-webhook-secret': key }), 200);
		assert.equal(await send(sign(key)), 200);
	}
	for (const key of ['', 'another', `${secret},the-one-before`]) {
		assert.equal(await send({ 'x-moveware-webhook-secret': key }), 401);
		assert.equal(await send(sign(key)), 401);
	}
	assert.equal(await send({ ...sign(secret), 'x-moveware-webhook-secret': 'another' }), 401);
});

await finishTests();
