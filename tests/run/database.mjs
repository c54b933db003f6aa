// A private MariaDB: own data folder, unix socket only, root's rights by unix_socket for the user
// who starts it. Used by stack.mjs and by runner.mjs for the unit tests.
import { execFile, spawnSync } from 'node:child_process';
import { existsSync, mkdirSync, readFileSync, renameSync, rmSync } from 'node:fs';
import { userInfo } from 'node:os';
import { join } from 'node:path';
import { Part, until } from './parts.mjs';

const DATABASE = 'airunner';
const USERS = ['migrate', 'worker', 'hook', 'api', 'dash'];

/** Escapes of `mariadb --batch`. */
const unescape = (text) => text.replace(/\\(.)/g, (_, c) => ({ n: '\n', t: '\t', 0: '\0' }[c] ?? c));

export class Database {
	/**
	 * @param options {dir, socket, log, env, durable: writes survive a crash of the machine, port: on
	 *   loopback, too, more: further arguments of mariadbd}
	 */
	constructor(options) {
		Object.assign(this, { durable: false, port: 0, env: process.env, more: [] }, options);
		this.name = DATABASE;
	}

	install() {
		if (existsSync(join(this.dir, 'mysql'))) return;
		const fresh = `${this.dir}.new`; // renamed when complete, so that half an installation is never used
		rmSync(fresh, { recursive: true, force: true });
		mkdirSync(fresh, { recursive: true, mode: 0o700 });
		const done = spawnSync('mariadb-install-db', ['--no-defaults', `--datadir=${fresh}`,
			'--skip-test-db', '--skip-name-resolve', '--auth-root-authentication-method=socket',
			`--auth-root-socket-user=${userInfo().username}`, '--innodb-log-file-size=32M'],
		{ encoding: 'utf8', env: this.env });
		if (done.status !== 0) throw new Error(`mariadb-install-db: ${done.stdout}${done.stderr}`);
		rmSync(this.dir, { recursive: true, force: true });
		renameSync(fresh, this.dir);
	}

	async start() {
		this.install();
		rmSync(this.socket, { force: true });
		this.part = new Part({
			name: 'database', log: this.log, env: this.env, onDeath: this.onDeath ?? (() => {}), stopMs: 30000,
			argv: ['mariadbd', '--no-defaults', `--datadir=${this.dir}`, `--socket=${this.socket}`,
				...(this.port ? [`--port=${this.port}`, '--bind-address=127.0.0.1'] : ['--skip-networking']), `--pid-file=${this.dir}/mariadbd.pid`, '--skip-name-resolve',
				'--character-set-server=utf8mb4', '--collation-server=utf8mb4_bin',
				'--transaction-isolation=READ-COMMITTED', '--innodb-lock-wait-timeout=5',
				'--innodb-buffer-pool-size=64M', '--innodb-log-file-size=32M', '--max-allowed-packet=64M',
				'--max-connections=120', '--performance-schema=OFF', '--skip-log-bin',
				`--innodb-flush-log-at-trx-commit=${this.durable ? 1 : 2}`, ...this.more],
		}).start();
		await until('MariaDB answers', 60000, () => {
			if (this.part.deaths.length > 0) throw new Error(`MariaDB ended (${this.part.deaths[0]}): see ${this.log}`);
			return this.sql('SELECT 1', '').then(() => true, () => false);
		}, 100);
	}

	/** Runs statements as root; rows of the last results as objects of strings (null for NULL). */
	sql(text, database = this.name) {
		const args = ['--no-defaults', `--socket=${this.socket}`, `--user=${userInfo().username}`, '--batch',
			'--default-character-set=utf8mb4', ...(database ? [database] : [])];
		return new Promise((resolve, reject) => {
			const client = execFile('mariadb', args, { maxBuffer: 64 << 20, env: this.env }, (error, stdout, stderr) => {
				if (error) return reject(new Error(`${stderr.trim() || error.message} in: ${text.slice(0, 200)}`));
				const [head, ...lines] = stdout.split('\n');
				const names = head.split('\t');
				return resolve(lines.filter((line) => line !== '').map((line) => Object.fromEntries(
					line.split('\t').map((cell, i) => [names[i], cell === 'NULL' ? null : unescape(cell)]))));
			});
			client.stdin.on('error', () => {});
			client.stdin.end(text);
		});
	}

	/** Makes the database and its five users; `passwords`: {migrate, worker, hook, api, dash}. */
	async createUsers(sqlFile, passwords, database = this.name) {
		let text = readFileSync(sqlFile, 'utf8').replaceAll('@DATABASE@', database);
		for (const user of USERS) {
			text = text.replaceAll(`@PASSWORD_${user.toUpperCase()}@`, passwords[user]);
		}
		await this.sql(text, '');
	}

	stop() {
		return this.part?.stop();
	}
}

export { USERS };
