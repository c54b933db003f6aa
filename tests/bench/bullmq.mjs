// BullMQ on a private Redis (socket only, nothing written to disk), for comparison. It has no limit
// by repository: an easier job.
import { join } from 'node:path';
import { npmImport } from '../npm.mjs';
import { Part, until } from '../run/parts.mjs';

const PAYLOAD = { text: 'x'.repeat(1000) };
const BULK = 1000;
const WARM_UP = 50;
const nowUs = () => Number(process.hrtime.bigint()) / 1e3;

export class Bull {
	constructor(state, npm) {
		Object.assign(this, { state, npm, path: join(state, 'redis.sock'), connections: [] });
	}

	async start() {
		this.redis = new Part({
			name: 'redis', log: join(this.state, 'redis.log'), env: process.env, cwd: this.state,
			argv: ['redis-server', '--port', '0', '--unixsocket', this.path, '--save', '', '--appendonly', 'no', '--dir', this.state],
		}).start();
		const module = await npmImport('bullmq', this.npm);
		this.bullmq = module.Queue ? module : module.default;
		const ioredis = await npmImport('ioredis', this.npm);
		const { Redis } = ioredis.Redis ? ioredis : ioredis.default;
		this.connect = () => {
			const connection = new Redis({ path: this.path, maxRetriesPerRequest: null });
			connection.on('error', () => {}); // before Redis listens, and when it stops
			this.connections.push(connection);
			return connection;
		};
		this.probe = this.connect();
		await until('Redis answers', 10000, () => this.probe.ping().then(() => true, () => false));
	}

	/** add -> the processor of a waiting worker has the job: microseconds. */
	async wake(samples) {
		const queue = new this.bullmq.Queue('wake', { connection: this.connect() });
		let picked;
		const worker = new this.bullmq.Worker('wake', async () => picked(nowUs()), { connection: this.connect() });
		await worker.waitUntilReady();
		const found = [];
		for (let i = -WARM_UP; i < samples; i++) {
			const at = new Promise((resolve) => (picked = resolve));
			const start = nowUs();
			await queue.add('run', PAYLOAD, { removeOnComplete: true });
			const us = (await at) - start;
			if (i >= 0) found.push(us);
		}
		await worker.close();
		await queue.close();
		return found;
	}

	/** Latency of getNextJob with `depth` jobs waiting, which stay as many. */
	async claim(depth, samples) {
		const name = `depth-${depth}`;
		const queue = new this.bullmq.Queue(name, { connection: this.connect() });
		for (let i = 0; i < depth; i += BULK) {
			await queue.addBulk(Array.from({ length: BULK }, (_, n) => ({ name: 'run', data: PAYLOAD, opts: { priority: 1 + (n % 4), removeOnComplete: true } })));
		}
		const worker = new this.bullmq.Worker(name, null, { connection: this.connect(), autorun: false });
		await worker.waitUntilReady();
		const found = [];
		for (let i = -WARM_UP; i < samples; i++) {
			const start = nowUs();
			const job = await worker.getNextJob('token');
			const us = nowUs() - start;
			await job.moveToCompleted('', 'token', false);
			await queue.add('run', PAYLOAD, { priority: 1 + (Math.abs(i) % 4), removeOnComplete: true });
			if (i >= 0) found.push(us);
		}
		await worker.close();
		await queue.obliterate({ force: true });
		await queue.close();
		return found;
	}

	async stop() {
		for (const connection of this.connections) connection.disconnect();
		await this.redis?.stop();
	}
}
