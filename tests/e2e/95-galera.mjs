// Many machines: a cluster of three database nodes on loopback, workers of several "hosts" (names and
// state folders of their own), handlers behind haproxy. Nodes are killed under load. SOAK=1: longer.
import { execFile } from 'node:child_process';
import { createHmac } from 'node:crypto';
import { mkdirSync, readFileSync, readdirSync, writeFileSync } from 'node:fs';
import { join } from 'node:path';
import { Cluster, hasGalera } from '../run/galera.mjs';
import { Part } from '../run/parts.mjs';
import { keptSecret } from '../run/standins.mjs';
import { BUILD } from '../paths.mjs';
import { TREE, assert, finishTests, goodTurns, sleep, test, tinyProject, until, world } from './harness.mjs';

if (!hasGalera()) throw new Error('package galera-4 is missing (etc/packages.txt)');
const SOAK = process.env.SOAK === '1';
const RUNS = SOAK ? 3000 : 800;
const KILLS = SOAK ? 3 : 1;

let cluster;
let proxy;
const hostsFrom = (i) => ({ AIRUNNER_DB_HOSTS: cluster.hosts(i) });

function startProxy(socket) {
	const file = join(w.state, 'run/haproxy.cfg');
	let text = readFileSync(join(TREE, 'etc/haproxy.cfg.example'), 'utf8').replaceAll('/run/airunner/db.sock', socket);
	cluster.nodes.forEach((node, i) => { text = text.replace(`10.0.0.${i + 1}:3306`, `127.0.0.1:${node.port}`); });
	writeFileSync(file, text);
	proxy = new Part({ name: 'haproxy', log: w.log('haproxy'), env: w.base, argv: ['haproxy', '-db', '-f', file] }).start();
	w.parts.haproxy = proxy;
}

const w = await world({
	worker: false,
	repos: Object.fromEntries(['GA', 'GB', 'GC'].map((key) => [key, { files: tinyProject() }])),
	settings: { AIRUNNER_DB_TIMEOUT_S: 6, AIRUNNER_MAX_RUNS: 2, AIRUNNER_WEBHOOK_MAX_AGE_S: 0 },
	extraEnv: (letter) => ('WC'.includes(letter) ? hostsFrom(0) : {}),
	openDatabase: async (stack) => {
		cluster = await new Cluster({ dir: join(stack.state, 'db'), sockets: stack.sockets, logs: join(stack.state, 'log'), env: stack.base }).start();
		cluster.socket = join(stack.sockets, 'proxy.sock');
		return cluster;
	},
});
startProxy(cluster.socket);
await cluster.sql('CREATE USER airunner_check', '');
const count = async (sql) => Number((await w.sql(`SELECT COUNT(*) AS n FROM ${sql}`))[0].n);

function client(args, hosts) {
	return new Promise((resolve, reject) => {
		execFile(join(BUILD, 'galera/client'), args.map(String), { env: { ...w.programEnv('W', 'worker'), ...hosts }, maxBuffer: 16 << 20 },
			(error, stdout, stderr) => (error && !stdout ? reject(new Error(`${error.message}\n${stderr}`)) : resolve(`${stdout}${stderr}`)));
	});
}

await test('migrations through one node make the schema on all, and no table lacks a primary key', async () => {
	const tables = await Promise.all(cluster.nodes.map((node) => node.sql("SELECT table_name AS t FROM information_schema.tables WHERE table_schema = 'airunner' ORDER BY 1")));
	assert.ok(tables[0].length > 10);
	assert.deepEqual(tables[1], tables[0]);
	assert.deepEqual(tables[2], tables[0]);
	assert.deepEqual(await w.sql(`SELECT table_name AS t FROM information_schema.tables t WHERE table_schema = 'airunner' AND table_type = 'BASE TABLE'
		AND NOT EXISTS (SELECT 1 FROM information_schema.table_constraints c WHERE c.table_schema = t.table_schema AND c.table_name = t.table_name AND c.constraint_type = 'PRIMARY KEY')`), []);
});

/** Repositories of their own, limits 1, 1, 1, 2, 3 and none, all with runs waiting. */
async function fillQueue(runs) {
	await w.sql(`DELETE FROM deliveries; DELETE FROM runs; DELETE FROM repo_projects; DELETE FROM repos WHERE id > 0;
		INSERT INTO repos (id, address, max_running) VALUES (1, 'q/0', 1), (2, 'q/1', 1), (3, 'q/2', 1), (4, 'q/3', 2), (5, 'q/4', 3), (6, 'q/5', 0);
		INSERT INTO repo_projects (project_key, repo_id) VALUES ('Q0', 1), ('Q1', 2), ('Q2', 3);
		INSERT INTO runs (issue_key, queued_issue, line, repo_id, priority) SELECT CONCAT('F-', seq), CONCAT('F-', seq), CONCAT('F-', seq), 1 + seq MOD 6, 1 + seq MOD 4
			FROM seq_1_to_${runs}; ${[1, 2, 3, 4, 5, 6].map((id) => `CALL refresh_head(${id});`).join(' ')}`);
}

await test('a delivery through one node is found by a claim at another at once', async () => {
	await fillQueue(0 + 1);
	await w.sql("DELETE FROM runs WHERE issue_key LIKE 'F-%'; CALL refresh_head(2)");
	const told = await client(['causal', 100, cluster.hosts(1)], hostsFrom(0));
	assert.equal(told.trim(), 'found 100');
});

await test('300 deliveries that come through three nodes at once make 300 runs', async () => {
	await fillQueue(1);
	const told = await Promise.all([0, 1, 2].map((i) => client(['intake', 300, 1000], hostsFrom(i))));
	const ids = told.map((text) => text.trim().split('\n'));
	assert.equal(ids[0].length, 300, told[0]);
	assert.deepEqual(ids[1], ids[0]);
	assert.deepEqual(ids[2], ids[0]);
	assert.equal(await count("runs WHERE issue_key LIKE 'Q%'"), 300);
	assert.equal(await count('deliveries WHERE repeats = 2'), 300);
});

await test(`${RUNS} runs are claimed from three nodes at once, ${KILLS} nodes killed meanwhile: none twice, no limit passed`, async () => {
	await fillQueue(RUNS);
	const folder = join(w.state, 'observer');
	mkdirSync(folder);
	const began = Date.now();
	const clients = [0, 1, 2, 0, 1, 2].map((node, i) => client(['claim', `host${i}`, folder], hostsFrom(node)));
	const clientsEnd = () => writeFileSync(join(folder, 'stop'), '');
	const left = () => count("runs WHERE status IN ('queued', 'running')");
	try {
		for (let k = 1; k <= KILLS; k += 1) {
			const victim = k % 3;
			await until('a share of the runs is done', 600000, async () => await left() < RUNS * (1 - k / (KILLS + 1)), 100);
			await cluster.kill(victim);
			if (k < KILLS) {
				await sleep(4000);
				await cluster.rejoin(victim);
			}
		}
		await until('all runs are done', 600000, async () => await left() === 0, 200);
	} finally {
		clientsEnd();
	}
	const tookMs = Date.now() - began;
	const told = await Promise.all(clients);
	for (const text of told) assert.ok(!text.includes('WRONG'), text);

	const sums = told.map((text) => /claims (\d+) lost (\d+) gap_ms (\d+)/.exec(text).slice(1).map(Number));
	assert.equal(readdirSync(folder).filter((file) => file.startsWith('run-')).length, RUNS);
	assert.equal(await count("runs WHERE status = 'completed'"), RUNS);
	assert.equal(await count('repos WHERE running <> 0'), 0);
	console.log(`# ${RUNS} runs in ${(tookMs / 1000).toFixed(1)} s by ${sums.map((s) => s[0]).join(', ')} claims; connections lost ${sums.map((s) => s[1]).join(', ')}; longest gap ${Math.max(...sums.map((s) => s[2]))} ms`);
	await cluster.rejoin(KILLS % 3);
});

await test('the nodes agree afterwards', async () => {
	const sums = await Promise.all(cluster.nodes.map((node) => node.sql('SET wsrep_sync_wait = 15; SELECT COUNT(*) AS n, SUM(CRC32(CONCAT_WS(0, id, status, fence, locked_by))) AS c FROM runs')));
	assert.deepEqual(sums[1], sums[0]);
	assert.deepEqual(sums[2], sums[0]);
});

/** A worker of another host: name, state folder and order of nodes of its own. */
function startWorker(i) {
	const state = join(w.state, `host${i}`);
	mkdirSync(state, { recursive: true });
	const env = { ...w.programEnv('W', 'worker'), ...hostsFrom(0), AIRUNNER_STATE_DIR: state, AIRUNNER_WORKER_NAME: `host${i}`, AIRUNNER_POKE_SOCKET: join(w.sockets, `poke${i}.sock`) };
	env.REPOS_CONFIG_PATH = reposFor(state);
	w.parts[`worker${i}`] = new Part({ name: `worker${i}`, log: w.log(`worker${i}`), cwd: TREE, env, argv: [join(BUILD, 'airunner-worker')], stopMs: 20000 }).start();
}

/** repos.json with work folders below the worker's own state. */
function reposFor(state) {
	const { projects } = JSON.parse(readFileSync(join(w.state, 'run/repos.json'), 'utf8'));
	const file = join(state, 'repos.json');
	writeFileSync(file, JSON.stringify({ projects: projects.map((p) => ({ ...p, repo_workdir: join(state, 'work', p.repo_name) })) }));
	return file;
}

const secret = keptSecret(w.state, 'jira-webhook-secret');
const acked = new Map();
let refusals = 0;
/** As Jira does: again after a 503. */
async function deliver(key) {
	const body = JSON.stringify({ issue_key: key, event_type: 'issue_assigned', n: key });
	for (;;) {
		const answer = await fetch(`${w.url}/webhook/jira`, {
			method: 'POST', body, headers: { 'content-type': 'application/json', 'x-hub-signature': `sha256=${createHmac('sha256', secret).update(body).digest('hex')}` },
		});
		if (answer.status === 200) {
			acked.set(key, (await answer.json()).run_id);
			return;
		}
		assert.equal(answer.status, 503, await answer.text());
		refusals += 1;
		await sleep(200);
	}
}

await test('three workers go on through the next node when the first is killed: every acknowledged webhook ends, every effect is there once', async () => {
	await w.sql('DELETE FROM deliveries; DELETE FROM runs; DELETE FROM repo_projects; DELETE FROM repos WHERE id > 0');
	for (const i of [0, 1, 2]) startWorker(i);
	await until('the workers are there', 30000, async () => await count('workers WHERE stopped_at IS NULL') >= 3);
	const real = ['GA-1', 'GB-1', 'GC-1'];
	for (const key of real) {
		await w.script(key, goodTurns());
		await w.issue(key);
		await w.control(`/jira/issues/${key}/act`, { assignee: 'ai' });
	}
	const keys = Array.from({ length: SOAK ? 300 : 24 }, (_, i) => `G${'ABC'[i % 3]}-${100 + i}`);
	for (const key of keys) await w.issue(key); // nobody's: the run ends without an effect
	await until('the first work is under way', 60000, () => count("run_steps WHERE step = 'checkout'"));
	const killedAt = Date.now();
	const kill = cluster.kill(0);
	for (const key of keys) await deliver(key);
	await kill;
	const webhooksMs = Date.now() - killedAt;
	await until('all runs have ended', 180000, async () => await count("runs WHERE status IN ('queued', 'running')") === 0, 500);
	for (const [key, id] of acked) assert.equal(await count(`runs WHERE id = ${id} AND issue_key = '${key}' AND status = 'completed'`), 1, `${key}, run ${id}`);
	for (const key of real) {
		const [row] = await w.sql(`SELECT id, status, reason FROM runs WHERE issue_key = '${key}' AND branch IS NOT NULL`);
		assert.equal(row?.status, 'completed', JSON.stringify(row));
		assert.equal((await w.comments(key)).length, 1, key);
	}
	const pulls = await w.requests('?service=github&method=POST&path_contains=/pulls');
	assert.equal(pulls.length, 3);
	const workers = await w.sql('SELECT locked_by, COUNT(*) AS n FROM runs GROUP BY locked_by');
	console.log(`# ${acked.size} webhooks ${webhooksMs} ms after the kill, ${refusals} answered 503 first; runs by ${workers.map((r) => `${r.locked_by} ${r.n}`).join(', ')}; all ended after ${Date.now() - killedAt} ms`);
});

await test('workers go back to the first node when it is there again', async () => {
	await cluster.rejoin(0);
	await until('the workers are at the first node', 120000, async () => Number((await cluster.nodes[0].sql("SELECT COUNT(DISTINCT user) AS n FROM information_schema.processlist WHERE user = 'air_worker'"))[0].n) > 0, 500);
});

await finishTests();
