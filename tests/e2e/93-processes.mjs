// kill -9 of each process there is, and a parent that stands still: work goes on, and how soon. Also the
// run that is worked by hand, which has a parent of its own. SOAK=1: more kills, and the real 45 s.
import { spawn } from 'node:child_process';
import { closeSync, openSync } from 'node:fs';
import { createHmac } from 'node:crypto';
import { join } from 'node:path';
import { wrongEnd } from '../fault/effects.mjs';
import { alive, below, commands, patient } from '../fault/processes.mjs';
import { percentile } from '../fault/seed.mjs';
import { keptSecret } from '../run/standins.mjs';
import { BUILD } from '../paths.mjs';
import { TREE, assert, bash, create, finish, finishTests, sleep, test, tinyProject, until, world } from './harness.mjs';

const SOAK = process.env.SOAK === '1';
const KILLS = SOAK ? 12 : 2;
const SILENCE_MS = SOAK ? 45000 : 3000; // how long a child goes on without a renewal (worker/lease.h)

const w = await world({
	repos: { PR: { files: tinyProject(), name: 'pr' } },
	extraEnv: (letter) => (letter === 'W' && !SOAK ? { AIRUNNER_FAULT_MS: `silence:${SILENCE_MS},renew:500` } : {}),
});
const secret = keptSecret(w.state, 'jira-webhook-secret');
const { bare } = w.repos.PR;

/** The launcher's wait grows when a part dies often, which here is our doing. */
function killPart(name) {
	w.parts[name].waitMs = 200;
	w.parts[name].kill('SIGKILL');
}

let count = 0;
async function begin(turns) {
	count += 1;
	const key = `PR-${count}`;
	await w.script(key, turns ?? [create('notes.md', `A note for ${key}.\n`), finish('Added a note.')]);
	await w.issue(key);
	return { key, id: await w.assign(key), bare };
}
const rowOf = (id) => w.sql(`SELECT status, reason, fence, crashes, locked_by, TIMESTAMPDIFF(SECOND, NOW(), lease_until) AS lease_s FROM runs WHERE id = ${id}`).then(([row]) => row);
const asked = async (key) => (await w.requests('?service=anthropic')).filter((r) => JSON.stringify(r.body).includes(`Please do ${key}.`)).length;
const running = (what) => () => commands(below(w.parts.worker.pid)).some((line) => line.includes(what));
async function endsWell(run) {
	await w.waitRun(run.id);
	// A kill may fall between an answer and its row: 90-kill-points.mjs knows where exactly, this does not.
	assert.deepEqual(await wrongEnd(w, { ...run, row: await rowOf(run.id), askedTwice: null }), []);
}
const figures = (list) => `${Math.round(percentile(list, 0.5))} ms in the median, ${Math.round(percentile(list, 1))} ms at most of ${list.length}`;
const warm = await begin();
await endsWell(warm);

await test('the worker\'s parent is killed: all its processes die, its successor takes the run up at once', async () => {
	const gone = [];
	const back = [];
	for (let i = 0; i < KILLS; i += 1) {
		const run = await begin([create('notes.md', 'A note.\n'), bash('sleep 1.2'), finish()]);
		await until('the command runs', 30000, running('sleep 1.2'), 10);
		const tree = below(w.parts.worker.pid);
		const { fence } = await rowOf(run.id);
		const from = Date.now();
		killPart('worker');
		await until('all processes are gone', patient(5000), () => alive(tree).length === 0, 2);
		gone.push(Date.now() - from);
		await until('the run goes on', 30000, async () => {
			const row = await rowOf(run.id);
			return row.status === 'running' && Number(row.fence) > Number(fence);
		}, 10);
		back.push(Date.now() - from);
		await endsWell(run);
	}
	w.parts.worker.deaths = [];
	console.log(`# worker's parent killed: last process gone after ${figures(gone)}; run taken up after ${figures(back)}`);
	assert.ok(percentile(gone, 1) < patient(2000) && percentile(back, 1) < patient(15000));
});

await test('the run\'s own process is killed: its parent starts it again at once', async () => {
	const back = [];
	for (let i = 0; i < KILLS; i += 1) {
		const run = await begin([create('notes.md', 'A note.\n'), bash('sleep 1.2'), finish()]);
		await until('the command runs', 30000, running('sleep 1.2'), 10);
		const tree = below(w.parts.worker.pid);
		const child = tree.find((pid) => commands([pid])[0].includes('--fence'));
		const { fence } = await rowOf(run.id);
		const from = Date.now();
		process.kill(child, 'SIGKILL');
		await until('the run goes on', 30000, async () => Number((await rowOf(run.id)).fence) > Number(fence), 5);
		back.push(Date.now() - from);
		assert.deepEqual(alive(tree.filter((pid) => pid !== child)), [], 'processes of the dead child');
		await endsWell(run);
	}
	console.log(`# a run's process killed: claimed again after ${figures(back)}`);
	assert.ok(percentile(back, 1) < patient(3000));
});

/** Posts a webhook each 20 ms while `body` runs; answers how long none was taken. */
async function outage(body) {
	let on = true;
	let last = performance.now();
	let longest = 0;
	let n = 0;
	const statuses = {};
	const post = (async () => {
		while (on) {
			n += 1;
			const text = JSON.stringify({ issue_key: `OUT-${n}` });
			const status = await fetch(`${w.url}/webhook/jira`, {
				method: 'POST', body: text, signal: AbortSignal.timeout(5000),
				headers: { 'x-hub-signature': `sha256=${createHmac('sha256', secret).update(text).digest('hex')}` },
			}).then((r) => r.status, () => 0);
			statuses[status] = (statuses[status] ?? 0) + 1;
			if (status === 200) {
				longest = Math.max(longest, performance.now() - last);
				last = performance.now();
			}
			await sleep(20);
		}
	})();
	await sleep(100);
	await body();
	await sleep(500);
	on = false;
	await post;
	return { ms: longest, statuses };
}

await test('handlers and nginx are killed: each is back at once', async () => {
	await w.sql('UPDATE repos SET paused = 1');
	const handler = () => below(w.parts.webhook.pid);
	const kinds = {
		'a handler process': async () => process.kill(handler()[0], 'SIGKILL'),
		'all handler processes': async () => handler().forEach((pid) => process.kill(pid, 'SIGKILL')),
		'the handlers\' parent': async () => {
			const before = handler();
			killPart('webhook');
			await until('its processes are gone', 5000, () => alive(before).length === 0);
		},
		'nginx\'s master': async () => killPart('nginx'),
		'nginx\'s workers': async () => below(w.parts.nginx.pid).forEach((pid) => process.kill(pid, 'SIGKILL')),
	};
	for (const [what, kill] of Object.entries(kinds)) {
		const list = [];
		const all = {};
		for (let i = 0; i < (SOAK ? 5 : 1); i += 1) {
			const { ms, statuses } = await outage(async () => {
				await kill();
				await sleep(300);
				await until('webhooks are taken again', 15000, () => w.api('/health').then((r) => r.status === 200, () => false), 10);
			});
			list.push(ms);
			for (const [status, n] of Object.entries(statuses)) all[status] = (all[status] ?? 0) + n;
		}
		console.log(`# ${what} killed: no webhook was taken for ${figures(list)} (answers ${JSON.stringify(all)})`);
		assert.ok(percentile(list, 1) < patient(5000), what);
		assert.ok(Object.keys(all).every((status) => ['200', '503', '0'].includes(status)), JSON.stringify(all));
	}
	for (const name of ['webhook', 'nginx']) w.parts[name].deaths = [];
	await w.sql("DELETE FROM runs WHERE issue_key LIKE 'OUT-%'; UPDATE repos SET paused = 0");
});

await test('while its parent stands still a run starts nothing after the silence, and goes on with it', async () => {
	const run = await begin([create('notes.md', `A note for PR-${count + 1}.\n`), bash(`sleep ${SILENCE_MS / 1000 + 2}; echo slept`), bash('touch more.txt'), finish('Added a note.')]);
	await until('the command runs', 30000, running(`sleep ${SILENCE_MS / 1000 + 2}`), 10);
	process.kill(w.parts.worker.pid, 'SIGSTOP');
	await sleep(SILENCE_MS + 3500);
	const calls = await asked(run.key);
	assert.equal(calls, 2, 'calls of the model');
	await sleep(2000);
	assert.equal(await asked(run.key), calls, 'a call was made without a lease');
	assert.equal((await rowOf(run.id)).status, 'running');
	process.kill(w.parts.worker.pid, 'SIGCONT');
	await endsWell(run);
	assert.match(w.logText('worker'), /lease was not renewed for \d+ s: nothing is started/);
	assert.equal(w.logText('worker').includes('its lease will run out'), false);
});

/** `airunner-worker --run ID` beside a stopped daemon. */
function byHand(id) {
	const log = openSync(w.log('by-hand'), 'a');
	const child = spawn(join(BUILD, 'airunner-worker'), ['--run', String(id)], { cwd: TREE, env: w.programEnv('W', 'worker'), stdio: ['ignore', log, log] });
	closeSync(log);
	return { child, ended: new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal))) };
}

await test('a run worked by hand has a lease that is renewed, ends with its parent, and goes on elsewhere', async () => {
	await w.parts.worker.stop();
	const run = await begin([create('notes.md', 'A note.\n'), bash('sleep 1.2'), finish()]);
	const { child } = byHand(run.id);
	await until('the command runs', 30000, () => commands(below(child.pid)).some((line) => line.includes('sleep 1.2')), 10);
	const row = await rowOf(run.id);
	assert.ok(Number(row.lease_s) <= 60 && row.locked_by.endsWith(`/${child.pid}`), JSON.stringify(row));
	const tree = below(child.pid);
	child.kill('SIGKILL');
	await until('all processes are gone', patient(5000), () => alive(tree).length === 0, 5);
	await w.sql(`UPDATE runs SET lease_until = NOW(3) WHERE id = ${run.id}`); // nobody needs to wait so long here
	w.startWorker();
	await endsWell(run);
});

await test('by hand the run\'s end is waited for, Ctrl-C puts it back, and what cannot be worked is said', async () => {
	await w.parts.worker.stop();
	const run = await begin([create('notes.md', 'A note.\n'), bash('sleep 1.2'), finish()]);
	const first = byHand(run.id);
	await until('the command runs', 30000, () => commands(below(first.child.pid)).some((line) => line.includes('sleep 1.2')), 10);
	first.child.kill('SIGINT');
	assert.equal(await first.ended, 0);
	const row = await rowOf(run.id);
	assert.deepEqual([row.status, row.crashes], ['queued', '0']);
	assert.equal(await byHand(run.id).ended, 0);
	await endsWell(run);
	assert.equal(await byHand(run.id).ended, 1);
	assert.match(w.logText('by-hand'), /is not queued|completed/);
	assert.deepEqual(await w.sql("SELECT name FROM workers WHERE name LIKE '%/%'"), []);
	w.startWorker();
});

await finishTests();
