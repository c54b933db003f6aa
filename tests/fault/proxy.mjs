// Starts fault-proxy (proxy.c says what it can) and gives it orders.
import { connect } from 'node:net';
import { join } from 'node:path';
import { BUILD } from '../paths.mjs';
import { Part, until } from '../run/parts.mjs';
import { tryPort } from '../run/stack.mjs';

export class FaultProxy {
	/** Listens for each of the names; where they go on to is said by target(). */
	static async start(names, log) {
		const self = new FaultProxy();
		self.control = await tryPort(0);
		self.ports = {};
		for (const name of names) self.ports[name] = await tryPort(0);
		self.part = new Part({
			name: 'fault-proxy', log, restart: false,
			argv: [join(BUILD, 'fault-proxy'), String(self.control), ...names.map((name) => `${name}:${self.ports[name]}`)],
		}).start();
		await until('the fault proxy answers', 10000, () => self.state().catch(() => null));
		return self;
	}

	order(line) {
		return new Promise((resolve, reject) => {
			let answer = '';
			const socket = connect(this.control, '127.0.0.1', () => socket.write(`${line}\n`));
			socket.on('data', (data) => { answer += data; });
			socket.on('error', reject);
			socket.on('close', () => (answer.startsWith('not ') || answer === '' ? reject(new Error(`fault-proxy: ${line}: ${answer}`)) : resolve(answer)));
		});
	}

	target(name, port) {
		return this.order(`target ${name} ${port}`);
	}

	/** Lets `skip` turns pass, then strikes `count` (-1: all). */
	fault(name, { kind, arg = 0, skip = 0, count = 1 }) {
		return this.order(`fault ${name} ${kind} ${arg} ${skip} ${count}`);
	}

	clear() {
		return this.order('clear');
	}

	state() {
		return this.order('state').then(JSON.parse);
	}

	stop() {
		return this.part.stop();
	}
}
