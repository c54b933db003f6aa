// The specifications' police: between the worker and the stand-ins every request passes a Prism proxy
// with the service's OpenAPI document, and a tap that writes down what passed and what Prism objected
// to. Prism hands a stream on only when it is whole; tests of stalls and cuts go without it.
import { spawn } from 'node:child_process';
import { readFileSync } from 'node:fs';
import { createServer, request } from 'node:http';
import { join } from 'node:path';
import { fileURLToPath } from 'node:url';
import { SPECS } from '../paths.mjs';
import { tryPort } from '../run/stack.mjs';

/** What stands where: the stand-in's prefix, the setting that points there (with this base), the document. */
export const SERVICES = {
	anthropic: { prefix: '/anthropic', setting: 'ANTHROPIC_BASE_URL', document: 'anthropic-messages.generated.openapi.json' },
	openai: { prefix: '/openai/v1', setting: 'OPENAI_BASE_URL', base: '/v1', document: 'openai.trimmed.json', paths: ['/responses', '/chat/completions'] },
	github: { prefix: '/github', setting: 'GITHUB_API_URL', document: 'github-rest.trimmed.json' },
	jira: { prefix: '/jira', setting: 'JIRA_BASE_URL', document: 'jira-platform-v3.trimmed.json' },
};

const HOP_BY_HOP = ['connection', 'keep-alive', 'transfer-encoding', 'content-length', 'host'];
const without = (headers) => Object.fromEntries(Object.entries(headers).filter(([name]) => !HOP_BY_HOP.includes(name)));

/** Sends bytes and answers {status, headers, body}. */
export function send(url, { method = 'GET', headers = {}, body } = {}) {
	return new Promise((resolve, reject) => {
		const sent = request(url, { method, headers: { ...without(headers), ...(body?.length ? { 'content-length': body.length } : {}) } }, (answer) => {
			const pieces = [];
			answer.on('data', (piece) => pieces.push(piece));
			answer.on('end', () => resolve({ status: answer.statusCode, headers: answer.headers, body: Buffer.concat(pieces) }));
			answer.on('error', reject);
		});
		sent.on('error', reject);
		sent.end(body);
	});
}

/** What Prism objects to in an answer that passed it: [{location, message}]. */
export function violations(answer) {
	const text = answer.headers['sl-violations'];
	if (!text) return [];
	try {
		return JSON.parse(text);
	} catch {
		return [{ location: ['?'], message: text }]; // cut: too many for a header
	}
}
export const of = (kind, list) => list.filter(({ location }) => location[0] === kind || location[0] === '?');
export const words = (list) => list.map((v) => `${v.location.join('.')}: ${v.message}`);

const escape = (text) => text.replace(/[.*+?^${}()|[\]\\]/g, '\\$&');

export class Wire {
	requests = [];
	#servers = [];

	/** Ports first: the worker's settings need them before anything runs. */
	async settings() {
		this.services = {};
		const settings = {};
		for (const [name, service] of Object.entries(SERVICES)) {
			const spec = JSON.parse(readFileSync(join(SPECS, service.document), 'utf8'));
			const operations = Object.entries(spec.paths).map(([path, methods]) => ({
				path, methods, pattern: new RegExp(`^${path.split(/\{\w+\}/).map(escape).join('[^/]+')}$`),
			}));
			this.services[name] = { ...service, name, operations, prism: await tryPort(0), port: await this.#tap(name) };
			settings[service.setting] = `http://127.0.0.1:${this.services[name].port}${service.base ?? ''}`;
		}
		return settings;
	}

	async #tap(name) {
		const server = createServer(async (from, to) => {
			const pieces = [];
			for await (const piece of from) pieces.push(piece);
			const url = from.url.slice(SERVICES[name].base?.length ?? 0); // the document's paths begin after it
			const one = { service: name, method: from.method, url, headers: from.headers, body: Buffer.concat(pieces) };
			try {
				one.answer = await this.pass(one);
				to.writeHead(one.answer.status, without(one.answer.headers));
				to.end(one.answer.body);
			} catch (e) {
				one.error = e;
				to.destroy();
			}
			this.requests.push(one);
		});
		await new Promise((listening) => { server.listen(0, '127.0.0.1', listening); });
		this.#servers.push(server);
		return server.address().port;
	}

	/** Sends one through its service's Prism. */
	pass(one) {
		return send(`http://127.0.0.1:${this.services[one.service].prism}${one.url}`, one);
	}

	/** Starts Prism before the stand-in at `standinUrl`. */
	start(standinUrl) {
		const config = Object.values(this.services).map(({ document, paths, prefix, prism }) => (
			{ document: join(SPECS, document), paths, upstream: `${standinUrl}${prefix}`, port: prism }));
		this.prism = spawn(process.execPath, [fileURLToPath(new URL('prism.mjs', import.meta.url)), JSON.stringify(config)], { stdio: ['pipe', 'pipe', 'inherit'] });
		return new Promise((resolve, reject) => {
			let out = '';
			this.prism.on('exit', (code, signal) => reject(new Error(`Prism ended (${code ?? signal}): ${out}`)));
			this.prism.stdout.on('data', (data) => {
				out += data;
				if (/^ready$/m.test(out)) resolve();
			});
		});
	}

	/** The document's operation of a request: {name, operation}, or null when it has none. */
	operation({ service, method, url }) {
		const path = url.split('?')[0];
		const found = this.services[service].operations.filter(({ pattern, methods }) => pattern.test(path) && methods[method.toLowerCase()]);
		const best = found.sort((a, b) => a.path.split('{').length - b.path.split('{').length)[0];
		return best ? { name: `${service} ${method} ${best.path}`, operation: best.methods[method.toLowerCase()], path: best } : null;
	}

	async stop() {
		for (const server of this.#servers) {
			server.close();
			server.closeAllConnections?.();
		}
		if (!this.prism || this.prism.exitCode !== null) return;
		const ended = new Promise((resolve) => { this.prism.removeAllListeners('exit').on('exit', resolve); });
		this.prism.stdin.end();
		await ended;
	}
}
