// kill -9 of MariaDB under load: webhooks come in through nginx and several workers claim and close runs
// all the while (tests/fault/claimer.c, the worker's own functions). What was acknowledged is there
// afterwards: no webhook and no claim is lost, none is made twice, the indexes are whole, the counters
// right. Then real runs, with the database killed amid them. `make test` kills it 3 times, SOAK=1 50.
import { createHmac } from 'node:crypto';
import { readFileSync } from 'node:fs';
import { join } from 'node:path';
import { wrongEnd } from '../fault/effects.mjs';
import { random } from '../fault/seed.mjs';
import { BUILD } from '../paths.mjs';
import { Part } from '../run/parts.mjs';
import { keptSecret } from '../run/standins.mjs';
import { assert, bash, create, finish, finishTests, sleep, test, tinyProject, until, world } from './harness.mjs';

const SOAK = process.env.SOAK === '1';
const KILLS = SOAK ? 50 : 3;
const CLAIMERS = 4;
const SENDERS = 8;
const LOADED = ['LA', 'LB', 'LC']; // projects whose runs the claimers take
const next = random(Number(process.env.KILL_SEED ?? 20261122));

const w = await world({
	repos: Object.fromEntries(['DK', ...LOADED].map((project) => [project, { files: tinyProject() }])),
	durable: true, settings: { AIRUNNER_HANDLERS: 4 },
});
const secret = keptSecret(w.state, 'jira-webhook-secret');
await until('the repositories are known', 10000, async () => (
	Number((await w.sql('SELECT COUNT(*) AS n FROM repo_projects'))[0].n) === LOADED.length + 1));
await w.parts.worker.stop();

await test('the database writes each commit to disk before it is acknowledged', async () => {
	const rows = await w.sql("SHOW VARIABLES WHERE Variable_name IN ('innodb_flush_log_at_trx_commit', 'innodb_doublewrite')");
	assert.deepEqual(Object.fromEntries(rows.map((r) => [r.Variable_name, r.Value])), { innodb_doublewrite: 'ON', innodb_flush_log_at_trx_commit: '1' });
});

const database = () => w.parts.database;
/** Ends it at once; answers after how many ms it answered again. */
async function kill() {
	database().waitMs = 200; // the launcher's wait grows when a part dies often, which here is our doing
	const { pid } = database();
	const from = performance.now();
	database().kill('SIGKILL');
	await until('MariaDB is started again', 30000, () => database().running && database().pid !== pid, 10);
	await until('MariaDB answers again', 60000, () => w.sql('SELECT 1').then(() => true, () => false), 20);
	return performance.now() - from;
}

const acknowledged = []; // {run_id, key}
const statuses = {};
let sending = true;
let sent = 0;
async function sender() {
	while (sending) {
		sent += 1;
		const key = `${LOADED[sent % LOADED.length]}-${Math.ceil(sent / 2)}`; // some join a queued run
		const text = JSON.stringify({ issue_key: key, n: sent });
		const answer = await fetch(`${w.url}/webhook/jira`, {
			method: 'POST', body: text, signal: AbortSignal.timeout(70000),
			headers: {
				'x-hub-signature': `sha256=${createHmac('sha256', secret).update(text).digest('hex')}`, 'x-atlassian-webhook-identifier': `load-${sent}`,
			},
		}).catch(() => ({ status: 0 }));
		statuses[answer.status] = (statuses[answer.status] ?? 0) + 1;
		if (answer.status === 200) acknowledged.push({ n: sent, key, ...(await answer.json()) });
		if (answer.status === 503) {
			assert.match(answer.headers.get('retry-after') ?? '', /^\d+$/);
			await sleep(50);
		}
	}
}

const claimers = Array.from({ length: CLAIMERS }, (_, i) => new Part({
	name: `claimer ${i}`, argv: [join(BUILD, 'claimer'), `claimer-${i}`], env: w.programEnv('W', 'worker'), log: w.log(`claimer-${i}`), restart: false,
}));
/** What the claimers heard from the database, in the order of each. */
const heard = () => claimers.flatMap((part, i) => readFileSync(part.log, 'utf8').split('\n').filter((line) => line.includes(' '))
	.map((line) => line.split(' ')).map(([what, id, fence]) => ({ claimer: i, what, id, fence })));

await test(`${KILLS} kills under load: nothing that was acknowledged is lost or done twice`, async () => {
	for (const part of claimers) part.start();
	const senders = Array.from({ length: SENDERS }, sender);
	const back = [];
	for (let i = 0; i < KILLS; i += 1) {
		await sleep(700 + 1500 * next());
		back.push(await kill());
	}
	await sleep(1500);
	sending = false;
	await Promise.all(senders);
	for (const part of claimers) assert.deepEqual(part.deaths, []);
	await until('the claimers have emptied the queue', 120000, async () => (
		(await w.sql("SELECT COUNT(*) AS n FROM runs WHERE status IN ('queued', 'running')"))[0].n === '0'), 200);
	await Promise.all(claimers.map((part) => part.stop('SIGKILL')));

	const lost = [];
	const deliveries = new Map((await w.sql('SELECT dedupe_key, run_id FROM deliveries')).map((row) => [row.dedupe_key, row.run_id]));
	const runs = new Map((await w.sql('SELECT id, issue_key, fence, status FROM runs')).map((row) => [row.id, row]));
	assert.ok(deliveries.size >= acknowledged.length);
	for (const a of acknowledged) {
		const run = runs.get(String(a.run_id));
		if (run?.issue_key !== a.key) lost.push(`webhook ${a.n} of ${a.key}: run ${a.run_id}`);
	}
	const all = heard();
	const of = (what) => all.filter((h) => h.what === what);
	const claims = new Set();
	const double = [];
	for (const { id, fence, claimer } of of('claim')) {
		if (claims.has(`${id} ${fence}`)) double.push(`run ${id}, fence ${fence}, again by ${claimer}`);
		claims.add(`${id} ${fence}`);
		if (!(Number(runs.get(id)?.fence) >= Number(fence))) lost.push(`claim of run ${id}, fence ${fence}`);
	}
	// A run that was closed by one claim may not be claimed again; nobody retries here.
	for (const { what, id, fence } of all.filter((h) => h.what === 'close' || h.what === 'unsure')) {
		const run = runs.get(id);
		if (run.status !== 'completed') lost.push(`${what} of run ${id}: ${run.status}`);
		if (run.fence !== fence) double.push(`run ${id} was closed with fence ${fence} and claimed again: ${run.fence}`);
	}
	console.log(`# ${KILLS} kills, MariaDB answered again after ${Math.round(back.reduce((a, b) => a + b) / back.length)} ms on average; webhooks ${JSON.stringify(statuses)}, `
		+ `${claims.size} claims, ${of('close').length} closes acknowledged, ${of('unsure').length} known only by the row, ${of('requeue').length} claims of unknown end put back: ${lost.length} lost, ${double.length} double`);
	assert.deepEqual(lost, []);
	assert.deepEqual(double, []);
	assert.deepEqual(of('stolen'), []);
	assert.ok(claims.size > 20 * KILLS && acknowledged.length > 20 * KILLS, 'there was a load');
	database().deaths = [];
});

/** Indexes of all tables, and what the counters say, against the rows. */
async function checkTables() {
	const tables = (await w.sql('SHOW TABLES')).map((row) => Object.values(row)[0]);
	for (const table of tables) {
		const rows = await w.sql(`CHECK TABLE ${table} EXTENDED`);
		assert.deepEqual(rows.map((row) => row.Msg_text), ['OK'], table);
		const indexes = new Set((await w.sql(`SHOW INDEX FROM ${table}`)).map((row) => row.Key_name));
		const counts = [];
		for (const index of indexes) counts.push((await w.sql(`SELECT COUNT(*) AS n FROM ${table} FORCE INDEX (\`${index}\`) WHERE 1`))[0].n);
		assert.equal(new Set(counts).size, 1, `${table}: ${[...indexes]} hold ${counts}`);
	}
	const wrong = await w.sql(`SELECT repos.id, running, (SELECT COUNT(*) FROM runs WHERE runs.repo_id = repos.id AND status = 'running') AS there
		FROM repos HAVING running <> there`);
	assert.deepEqual(wrong, [], 'running counters');
	return tables.length;
}
await test('every index is whole and the running counters are right', async () => {
	console.log(`# ${await checkTables()} tables checked (CHECK TABLE EXTENDED, and the count by each index)`);
});

await test('a run whose database is killed amid it completes, with every effect once', async () => {
	const runs = SOAK ? 12 : 2;
	w.startWorker();
	const bad = [];
	let again = 0;
	for (let i = 1; i <= runs; i += 1) {
		const key = `DK-${i}`;
		await w.script(key, [create('notes.md', `A note for ${key}.\n`), bash('sleep 0.5; cat notes.md'), bash('true'), finish('Added a note.')]);
		await w.issue(key);
		const id = await w.assign(key);
		await sleep(3000 * next());
		await kill();
		await until(`run ${id} ends`, 120000, async () => {
			// Waits of 15 and 30 s after a lost connection are not what is tried here.
			await w.sql(`UPDATE runs SET due_at = NOW(3) WHERE id = ${id} AND status = 'queued'; UPDATE outbox SET send_until = NOW(3) WHERE run_id = ${id} AND send_until > NOW(3)`);
			return !['queued', 'running'].includes((await w.sql(`SELECT status FROM runs WHERE id = ${id}`))[0].status);
		}, 200);
		const [row] = await w.sql(`SELECT status, reason, crashes, attempt FROM runs WHERE id = ${id}`);
		const run = { key, id, row, bare: w.repos.DK.bare };
		const once = await wrongEnd(w, run);
		const wrong = once.filter((text) => !text.startsWith('answers asked for twice'));
		again += once.length - wrong.length;
		if (row.attempt !== '1') wrong.push(`attempt ${row.attempt}`);
		if (wrong.length > 0) bad.push(`${key}, run ${id}: ${wrong.join('; ')}`);
	}
	console.log(`# ${runs} runs with the database killed amid them: ${runs - bad.length} completed with each effect once; the answer of ${again} arrived while it was away and was asked for again`);
	assert.deepEqual(bad, []);
	await checkTables();
	database().deaths = [];
});

await finishTests();
