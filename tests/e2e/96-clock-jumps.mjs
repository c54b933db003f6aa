// Wall clocks that jump by a day, on and back, amid a run: of the worker and the handlers, then of the
// database. A preloaded library moves CLOCK_REALTIME of the real programs (tests/fault/clock.c); leases
// go by the database's clock, limits and silences by CLOCK_MONOTONIC, so nothing is lost or refused.
// `make test` tries three of the six jumps, SOAK=1 all.
import { createHmac } from 'node:crypto';
import { mkdirSync, openSync, writeFileSync, writeSync } from 'node:fs';
import { join } from 'node:path';
import { wrongEnd } from '../fault/effects.mjs';
import { below, commands } from '../fault/processes.mjs';
import { BUILD } from '../paths.mjs';
import { keptSecret } from '../run/standins.mjs';
import { STATE, assert, bash, create, finish, finishTests, sleep, test, tinyProject, until, world } from './harness.mjs';

const DAY_S = 86400;
const folder = join(STATE, 'test/96-clocks');
mkdirSync(folder, { recursive: true });
/** A clock of its own: what to set in the environment, and set(seconds off). */
function clock(name) {
	const path = join(folder, name);
	writeFileSync(path, Buffer.alloc(8));
	const fd = openSync(path, 'r+');
	const bytes = Buffer.alloc(8);
	return {
		env: { FAULT_CLOCK: path },
		set: (seconds) => {
			bytes.writeBigInt64LE(BigInt(seconds));
			writeSync(fd, bytes, 0, 8, 0);
		},
	};
}
const clocks = { programs: clock('programs'), database: clock('database') };
const w = await world({
	repos: { CL: { files: tinyProject() } },
	env: { LD_PRELOAD: join(BUILD, 'fault-clock.so'), ASAN_OPTIONS: `${process.env.ASAN_OPTIONS ?? ''}:verify_asan_link_order=0`, ...clocks.database.env },
	extraEnv: (letter) => ({ ...clocks.programs.env, ...(letter === 'W' ? { AIRUNNER_FAULT_MS: 'renew:1500,reap:400' } : {}) }),
});
const secret = keptSecret(w.state, 'jira-webhook-secret');
const databaseNow = async () => Number((await w.sql('SELECT UNIX_TIMESTAMP() AS s'))[0].s);

await test('the clocks can be moved', async () => {
	const before = await databaseNow();
	clocks.database.set(DAY_S);
	assert.ok(await databaseNow() - before >= DAY_S);
	clocks.database.set(0);
	assert.ok(await databaseNow() - before < 60);
});

let count = 0;
const JUMPS = [
	{ whose: 'of worker and handlers', which: ['programs'], all: [-1, 1], some: [-1] },
	{ whose: 'of the database', which: ['database'], all: [1, -1], some: [1] },
	{ whose: 'of all', which: ['programs', 'database'], all: [1, -1], some: [1] },
];
for (const { whose, which, all, some } of JUMPS) {
	for (const days of process.env.SOAK === '1' ? all : some) {
		await test(`the clock ${whose} jumps by ${days} day amid a run: same claim, one attempt, every effect once`, async () => {
			count += 1;
			const key = `CL-${count}`;
			await w.script(key, [create('notes.md', 'A note.\n'), bash('sleep 3'), create('more.md', 'More.\n'), finish()]);
			await w.issue(key);
			const id = await w.assign(key);
			await until('the command runs', 30000, () => commands(below(w.parts.worker.pid)).some((line) => line.includes('sleep 3')), 10);
			for (const name of which) clocks[name].set(days * DAY_S);
			await w.waitRun(id, undefined, 60000);
			const [row] = await w.sql(`SELECT status, reason, attempt, fence, crashes FROM runs WHERE id = ${id}`);
			assert.deepEqual(await wrongEnd(w, { key, id, row, bare: w.repos.CL.bare }), []);
			assert.deepEqual([row.attempt, row.fence, row.crashes], ['1', '1', '0']);
			for (const name of which) clocks[name].set(0);
			await sleep(500);
		});
	}
}

/** Posts a webhook whose body is that many seconds old; answers the status. */
async function post(key, age_s) {
	const text = JSON.stringify({ issue_key: key, timestamp: Date.now() - age_s * 1000 });
	return fetch(`${w.url}/webhook/jira`, { method: 'POST', body: text, headers: { 'x-hub-signature': `sha256=${createHmac('sha256', secret).update(text).digest('hex')}` } }).then((r) => r.status);
}
await test('a handler whose clock is two days off refuses no new webhook, and an old one all the same', async () => {
	await w.sql('UPDATE repos SET paused = 1');
	for (const days of [2, -2]) {
		clocks.programs.set(days * DAY_S);
		assert.equal(await post(`CL-${700 + days}`, 0), 200, `${days} days`);
	}
	clocks.programs.set(0);
	assert.equal(await post('CL-800', 2 * DAY_S), 400);
	assert.match(w.logText('webhook'), /clock is not the database's/);
});

await test('the worker\'s log went by the moved clock', () => {
	const days = new Set([...w.logText('worker').matchAll(/^\[\w+\] (\d{4}-\d\d-\d\d) /gm)].map((match) => match[1]));
	assert.ok(days.size >= 3, [...days].join(' '));
});

await finishTests();
