// A burst of webhooks through nginx, a tenth of them copies of one: all are answered, none is lost, the
// copies make one run. Then again with the database killed amid the burst: who gets 503 with
// Retry-After sends again, as Jira does, and is heard. `make test` sends 1,000, SOAK=1 10,000.
import { createHmac } from 'node:crypto';
import { Agent, request } from 'node:http';
import { percentile, shuffled } from '../fault/seed.mjs';
import { keptSecret } from '../run/standins.mjs';
import { assert, finishTests, sleep, test, world } from './harness.mjs';

const COUNT = process.env.SOAK === '1' ? 10000 : 1000;
const CONNECTIONS = 32;
const w = await world({ repos: { BU: { files: { 'a.md': 'a\n' } } }, worker: false, durable: true, settings: { AIRUNNER_HANDLERS: 4 } });
const secret = keptSecret(w.state, 'jira-webhook-secret');
const agent = new Agent({ keepAlive: true, maxSockets: CONNECTIONS });

/** One POST: {status, ms, retryAfter, json}. */
function post({ key, identifier, n }) {
	const text = JSON.stringify({ webhookEvent: 'jira:issue_updated', timestamp: Date.now(), n, issue: { key, fields: { labels: [] } } });
	const from = performance.now();
	return new Promise((resolve) => {
		const call = request(`${w.url}/webhook/jira`, {
			method: 'POST', agent, timeout: 30000,
			headers: {
				'content-type': 'application/json', 'content-length': Buffer.byteLength(text), 'x-atlassian-webhook-identifier': identifier,
				'x-hub-signature': `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`,
			},
		}, (answer) => {
			let body = '';
			answer.on('data', (data) => { body += data; });
			answer.on('end', () => resolve({ status: answer.statusCode, ms: performance.now() - from, retryAfter: answer.headers['retry-after'], json: answer.statusCode === 200 ? JSON.parse(body) : null }));
		});
		call.on('timeout', () => call.destroy());
		call.on('error', () => resolve({ status: 0, ms: performance.now() - from }));
		call.end(text);
	});
}

/** A tenth are copies of one delivery, a tenth other events of issues that have one already. */
const deliveries = (prefix) => shuffled(Array.from({ length: COUNT }, (_, n) => {
	if (n % 10 === 0) return { key: `${prefix}-1`, identifier: `${prefix}-copy`, n: 0, copy: true };
	return { key: `${prefix}-${n % 10 === 1 ? n + 1 : n}`, identifier: `${prefix}-${n}`, n };
}), 20261122);

/** Sends all, each until it is taken; `amid` runs when half have been sent. */
async function burst(list, amid = async () => {}) {
	const todo = [...list];
	const seen = { statuses: {}, ms: [], answers: [], noRetryAfter: 0 };
	let between = null;
	const from = performance.now();
	const one = async () => {
		while (todo.length > 0) {
			const delivery = todo.shift();
			if (todo.length <= COUNT / 2 && !between) between = amid();
			const answer = await post(delivery);
			seen.statuses[answer.status] = (seen.statuses[answer.status] ?? 0) + 1;
			if (answer.status === 200) {
				seen.ms.push(answer.ms);
				seen.answers.push({ ...delivery, ...answer.json });
				continue;
			}
			if (answer.status === 503 && !/^\d+$/.test(answer.retryAfter ?? '')) seen.noRetryAfter += 1;
			todo.push(delivery); // Jira waits for minutes; here a moment is enough
			await sleep(100);
		}
	};
	await Promise.all(Array.from({ length: CONNECTIONS }, one));
	await between;
	seen.rate = list.length / ((performance.now() - from) / 1000);
	return seen;
}

async function judge(prefix, list, seen) {
	assert.equal(seen.answers.length, list.length, 'answers');
	assert.equal(seen.noRetryAfter, 0, '503 without Retry-After');
	assert.ok(Object.keys(seen.statuses).every((status) => ['200', '503', '0'].includes(status)), JSON.stringify(seen.statuses));
	const copies = seen.answers.filter((a) => a.copy);
	assert.ok(copies.length >= COUNT / 10);
	assert.equal(new Set(copies.map((a) => a.run_id)).size, 1, 'runs of the copies');
	const runs = new Map((await w.sql(`SELECT id, issue_key FROM runs WHERE issue_key LIKE '${prefix}-%'`)).map((row) => [row.id, row.issue_key]));
	for (const a of seen.answers) assert.equal(runs.get(String(a.run_id)), a.key, `delivery ${a.n}`);
	assert.equal(runs.size, new Set(list.map((d) => d.key)).size, 'one run an issue');
	const [{ n }] = await w.sql(`SELECT COUNT(*) AS n FROM deliveries WHERE issue_key LIKE '${prefix}-%'`);
	assert.equal(Number(n), new Set(list.map((d) => d.identifier)).size, 'deliveries');
	console.log(`# ${list.length} webhooks over ${CONNECTIONS} connections: ${JSON.stringify(seen.statuses)}, ${Math.round(seen.rate)} a second, `
		+ `p50 ${percentile(seen.ms, 0.5).toFixed(1)} ms, p99 ${percentile(seen.ms, 0.99).toFixed(1)} ms; ${copies.length} copies of one made 1 run`);
}

await test(`${COUNT} webhooks at once are all answered, and the copies make one run`, async () => {
	const list = deliveries('BA');
	const seen = await burst(list);
	await judge('BA', list, seen);
	assert.deepEqual(seen.statuses, { 200: COUNT });
});

await test('with the database killed amid the burst nothing is lost', async () => {
	const list = deliveries('BB');
	const seen = await burst(list, async () => {
		w.parts.database.kill('SIGKILL');
	});
	await judge('BB', list, seen);
	assert.ok(seen.statuses[503] > 0, 'nobody noticed that the database was away');
	w.parts.database.deaths = [];
});

agent.destroy();
await finishTests();
