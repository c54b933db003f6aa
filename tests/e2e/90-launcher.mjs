// The launcher of `make run`: a part that dies is started again, a port in use is said, what a person
// needs is printed, and nothing stays behind, however it ends.
import { spawn } from 'node:child_process';
import { mkdirSync, readFileSync, readdirSync, rmSync, statSync } from 'node:fs';
import { createServer } from 'node:net';
import { join } from 'node:path';
import { tryPort } from '../run/stack.mjs';
import { STATE, TREE, assert, finishTests, goodTurns, sleep, test, tinyProject, until, world } from './harness.mjs';

const w = await world({ repos: { GOOD: { files: tinyProject(), name: 'good' } } });

await test('every part that is killed is started again, and work goes on', async () => {
	for (const name of ['nginx', 'webhook', 'api', 'dashboard', 'worker', 'standin', 'database']) {
		const { pid } = w.parts[name];
		w.parts[name].kill('SIGKILL');
		await until(`${name} is started again`, 15000, () => w.parts[name].running && w.parts[name].pid !== pid);
		await until(`all answers after ${name} was killed`, 20000, async () => {
			const answers = await Promise.all(['/health', '/api/status', '/login'].map((path) => w.api(path).then((r) => r.status, () => 0)));
			return answers.every((status) => status === 200);
		});
		assert.equal(w.parts[name].deaths.length, 1);
		w.parts[name].deaths = [];
	}
	const run = await w.work('GOOD-1', goodTurns());
	assert.equal(run.status, 'completed', run.last_error);
});

/** `make run` with a state folder of its own. */
function launch(name, env, keep = false) {
	const state = join(STATE, 'test', `90-${name}`);
	if (!keep) rmSync(state, { recursive: true, force: true });
	mkdirSync(state, { recursive: true });
	const child = spawn('node', [join(TREE, 'tests/run/run.mjs')], {
		cwd: TREE, stdio: ['ignore', 'pipe', 'pipe'], detached: true,
		env: { ...process.env, ASAN_OPTIONS: '', AIRUNNER_STATE_DIR: state, AIRUNNER_SAMPLE: '0', AIRUNNER_BUILD: 'build', ...env },
	});
	const launched = { child, state, out: '', ended: new Promise((resolve) => child.on('close', (code, signal) => resolve(code ?? signal))) };
	for (const stream of [child.stdout, child.stderr]) stream.on('data', (data) => { launched.out += data; });
	return launched;
}

/** Processes that know of this state folder. */
const processesOf = (state) => readdirSync('/proc').filter((pid) => /^\d+$/.test(pid) && Number(pid) !== process.pid).filter((pid) => {
	try {
		return ['cmdline', 'environ'].some((file) => readFileSync(`/proc/${pid}/${file}`, 'latin1').includes(state));
	} catch {
		return false;
	}
});
const ready = (launched) => until('ready', 240000, () => /^ready http/m.test(launched.out) || (launched.child.exitCode !== null && Promise.reject(new Error(launched.out))));

await test('it says the address, the token\'s file and a sign-in link, and not the token', async () => {
	const launched = launch('words', { LISTEN_PORT: String(await tryPort(0)) });
	await ready(launched);
	const token = readFileSync(join(launched.state, 'token'), 'utf8').trim();
	assert.equal(statSync(join(launched.state, 'token')).mode & 0o777, 0o600);
	assert.ok(!launched.out.includes(token));
	const [, url] = /^ready (http:\/\/127\.0\.0\.1:\d+)$/m.exec(launched.out);
	const [link] = new RegExp(`${url}/signin\\?code=\\w+`).exec(launched.out);
	assert.ok([302, 303].includes((await fetch(link, { redirect: 'manual' })).status));
	assert.equal((await fetch(`${url}/api/status`, { headers: { authorization: `Bearer ${token}` } })).status, 200);
	for (const file of readdirSync(join(launched.state, 'secrets'))) {
		assert.equal(statSync(join(launched.state, 'secrets', file)).mode & 0o777, 0o600, file);
	}
	launched.child.kill('SIGINT');
	assert.equal(await launched.ended, 0, launched.out);
	assert.deepEqual(processesOf(launched.state), []);
});

await test('a port in use is refused with the remedy', async () => {
	const server = createServer().listen(0, '127.0.0.1');
	await sleep(100);
	const launched = launch('port', { LISTEN_PORT: String(server.address().port) });
	assert.equal(await launched.ended, 1);
	assert.match(launched.out, /LISTEN_PORT/);
	server.close();
	assert.deepEqual(processesOf(launched.state), []);
});

await test('killed, it takes everything along', async () => {
	const launched = launch('killed', { LISTEN_PORT: String(await tryPort(0)) });
	await ready(launched);
	assert.ok(processesOf(launched.state).length > 8);
	launched.child.kill('SIGKILL');
	await until('all are gone', 15000, () => processesOf(launched.state).length === 0);
});

await test('a second start uses the state of the first, within ten seconds', async () => {
	const port = String(await tryPort(0));
	for (let round = 0; round < 2; round += 1) {
		const from = Date.now();
		const launched = launch('again', { LISTEN_PORT: port }, round > 0);
		await ready(launched);
		assert.ok(Date.now() - from < 10000, `${Date.now() - from} ms`);
		launched.child.kill('SIGTERM');
		assert.equal(await launched.ended, 0);
	}
});

await finishTests();
