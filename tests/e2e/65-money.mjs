// Money has a ceiling: a model that never stops costs no more than the cap, to the micro-dollar; two workers
// that race for the last cents of a day do not overspend it; a call whose process was killed or
// cancelled is counted in full; all of it can be seen.
import { spawn } from 'node:child_process';
import { mkdirSync, openSync, readFileSync, readdirSync } from 'node:fs';
import { join } from 'node:path';
import { git } from '../sample/sample.mjs';
import { BUILD } from '../paths.mjs';
import { TREE, assert, create, finish, finishTests, test, tinyProject, until, world } from './harness.mjs';

const CAP = 1_500_000;
const DAY_ROOM = 700_000;
const w = await world({
	repos: { ONE: { files: tinyProject(), name: 'one' }, TWO: { files: tinyProject(), name: 'two' } },
	settings: { AIRUNNER_MAX_RUN_USD: '1.5', AIRUNNER_NOTICE_RUN_USD: '0.5', AIRUNNER_MAX_RUNS: 2 },
});

/** What the answers cost by the price list, from the usage that the stand-in reported. */
const PRICES = JSON.parse(readFileSync(join(TREE, 'etc/models.json'))).models['claude-sonnet-5-5'].prices.at(-1);
function listPrice(usage) {
	const written = usage.cache_creation;
	return Math.round(usage.input_tokens * PRICES.input + usage.output_tokens * PRICES.output + usage.cache_read_input_tokens * PRICES.cache_read
		+ written.ephemeral_5m_input_tokens * PRICES.cache_write_5m + written.ephemeral_1h_input_tokens * PRICES.cache_write_1h);
}
const one = async (sql) => {
	const [row] = await w.sql(sql);
	return Object.fromEntries(Object.entries(row).map(([name, value]) => [name, /^-?\d+$/.test(value) ? Number(value) : value]));
};
const answers = async (key) => (await w.requests('?service=anthropic')).filter((r) => r.note?.usage && JSON.stringify(r.body).includes(key));
/** A model that always has more to say, and says as much as it may. */
const endless = (tokens) => Array.from({ length: 60 }, (_, i) => ({ ...create(`more${i}.md`, `Number ${i}.\n`), usage: { output_tokens: tokens } }));

await test('a model that never stops ends blocked below the cap, its work in a draft pull request', async () => {
	const run = await w.work('ONE-1', endless(10_000_000));
	assert.equal(run.status, 'blocked', run.last_error);
	const row = await one(`SELECT r.cost_usd_micro AS cost, r.turns, b.spent_usd_micro AS spent, b.reserved_usd_micro AS reserved, b.estimated_usd_micro AS estimated,
		(SELECT SUM(cost_usd_micro) FROM llm_calls WHERE run_id = r.id) AS calls, (SELECT SUM(cost_usd_micro) FROM run_messages WHERE run_id = r.id) AS messages
		FROM runs r JOIN budgets b ON b.scope = 'run' AND b.name = '${run.run_id}' WHERE r.id = ${run.run_id}`);
	const paid = (await answers('ONE-1')).reduce((sum, r) => sum + listPrice(r.note.usage), 0);
	console.log(`# ${row.turns} turns, ${row.cost} of ${CAP} micro-dollars, by the stand-in's usage ${paid}`);
	assert.ok(row.cost <= CAP, `${row.cost}`);
	assert.ok(row.cost > CAP - 100_000, `${row.cost} is far from the cap`);
	assert.deepEqual(row, { ...row, cost: paid, spent: paid, calls: paid, messages: paid, reserved: 0, estimated: 0 });
	assert.equal((await one('SELECT COUNT(*) AS n FROM llm_calls WHERE cost_usd_micro > reserved_usd_micro')).n, 0);
	const asked = (await answers('ONE-1')).map((r) => r.body.max_tokens);
	assert.equal(asked[0], 32000);
	assert.ok(asked.at(-1) < 32000 && asked.at(-1) >= 4096, `${asked}`);
	assert.match(run.last_error, new RegExp(`the run's limit of 1\\.50 USD is reached: ${(paid / 1e6).toFixed(6)} USD are spent, and the next call may cost 0\\.\\d{6} USD or more \\(AIRUNNER_MAX_RUN_USD\\)`));
	assert.match(run.pr_url, /pull\/\d+/);
	assert.equal((await w.control('/github/pulls')).at(-1).draft, true);
	assert.match(git(w.repos.ONE.bare, 'ls-tree', '--name-only', run.branch), /more0\.md/);
	assert.ok(run.events.some((e) => /has spent 0\.\d{6} USD, more than its notice of 0\.50 USD; its limit is 1\.50 USD/.test(e.message)));
	assert.match((await w.comments('ONE-1')).join('\n'), /limit of 1\.50 USD is reached/);
});

await test('it can be seen: by scope and model in the API, on the page, and for today', async () => {
	const [{ id }] = await w.sql("SELECT MAX(id) AS id FROM runs WHERE issue_key = 'ONE-1'");
	const { json: run } = await w.api(`/api/runs/${id}`);
	assert.equal(run.money.run.cap_usd, 1.5);
	assert.equal(run.money.run.spent_usd, run.cost_usd);
	assert.equal(run.money.issue.spent_usd, run.cost_usd);
	assert.equal(run.money.day.cap_usd, 100);
	assert.deepEqual(run.money.models, [{ model: 'claude-sonnet-5-5', calls: run.turns, cost_usd: run.cost_usd, estimated_usd: 0 }]);
	const { json: metrics } = await w.api('/api/metrics/summary');
	assert.equal(metrics.money_today.all.spent_usd, run.cost_usd);
	assert.match(metrics.money_today.repos[0].repo, /one/);
	const first = await fetch(await w.signinLink(), { redirect: 'manual' });
	const html = await (await fetch(`${w.url}/runs/${id}`, { headers: { cookie: first.headers.get('set-cookie').split(';')[0] } })).text();
	assert.match(html, /limit \$1\.50/);
});

const stalled = { ...create('a.md', 'x\n'), fault: { kind: 'stall', seconds: 3600, after_bytes: 200 } };
const openCall = async (id) => (await w.sql(`SELECT id, reserved_usd_micro FROM llm_calls WHERE open_run = ${id}`))[0];

/** The run's process: a child of the worker's that has the run's number. */
function runProcess(id) {
	return readdirSync('/proc').filter((name) => /^\d+$/.test(name)).map(Number).find((pid) => {
		try {
			const parent = Number(readFileSync(`/proc/${pid}/stat`, 'utf8').replace(/^.*\) \S /s, '').split(' ')[0]);
			return parent === w.parts.worker.pid && readFileSync(`/proc/${pid}/cmdline`, 'utf8').split('\0').includes(String(id));
		} catch {
			return false;
		}
	});
}

await test('a call whose process is killed is counted in full, and the run goes on', async () => {
	await w.script('ONE-2', [stalled, finish()]);
	await w.issue('ONE-2');
	const id = await w.assign('ONE-2');
	await until('the call is under way', 30000, async () => (await w.requests('?service=anthropic')).some((r) => JSON.stringify(r.body ?? '').includes('ONE-2')), 50);
	const call = await openCall(id);
	assert.ok(call, 'nothing is reserved');
	const { json: during } = await w.api(`/api/runs/${id}`);
	assert.equal(Math.round(during.money.run.reserved_usd * 1e6), Number(call.reserved_usd_micro));
	process.kill(runProcess(id), 'SIGKILL');
	const run = await w.waitRun(id);
	assert.equal(run.status, 'completed', run.last_error);
	assert.equal(Math.round(run.money.run.estimated_usd * 1e6), Number(call.reserved_usd_micro));
	assert.equal(run.money.run.spent_usd, run.cost_usd);
	assert.ok(run.cost_usd > run.money.run.estimated_usd);
	assert.equal(run.money.run.reserved_usd, 0);
	assert.ok(run.events.some((e) => /left open by a process that ended: it is counted as an estimate/.test(e.message)));
});

await test('a cancelled call is counted in full by the parent', async () => {
	await w.script('TWO-2', [stalled, finish()]);
	await w.issue('TWO-2');
	const id = await w.assign('TWO-2');
	await until('the call is under way', 30000, async () => (await w.requests('?service=anthropic')).some((r) => JSON.stringify(r.body ?? '').includes('TWO-2')), 50);
	const call = await openCall(id);
	assert.equal((await w.api(`/api/runs/${id}/cancel`, { method: 'POST' })).status, 200);
	assert.equal((await w.waitRun(id)).status, 'cancelled');
	await until('it is settled', 15000, async () => !(await openCall(id)), 100);
	const { json: run } = await w.api(`/api/runs/${id}`);
	assert.deepEqual([run.money.run.estimated_usd, run.cost_usd, run.money.run.reserved_usd], [Number(call.reserved_usd_micro) / 1e6, Number(call.reserved_usd_micro) / 1e6, 0]);
});

await test('two workers that race for the last cents of a day do not overspend it', async () => {
	await w.parts.worker.stop();
	await w.control('/config', { stream: { first_delay_ms: 60 } }, 'PATCH'); // so that calls overlap
	const before = (await one("SELECT spent_usd_micro AS spent FROM budgets WHERE scope = 'day'")).spent;
	const cap = before + DAY_ROOM;
	const ids = [];
	for (const key of ['ONE-3', 'TWO-3']) {
		await w.script(key, endless(3000));
		await w.issue(key);
		ids.push(await w.assign(key));
	}
	const workers = ['first', 'second'].map((name) => {
		const state = join(w.state, name);
		mkdirSync(state, { recursive: true });
		const log = openSync(w.log(`worker-${name}`), 'a');
		return spawn(join(BUILD, 'airunner-worker'), [], {
			cwd: TREE, stdio: ['ignore', log, log],
			env: { ...w.programEnv('W', 'worker'), AIRUNNER_WORKER_NAME: name, AIRUNNER_STATE_DIR: state, AIRUNNER_POKE_SOCKET: join(w.sockets, `${name}.sock`),
				AIRUNNER_MAX_RUNS: '1', AIRUNNER_MAX_DAY_USD: (cap / 1e6).toFixed(6), AIRUNNER_MAX_RUN_USD: '0' },
		});
	});
	const ends = workers.map((worker) => new Promise((resolve) => worker.on('exit', resolve)));
	let highest = 0;
	let open = 0;
	try {
		await until('both runs end', 90000, async () => {
			const now = await one("SELECT spent_usd_micro + reserved_usd_micro AS sum FROM budgets WHERE scope = 'day'");
			highest = Math.max(highest, now.sum);
			open = Math.max(open, (await one('SELECT COUNT(*) AS n FROM llm_calls WHERE open_run IS NOT NULL')).n);
			return (await one(`SELECT COUNT(*) AS n FROM runs WHERE id IN (${ids}) AND status NOT IN ('queued', 'running')`)).n === 2;
		}, 5);
	} finally {
		for (const worker of workers) worker.kill('SIGTERM');
		await Promise.all(ends);
	}
	const runs = await w.sql(`SELECT status, reason, locked_by, cost_usd_micro FROM runs WHERE id IN (${ids}) ORDER BY id`);
	const after = (await one("SELECT spent_usd_micro AS spent FROM budgets WHERE scope = 'day'")).spent;
	console.log(`# cap ${cap}, spent ${after}, never more spent and reserved than ${highest}, ${open} calls open at once`);
	assert.notEqual(runs[0].locked_by, runs[1].locked_by);
	assert.equal(open, 2, 'their calls never overlapped');
	assert.ok(after <= cap && highest <= cap, `${after}, ${highest} of ${cap}`);
	assert.ok(after > cap - 100_000, 'they stopped long before the last cents');
	assert.equal(after - before, runs.reduce((sum, row) => sum + Number(row.cost_usd_micro), 0));
	for (const run of runs) {
		assert.equal(run.status, 'blocked', run.reason);
		assert.match(run.reason, /the whole system's limit of the day of \d\.\d\d USD is reached: .* it begins anew on \d{4}-\d\d-\d\d at 00:00 UTC \(AIRUNNER_MAX_DAY_USD\)/);
	}
	assert.equal((await one('SELECT COUNT(*) AS n FROM llm_calls WHERE open_run IS NOT NULL')).n, 0);
});

await finishTests();
