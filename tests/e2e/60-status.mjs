// The dashboard and the API over the same rows: who may read, what is answered, and in which shape.
import { SAMPLE, sampleIssues } from '../sample/sample.mjs';
import { join } from 'node:path';
import { TREE, assert, finishTests, test, tinyProject, goodTurns, world } from './harness.mjs';

const w = await world({
	repos: { DEMO: { folder: join(TREE, 'tests/sample/project'), name: SAMPLE.name }, GOOD: { files: tinyProject(), name: 'good' } },
	issues: sampleIssues(), scripts: [SAMPLE.scripts],
});
const done = await w.work('GOOD-1', goodTurns(), { issue: { summary: '<script>alert(1)</script> & more' } });
const page = (path, headers = {}) => fetch(w.url + path, { redirect: 'manual', headers });
let cookie;

const isSeconds = (value) => Number.isInteger(value) && Math.abs(value - Date.now() / 1000) < 3600;

await test('without a token reading is refused, pages lead to the sign-in', async () => {
	for (const path of ['/api/status', '/api/metrics/summary', '/api/queue/stats', '/api/runs/1', '/api/health/detailed']) {
		const answer = await w.api(path, { token: null });
		assert.equal(answer.status, 401, path);
		assert.ok(answer.json.error && answer.json.title, path);
		assert.equal((await w.api(path, { token: 'air_wrong' })).status, 401, path);
	}
	const answer = await page('/status');
	assert.ok([302, 303].includes(answer.status));
	assert.match(answer.headers.get('location'), /^\/login/);
});

await test('/health and the sign-in page are open', async () => {
	assert.deepEqual((await w.api('/health', { token: null })).json, { status: 'ok' });
	assert.equal((await page('/login')).status, 200);
});

await test('the one-time link signs in once and leads to the dashboard', async () => {
	const link = new URL(await w.signinLink());
	const first = await page(link.pathname + link.search);
	assert.ok([302, 303].includes(first.status), `${first.status}`);
	assert.match(first.headers.get('set-cookie'), /HttpOnly/i);
	assert.ok(!first.headers.get('set-cookie').includes(w.token));
	cookie = first.headers.get('set-cookie').split(';')[0];
	assert.equal((await page(link.pathname + link.search)).status, 401);
	assert.equal((await page('/signin?code=nonsense')).status, 401);
	const status = await page('/status', { cookie });
	assert.equal(status.status, 200);
	assert.match(status.headers.get('content-security-policy'), /default-src 'none'/);
});

await test('/status shows the run with its state, and outside text as text', async () => {
	const html = await (await page('/status', { cookie })).text();
	assert.match(html, /GOOD-1/);
	assert.match(html, /completed/i);
	assert.ok(!html.includes('<script>alert(1)'), 'unescaped');
	assert.ok(!/ style="/.test(html), 'inline style');
	assert.equal((await page(`/runs/${done.run_id}`, { cookie })).status, 200);
	assert.equal((await page('/runs/4711', { cookie })).status, 404);
});

await test('/api/status has the members of the Python system', async () => {
	const summary = (await w.api('/api/status')).json;
	assert.equal(summary.detail_level, 'summary');
	assert.ok(isSeconds(summary.timestamp));
	const [run] = summary.runs;
	for (const name of ['run_id', 'issue_key', 'status', 'locked_by', 'locked_at', 'created_at', 'completed_at', 'progress_events']) assert.ok(name in run, name);
	assert.equal(run.progress_events.length, 1);
	assert.ok(isSeconds(run.created_at) && isSeconds(run.completed_at));
	const detailed = (await w.api('/api/status?detail=detailed')).json.runs[0].progress_events;
	assert.ok(detailed.length > 3);
	for (const event of detailed) assert.ok('message' in event && 'stage' in event && isSeconds(event.timestamp) && 'meta' in event);
});

await test('/api/runs/{id} has the members of the Python system, and 404 for another', async () => {
	const run = (await w.api(`/api/runs/${done.run_id}`)).json;
	for (const name of ['run_id', 'issue_key', 'status', 'branch', 'pr_url', 'last_error', 'created_at', 'updated_at', 'locked_by', 'locked_at', 'priority', 'repo_key', 'metrics', 'events']) assert.ok(name in run, name);
	assert.equal(run.repo_key, 'GOOD');
	assert.equal(run.priority, 3);
	for (const name of ['run_id', 'issue_key', 'issue_type', 'start_time', 'end_time', 'duration_seconds', 'success', 'status', 'error_category', 'error_message', 'model_used',
		'total_input_tokens', 'total_output_tokens', 'thinking_tokens', 'cached_tokens', 'build_attempts', 'self_heal_attempts', 'pre_commit_passed', 'tests_run', 'tests_passed',
		'files_changed', 'lines_added', 'lines_removed', 'estimated_cost', 'metadata']) assert.ok(name in run.metrics, `metrics.${name}`);
	for (const event of run.events) assert.ok(['info', 'error', 'progress'].includes(event.level) && isSeconds(event.timestamp));
	const missing = await w.api('/api/runs/4711');
	assert.equal(missing.status, 404);
	assert.ok(missing.json.error);
	assert.equal((await w.api('/api/runs/abc')).status, 404);
});

await test('/api/metrics/summary adds up', async () => {
	const m = (await w.api('/api/metrics/summary?hours=24')).json;
	assert.equal(m.period_hours, 24);
	assert.equal(m.total_runs, 1);
	assert.equal(m.completed, 1);
	assert.equal(m.failed, 0);
	assert.equal(m.success_rate, 100);
	assert.ok(m.total_cost_usd > 0 && m.total_tokens > 0 && m.avg_duration_seconds > 0);
	assert.deepEqual(m.error_categories, {});
	assert.ok(Math.abs(m.total_cost_usd - done.metrics.estimated_cost) < 1e-6);
});

await test('/api/queue/stats counts queued and running runs by priority and repository', async () => {
	await w.parts.worker.stop();
	for (const [key, labels] of [['GOOD-7', ['urgent']], ['GOOD-8', []], ['DEMO-8', []]]) {
		await w.issue(key, { labels });
		await w.assign(key);
	}
	const q = (await w.api('/api/queue/stats')).json;
	assert.equal(q.total_queued, 3);
	assert.deepEqual(Object.keys(q.by_priority).sort(), ['HIGH', 'LOW', 'NORMAL', 'URGENT']);
	assert.equal(q.by_priority.URGENT, 1);
	assert.deepEqual(q.by_repo, { GOOD: 2, DEMO: 1 });
	assert.equal(q.currently_running, 0);
	assert.deepEqual(q.running_by_repo, {});
});

await test('a poll that brings nothing new is a 304', async () => {
	const first = await page('/status', { cookie });
	const etag = first.headers.get('etag');
	assert.ok(etag, 'no ETag');
	assert.equal((await page('/status', { cookie, 'if-none-match': etag })).status, 304);
	await w.issue('GOOD-9');
	await w.assign('GOOD-9');
	assert.equal((await page('/status', { cookie, 'if-none-match': etag })).status, 200);
});

await test('the handlers answer from the shell, too', async () => {
	const { execFileSync } = await import('node:child_process');
	const out = execFileSync(join(w.build, 'airunner-api'), { encoding: 'utf8', env: {
		...w.programEnv('P', 'api'), REQUEST_METHOD: 'GET', PATH_INFO: '/health' } });
	assert.match(out, /\{"status": ?"ok"\}/);
});

await finishTests();
