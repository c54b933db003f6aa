// Starts a stand-in of its own and runs tests as TAP. Used by the *.test.mjs files here.
import assert from 'node:assert/strict';
import { spawn } from 'node:child_process';
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { tmpdir } from 'node:os';
import { join } from 'node:path';

export const sleep = (ms) => new Promise((done) => setTimeout(done, ms));

async function read_port(file) {
	for (let i = 0; i < 500; i++) {
		try {
			const text = readFileSync(file, 'utf8');
			if (text.endsWith('\n')) return Number(text);
		} catch { /* not yet */ }
		await sleep(20);
	}
	throw new Error('the stand-in did not start');
}

/** {base, dir, control(method, path, body), stop()}: stop answers the exit code or signal. */
export async function start(config) {
	const dir = mkdtempSync(join(tmpdir(), 'standin-'));
	writeFileSync(join(dir, 'config.json'), JSON.stringify(config), { mode: 0o600 });
	const server = spawn(process.env.STANDIN_BIN || 'build/standin',
		['--config', join(dir, 'config.json'), '--port-file', join(dir, 'port'), '--die-with-parent'],
		{ stdio: ['ignore', 'inherit', 'inherit'] });
	const ended = new Promise((done) => server.on('exit', (code, signal) => done(code ?? signal)));
	const base = `http://127.0.0.1:${await read_port(join(dir, 'port'))}`;
	return {
		base,
		dir,
		async control(method, path, body) {
			const answer = await fetch(`${base}/_control${path}`, { method, body: body && JSON.stringify(body) });
			assert.ok(answer.ok, `${method} ${path}: ${answer.status}`);
			return answer.status === 204 ? null : answer.json();
		},
		async stop() {
			server.kill('SIGTERM');
			const end = await ended;
			rmSync(dir, { recursive: true });
			return end;
		},
	};
}

/** Runs the tests (name: function) and one more for the orderly end; exits the process. */
export async function run(tests, stop) {
	let failed = 0;
	const names = Object.keys(tests).filter((n) => !process.argv[2] || n.includes(process.argv[2]));
	const all = [...names, 'standin_ends_cleanly'];
	const body = { ...tests, standin_ends_cleanly: async () => assert.equal(await stop(), 0) };
	console.log(`1..${all.length}`);
	for (const [i, name] of all.entries()) {
		try {
			await body[name]();
			console.log(`ok ${i + 1} - ${name}`);
		} catch (e) {
			failed++;
			console.log(`not ok ${i + 1} - ${name}`);
			console.log(String(e.stack || e).replace(/^/gm, '# '));
		}
	}
	process.exit(failed ? 1 : 0);
}
