// Processes that belong to a launcher: started in process groups of their own, restarted with a
// growing wait when they die, stopped in order, and ended by leash.sh should the launcher be killed.
// Used by database.mjs and stack.mjs.
import { spawn } from 'node:child_process';
import { closeSync, mkdirSync, openSync } from 'node:fs';
import { dirname, join } from 'node:path';
import { fileURLToPath } from 'node:url';

const RESTART_FIRST_MS = 200;
const RESTART_LONGEST_MS = 5000;
const HEALTHY_AFTER_MS = 10000;

export const sleep = (ms) => new Promise((resolve) => setTimeout(resolve, ms));

/** Waits until `check` answers something true; throws with `what` after timeoutMs. */
export async function until(what, timeoutMs, check, stepMs = 50) {
	const end = Date.now() + timeoutMs;
	for (;;) {
		const value = await check();
		if (value) return value;
		if (Date.now() > end) throw new Error(`${what}: not within ${timeoutMs / 1000} s`);
		await sleep(stepMs);
	}
}

let leashProcess = null;
function leash(line) {
	if (!leashProcess) {
		const script = join(dirname(fileURLToPath(import.meta.url)), 'leash.sh');
		leashProcess = spawn('/bin/sh', [script], { detached: true, stdio: ['pipe', 'ignore', 'ignore'] });
		leashProcess.stdin.on('error', () => {});
		leashProcess.unref();
		leashProcess.stdin.unref?.();
	}
	leashProcess.stdin.write(`${line}\n`);
}

/** Has `dir` removed when the launcher ends, however it ends. */
export const removeAtEnd = (dir) => leash(`rm ${dir}`);

function groupAlive(pgid) {
	try {
		process.kill(-pgid, 0);
		return true;
	} catch (e) {
		return e.code === 'EPERM';
	}
}

function signalGroup(pgid, signal) {
	try {
		process.kill(-pgid, signal);
	} catch { /* gone */ }
}

/**
 * One supervised program: {name, argv, env, cwd, log, stopSignal, stopMs, onDeath}.
 * `deaths` lists ends nobody asked for, `leftovers` says that processes outlived a stop.
 */
export class Part {
	constructor(options) {
		Object.assign(this, { stopSignal: 'SIGTERM', stopMs: 10000, restart: true, onDeath: () => {} }, options);
		this.child = null;
		this.wanted = false;
		this.deaths = [];
		this.leftovers = false;
		this.waitMs = RESTART_FIRST_MS;
	}

	get pid() {
		return this.child?.pid;
	}

	get running() {
		return this.child !== null;
	}

	start() {
		this.wanted = true;
		mkdirSync(dirname(this.log), { recursive: true });
		const log = openSync(this.log, 'a', 0o600);
		const [program, ...args] = this.argv;
		const child = spawn(program, args, {
			cwd: this.cwd, env: this.env, detached: true, stdio: ['ignore', log, log],
		});
		closeSync(log);
		this.child = child;
		this.startedAt = Date.now();
		if (child.pid) leash(`+ ${child.pid}`);
		this.ended = new Promise((resolve) => {
			const end = (text) => {
				if (this.child !== child) return;
				this.child = null;
				resolve(text);
				this.#ended(child.pid, text);
			};
			child.on('error', (e) => end(e.message));
			child.on('exit', (code, signal) => end(signal ?? `exit code ${code}`));
		});
		return this;
	}

	#ended(pgid, text) {
		if (!this.wanted) return;
		this.deaths.push(text);
		this.onDeath(this, text);
		if (pgid) {
			signalGroup(pgid, 'SIGKILL');
			leash(`- ${pgid}`);
		}
		if (!this.restart) return;
		if (Date.now() - this.startedAt > HEALTHY_AFTER_MS) this.waitMs = RESTART_FIRST_MS;
		this.timer = setTimeout(() => this.wanted && this.start(), this.waitMs);
		this.waitMs = Math.min(this.waitMs * 2, RESTART_LONGEST_MS);
	}

	/** Stops it and sees that nothing of its process group is left. */
	async stop(signal = this.stopSignal) {
		this.wanted = false;
		clearTimeout(this.timer);
		if (!this.child) return;
		const { pid } = this.child;
		this.child.kill(signal);
		await Promise.race([this.ended, sleep(this.stopMs)]);
		const end = Date.now() + 1000;
		while (groupAlive(pid) && this.child === null && Date.now() < end) await sleep(20);
		if (groupAlive(pid)) {
			this.leftovers = true;
			signalGroup(pid, 'SIGKILL');
		}
		await this.ended;
		leash(`- ${pid}`);
	}

	/** For tests: ends it at once and lets the supervisor start it again. */
	kill(signal = 'SIGKILL') {
		this.child?.kill(signal);
	}
}
