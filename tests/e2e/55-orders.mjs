// Webhooks come in any order: six events of one issue (created, assigned, moved, commented, label and
// priority changed) are delivered to the real webhook handler in each order, each issue with its own,
// while the worker works them. Every issue ends in the same state: one comment of ours, one branch, one
// commit, one pull request. All things had happened in Jira before the first event is delivered; what
// was delivered late meets a queued, a running or an ended run, by chance. `make test` takes a seeded
// dozen of the 720 orders, SOAK=1 all (ORDERS_SEED chooses others).
import { createServer } from 'node:http';
import { git } from '../sample/sample.mjs';
import { AI_ACCOUNT, HUMAN_ACCOUNT, assert, finishTests, goodTurns, sleep, test, until, world } from './harness.mjs';

const SOAK = process.env.SOAK === '1';
const SEED = Number(process.env.ORDERS_SEED ?? 20261122);
const COUNT = Number(process.env.ORDERS ?? (SOAK ? 720 : 12));
const AT_ONCE = 8;
const LANES = ['PA', 'PB', 'PC', 'PD'];
const readme = { 'README.md': 'Nothing to check here.\n' };
const w = await world({
	repos: Object.fromEntries(LANES.map((lane) => [lane, { files: readme }])),
	settings: { AIRUNNER_MAX_RUNS: LANES.length },
});
await until('the worker knows its repositories', 10000, async () => (
	Number((await w.sql('SELECT COUNT(*) AS n FROM repo_projects'))[0].n) === LANES.length));

/** All orders of 0 … n-1. */
function orders(n) {
	if (n === 0) return [[]];
	return orders(n - 1).flatMap((rest) => Array.from({ length: n }, (_, i) => [...rest.slice(0, i), n - 1, ...rest.slice(i)]));
}
let state = SEED;
/** A number below 1, the same for the same seed (mulberry32). */
function random() {
	state = (state + 0x6d2b79f5) | 0;
	let t = Math.imul(state ^ (state >>> 15), 1 | state);
	t = (t + Math.imul(t ^ (t >>> 7), 61 | t)) ^ t;
	return ((t ^ (t >>> 14)) >>> 0) / 4294967296;
}
const all = orders(6).map((order) => ({ order, at: random() })).sort((a, b) => a.at - b.at).slice(0, COUNT);

// Jira's webhooks go to this mailbox first.
const mail = new Map();
const mailbox = createServer((req, res) => {
	const parts = [];
	req.on('data', (part) => parts.push(part));
	req.on('end', () => {
		const body = Buffer.concat(parts);
		const key = JSON.parse(body).issue.key;
		const headers = Object.fromEntries(Object.entries(req.headers).filter(([name]) => /^(content-type|x-)/.test(name)));
		mail.set(key, [...(mail.get(key) ?? []), { headers, body }]);
		res.end('{}');
	});
});
await new Promise((resolve) => { mailbox.listen(0, '127.0.0.1', resolve); });
await w.control('/config', { jira: { webhook_url: `http://127.0.0.1:${mailbox.address().port}/` } }, 'PATCH');
await w.control('/script', { name: 'all', match: 'Please do P', turns: goodTurns() });

const lane = (i) => LANES[i % LANES.length];
const keyOf = (i) => `${lane(i)}-${i + 1}`;
async function happen(key) {
	await w.issue(key, { status: 'Backlog', webhook: true });
	for (const what of [{ assignee: 'ai' }, { status: 'In Progress' }, { comment: 'Please mind the style.' }, { labels: ['p1'] }, { priority: 'High' }]) {
		await w.control(`/jira/issues/${key}/act`, what);
	}
	assert.equal(mail.get(key).length, 6, 'events');
}

async function deliver(key, order) {
	for (const n of order) {
		const { headers, body } = mail.get(key)[n];
		const answer = await fetch(`${w.url}/webhook/jira`, { method: 'POST', headers, body });
		assert.equal(answer.status, 200, await answer.text());
		await sleep(random() < 0.5 ? 0 : random() * 700);
	}
}

await test(`${COUNT} of the 720 orders are delivered and worked`, async () => {
	const began = Date.now();
	const todo = all.map(({ order }, i) => ({ order, key: keyOf(i) }));
	await Promise.all(Array.from({ length: AT_ONCE }, async () => {
		for (let next; (next = todo.shift());) {
			await happen(next.key);
			await deliver(next.key, next.order);
		}
	}));
	await until('all is over', 60000 + COUNT * 4000, async () => {
		const [{ n }] = await w.sql("SELECT (SELECT COUNT(*) FROM runs WHERE status IN ('queued', 'running')) + (SELECT COUNT(*) FROM outbox WHERE state IN ('waiting', 'sending')) AS n");
		return Number(n) === 0;
	}, 200);
	const [{ runs }] = await w.sql('SELECT COUNT(*) AS runs FROM runs');
	console.log(`# ${COUNT} issues, ${runs} runs, ${((Date.now() - began) / 1000).toFixed(1)} s`);
});

/** Everything of an issue that the outside can see, without what names it. */
async function endState(i) {
	const key = keyOf(i);
	const branch = `ai/${key.toLowerCase()}`;
	const { bare } = w.repos[lane(i)];
	const issue = await w.jiraIssue(key);
	const rows = await w.sql(`SELECT kind, state FROM outbox WHERE issue_key = '${key}' ORDER BY id`);
	const runs = await w.sql(`SELECT status, pr_url IS NOT NULL AS worked FROM runs WHERE issue_key = '${key}' ORDER BY worked DESC, id`);
	return {
		status: issue.status, assignee: issue.assignee, labels: issue.labels, priority: issue.priority,
		ours: issue.comments.filter((c) => c.author === AI_ACCOUNT).length, theirs: issue.comments.filter((c) => c.author === HUMAN_ACCOUNT).length,
		moves: issue.changelog.flatMap((c) => c.items.filter((item) => item.field === 'status').map((item) => item.toString)),
		commits: git(bare, 'rev-list', '--count', `main..${branch}`), tree: git(bare, 'rev-parse', `${branch}^{tree}`),
		tags: git(bare, 'tag', '--list', `rollback/${key.toLowerCase()}/*`).split('\n').filter(Boolean).length,
		pulls: pulls.filter((p) => JSON.stringify(p).includes(`"${branch}"`)).length,
		effects: rows.map((row) => `${row.kind} ${row.state}`), worked: runs.filter((row) => row.worked === '1').length,
		ends: [...new Set(runs.map((row) => row.status))],
	};
}

let pulls = [];
await test('each of them ends in the same state, with the effects of one run', async () => {
	pulls = await w.control('/github/pulls');
	const first = await endState(0);
	assert.deepEqual([first.status, first.assignee, first.ours, first.commits, first.tags, first.pulls, first.worked], ['In Testing', HUMAN_ACCOUNT, 1, '1', 1, 1, 1]);
	assert.deepEqual(first.ends, ['completed']);
	const bad = [];
	for (let i = 1; i < COUNT; i++) {
		const is = await endState(i);
		try {
			assert.deepEqual(is, first);
		} catch {
			bad.push(`${keyOf(i)} (${all[i].order}): ${JSON.stringify(is)}`);
		}
	}
	assert.deepEqual(bad, [], `the first is ${JSON.stringify(first)}`);
});

mailbox.close();
await finishTests();
