// The queue under a real worker: one running run a repository, kept by the database; priorities; the
// fence: a run taken away writes nothing more and sends nothing.
import { git } from '../sample/sample.mjs';
import { assert, bash, create, finish, finishTests, goodTurns, sleep, test, tinyProject, until, world } from './harness.mjs';

const w = await world({
	repos: { ONE: { files: tinyProject(), name: 'one' }, TWO: { files: tinyProject(), name: 'two' }, THREE: { files: tinyProject(), name: 'three' } },
	settings: { AIRUNNER_MAX_RUNS: 4 },
});
const slow = (file) => [bash('sleep 1'), create(file, 'x\n'), finish()];

await test('runs of one repository run one after the other, of two at the same time', async () => {
	const keys = ['ONE-1', 'ONE-2', 'ONE-3', 'TWO-1'];
	for (const key of keys) {
		await w.script(key, slow(`${key}.md`));
		await w.issue(key);
	}
	const ids = [];
	for (const key of keys) ids.push(await w.assign(key));
	let most = 0;
	let together = false;
	const watch = (async () => {
		for (;;) {
			const rows = await w.sql("SELECT repo_id, COUNT(*) AS n FROM runs WHERE status = 'running' AND repo_id <> 0 GROUP BY repo_id");
			most = Math.max(most, ...rows.map((row) => Number(row.n)), 0);
			together ||= rows.length > 1;
			const [left] = await w.sql("SELECT COUNT(*) AS n FROM runs WHERE status IN ('queued', 'running')");
			if (left.n === '0') return;
			await sleep(50);
		}
	})();
	for (const id of ids) assert.equal((await w.waitRun(id)).status, 'completed');
	await watch;
	assert.equal(most, 1);
	assert.ok(together, 'two repositories never ran at the same time');
});

await test('the database itself refuses a second running run of a repository', async () => {
	await w.sql("INSERT INTO runs (issue_key, repo_id, line, status, slot, running_line) SELECT 'X-1', id, 'X-1', 'running', 1, 'X-1' FROM repos WHERE address LIKE '%three%'");
	await assert.rejects(w.sql("INSERT INTO runs (issue_key, repo_id, line, status, slot, running_line) SELECT 'X-2', id, 'X-2', 'running', 1, 'X-2' FROM repos WHERE address LIKE '%three%'"), /Duplicate entry/);
	await assert.rejects(w.sql("INSERT INTO runs (issue_key, repo_id, line, status, slot) SELECT 'X-3', id, 'X-3', 'running', NULL FROM repos LIMIT 1"), /slot_while_running/);
	await assert.rejects(w.sql("INSERT INTO runs (issue_key, repo_id, line, status, slot, running_line) VALUES ('X-4', 0, 'X-1', 'running', 99, 'X-1')"), /Duplicate entry/);
	await w.sql("DELETE FROM runs WHERE issue_key LIKE 'X-%'");
});

await test('an urgent issue is worked before those that waited longer', async () => {
	await w.parts.worker.stop();
	const ids = {};
	for (const [key, labels] of [['ONE-11', ['cleanup']], ['ONE-12', []], ['ONE-13', ['p1']], ['ONE-14', ['Critical']]]) {
		await w.script(key, goodTurns(`${key}.md`));
		await w.issue(key, { labels });
		ids[key] = await w.assign(key);
	}
	w.startWorker();
	for (const id of Object.values(ids)) assert.equal((await w.waitRun(id)).status, 'completed');
	const rows = await w.sql(`SELECT issue_key FROM runs WHERE id IN (${Object.values(ids).join(',')}) ORDER BY started_at`);
	assert.deepEqual(rows.map((row) => row.issue_key), ['ONE-14', 'ONE-13', 'ONE-12', 'ONE-11']);
});

await test('a run whose fence was taken writes nothing more and sends nothing', async () => {
	await w.script('TWO-9', [bash('sleep 3'), create('late.md', 'x\n'), finish()]);
	await w.issue('TWO-9');
	const id = await w.assign('TWO-9');
	await until('the command runs', 30000, async () => (await w.sql(`SELECT COUNT(*) AS n FROM run_messages WHERE run_id = ${id} AND role = 'assistant'`))[0].n === '1');
	// another worker takes it: fence and owner change under the child's feet
	await w.sql(`UPDATE runs SET fence = fence + 1, locked_by = 'somebody-else', lease_until = NOW(3) + INTERVAL 1 HOUR WHERE id = ${id}`);
	const counts = () => w.sql(`SELECT (SELECT COUNT(*) FROM run_events WHERE run_id = ${id}) AS events, (SELECT COUNT(*) FROM run_messages WHERE run_id = ${id}) AS messages,
		(SELECT COUNT(*) FROM run_steps WHERE run_id = ${id}) AS steps, (SELECT COUNT(*) FROM outbox WHERE run_id = ${id}) AS effects, (SELECT status FROM runs WHERE id = ${id}) AS status`);
	const [before] = await counts();
	await sleep(6000);
	const [after] = await counts();
	assert.deepEqual(after, before);
	assert.equal(after.status, 'running');
	assert.equal(git(w.repos.TWO.bare, 'branch', '--list', 'ai/two-9'), '');
	const writes = (await w.requests()).filter((r) => r.method !== 'GET' && (r.path.includes('TWO-9') || /two\/pulls$/.test(r.path)));
	assert.deepEqual(writes.filter((r) => r.path.includes('TWO-9')).map((r) => `${r.method} ${r.path}`), []);
	await w.sql(`UPDATE runs SET status = 'cancelled', slot = NULL, running_line = NULL WHERE id = ${id}; UPDATE repos SET running = running - 1 WHERE id = (SELECT repo_id FROM runs WHERE id = ${id})`);
});

await test('an issue that is not assigned to the AI account ends completed without any effect', async () => {
	await w.issue('THREE-1');
	const answer = await w.control('/jira/issues/THREE-1/act', { comment: 'What about this one?' });
	assert.equal(answer.webhooks[0].status, 200);
	const [row] = await w.sql("SELECT id FROM runs WHERE issue_key = 'THREE-1'");
	const run = await w.waitRun(Number(row.id));
	assert.equal(run.status, 'completed');
	assert.match(JSON.stringify(run.events), /not assigned|assigned to/i);
	const touched = (await w.requests()).filter((r) => r.method !== 'GET' && r.path.includes('THREE-1'));
	assert.deepEqual(touched, []);
	assert.deepEqual(await w.sql(`SELECT id FROM outbox WHERE run_id = ${row.id}`), []);
});

await finishTests();
