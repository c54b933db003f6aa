// Between a client and the stand-in for the model: hands whole answers on at once and notes when one
// was sent and when the next request's headers came. Called by agent.mjs.
import { createServer, request } from 'node:http';

const nowUs = () => Number(process.hrtime.bigint()) / 1e3;

function body(stream) {
	return new Promise((resolve, reject) => {
		const parts = [];
		stream.on('data', (part) => parts.push(part));
		stream.on('end', () => resolve(Buffer.concat(parts)));
		stream.on('error', reject);
	});
}

function forward(base, req, sent) {
	return new Promise((resolve, reject) => {
		const out = request(new URL(base + req.url), { method: req.method, headers: req.headers }, async (answer) => {
			resolve({ status: answer.statusCode, headers: answer.headers, body: await body(answer) });
		});
		out.on('error', reject);
		out.end(sent);
	});
}

export class Proxy {
	/** @param onRequest  called with the number of every model request, before its answer */
	constructor({ onRequest = () => {} } = {}) {
		this.onRequest = onRequest;
		this.reset();
	}

	reset() {
		this.turns = []; // {waitUs: since the answer before, bytes, answer}
		this.sentAt = 0;
	}

	/** Answers come from the stand-in at `base`, or, when `replay` is set, from that list in turn. */
	async listen() {
		this.server = createServer((req, res) => this.#handle(req, res, nowUs()).catch((e) => res.destroy(e)));
		this.server.on('connection', (socket) => socket.setNoDelay(true));
		await new Promise((resolve) => this.server.listen(0, '127.0.0.1', resolve));
		this.url = `http://127.0.0.1:${this.server.address().port}`;
		return this;
	}

	async #handle(req, res, at) {
		const isTurn = req.method === 'POST' && req.url.endsWith('/v1/messages');
		const sent = await body(req);
		if (isTurn) await this.onRequest(this.turns.length);
		const answer = this.replay ? this.replay[this.turns.length] : await forward(this.base, req, sent);
		if (isTurn) this.turns.push({ waitUs: this.sentAt ? at - this.sentAt : 0, bytes: sent.length, answer });
		const { 'transfer-encoding': _, ...headers } = answer.headers;
		res.writeHead(answer.status, { ...headers, 'content-length': answer.body.length });
		res.end(answer.body);
		if (isTurn) this.sentAt = nowUs();
	}

	close() {
		this.server.close();
		this.server.closeAllConnections();
	}
}
