// Stop means stop: cancelled in the middle of an LLM call, a command, a test run, all processes of the
// run are gone within two seconds and nothing it was about to do happens. Also retry, the order of the
// queue by hand, what a browser session may do, and SIGTERM.
import { alive, below, commands } from '../fault/processes.mjs';
import { git } from '../sample/sample.mjs';
import { assert, bash, create, finish, finishTests, goodTurns, sleep, test, tinyProject, until, world } from './harness.mjs';

const hanging = { ...tinyProject(), 'test.js': "setTimeout(() => {}, 3600000); require('node:child_process').spawn('sleep', ['3599']);\n" };
const w = await world({
	repos: { ONE: { files: tinyProject(), name: 'one' }, HANG: { files: hanging, name: 'hang' } },
	settings: { AIRUNNER_MAX_RUNS: 2 },
});

const act = (id, what, body, more = {}) => w.api(`/api/runs/${id}/${what}`, { method: 'POST', body, ...more });
/** Everything of the run and its issue that the outside could see. */
async function effects(key, repo) {
	const jira = await w.jiraIssue(key);
	return {
		writes: (await w.requests()).filter((r) => ['jira', 'github'].includes(r.service) && r.method !== 'GET' && !r.path.includes('/search')).length,
		comments: jira.comments.length, status: jira.status, assignee: jira.assignee,
		refs: git(repo.bare, 'for-each-ref', '--format=%(refname) %(objectname)'),
	};
}

/** Assigns the issue, waits until it is there, cancels; answers {id, ms: until the last process was gone}. */
async function cancelled(key, repo, there) {
	await w.issue(key);
	const id = await w.assign(key);
	await until(`${key} is where it is to be cancelled`, 60000, () => there(id), 50);
	const tree = below(w.parts.worker.pid);
	assert.ok(tree.length > 0, 'no process of the run');
	const before = await effects(key, repo);
	const from = Date.now();
	const answer = await act(id, 'cancel');
	assert.equal(answer.status, 200, answer.text);
	assert.equal(answer.json.message, `Run ${id} is being cancelled`);
	await until('all processes are gone', 10000, () => alive(tree).length === 0 && below(w.parts.worker.pid).length === 0, 5);
	const ms = Date.now() - from;
	const run = await w.waitRun(id, undefined, 5000);
	assert.equal(run.status, 'cancelled', JSON.stringify(run));
	await sleep(1500);
	assert.deepEqual(await effects(key, repo), before, 'something happened after the cancellation');
	assert.deepEqual(await w.sql(`SELECT id FROM outbox WHERE run_id = ${id} AND state IN ('waiting', 'sending')`), []);
	assert.equal((await w.sql('SELECT SUM(running) AS n FROM repos'))[0].n, '0');
	console.log(`# ${key}: ${tree.length} processes gone ${ms} ms after the call`);
	assert.ok(ms < 2000, `${ms} ms`);
	return id;
}
const running = (what) => () => commands(below(w.parts.worker.pid)).some((line) => line.includes(what));

await test('a run that waits for the model ends within two seconds, and its retry completes', async () => {
	await w.script('ONE-1', [{ ...create('a.md', 'x\n'), fault: { kind: 'stall', seconds: 3600, after_bytes: 200 } }, finish()]);
	const id = await cancelled('ONE-1', w.repos.ONE, async () => (await w.requests('?service=anthropic')).some((r) => /messages$/.test(r.path)));
	const answer = await act(id, 'retry');
	assert.equal(answer.status, 200, answer.text);
	assert.equal(answer.json.ok, true);
	assert.equal(answer.json.message, `Run ${id} queued for retry`);
	const run = await w.waitRun(id);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(run.attempt, 2);
	assert.match(git(w.repos.ONE.bare, 'branch', '--list', 'ai/one-1'), /ai\/one-1/);
});

await test('a run in a command ends within two seconds, sandbox included, and its retry completes', async () => {
	await w.script('ONE-2', [bash('sleep 3597 & setsid sleep 3597 & sleep 3597'), create('b.md', 'x\n'), finish()]);
	const id = await cancelled('ONE-2', w.repos.ONE, running('sleep 3597'));
	await w.script('ONE-2', goodTurns('b.md'));
	assert.equal((await act(id, 'retry', { mode: 'restart' })).status, 200);
	assert.equal((await w.waitRun(id)).status, 'completed');
});

await test('a retry that continues goes on in the same conversation', async () => {
	await w.script('ONE-9', [create('kept.md', 'x\n'), { ...finish(), fault: { kind: 'stall', seconds: 3600, after_bytes: 200 } }]);
	const asked = async () => (await w.requests('?service=anthropic')).filter((r) => JSON.stringify(r.body).includes('ONE-9')).length;
	const id = await cancelled('ONE-9', w.repos.ONE, async () => await asked() === 2);
	const answers = () => w.sql(`SELECT COUNT(*) AS n, MAX(conv) AS convs FROM run_messages WHERE run_id = ${id} AND role = 'assistant'`).then(([row]) => ({ ...row }));
	assert.deepEqual(await answers(), { n: '1', convs: '1' });
	assert.equal((await act(id, 'retry', { mode: 'continue' })).status, 200);
	const run = await w.waitRun(id);
	assert.equal(run.status, 'completed', run.last_error);
	assert.match(JSON.stringify(run.events), /Goes on with step edit/);
	assert.deepEqual(await answers(), { n: '2', convs: '1' }); // the first was not asked for again
	assert.equal(await asked(), 3);
	assert.match(git(w.repos.ONE.bare, 'ls-tree', '--name-only', 'ai/one-9'), /kept\.md/);
});

await test('a run whose tests hang ends within two seconds', async () => {
	await w.script('HANG-1', goodTurns());
	await cancelled('HANG-1', w.repos.HANG, running('sleep 3599'));
	assert.equal(git(w.repos.HANG.bare, 'branch', '--list', 'ai/hang-1'), '');
});

await test('SIGTERM in the edit step: back to the queue without a crash, and a new worker completes it', async () => {
	await w.script('ONE-3', [bash('sleep 2'), create('c.md', 'x\n'), finish()]);
	await w.issue('ONE-3');
	const id = await w.assign('ONE-3');
	await until('the command runs', 30000, running('sleep 2'), 20);
	await w.parts.worker.stop();
	const [row] = await w.sql(`SELECT status, crashes, attempt, slot FROM runs WHERE id = ${id}`);
	assert.deepEqual({ ...row }, { status: 'queued', crashes: '0', attempt: '1', slot: null });
	w.startWorker();
	const run = await w.waitRun(id);
	assert.equal(run.status, 'completed', run.last_error);
	const [after] = await w.sql(`SELECT crashes, attempt FROM runs WHERE id = ${id}`);
	assert.deepEqual({ ...after }, { crashes: '0', attempt: '1' });
});

await test('a queued run is cancelled at once, retried, and moved to another place', async () => {
	await w.parts.worker.stop();
	await w.issue('ONE-4');
	const id = await w.assign('ONE-4');
	const stopped = await act(id, 'cancel');
	assert.equal(stopped.json.message, `Run ${id} cancelled`);
	assert.equal((await w.api(`/api/runs/${id}`)).json.status, 'cancelled');
	assert.equal((await act(id, 'cancel')).status, 409);
	assert.equal((await act(id, 'retry', { mode: 'continue' })).status, 200);
	assert.equal((await act(id, 'retry')).status, 409);
	const moved = await w.api(`/api/runs/${id}`, { method: 'PATCH', body: { priority: 1, position: -5 } });
	assert.equal(moved.status, 200, moved.text);
	assert.deepEqual([moved.json.priority, moved.json.position], [1, -5]);
	const [head] = await w.sql(`SELECT head_run_id, head_priority, head_position FROM repos WHERE head_run_id = ${id}`);
	assert.deepEqual({ ...head }, { head_run_id: String(id), head_priority: '1', head_position: '-5' });
	for (const body of [{}, { priority: 0 }, { priority: 9 }, { position: 1.5 }, { status: 'completed' }]) {
		assert.equal((await w.api(`/api/runs/${id}`, { method: 'PATCH', body })).status, 400, JSON.stringify(body));
	}
	assert.equal((await act(4711, 'cancel')).status, 404);
	assert.equal((await act(4711, 'retry')).status, 404);
	assert.equal((await act(id, 'retry', { mode: 'maybe' })).status, 400);
});

await test('a retry is refused while another run of the issue is queued, and names it', async () => {
	const [{ id: old }] = await w.sql("SELECT id FROM runs WHERE issue_key = 'ONE-1'");
	const newer = await w.assign('ONE-1', { comment: 'And again?' });
	const answer = await act(old, 'retry');
	assert.equal(answer.status, 409);
	assert.match(answer.json.error, new RegExp(`run ${newer} of the same issue`));
});

await test('acting needs the role operator, and a browser session the page\'s token', async () => {
	await w.sql("INSERT INTO api_tokens (name, secret_hash, role) VALUES ('eyes', SHA2('air_eyes', 256), 'viewer')");
	const [{ id }] = await w.sql("SELECT id FROM runs WHERE issue_key = 'ONE-4'");
	assert.equal((await act(id, 'cancel', undefined, { token: 'air_eyes' })).status, 403);
	assert.equal((await act(id, 'cancel', undefined, { token: null })).status, 401);
	const first = await fetch(await w.signinLink(), { redirect: 'manual' });
	const cookie = first.headers.get('set-cookie').split(';')[0];
	const html = await (await fetch(`${w.url}/runs/${id}`, { headers: { cookie } })).text();
	const csrf = /data-csrf="(\w{64})"/.exec(html)[1];
	assert.match(html, new RegExp(`data-act="/api/runs/${id}/cancel"`));
	const by = (headers) => fetch(`${w.url}/api/runs/${id}/cancel`, { method: 'POST', headers: { cookie, ...headers } }).then((r) => r.status);
	assert.equal(await by({}), 403);
	assert.equal(await by({ 'x-csrf-token': csrf }), 403);
	assert.equal(await by({ 'x-csrf-token': csrf, origin: 'http://elsewhere.example' }), 403);
	assert.equal(await by({ 'x-csrf-token': csrf, 'sec-fetch-site': 'cross-site' }), 403);
	assert.equal(await by({ 'x-csrf-token': csrf.replace(/./, (c) => (c === '0' ? '1' : '0')), origin: w.url }), 403);
	assert.equal(await by({ origin: w.url }), 403);
	assert.equal(await by({ 'x-csrf-token': csrf, origin: w.url }), 200);
});

await test('every change is in the audit log, with its author; nobody else can write there', async () => {
	const rows = await w.sql("SELECT a.who, a.what, a.detail FROM audit_log a JOIN runs r ON a.object = CONCAT('run ', r.id) WHERE r.issue_key = 'ONE-4' ORDER BY a.id");
	assert.deepEqual(rows.map((row) => `${row.what} ${row.detail}`), ['cancel queued', 'retry cancelled, continue', 'priority priority 1, position -5', 'cancel queued']);
	assert.ok(rows.slice(0, 3).every((row) => row.who.startsWith('launcher-')) && rows[3].who === 'launcher');
	const grants = await w.sql("SELECT grantee, privilege_type FROM information_schema.table_privileges WHERE table_name = 'audit_log' AND privilege_type <> 'SELECT'");
	assert.deepEqual(grants, []);
});

await finishTests();
