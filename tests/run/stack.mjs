// The whole system, privately: MariaDB, stand-ins, nginx, the three handlers and the worker, all below
// one state folder and on loopback. Used by run.mjs (`make run`) and by the end-to-end tests.
import { execFile } from 'node:child_process';
import { createHash, randomBytes } from 'node:crypto';
import { existsSync, mkdirSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from 'node:fs';
import { createServer } from 'node:net';
import { tmpdir } from 'node:os';
import { join } from 'node:path';
import { TREE } from '../paths.mjs';
import { Database, USERS } from './database.mjs';
import { Part, removeAtEnd, sleep, until } from './parts.mjs';
import { programEnv, secretFile } from './settings.mjs';

const SOCKET_PATH_MAX = 90;
const HANDLERS = [
	{ name: 'webhook', letter: 'H', user: 'hook' },
	{ name: 'api', letter: 'P', user: 'api' },
	{ name: 'dashboard', letter: 'P', user: 'dash' },
];
const KEPT = ['LANG', 'TZ', 'TMPDIR', 'HOME', 'NODE_EXTRA_CA_CERTS', 'ASAN_OPTIONS', 'UBSAN_OPTIONS', 'LSAN_OPTIONS'];

const random = (prefix, bytes = 24) => prefix + randomBytes(bytes).toString('hex');
export const sha256 = (text) => createHash('sha256').update(text).digest('hex');

/** What every part gets, whatever the launcher's own environment holds. */
function baseEnv() {
	const env = { PATH: '/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin', LANG: 'C.UTF-8' };
	for (const name of KEPT) {
		if (process.env[name]) env[name] = process.env[name];
	}
	return env;
}

/** Is the port free on this address? Port 0: answers a free one. */
export function tryPort(port, host = '127.0.0.1') {
	return new Promise((resolve, reject) => {
		const server = createServer();
		server.on('error', reject);
		server.listen(port, host, () => {
			const found = server.address().port;
			server.close(() => resolve(found));
		});
	});
}

export class Stack {
	/**
	 * @param options
	 *   state     folder for everything       build    folder of the programs
	 *   port      nginx's, 0: a free one      durable  the database survives a crash of the machine
	 *   standin   (stack) => configuration of the stand-in program (tests/standin/README.md); null: none
	 *   settings  (stack) => settings of the programs by name; secrets become files
	 *   extraEnv  (letter) => further environment of programs of that kind (H, P, W, C)
	 *   worker    false: start none           say      gets lines for a person
	 *   openDatabase  (stack) => another database, started (tests/run/galera.mjs); default: a private server
	 */
	constructor(options) {
		Object.assign(this, {
			port: 0, durable: false, standin: null, settings: () => ({}), extraEnv: () => ({}), worker: true, say: () => {},
		}, options);
		this.parts = {};
		this.secrets = join(this.state, 'secrets');
		this.base = { ...baseEnv(), ...(this.env ?? {}) };
	}

	log(name) {
		return join(this.state, 'log', `${name}.log`);
	}

	logText(name) {
		return existsSync(this.log(name)) ? readFileSync(this.log(name), 'utf8') : '';
	}

	#folders() {
		for (const name of ['', 'log', 'run', 'secrets', 'tmp', 'nginx']) {
			mkdirSync(join(this.state, name), { recursive: true, mode: 0o700 });
		}
		this.sockets = join(this.state, 'run');
		if (join(this.sockets, 'dashboard.sock').length > SOCKET_PATH_MAX) {
			this.sockets = mkdtempSync(join('/tmp', 'airunner-'));
			removeAtEnd(this.sockets);
			this.say(`sockets are in ${this.sockets} (the state folder's path is too long for them)`);
		}
	}

	/** A secret kept from start to start. */
	#secret(name, make) {
		const path = join(this.secrets, name);
		return existsSync(path) ? readFileSync(path, 'utf8').trim() : (secretFile(this.secrets, name, make()), readFileSync(path, 'utf8'));
	}

	/** A port that stays the same from start to start while it is free: addresses with it are kept. */
	async #keptPort(name) {
		const path = join(this.state, 'run', name);
		const before = existsSync(path) ? Number(readFileSync(path, 'utf8')) : 0;
		const port = await tryPort(before).catch(() => tryPort(0));
		writeFileSync(path, String(port));
		return port;
	}

	#common() {
		return {
			AIRUNNER_SHARE_DIR: join(this.build, 'share/airunner'),
			AIRUNNER_DB_SOCKET: this.database.socket,
			AIRUNNER_DB_NAME: this.database.name,
			AIRUNNER_POKE_SOCKET: join(this.sockets, 'poke.sock'),
			LISTEN_HOST: '127.0.0.1',
			LISTEN_PORT: this.port,
			AIRUNNER_HANDLERS: 2,
			AIRUNNER_STATE_DIR: this.state,
		};
	}

	/** Environment of a program that connects to the database as air_USER. */
	programEnv(letter, user) {
		const env = programEnv({ ...this.base, ...this.extraEnv(letter) }, letter, { ...this.#common(), ...this.settings(this) }, this.secrets);
		env.AIRUNNER_DB_USER = `air_${user}`;
		env.AIRUNNER_DB_PASSWORD_FILE = join(this.secrets, `air_${user}`);
		return env;
	}

	#part(name, options) {
		const part = new Part({
			name, log: this.log(name), cwd: TREE, env: this.base,
			onDeath: (_, how) => this.say(`${name} ended (${how}), see ${this.log(name)}; it is started again`), ...options,
		});
		this.parts[name] = part;
		return part.start();
	}

	/** Runs one of the programs to its end: {code, stdout, stderr}. */
	program(name, args, letter, user) {
		return new Promise((resolve) => {
			execFile(join(this.build, name), args, { env: this.programEnv(letter, user), cwd: TREE, maxBuffer: 64 << 20 },
				(error, stdout, stderr) => resolve({ code: error ? error.code ?? 1 : 0, stdout, stderr }));
		});
	}

	async #startDatabase() {
		if (this.openDatabase) {
			this.database = await this.openDatabase(this);
		} else {
			this.database = new Database({
				dir: join(this.state, 'db'), socket: join(this.sockets, 'db.sock'), log: this.log('database'),
				env: this.base, durable: this.durable,
				onDeath: (_, how) => this.say(`MariaDB ended (${how}), see ${this.log('database')}; it is started again`),
			});
			await this.database.start();
			this.parts.database = this.database.part;
		}
		const passwords = Object.fromEntries(USERS.map((user) => [user, this.#secret(`air_${user}`, () => random(''))]));
		await this.database.createUsers(join(TREE, 'sql/users.sql'), passwords);
		const migrated = await this.program('airunnerctl', ['db', 'migrate'], 'C', 'migrate');
		if (migrated.code !== 0) throw new Error(`airunnerctl db migrate: ${migrated.stdout}${migrated.stderr}`);
	}

	async #startStandin() {
		if (!this.standin) return;
		const file = join(this.state, 'run/standin.json');
		writeFileSync(file, JSON.stringify(this.standin(this), null, '\t'), { mode: 0o600 });
		this.#part('standin', { argv: [join(this.build, 'standin'), '--config', file, '--port', String(this.standinPort)] });
		await until('the stand-in answers', 15000, () => fetch(`${this.standinUrl}/_control/health`).then((r) => r.ok, () => false));
	}

	#startHandlers() {
		for (const { name, letter, user } of HANDLERS) {
			const socket = join(this.sockets, `${name}.sock`);
			// spawn-fcgi makes the socket, puts it on descriptor 0 and becomes the handler.
			this.#part(name, {
				argv: ['spawn-fcgi', '-n', '-s', socket, '-M', '0600', '--', join(this.build, `airunner-${name}`)],
				env: this.programEnv(letter, user),
			});
		}
	}

	#startNginx() {
		const values = {
			LISTEN_HOST: '127.0.0.1', LISTEN_PORT: this.port, RUN_DIR: this.sockets,
			STATIC_DIR: join(this.build, 'share/airunner/static'), STATE_DIR: join(this.state, 'nginx'),
		};
		const text = readFileSync(join(TREE, 'nginx/airunner.conf.in'), 'utf8')
			.replace(/@(\w+)@/g, (all, name) => values[name] ?? all);
		const file = join(this.state, 'nginx/nginx.conf');
		writeFileSync(file, text);
		this.#part('nginx', { argv: ['nginx', '-p', join(this.state, 'nginx'), '-c', file, '-e', 'stderr', '-g', 'daemon off;'] });
	}

	startWorker() {
		return this.#part('worker', { argv: [join(this.build, 'airunner-worker')], env: this.programEnv('W', 'worker'), stopMs: 20000 });
	}

	async #makeToken() {
		const file = join(this.state, 'token');
		if (!existsSync(file)) writeFileSync(file, random('air_', 32), { mode: 0o600 });
		this.token = readFileSync(file, 'utf8').trim();
		await this.database.sql(`INSERT IGNORE INTO api_tokens (name, secret_hash, role) VALUES ('launcher-${this.token.slice(4, 12)}', '${sha256(this.token)}', 'admin')`);
	}

	/** A link that signs a browser in once, within ten minutes. */
	async signinLink() {
		const code = random('', 24);
		await this.database.sql(`INSERT INTO sessions (id_hash, kind, role, name, expires_at) VALUES ('${sha256(code)}', 'code', 'admin', 'launcher', NOW(3) + INTERVAL 10 MINUTE)`);
		return `${this.url}/signin?code=${code}`;
	}

	async start() {
		this.#folders();
		this.port = await tryPort(this.port);
		this.url = `http://127.0.0.1:${this.port}`;
		this.standinPort = await this.#keptPort('standin-port');
		this.standinUrl = `http://127.0.0.1:${this.standinPort}`;
		try {
			await Promise.all([this.#startDatabase(), this.#startStandin()]);
			await this.#makeToken();
			this.#startHandlers();
			this.#startNginx();
			if (this.worker) this.startWorker();
			await until('the dashboard answers', 30000, async () => {
				const answers = await Promise.all(['/health', '/'].map((path) => fetch(this.url + path, { redirect: 'manual' }).then((r) => r.status, () => 599)));
				return answers.every((status) => status < 400);
			}, 100);
		} catch (e) {
			await this.stop();
			throw e;
		}
		return this;
	}

	/** Stops everything, the worker first and the database last. */
	async stop() {
		for (const name of ['worker', 'nginx', ...HANDLERS.map((h) => h.name), 'standin', 'database']) {
			await (name === 'database' ? this.database?.stop() : this.parts[name]?.stop());
		}
		if (this.sockets && !this.sockets.startsWith(this.state)) rmSync(this.sockets, { recursive: true, force: true });
	}

	/** Ends nobody asked for, and processes that outlived their stop. */
	troubles() {
		return Object.values(this.parts).flatMap((part) => [
			...part.deaths.map((how) => `${part.name} ended by itself: ${how}`),
			...(part.leftovers ? [`${part.name} left processes behind`] : []),
		]);
	}

	sql(text) {
		return this.database.sql(text);
	}

	/** A call of the API: {status, json, headers}. */
	async api(path, { method = 'GET', token = this.token, body } = {}) {
		const answer = await fetch(this.url + path, {
			method,
			headers: { ...(token ? { authorization: `Bearer ${token}` } : {}), ...(body ? { 'content-type': 'application/json' } : {}) },
			body: body ? JSON.stringify(body) : undefined,
		});
		const text = await answer.text();
		let json = null;
		try {
			json = JSON.parse(text);
		} catch { /* a page */ }
		return { status: answer.status, json, text, headers: answer.headers };
	}

	/** A call of the stand-in's control surface. */
	async control(path, body, method = body === undefined ? 'GET' : 'POST') {
		const answer = await fetch(`${this.standinUrl}/_control${path}`, {
			method, headers: { 'content-type': 'application/json' }, body: body === undefined ? undefined : JSON.stringify(body),
		});
		const text = await answer.text();
		if (!answer.ok) throw new Error(`stand-in: ${method} ${path}: ${answer.status} ${text}`);
		return text ? JSON.parse(text) : null;
	}

	/** Waits until the run has one of these states; answers GET /api/runs/{id}. */
	waitRun(id, states = ['completed', 'failed', 'blocked', 'cancelled'], timeoutMs = 120000) {
		return until(`run ${id} ends`, timeoutMs, async () => {
			const { status, json } = await this.api(`/api/runs/${id}`);
			if (status !== 200) return null;
			return states.includes(json.status) ? json : null;
		}, 200);
	}
}

export { sleep, tmpdir, until };
