// Effects exactly once: Jira away while runs end, and every comment and transition arrives afterwards,
// once and in order; an answer lost after its effect leads to no second one, for each kind; a drainer
// killed at any of its points; a run that waits for GitHub or Jira in the queue. Two hours of Jira's
// absence are simulated by shortened waits (AIRUNNER_RETRY_BASE_MS): under
// SOAK=1 as many tries as in two hours, else a few.
import { existsSync, mkdirSync, rmSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { git } from '../sample/sample.mjs';
import { HUMAN_ACCOUNT, STATE, assert, finishTests, goodTurns, sleep, test, tinyProject, until, world } from './harness.mjs';

const faults = join(STATE, 'test/outbox-faults');
rmSync(faults, { recursive: true, force: true });
mkdirSync(faults, { recursive: true });
const SOAK = process.env.SOAK === '1';
const TRIES = SOAK ? 32 : 10;
const LANES = ['OA', 'OB', 'OC'];
const w = await world({
	repos: Object.fromEntries(LANES.map((lane) => [lane, { files: tinyProject() }])),
	settings: { AIRUNNER_MAX_RUNS: LANES.length, AIRUNNER_OUTSIDE_PATIENCE_S: 3600, AIRUNNER_RETRY_BASE_MS: 5 },
	extraEnv: (letter) => (letter === 'W' ? { AIRUNNER_FAULT: `dir@${faults}` } : {}),
});
await until('the worker knows its repositories', 10000, async () => (
	Number((await w.sql('SELECT COUNT(*) AS n FROM repo_projects'))[0].n) === LANES.length));

const away = (more = {}) => w.control('/faults', { service: 'jira', kind: 'down', ...more });
const back = () => w.control('/faults', undefined, 'DELETE');
const open = (where = '1') => w.sql(`SELECT effect_key, state, attempts, last_error FROM outbox WHERE state IN ('waiting', 'sending') AND ${where}`);
/** What a dead or deaf call keeps from everybody for 30 s: nobody needs to wait so long here. (A call
 * that is still on its way ends within two seconds.) */
const hurry = () => w.sql("UPDATE outbox SET send_until = NOW(3) WHERE (state = 'sending' AND send_until < NOW(3) + INTERVAL 28 SECOND) OR (state = 'waiting' AND send_until > NOW(3) + INTERVAL 8 SECOND)");
const drained = (timeoutMs = 60000) => until('the outbox is empty', timeoutMs, async () => {
	await hurry();
	return (await open()).length === 0;
}, 100);

/** What is wrong with a run's report; empty when comment, status and assignee are there once and in order. */
async function reportOf(key, id) {
	const wrong = [];
	const expect = (what, is, wanted) => is === wanted || wrong.push(`${key} ${what}: ${is}, not ${wanted}`);
	const issue = await w.jiraIssue(key);
	expect('comments', issue.comments.filter((c) => c.text.includes(`run ${id} ·`)).length, 1);
	expect('status', issue.status, 'In Testing');
	expect('assignee', issue.assignee, HUMAN_ACCOUNT);
	const done = await w.sql(`SELECT GROUP_CONCAT(SUBSTRING_INDEX(effect_key, '/', -1) ORDER BY done_at, id) AS o FROM outbox WHERE run_id = ${id} AND is_closing = 1 AND state = 'done'`);
	expect('order', done[0].o, 'report,report-status,report-assign');
	const changes = issue.changelog.flatMap((c) => c.items.map((i) => `${i.field}=${i.toString}`));
	expect('moves to In Testing', changes.filter((c) => c === 'status=In Testing').length, 1);
	return wrong;
}

await test('Jira away when runs end: they complete, and every report arrives afterwards, once and in order', async () => {
	const runs = await Promise.all(LANES.map(async (lane) => {
		const key = `${lane}-1`;
		await w.script(key, goodTurns());
		await w.issue(key);
		return { key, id: await w.assign(key) };
	}));
	await away({ path_contains: '/comment', method: 'POST' }); // first of all it takes no reports
	for (const { id } of runs) {
		const run = await w.waitRun(id);
		assert.equal(run.status, 'completed', run.last_error);
		assert.ok(run.pr_url);
	}
	await away();
	assert.equal((await open()).length, 9);
	// In two hours a row is tried about 32 times: 1, 2, 4 … 256 s apart, then every five minutes.
	await until('as many tries as in two hours', 120000, async () => (
		await hurry(), (await w.sql('SELECT MIN(attempts) AS n FROM (SELECT MAX(attempts) AS attempts FROM outbox GROUP BY run_id) x'))[0].n >= TRIES), 100);
	assert.deepEqual((await Promise.all(runs.map(({ key }) => w.comments(key)))).flat(), []);
	await back();
	await drained();
	assert.deepEqual((await Promise.all(runs.map(({ key, id }) => reportOf(key, id)))).flat(), []);
	const late = (await w.events(runs[0].id)).filter((e) => /has reached its service now/.test(e.message));
	assert.equal(late.length, 3);
});

await test('an answer lost after its effect leads to no second effect, whatever the kind', async () => {
	const kinds = {
		comment: { service: 'jira', method: 'POST', path_contains: '/comment' },
		status: { service: 'jira', method: 'POST', path_contains: '/transitions' },
		assign: { service: 'jira', method: 'PUT', path_contains: '/assignee' },
		'pull request': { service: 'github', method: 'POST', path_contains: '/pulls' },
	};
	const todo = Object.entries(kinds);
	for (const [i, [name, fault]] of todo.entries()) {
		const key = `OA-${10 + i}`;
		await w.script(key, goodTurns());
		await w.control('/faults', { ...fault, kind: 'down', count: 1, after: true });
		await w.issue(key);
		const id = await w.assign(key);
		const ended = w.waitRun(id);
		let over = false;
		ended.finally(() => { over = true; });
		while (!over) {
			await hurry();
			await sleep(100);
		}
		const run = await ended;
		assert.equal(run.status, 'completed', `${name}: ${run.last_error}`);
		await drained();
		assert.deepEqual(await reportOf(key, id), [], name);
		const made = (await w.requests('?service=github&method=POST')).filter((r) => /\/pulls$/.test(r.path) && JSON.stringify(r.body).includes(`ai/${key.toLowerCase()}`));
		assert.equal(made.length, 1, `${name}: pull requests asked for`);
		assert.ok((await w.requests(`?service=${fault.service}`)).some((r) => r.fault === 'down'), `${name}: no answer was lost`);
		const tries = await w.sql(`SELECT MAX(attempts) AS n FROM outbox WHERE run_id = ${id}`);
		assert.equal(Number(tries[0].n), 2, `${name}: tries`);
	}
});

await test('a drainer killed at any of its points leaves nothing out and does nothing twice', async () => {
	const points = ['outbox.report.sent', 'outbox.report.taken', 'outbox.report-status.sent', 'drain.tried', 'drain.before', 'drain.taken', 'http.jira.before',
		'http.jira.after', 'outbox.report.done', 'drain.told', 'outbox.report-assign.sent', 'outbox.report-assign.done'].slice(0, SOAK ? 99 : 4);
	const runs = [];
	for (const [i, point] of points.entries()) {
		const key = `${LANES[i % LANES.length]}-${20 + i}`;
		await w.script(key, goodTurns());
		await w.issue(key);
		runs.push({ key, point, id: await w.assign(key) });
	}
	// Their reports fail for now, however far they are: only the comment is ever asked for.
	await w.control('/faults', { service: 'jira', method: 'POST', path_contains: '/comment', kind: 'status', status: 503, count: -1 });
	for (const { id } of runs) assert.equal((await w.waitRun(id)).status, 'completed');
	assert.equal((await open("effect_key LIKE '%/report'")).length, points.length);
	writeFileSync(join(faults, 'drain'), `${points.map((point) => `kill@${point}:1`).join('\n')}\n`);
	await back();
	await drained(120000);
	assert.deepEqual((await Promise.all(runs.map(({ key, id }) => reportOf(key, id)))).flat(), []);
	assert.ok(!existsSync(join(faults, 'drain')), 'a point was not reached');
	console.log(`# ${points.length} kills of a drainer with ${points.length} reports`);
});

await test('GitHub away: the run waits in the queue, burns no attempt, and goes on with its pull request', async () => {
	await w.script('OA-40', goodTurns());
	await w.issue('OA-40');
	await w.control('/faults', { service: 'github', kind: 'status', status: 503, count: -1 });
	const id = await w.assign('OA-40');
	await until('the run waits', 60000, async () => {
		const [row] = await w.sql(`SELECT status, due_at > NOW(3) AS later, slot FROM runs WHERE id = ${id}`);
		return row.status === 'queued' && row.later === '1' && row.slot === null;
	}, 50);
	assert.equal((await w.work('OA-41', goodTurns('b.md'), { timeoutMs: 1 }).catch(() => null)), null);
	await back();
	const run = await w.waitRun(id);
	assert.equal(run.status, 'completed', run.last_error);
	assert.ok(run.pr_url);
	assert.equal(run.attempt, 1);
	assert.match(JSON.stringify(run.events), /Tries again in/);
	await drained();
	assert.deepEqual(await reportOf('OA-40', id), []);
});

await test('Jira away when the issue is to be read: the run waits for it', async () => {
	await w.script('OB-40', goodTurns());
	await w.issue('OB-40');
	await w.sql('UPDATE repos SET paused = 1');
	const id = await w.assign('OB-40');
	await away();
	await w.sql('UPDATE repos SET paused = 0');
	await until('it was tried', 30000, async () => (await w.sql(`SELECT id FROM run_steps WHERE run_id = ${id} AND outcome IN ('network', 'outside')`)).length >= 1, 50);
	await back();
	assert.equal((await w.waitRun(id)).status, 'completed');
	await drained();
});

await test('a new order for an issue whose report is still on its way waits for it', async () => {
	await w.script('OC-40', goodTurns());
	await w.issue('OC-40');
	const first = await w.assign('OC-40');
	await away({ path_contains: '/comment', method: 'POST' });
	assert.equal((await w.waitRun(first)).status, 'completed');
	await w.control('/jira/issues/OC-40/act', { comment: 'Once more, please.' });
	const [{ id }] = await w.sql("SELECT MAX(id) AS id FROM runs WHERE issue_key = 'OC-40'");
	assert.notEqual(Number(id), first);
	await until('it waits', 30000, async () => (await w.sql(`SELECT id FROM run_steps WHERE run_id = ${id} AND step = 'fetch' AND outcome = 'later'`)).length > 0, 50);
	await back();
	await drained();
	// By then the issue is In Testing with the person, as the report says: no order any more.
	const run = await w.waitRun(Number(id));
	assert.equal(run.status, 'completed');
	assert.match(run.reason, /nothing to do/);
	assert.deepEqual(await reportOf('OC-40', first), []);
	assert.match(git(w.repos.OC.bare, 'rev-list', '--count', 'main..ai/oc-40'), /^1$/);
});

await finishTests();
