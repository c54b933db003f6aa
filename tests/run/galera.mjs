// A Galera cluster on loopback: three MariaDB nodes below one folder, as an ordinary user. Used by
// tests/e2e/95-galera.mjs in the place of Database; `sql` asks the first node that is up.
import { cpSync, existsSync, mkdirSync, readFileSync, rmSync } from 'node:fs';
import { spawnSync } from 'node:child_process';
import { join } from 'node:path';
import { TREE } from '../paths.mjs';
import { Database } from './database.mjs';
import { until } from './parts.mjs';
import { tryPort } from './stack.mjs';

const PROVIDER = '/usr/lib/galera/libgalera_smm.so';
const SIZE = 3;
/** A dead node is noticed after two seconds; on a network that is slower than loopback, longer is wiser. */
const TIMEOUTS = 'evs.keepalive_period=PT0.5S;evs.suspect_timeout=PT2S;evs.inactive_timeout=PT4S';

export const hasGalera = () => existsSync(PROVIDER);

/** A free port below those that outgoing connections are given: it stays free while its node is away. */
async function freePort() {
	for (;;) {
		const port = await tryPort(15000 + Math.floor(Math.random() * 15000)).catch(() => 0);
		if (port) return port;
	}
}

class Node extends Database {
	constructor(cluster, i, ports) {
		super({
			dir: join(cluster.dir, `n${i}`), socket: join(cluster.sockets, `n${i}.sock`), log: join(cluster.logs, `galera-${i}.log`),
			port: ports.mysql,
			env: { ...cluster.env, PATH: `${join(TREE, 'tests/galera')}:${cluster.env.PATH}` },
		});
		Object.assign(this, { cluster, i, ports });
	}

	#arguments() {
		const { ports } = this;
		return ['--wsrep-on=ON', `--wsrep-provider=${PROVIDER}`, '--binlog-format=ROW', '--innodb-autoinc-lock-mode=2',
			'--wsrep-cluster-name=airunner', `--wsrep-node-name=n${this.i}`, `--wsrep-node-address=127.0.0.1:${ports.unused}`,
			'--wsrep-sst-method=position', '--wsrep-slave-threads=2',
			`--wsrep-provider-options=gmcast.listen_addr=tcp://127.0.0.1:${ports.group};ist.recv_addr=127.0.0.1:${ports.ist};gcache.size=64M;pc.recovery=false;${TIMEOUTS}`];
	}

	async join(...more) {
		this.more = [...this.#arguments(), ...more];
		await this.start();
		await until(`node ${this.i} is ready`, 60000, async () => {
			if (this.part.deaths.length > 0) throw new Error(`node ${this.i} ended (${this.part.deaths[0]}): see ${this.log}`);
			const [row] = await this.sql("SHOW STATUS LIKE 'wsrep_ready'", '').catch(() => []);
			return row?.Value === 'ON';
		}, 100);
		this.part.restart = false; // a node that died joins again when it is asked to
		this.up = true;
	}

	/** Where this node's data stand after it was killed. */
	recoveredPosition() {
		const { stderr } = spawnSync('mariadbd', ['--no-defaults', `--datadir=${this.dir}`, `--socket=${this.socket}`, `--pid-file=${this.dir}/recover.pid`,
			'--skip-networking', '--wsrep-recover', '--wsrep-on=ON', `--wsrep-provider=${PROVIDER}`, '--wsrep-cluster-address=gcomm://',
			'--binlog-format=ROW', '--innodb-buffer-pool-size=64M', '--innodb-log-file-size=32M'], { encoding: 'utf8', env: this.env });
		const found = /Recovered position: (\S+)/.exec(stderr);
		if (!found) throw new Error(`node ${this.i} tells no position:\n${stderr.slice(-2000)}`);
		return found[1];
	}
}

export class Cluster {
	/** @param options {dir, sockets, logs: folders; env} */
	constructor(options) {
		Object.assign(this, options);
		this.name = 'airunner';
		this.nodes = [];
	}

	get address() {
		return `gcomm://${this.nodes.map(({ ports }) => `127.0.0.1:${ports.group}`).join(',')}`;
	}

	/** "host:port,…" of the nodes, node `first` in front. */
	hosts(first = 0) {
		return this.nodes.map((_, i) => `127.0.0.1:${this.nodes[(first + i) % SIZE].port}`).join(',');
	}

	async start() {
		for (let i = 0; i < SIZE; i += 1) {
			const ports = {};
			for (const name of ['mysql', 'group', 'ist', 'unused']) ports[name] = await freePort();
			this.nodes.push(new Node(this, i, ports));
		}
		const [first, ...others] = this.nodes;
		mkdirSync(this.dir, { recursive: true, mode: 0o700 });
		first.install();
		await first.join('--wsrep-new-cluster', '--wsrep-cluster-address=gcomm://');
		await first.stop(); // gives its data a position
		for (const node of others) {
			cpSync(first.dir, node.dir, { recursive: true });
			for (const name of ['galera.cache', 'gvwstate.dat']) rmSync(join(node.dir, name), { force: true });
		}
		await first.join('--wsrep-new-cluster', '--wsrep-cluster-address=gcomm://');
		for (const node of others) await node.join(`--wsrep-cluster-address=${this.address}`);
		return this;
	}

	/** kill -9, for good. */
	async kill(i) {
		this.nodes[i].up = false;
		await this.nodes[i].part.stop('SIGKILL');
	}

	/** A killed node comes back and catches up. */
	async rejoin(i) {
		const node = this.nodes[i];
		await node.join(`--wsrep-cluster-address=${this.address}`, `--wsrep-start-position=${node.recoveredPosition()}`);
	}

	get alive() {
		return this.nodes.filter((node) => node.up);
	}

	sql(text, database = this.name) {
		return this.alive[0].sql(text, database);
	}

	createUsers(...args) {
		return this.alive[0].createUsers(...args);
	}

	logText(i) {
		return readFileSync(this.nodes[i].log, 'utf8');
	}

	async stop() {
		for (const node of this.nodes) await node.stop();
	}
}
